package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hone-ml/hone/models"
	"github.com/hone-ml/hone/tokenizer"
)

// hubOf serves the folder of a model as test/model and sets the environment to it. It counts requests.
func hubOf(t *testing.T, dir string) *atomic.Int64 {
	t.Helper()
	const commit = "0123456789abcdef0123456789abcdef01234567"
	var requests atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		name, isFile := strings.CutPrefix(r.URL.Path, "/test/model/resolve/"+commit+"/")
		switch {
		case r.URL.Path == "/api/models/test/model/revision/main":
			type sibling struct {
				Name string `json:"rfilename"`
			}
			var siblings []sibling
			entries, _ := os.ReadDir(dir)
			for _, e := range entries {
				siblings = append(siblings, sibling{e.Name()})
			}
			json.NewEncoder(w).Encode(map[string]any{"sha": commit, "siblings": siblings})
		case isFile:
			data, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				http.Error(w, "no such file", http.StatusNotFound)
				return
			}
			sum := sha256.Sum256(data)
			w.Header().Set("X-Linked-Etag", `"`+hex.EncodeToString(sum[:])+`"`)
			http.ServeFile(w, r, filepath.Join(dir, name))
		default:
			w.Header().Set("X-Error-Code", "RepoNotFound")
			http.Error(w, "no such repository", http.StatusUnauthorized)
		}
	}))
	t.Cleanup(s.Close)
	for key, value := range map[string]string{"HF_ENDPOINT": s.URL, "HF_HOME": t.TempDir(), "HF_HUB_CACHE": "", "HF_TOKEN": "", "HF_HUB_OFFLINE": ""} {
		t.Setenv(key, value)
	}
	return &requests
}

func TestDownloadFetchesAModelThatEveryCommandThenFinds(t *testing.T) {
	w := theWorld(t)
	requests := hubOf(t, w.model)
	path := strings.TrimSpace(ok(t, "download", "test/model"))
	if !strings.HasPrefix(path, os.Getenv("HF_HOME")) {
		t.Errorf("the model is in %s", path)
	}
	before := requests.Load()
	ok(t, "eval", "-model", "test/model", "-data", w.valid, "-db-dir", w.databases, "-limit", "2", "-max-tokens", "4")
	if n := requests.Load() - before; n != 0 {
		t.Errorf("%d requests for a model that is there", n)
	}
	if again := ok(t, "download", "test/model", "-json"); !strings.Contains(again, `"model":"test/model"`) || !strings.Contains(again, filepath.Base(path)) {
		t.Errorf("download says %s", again)
	}
}

func TestAModelOfTheHubIsFetchedWhenItIsNamed(t *testing.T) {
	w := theWorld(t)
	hubOf(t, w.model)
	if run, want := trainedFrom(t, "test/model"), trainedFrom(t, w.model); weightsOf(t, run) != weightsOf(t, want) {
		t.Error("one step from the model of the hub leads elsewhere")
	} else if recipe, err := os.ReadFile(filepath.Join(run, "recipe.json")); err != nil || !strings.Contains(string(recipe), "0123456789abcdef0123456789abcdef01234567") {
		t.Errorf("the recipe does not pin the commit: %s, %v", recipe, err)
	}
}

// trainedFrom is the run of one step from a model.
func trainedFrom(t *testing.T, model string) string {
	t.Helper()
	run := filepath.Join(t.TempDir(), "run")
	ok(t, "train", "-model", model, "-data", theWorld(t).train, "-out", run, "-max-steps", "1", "-max-length", "256")
	return run
}

func weightsOf(t *testing.T, run string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(run, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestModelsThatCannotBeHadSayWhy(t *testing.T) {
	w := theWorld(t)
	hubOf(t, w.model)
	eval := []string{"-data", w.valid, "-db-dir", w.databases}
	fails(t, 1, []string{"there is no folder test/other", "hub: test/other", "check the name, or set HF_TOKEN"}, append([]string{"eval", "-model", "test/other"}, eval...)...)
	fails(t, 1, []string{"-model", "nothing/../here"}, append([]string{"eval", "-model", "nothing/../here"}, eval...)...)
	fails(t, 2, []string{"download", "name one model"}, "download")
	fails(t, 2, []string{`"gpt2" is not ORG/NAME`}, "download", "gpt2")
	t.Setenv("HF_HUB_OFFLINE", "1")
	fails(t, 1, []string{"test/model", "HF_HUB_OFFLINE forbids"}, append([]string{"eval", "-model", "test/model"}, eval...)...)
}

func TestAGGUFFileIsAModelForEveryCommand(t *testing.T) {
	w := theWorld(t)
	m, err := models.Load(w.model, models.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.Load(w.model)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "model.gguf")
	if err := models.SaveGGUF(path, m, models.GGUFOptions{Tokenizer: tok}); err != nil {
		t.Fatal(err)
	}
	kept := filepath.Join(t.TempDir(), "answers.jsonl")
	for range 2 { // the second time from what was kept
		ok(t, "eval", "-model", path, "-data", w.valid, "-db-dir", w.databases, "-limit", "2", "-max-tokens", "8", "-answers", kept)
	}
	fails(t, 1, []string{"the output holds no query"}, "ask", "-model", path, "-db", filepath.Join(w.databases, "shop.sqlite"), "-max-tokens", "1", "How many customers?")
	run := trainedFrom(t, path)
	if weightsOf(t, run) != weightsOf(t, trainedFrom(t, w.model)) {
		t.Error("one step from the file leads elsewhere")
	}
	if _, err := tokenizer.Load(run); err != nil {
		t.Errorf("the tokenizer of the trained model: %v", err)
	}
}
