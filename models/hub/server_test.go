package hub

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const commit = "0123456789abcdef0123456789abcdef01234567"

// server is a hub of one model. Large files (*.safetensors, *.gguf) lie on another host, to which it redirects.
type server struct {
	*httptest.Server
	storage *httptest.Server
	files   map[string]string
	sha     string // of the commit

	// api, head and get may answer in the server's place; they report whether they did. get's n counts the requests
	// of a file from 1.
	api  func(w http.ResponseWriter, r *http.Request) bool
	head func(w http.ResponseWriter, r *http.Request, name string) bool
	get  func(w http.ResponseWriter, r *http.Request, name string, n int) bool

	mu       sync.Mutex
	requests []string // "METHOD name range"
	gets     map[string]int
	tokens   map[string]string // the Authorization that each host got last
	active   int
	most     int // requests at once
}

func newServer(t testing.TB, files map[string]string) *server {
	s := &server{files: files, sha: commit, gets: map[string]int{}, tokens: map[string]string{}}
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	s.storage = httptest.NewServer(http.HandlerFunc(s.serveStorage))
	t.Cleanup(s.Close)
	t.Cleanup(s.storage.Close)
	return s
}

func model() map[string]string {
	return map[string]string{
		"config.json": `{"model_type": "llama"}`, "tokenizer.json": strings.Repeat("{}", 5000), "generation_config.json": "",
		"model.safetensors": strings.Repeat("weights!", 100_000), "README.md": "# A model", "onnx/model.onnx": "graph", "pytorch_model.bin": "pickle",
	}
}

func isLarge(name string) bool {
	return strings.HasSuffix(name, ".safetensors") || strings.HasSuffix(name, ".gguf")
}

func etagOf(name, content string) string {
	if isLarge(name) {
		sum := sha256.Sum256([]byte(content))
		return hex.EncodeToString(sum[:])
	}
	sum := sha1.Sum(fmt.Appendf(nil, "blob %d\x00%s", len(content), content))
	return hex.EncodeToString(sum[:])
}

func (s *server) note(r *http.Request, name string) (n int, done func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, strings.TrimSpace(r.Method+" "+name+" "+r.Header.Get("Range")))
	s.tokens[r.Host] = r.Header.Get("Authorization")
	s.active++
	s.most = max(s.most, s.active)
	if r.Method == http.MethodGet {
		s.gets[name]++
	}
	return s.gets[name], func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.active--
	}
}

// asked are the requests of a method so far.
func (s *server) asked(method string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, r := range s.requests {
		if rest, ok := strings.CutPrefix(r, method+" "); ok {
			out = append(out, rest)
		}
	}
	return out
}

func (s *server) serve(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/api/") {
		_, done := s.note(r, "api")
		defer done()
		s.serveAPI(w, r)
		return
	}
	name, ok := strings.CutPrefix(r.URL.Path, "/org/name/resolve/"+s.sha+"/")
	content, exists := s.files[name]
	if !ok || !exists {
		w.Header().Set("X-Error-Code", "EntryNotFound")
		http.Error(w, "Entry not found", http.StatusNotFound)
		return
	}
	if r.Method == http.MethodHead {
		_, done := s.note(r, name)
		defer done()
		if s.head != nil && s.head(w, r, name) {
			return
		}
	}
	w.Header().Set("X-Repo-Commit", s.sha)
	if isLarge(name) {
		w.Header().Set("X-Linked-Etag", `"`+etagOf(name, content)+`"`)
		w.Header().Set("X-Linked-Size", strconv.Itoa(len(content)))
		http.Redirect(w, r, s.storage.URL+"/"+name+"?signature=secret", http.StatusFound)
		return
	}
	w.Header().Set("Etag", `"`+etagOf(name, content)+`"`)
	if r.Method == http.MethodGet {
		s.serveContent(w, r, name)
		return
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(content)))
}

func (s *server) serveAPI(w http.ResponseWriter, r *http.Request) {
	if s.api != nil && s.api(w, r) {
		return
	}
	if !strings.HasPrefix(r.URL.Path, "/api/models/org/name/revision/") {
		w.Header().Set("X-Error-Code", "RepoNotFound")
		http.Error(w, "Repository not found", http.StatusUnauthorized)
		return
	}
	if revision := strings.TrimPrefix(r.URL.Path, "/api/models/org/name/revision/"); revision != "main" && revision != s.sha && revision != "refs/pr/1" {
		w.Header().Set("X-Error-Code", "RevisionNotFound")
		http.Error(w, "Invalid rev id", http.StatusNotFound)
		return
	}
	info := map[string]any{"id": "org/name", "sha": s.sha}
	var siblings []map[string]string
	for name := range s.files {
		siblings = append(siblings, map[string]string{"rfilename": name})
	}
	info["siblings"] = siblings
	json.NewEncoder(w).Encode(info)
}

func (s *server) serveStorage(w http.ResponseWriter, r *http.Request) {
	s.serveContent(w, r, strings.TrimPrefix(r.URL.Path, "/"))
}

func (s *server) serveContent(w http.ResponseWriter, r *http.Request, name string) {
	n, done := s.note(r, name)
	defer done()
	if s.get != nil && s.get(w, r, name, n) {
		return
	}
	http.ServeContent(w, r, name, time.Time{}, strings.NewReader(s.files[name]))
}

// client is one of the server's, patient for no longer than a test should be.
func (s *server) client(t testing.TB) *client {
	c := newClient(Options{Endpoint: s.URL, Cache: t.TempDir()})
	c.wait, c.idle = time.Millisecond, 20*time.Second
	c.Log = func(message string) { t.Log(message) }
	return c
}
