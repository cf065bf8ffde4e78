package hub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

var whole = Model{Repo: "org/name", Revision: DefaultRevision}

// wantModel fails unless dir holds the files that make the model, and nothing else.
func wantModel(t *testing.T, s *server, dir string) {
	t.Helper()
	var names []string
	filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			name, _ := filepath.Rel(dir, path)
			names = append(names, filepath.ToSlash(name))
		}
		return err
	})
	slices.Sort(names)
	if want := []string{"config.json", "generation_config.json", "model.safetensors", "tokenizer.json"}; !slices.Equal(names, want) {
		t.Errorf("files %v, want %v", names, want)
	}
	for _, name := range names {
		if data, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(data) != s.files[name] {
			t.Errorf("%s: %d bytes, want %d, %v", name, len(data), len(s.files[name]), err)
		}
	}
}

func TestDownloadFillsTheSharedCache(t *testing.T) {
	s := newServer(t, model())
	c := s.client(t)
	dir, err := c.download(t.Context(), whole)
	if err != nil {
		t.Fatal(err)
	}
	wantModel(t, s, dir)
	root := filepath.Join(c.Cache, "models--org--name")
	if want := filepath.Join(root, "snapshots", commit); dir != want {
		t.Errorf("the model is in %s, want %s", dir, want)
	}
	if ref, err := os.ReadFile(filepath.Join(root, "refs", "main")); string(ref) != commit {
		t.Errorf("refs/main is %q, %v", ref, err)
	}
	if runtime.GOOS != "windows" {
		for name, content := range s.files {
			target, err := os.Readlink(filepath.Join(dir, name))
			if want := "../../blobs/" + etagOf(name, content); err == nil && target != want {
				t.Errorf("%s links to %s, want %s", name, target, want)
			}
		}
	}
	blobs, _ := os.ReadDir(filepath.Join(root, "blobs"))
	if len(blobs) != 4 {
		t.Errorf("%d blobs, want 4: %v", len(blobs), blobs)
	}
	if found, ok := Find(whole, c.Options); !ok || found != dir {
		t.Errorf("found %q, %v", found, ok)
	}
	before := len(s.asked("GET"))
	if _, err := s.clientOf(t, c.Cache).download(t.Context(), whole); err != nil {
		t.Fatal(err)
	}
	if again := s.asked("GET")[before:]; !slices.Equal(again, []string{"api"}) {
		t.Errorf("a model that is there is fetched again: %v", again)
	}
}

// clientOf is a client with the cache of another.
func (s *server) clientOf(t testing.TB, cache string) *client {
	c := s.client(t)
	c.Cache = cache
	return c
}

func TestDownloadOfOneFileGivesItsPath(t *testing.T) {
	files := model()
	files["quants/small.gguf"] = "GGUF and more"
	s := newServer(t, files)
	c := s.client(t)
	m, err := ParseModel("org/name/quants/small.gguf@refs/pr/1")
	if err != nil {
		t.Fatal(err)
	}
	path, err := c.download(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	if data, _ := os.ReadFile(path); string(data) != "GGUF and more" || !strings.HasSuffix(filepath.ToSlash(path), "/"+commit+"/quants/small.gguf") {
		t.Errorf("%s holds %q", path, data)
	}
	if found, ok := Find(m, c.Options); !ok || found != path {
		t.Errorf("found %q, %v", found, ok)
	}
	if _, ok := Find(whole, c.Options); ok {
		t.Error("a whole model is found where one file is")
	}
}

func TestShardsComeWithTheirIndexAndAreAllNeeded(t *testing.T) {
	files := model()
	delete(files, "model.safetensors")
	files["model-00001-of-00002.safetensors"], files["model-00002-of-00002.safetensors"] = "one", "two"
	files["model.safetensors.index.json"] = `{"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}`
	s := newServer(t, files)
	c := s.client(t)
	dir, err := c.download(t.Context(), whole)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "model-00002-of-00002.safetensors")); err != nil {
		t.Fatal(err)
	}
	if _, ok := Find(whole, c.Options); ok {
		t.Error("a model without one of its shards is found")
	}
	delete(files, "model-00002-of-00002.safetensors")
	if _, err := s.client(t).download(t.Context(), whole); err == nil || !strings.Contains(err.Error(), "model-00002-of-00002.safetensors is missing") {
		t.Errorf("error %v", err)
	}
}

func TestAConnectionThatIsCutGoesOnWhereItWas(t *testing.T) {
	s := newServer(t, model())
	content := s.files["model.safetensors"]
	s.get = func(w http.ResponseWriter, r *http.Request, name string, n int) bool {
		if name != "model.safetensors" || n > 3 {
			return false
		}
		var from int
		fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &from)
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(content)-1, len(content)))
		w.Header().Set("Content-Length", fmt.Sprint(len(content)-from))
		w.WriteHeader(http.StatusPartialContent)
		io.WriteString(w, content[from:from+100_000])
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	dir, err := s.client(t).download(t.Context(), whole)
	if err != nil {
		t.Fatal(err)
	}
	wantModel(t, s, dir)
	var ranges []string
	for _, r := range s.asked("GET") {
		if rest, ok := strings.CutPrefix(r, "model.safetensors "); ok {
			ranges = append(ranges, rest)
		}
	}
	if len(ranges) != 4 || ranges[0] != "bytes=0-" || ranges[1] == "bytes=0-" || slices.Equal(ranges[1:2], ranges[3:]) {
		t.Errorf("asked for %v", ranges)
	}
}

func TestAnInterruptedDownloadIsTakenUpByTheNextOne(t *testing.T) {
	s := newServer(t, model())
	content := s.files["model.safetensors"]
	ctx, cancel := context.WithCancel(t.Context())
	s.get = func(w http.ResponseWriter, r *http.Request, name string, n int) bool {
		if name != "model.safetensors" || n > 1 {
			return false
		}
		w.Header().Set("Content-Range", fmt.Sprintf("bytes 0-%d/%d", len(content)-1, len(content)))
		w.WriteHeader(http.StatusPartialContent)
		io.WriteString(w, content[:300_000])
		w.(http.Flusher).Flush()
		time.Sleep(50 * time.Millisecond)
		cancel()
		<-r.Context().Done()
		return true
	}
	c := s.client(t)
	if _, err := c.download(ctx, whole); !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v", err)
	}
	if _, ok := Find(whole, c.Options); ok {
		t.Error("half a model is found")
	}
	partial := filepath.Join(c.Cache, "models--org--name", "blobs", etagOf("model.safetensors", content)+".incomplete")
	if info, err := os.Stat(partial); err != nil || info.Size() != 300_000 {
		t.Fatalf("what came is not kept: %v", err)
	}
	next := s.clientOf(t, c.Cache)
	dir, err := next.download(t.Context(), whole)
	if err != nil {
		t.Fatal(err)
	}
	wantModel(t, s, dir)
	if last := s.asked("GET"); !slices.Contains(last, "model.safetensors bytes=300000-") {
		t.Errorf("asked for %v", last)
	}
	if next.progress.Done != next.progress.Total {
		t.Errorf("%d bytes of %d are counted", next.progress.Done, next.progress.Total)
	}
}

func TestWhatAnEarlierProgramLeftIsCheckedToo(t *testing.T) {
	for name, left := range map[string]string{"other bytes": "wrong, wrong, wrong", "too many": strings.Repeat("x", 1_000_000)} {
		s := newServer(t, model())
		c := s.client(t)
		blobs := filepath.Join(c.Cache, "models--org--name", "blobs")
		if err := os.MkdirAll(blobs, 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(blobs, etagOf("model.safetensors", s.files["model.safetensors"])+".incomplete"), []byte(left), 0o666); err != nil {
			t.Fatal(err)
		}
		dir, err := c.download(t.Context(), whole)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		wantModel(t, s, dir)
		if c.progress.Done != c.progress.Total {
			t.Errorf("%s: %d bytes of %d are counted", name, c.progress.Done, c.progress.Total)
		}
	}
}

func TestAServerWithoutRangesIsAskedFromTheBeginning(t *testing.T) {
	s := newServer(t, model())
	content := s.files["model.safetensors"]
	s.get = func(w http.ResponseWriter, r *http.Request, name string, n int) bool {
		if name != "model.safetensors" {
			return false
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(content)))
		if n == 1 {
			io.WriteString(w, content[:1000])
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}
		io.WriteString(w, content)
		return true
	}
	dir, err := s.client(t).download(t.Context(), whole)
	if err != nil {
		t.Fatal(err)
	}
	wantModel(t, s, dir)
}

func TestContentThatIsNotWhatTheHubSaysGetsNoName(t *testing.T) {
	for _, name := range []string{"model.safetensors", "config.json"} {
		for _, times := range []int{1, 100} {
			s := newServer(t, model())
			s.get = func(w http.ResponseWriter, r *http.Request, got string, n int) bool {
				if got != name || n > times {
					return false
				}
				wrong := "X" + s.files[name][1:]
				http.ServeContent(w, r, name, time.Time{}, strings.NewReader(wrong))
				return true
			}
			c := s.client(t)
			dir, err := c.download(t.Context(), whole)
			if times == 1 {
				if err != nil {
					t.Fatal(err)
				}
				wantModel(t, s, dir)
				continue
			}
			want := etagOf(name, s.files[name])
			if err == nil || !strings.Contains(err.Error(), name+": its SHA") || !strings.Contains(err.Error(), "the hub says "+want) || !strings.Contains(err.Error(), "try again later") {
				t.Errorf("%s: error %v", name, err)
			}
			if _, err := os.Stat(filepath.Join(c.Cache, "models--org--name", "blobs", want)); err == nil {
				t.Errorf("%s has its name", name)
			}
			if _, ok := Find(whole, c.Options); ok {
				t.Errorf("a model whose %s is wrong is found", name)
			}
		}
	}
}

func TestTheTokenGoesToTheHubOnly(t *testing.T) {
	s := newServer(t, model())
	c := s.client(t)
	c.Token = "hf_secret"
	if _, err := c.download(t.Context(), whole); err != nil {
		t.Fatal(err)
	}
	hub, storage := s.tokens[strings.TrimPrefix(s.URL, "http://")], s.tokens[strings.TrimPrefix(s.storage.URL, "http://")]
	if hub != "Bearer hf_secret" || storage != "" {
		t.Errorf("the hub got %q, the storage %q", hub, storage)
	}
	if len(s.tokens) != 2 {
		t.Errorf("hosts %v", s.tokens)
	}
}

func TestAServerThatIsBusyIsAskedAgain(t *testing.T) {
	for _, status := range []int{http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusServiceUnavailable} {
		s := newServer(t, model())
		var mu sync.Mutex
		failed := map[string]int{}
		fail := func(w http.ResponseWriter, what string) bool {
			mu.Lock()
			defer mu.Unlock()
			failed[what]++
			if failed[what] <= 2 {
				w.Header().Set("Retry-After", "0")
				http.Error(w, "busy", status)
			}
			return failed[what] <= 2
		}
		s.api = func(w http.ResponseWriter, _ *http.Request) bool { return fail(w, "api") }
		s.head = func(w http.ResponseWriter, _ *http.Request, name string) bool { return fail(w, "head "+name) }
		s.get = func(w http.ResponseWriter, _ *http.Request, name string, _ int) bool { return fail(w, "get "+name) }
		dir, err := s.client(t).download(t.Context(), whole)
		if err != nil {
			t.Fatalf("%d: %v", status, err)
		}
		wantModel(t, s, dir)
	}
}

func TestAServerThatStaysBusyIsGivenUp(t *testing.T) {
	s := newServer(t, model())
	s.get = func(w http.ResponseWriter, _ *http.Request, name string, _ int) bool {
		if name == "model.safetensors" {
			http.Error(w, "maintenance", http.StatusServiceUnavailable)
			return true
		}
		return false
	}
	_, err := s.client(t).download(t.Context(), whole)
	if err == nil || !strings.Contains(err.Error(), "model.safetensors") || !strings.Contains(err.Error(), "503") || !strings.Contains(err.Error(), "given up after 6 attempts: check the network and start again, what has come stays") {
		t.Errorf("error %v", err)
	}
	if n := s.gets["model.safetensors"]; n != 6 {
		t.Errorf("%d attempts", n)
	}
}

func TestAServerThatNeverAnswersIsGivenUp(t *testing.T) {
	silent := func(_ http.ResponseWriter, r *http.Request) bool { <-r.Context().Done(); return true }
	for name, silence := range map[string]func(s *server){
		"the list of files": func(s *server) { s.api = silent },
		"config.json": func(s *server) {
			s.head = func(w http.ResponseWriter, r *http.Request, name string) bool {
				return name == "config.json" && silent(w, r)
			}
		},
	} {
		s := newServer(t, model())
		silence(s)
		c := s.client(t)
		c.idle, c.repeats = 50*time.Millisecond, 2
		if _, err := c.download(t.Context(), whole); err == nil || !strings.Contains(err.Error(), name+": ") || !strings.Contains(err.Error(), "given up after 3 attempts") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestASilentServerIsAskedAgain(t *testing.T) {
	s := newServer(t, model())
	content := s.files["model.safetensors"]
	s.get = func(w http.ResponseWriter, r *http.Request, name string, n int) bool {
		if name != "model.safetensors" || n > 2 {
			return false
		}
		if n == 1 { // half a file, then nothing
			w.Header().Set("Content-Range", fmt.Sprintf("bytes 0-%d/%d", len(content)-1, len(content)))
			w.WriteHeader(http.StatusPartialContent)
			io.WriteString(w, content[:5000])
			w.(http.Flusher).Flush()
		}
		<-r.Context().Done()
		return true
	}
	c := s.client(t)
	c.idle = 300 * time.Millisecond
	dir, err := c.download(t.Context(), whole)
	if err != nil {
		t.Fatal(err)
	}
	wantModel(t, s, dir)
}

func TestSlowServersArePermitted(t *testing.T) {
	s := newServer(t, model())
	content := s.files["model.safetensors"]
	s.get = func(w http.ResponseWriter, r *http.Request, name string, n int) bool {
		if name != "model.safetensors" {
			return false
		}
		w.Header().Set("Content-Range", fmt.Sprintf("bytes 0-%d/%d", len(content)-1, len(content)))
		w.WriteHeader(http.StatusPartialContent)
		for at := 0; at < len(content); at += len(content) / 8 { // longer together than a server may be silent
			io.WriteString(w, content[at:at+len(content)/8])
			w.(http.Flusher).Flush()
			time.Sleep(200 * time.Millisecond)
		}
		return true
	}
	c := s.client(t)
	c.idle = time.Second
	dir, err := c.download(t.Context(), whole)
	if err != nil {
		t.Fatal(err)
	}
	wantModel(t, s, dir)
	if n := s.gets["model.safetensors"]; n != 1 {
		t.Errorf("%d requests", n)
	}
}

func TestFilesComeSeveralAtOnceButNotMoreThanAsked(t *testing.T) {
	files := map[string]string{"config.json": "{}"}
	index := `{"weight_map": {`
	for i := range 8 {
		name := fmt.Sprintf("model-%05d-of-00008.safetensors", i+1)
		files[name] = strings.Repeat(name, 100)
		index += fmt.Sprintf(`"w%d": %q,`, i, name)
	}
	files["model.safetensors.index.json"] = strings.TrimSuffix(index, ",") + "}}"
	s := newServer(t, files)
	s.get = func(http.ResponseWriter, *http.Request, string, int) bool {
		time.Sleep(20 * time.Millisecond)
		return false
	}
	c := s.client(t)
	c.Parallel = 3
	if _, err := c.download(t.Context(), whole); err != nil {
		t.Fatal(err)
	}
	if s.most < 2 || s.most > 3 {
		t.Errorf("%d requests at once, want 3", s.most)
	}
}

func TestTwoProgramsMayFetchOneModel(t *testing.T) {
	s := newServer(t, model())
	s.get = func(http.ResponseWriter, *http.Request, string, int) bool {
		time.Sleep(5 * time.Millisecond)
		return false
	}
	first := s.client(t)
	var wg sync.WaitGroup
	for range 4 {
		c := s.clientOf(t, first.Cache)
		wg.Go(func() {
			dir, err := c.download(t.Context(), whole)
			if err != nil {
				t.Error(err)
				return
			}
			wantModel(t, s, dir)
		})
	}
	wg.Wait()
	for name, n := range s.gets {
		if name != "api" && n != 1 {
			t.Errorf("%s came %d times", name, n)
		}
	}
}

func TestServersThatLieAreFoundOut(t *testing.T) {
	header := func(key, value string) func(s *server) {
		return func(s *server) {
			s.head = func(w http.ResponseWriter, _ *http.Request, name string) bool {
				if name != "config.json" {
					return false
				}
				w.Header().Set("Etag", etagOf(name, s.files[name]))
				w.Header().Set("Content-Length", fmt.Sprint(len(s.files[name])))
				w.Header().Set(key, value)
				return true
			}
		}
	}
	body := func(text string) func(s *server) {
		return func(s *server) {
			s.api = func(w http.ResponseWriter, _ *http.Request) bool { io.WriteString(w, text); return true }
		}
	}
	content := func(contentRange string, status int) func(s *server) {
		return func(s *server) {
			s.get = func(w http.ResponseWriter, _ *http.Request, name string, _ int) bool {
				if name != "config.json" {
					return false
				}
				w.Header().Set("Content-Range", contentRange)
				w.WriteHeader(status)
				io.WriteString(w, s.files[name]+"and more")
				return true
			}
		}
	}
	info := func(files string) func(s *server) {
		return body(`{"sha": "` + commit + `", "siblings": [` + files + `]}`)
	}
	for _, c := range []struct {
		name string
		lie  func(s *server)
		want string
	}{
		{"a page for a login", body("<html>Log in</html>"), "is no JSON"},
		{"no commit", body(`{"siblings": []}`), `names the commit "", which is none`},
		{"a commit that leads elsewhere", body(`{"sha": "../../../../etc", "siblings": []}`), `names the commit "../../../../etc"`},
		{"no files", info(""), "holds no config.json with model.safetensors"},
		{"an ETag that leads elsewhere", header("Etag", `"../../evil"`), `config.json: the server gives the ETag "../../evil"`},
		{"no ETag", header("Etag", ""), "config.json: the server gives the ETag"},
		{"an ETag of a partial file", header("Etag", "abc.incomplete"), "config.json: the server gives the ETag"},
		{"another commit", header("X-Repo-Commit", strings.Repeat("f", 40)), "config.json: the server gives the file of commit ffff"},
		{"a size that is none", header("X-Linked-Size", "-5"), `config.json: the server says that the file has "-5" bytes`},
		{"fewer bytes than there are", header("X-Linked-Size", "3"), "config.json: the server gives"},
		{"another range", content("bytes 5-9/10", http.StatusPartialContent), `config.json: the server gives "bytes 5-9/10", want "bytes 0-22/23"`},
		{"more than was said", content("", http.StatusOK), "config.json: the server gives more than the 23 bytes that the hub said"},
	} {
		s := newServer(t, model())
		c.lie(s)
		client := s.client(t)
		_, err := client.download(t.Context(), whole)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "hub: org/name: ") {
			t.Errorf("%s: error %v, want one that says %q", c.name, err, c.want)
		}
		wantInside(t, client.Cache)
	}
}

// wantInside fails if a file has been made beside the cache.
func wantInside(t testing.TB, cache string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(cache))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != filepath.Base(cache) && !strings.HasPrefix(e.Name(), "0") {
			t.Errorf("%s has been made outside of the cache", e.Name())
		}
	}
}

func TestNamesOfFilesThatLeadElsewhereAreRefused(t *testing.T) {
	for _, name := range []string{"", "/etc/passwd", "../config.json", "a/../../b", "a//b", `a\b`, "C:x", "a\nb", "./x", "a/"} {
		if err := validFile(name); err == nil {
			t.Errorf("%q is taken", name)
		}
	}
	for _, name := range []string{"config.json", "quants/model.gguf", "a b", "ünï.json"} {
		if err := validFile(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	files := map[string]string{"../evil.gguf": "x"}
	s := newServer(t, files)
	if _, err := s.client(t).download(t.Context(), Model{Repo: "org/name", File: "../evil.gguf"}); err == nil || !strings.Contains(err.Error(), "leads out of the model's folder") {
		t.Errorf("error %v", err)
	}
}

func TestRefusalsSayWhatToDo(t *testing.T) {
	answer := func(status int, code string) func(w http.ResponseWriter, _ *http.Request) bool {
		return func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("X-Error-Code", code)
			http.Error(w, "no", status)
			return true
		}
	}
	for _, c := range []struct {
		name  string
		model Model
		api   func(w http.ResponseWriter, _ *http.Request) bool
		token string
		want  string
	}{
		{"no such model", Model{Repo: "org/other"}, nil, "", "there is no such model, or it is private or gated; check the name, or set HF_TOKEN to a token that may read it"},
		{"no such model, with a token", Model{Repo: "org/other"}, nil, "hf_x", "HF_TOKEN is set, but may not read it"},
		{"no such revision", Model{Repo: "org/name", Revision: "v9"}, nil, "", "hub: org/name@v9: the list of files: the repository has no such revision: name a branch, a tag or a commit behind @"},
		{"no such file", Model{Repo: "org/name", File: "x.gguf"}, nil, "", "hub: org/name/x.gguf: the repository has no file x.gguf"},
		{"gated", whole, answer(http.StatusForbidden, "GatedRepo"), "", "its owner wants conditions accepted: do so on its page at"},
		{"forbidden", whole, answer(http.StatusForbidden, ""), "", "refuses access (403 Forbidden)"},
		{"not found", whole, answer(http.StatusNotFound, ""), "", "knows no such model: check the name and HF_ENDPOINT"},
		{"a teapot", whole, answer(http.StatusTeapot, ""), "", "answers 418 I'm a teapot no"},
		{"a page that plays with the terminal", whole, func(w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(http.StatusTeapot)
			io.WriteString(w, "<html>\n\x1b[2J  short \x00 and stout\xff</html>")
			return true
		}, "", "answers 418 I'm a teapot <html> [2J short and stout</html>"},
	} {
		s := newServer(t, model())
		s.api = c.api
		client := s.client(t)
		client.Token = c.token
		if _, err := client.download(t.Context(), c.model); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hf_x") {
			t.Errorf("%s: error %v, want one that says %q", c.name, err, c.want)
		}
		if n := len(s.asked("GET")); n != 1 {
			t.Errorf("%s: %d requests, want 1", c.name, n)
		}
	}
}

func TestRepositoriesOfOtherFormatsAreExplained(t *testing.T) {
	for want, files := range map[string]map[string]string{
		"name one, as in org/name/a.gguf":                    {"a.gguf": "x"},
		"pytorch_model.bin but no safetensors":               {"config.json": "{}", "pytorch_model.bin": "x"},
		"no config.json with model.safetensors: it is no mo": {"README.md": "x"},
	} {
		if _, err := newServer(t, files).client(t).download(t.Context(), whole); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one that says %q", err, want)
		}
	}
}

func TestRedirectsInCirclesAreGivenUpAtOnce(t *testing.T) {
	s := newServer(t, model())
	s.api = func(w http.ResponseWriter, r *http.Request) bool {
		http.Redirect(w, r, r.URL.Path, http.StatusFound)
		return true
	}
	if _, err := s.client(t).download(t.Context(), whole); err == nil || !strings.Contains(err.Error(), "the server redirects in circles") {
		t.Errorf("error %v", err)
	}
	if n := len(s.asked("GET")); n > maxRedirects+2 {
		t.Errorf("%d requests", n)
	}
}

func TestNoRedirectLeavesHTTPS(t *testing.T) {
	s := newServer(t, model())
	tls := httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	tls.Config.ErrorLog = log.New(io.Discard, "", 0) // connections that are given up
	tls.StartTLS()
	defer tls.Close()
	c := s.client(t)
	c.Endpoint, c.http = tls.URL, tls.Client()
	if _, err := c.download(t.Context(), whole); err == nil || !strings.Contains(err.Error(), "model.safetensors: the server redirects from https to http") {
		t.Errorf("error %v", err)
	}
}

func TestOfflineAsksNobody(t *testing.T) {
	s := newServer(t, model())
	c := s.client(t)
	c.Offline = true
	if _, err := c.download(t.Context(), whole); err == nil || !strings.Contains(err.Error(), c.Cache+", and HF_HUB_OFFLINE forbids to fetch it") {
		t.Errorf("error %v", err)
	}
	c.Offline = false
	want, err := c.download(t.Context(), whole)
	if err != nil {
		t.Fatal(err)
	}
	before := len(s.asked("GET")) + len(s.asked("HEAD"))
	c.Offline = true
	if dir, err := c.download(t.Context(), whole); err != nil || dir != want {
		t.Errorf("%s, %v", dir, err)
	}
	if after := len(s.asked("GET")) + len(s.asked("HEAD")); after != before {
		t.Errorf("%d requests", after-before)
	}
}

func TestAReferenceMovesWhenTheNewFilesAreThere(t *testing.T) {
	s := newServer(t, model())
	c := s.client(t)
	old, err := c.download(t.Context(), whole)
	if err != nil {
		t.Fatal(err)
	}
	s.sha = strings.Repeat("a", 40)
	s.files["config.json"] = `{"model_type": "qwen3"}`
	s.get = func(w http.ResponseWriter, _ *http.Request, name string, _ int) bool {
		http.Error(w, "no", http.StatusTeapot)
		return true
	}
	if _, err := s.clientOf(t, c.Cache).download(t.Context(), whole); err == nil {
		t.Fatal("no error")
	}
	if found, ok := Find(whole, c.Options); !ok || found != old {
		t.Errorf("found %q, %v; want the model that is whole", found, ok)
	}
	s.get = nil
	dir, err := s.clientOf(t, c.Cache).download(t.Context(), whole)
	if err != nil {
		t.Fatal(err)
	}
	wantModel(t, s, dir)
	if n := s.gets["model.safetensors"]; n != 1 {
		t.Errorf("weights that did not change came %d times", n)
	}
	if found, ok := Find(Model{Repo: "org/name", Revision: commit}, c.Options); !ok || found != old {
		t.Errorf("the old commit is found at %q, %v", found, ok)
	}
}

func TestProgressReachesTheTotal(t *testing.T) {
	s := newServer(t, model())
	c := s.client(t)
	var last Progress
	c.Progress = func(p Progress) {
		if p.Total == 0 || p.Done > p.Total {
			t.Errorf("%+v", p)
		}
		last = p
	}
	if _, err := c.download(t.Context(), whole); err != nil {
		t.Fatal(err)
	}
	total := int64(0)
	for _, name := range []string{"config.json", "tokenizer.json", "generation_config.json", "model.safetensors"} {
		total += int64(len(s.files[name]))
	}
	if last.Done != total || last.Total != total || last.File == "" {
		t.Errorf("%+v, want %d", last, total)
	}
}

func TestModelsAreParsed(t *testing.T) {
	for name, want := range map[string]Model{
		"HuggingFaceTB/SmolLM2-135M-Instruct": {"HuggingFaceTB/SmolLM2-135M-Instruct", "", "main"},
		"Qwen/Qwen3-0.6B@v1.0":                {"Qwen/Qwen3-0.6B", "", "v1.0"},
		"a/b/c/d.gguf@refs/pr/2":              {"a/b", "c/d.gguf", "refs/pr/2"},
	} {
		m, err := ParseModel(name)
		if err != nil || m != want {
			t.Errorf("%s is %+v, %v", name, m, err)
		}
		if m.String() != name {
			t.Errorf("%s is written %s", name, m)
		}
	}
	for _, name := range []string{"", "gpt2", "a/b@", "a/b@..", "a/b@x/../y", "a/b@/x", "../b", "a/..", "/a/b", "a//b", "a/b/", "a/b c", `a\b/c`, "a--b/c", "a/b@x y", strings.Repeat("x", 97) + "/b"} {
		if m, err := ParseModel(name); err == nil {
			t.Errorf("%q is %+v", name, m)
		}
	}
}

func TestTheEnvironmentSaysWhereModelsAre(t *testing.T) {
	for _, key := range []string{"HF_ENDPOINT", "HF_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME", "HF_TOKEN", "HF_HUB_OFFLINE"} {
		t.Setenv(key, "")
	}
	t.Setenv("HOME", "/home/me")
	t.Setenv("USERPROFILE", "/home/me")
	check := func(want Options) {
		t.Helper()
		o, err := FromEnvironment()
		if err != nil || o.Cache != filepath.FromSlash(want.Cache) || o.Endpoint != want.Endpoint || o.Token != want.Token || o.Offline != want.Offline {
			t.Errorf("%+v, %v; want %+v", o, err, want)
		}
	}
	check(Options{Cache: "/home/me/.cache/huggingface/hub"})
	t.Setenv("XDG_CACHE_HOME", "/cache")
	check(Options{Cache: "/cache/huggingface/hub"})
	t.Setenv("HF_HOME", "/hf")
	t.Setenv("HF_TOKEN", " hf_x\n")
	check(Options{Cache: "/hf/hub", Token: "hf_x"})
	t.Setenv("HF_HUB_CACHE", "/models")
	t.Setenv("HF_HUB_OFFLINE", "Yes")
	t.Setenv("HF_ENDPOINT", "https://mirror.example")
	check(Options{Cache: "/models", Token: "hf_x", Offline: true, Endpoint: "https://mirror.example"})
	t.Setenv("HF_HUB_OFFLINE", "0")
	check(Options{Cache: "/models", Token: "hf_x", Endpoint: "https://mirror.example"})
}

func TestDownloadNeedsACacheAndAnEndpoint(t *testing.T) {
	if _, err := Download(t.Context(), whole, Options{}); err == nil || !strings.Contains(err.Error(), "no cache is given") {
		t.Errorf("error %v", err)
	}
	if _, err := Download(t.Context(), whole, Options{Cache: t.TempDir(), Endpoint: "not a URL"}); err == nil || !strings.Contains(err.Error(), `HF_ENDPOINT "not a URL" is no address, such as https://huggingface.co`) {
		t.Errorf("error %v", err)
	}
}
