package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// endpoint is an OpenAI-compatible server that knows the golds of the valid rows but one, in the words of a chat model.
type endpoint struct {
	*httptest.Server
	mu     sync.Mutex
	asked  []string // questions
	refuse func(n int) bool
}

func newEndpoint(t *testing.T) *endpoint {
	t.Helper()
	e := &endpoint{refuse: func(int) bool { return false }}
	e.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			Model    string
			Messages []struct{ Role, Content string }
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil || r.Header.Get("Authorization") != "Bearer sesame" {
			http.Error(w, "bad", http.StatusBadRequest)
			return
		}
		prompt := body.Messages[len(body.Messages)-1].Content
		_, question, _ := strings.Cut(prompt, "Question: ")
		e.mu.Lock()
		e.asked = append(e.asked, question)
		n := len(e.asked)
		e.mu.Unlock()
		if e.refuse(n) {
			http.Error(w, `{"error":{"message":"no more"}}`, http.StatusForbidden)
			return
		}
		answer := "I do not know."
		for _, row := range validRows[1:] {
			if row.Question == question && strings.Contains(prompt, row.Schema) {
				answer = "Here it is:\n```sql\n" + row.SQL + ";\n```"
			}
		}
		fmt.Fprintf(w, `{"choices":[{"message":{"content":%q},"finish_reason":"stop"}],"usage":{"prompt_tokens":10,"completion_tokens":5}}`, answer)
	}))
	t.Cleanup(e.Close)
	return e
}

func TestBaselineWritesPredictionsThatScoreTakes(t *testing.T) {
	w, e := theWorld(t), newEndpoint(t)
	t.Setenv("OPENAI_API_KEY", "sesame")
	out := filepath.Join(t.TempDir(), "pred.jsonl")
	args := []string{"baseline", "-url", e.URL + "/v1", "-model", "gpt", "-data", w.valid, "-out", out, "-json"}
	o := jsonObject(t, ok(t, args...))
	if o["n"] != 4.0 || o["prompt_tokens"] != 40.0 {
		t.Errorf("printed %v", o)
	}
	if s := jsonObject(t, ok(t, "score", "-pred", out, "-data", w.valid, "-db-dir", w.databases, "-json")); s["execution_accuracy"] != 0.75 {
		t.Errorf("score %v", s)
	}
	if bytes.Contains(read(t, out), []byte("sesame")) {
		t.Error("the key is in the file")
	}
	before := len(e.asked)
	if ok(t, args...); len(e.asked) != before {
		t.Errorf("a finished run asked %d questions again", len(e.asked)-before)
	}
	fails(t, 1, []string{out, "another model"}, "baseline", "-url", e.URL+"/v1", "-model", "other", "-data", w.valid, "-out", out)
	fails(t, 2, []string{"https"}, "baseline", "-url", "http://example.com/v1", "-model", "m", "-data", w.valid, "-out", out)
	fails(t, 2, []string{"-concurrency"}, "baseline", "-url", e.URL, "-model", "m", "-data", w.valid, "-out", out, "-concurrency", "0")
}

func TestBaselineGoesOnWhereItStopped(t *testing.T) {
	w, e := theWorld(t), newEndpoint(t)
	t.Setenv("KEY", "sesame")
	out := filepath.Join(t.TempDir(), "pred.jsonl")
	args := []string{"baseline", "-url", e.URL + "/v1", "-model", "gpt", "-data", w.valid, "-out", out, "-key-env", "KEY", "-concurrency", "1", "-rpm", "6000"}
	e.refuse = func(n int) bool { return n == 3 }
	fails(t, 1, []string{`question "v2"`, "HTTP 403: no more", "2 answers", out, "goes on"}, args...)
	whole := read(t, out)
	write(t, out, append(whole, []byte(`{"id":"v2","sql":"SEL`)...)) // as a crash leaves it
	e.refuse = func(int) bool { return false }
	ok(t, args...)
	if len(e.asked) != 5 {
		t.Errorf("%d requests in all, want 5: two answered, one refused, two after it", len(e.asked))
	}
	if got := read(t, out); !bytes.HasPrefix(got, whole) || bytes.Count(got, []byte("\n")) != 4 {
		t.Errorf("the file is\n%s", got)
	}
}
