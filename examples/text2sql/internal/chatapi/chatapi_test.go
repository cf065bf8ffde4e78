package chatapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// endpoint answers each request with the next of the replies, the last one for ever.
func endpoint(t *testing.T, replies ...func(w http.ResponseWriter, r *http.Request)) (*Client, *atomic.Int64) {
	t.Helper()
	var asked atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := int(asked.Add(1))
		replies[min(n, len(replies))-1](w, r)
	}))
	t.Cleanup(s.Close)
	return &Client{URL: s.URL + "/v1", Model: "m", Key: "sesame", Retries: 3, Wait: time.Millisecond, Timeout: 5 * time.Second}, &asked
}

func says(text string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"choices":[{"message":{"role":"assistant","content":%q},"finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":3}}`, text)
	}
}

func fails(status int, body string, header ...string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		if len(header) > 0 {
			w.Header().Set("Retry-After", header[0])
		}
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
}

func TestTheRequestIsAChatCompletion(t *testing.T) {
	var sent map[string]any
	c, _ := endpoint(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != "POST" || r.URL.Path != "/v1/chat/completions" || r.Header.Get("Authorization") != "Bearer sesame" {
			t.Errorf("%s %s with %q", r.Method, r.URL.Path, r.Header.Get("Authorization"))
		}
		if err := json.NewDecoder(r.Body).Decode(&sent); err != nil {
			t.Error(err)
		}
		says("SELECT 1")(w, r)
	})
	c.Temperature = new(0.0)
	a, err := c.Ask(t.Context(), []Message{{"user", "one?"}})
	if err != nil {
		t.Fatal(err)
	}
	if *a != (Answer{"SELECT 1", "stop", 7, 3}) {
		t.Errorf("answer %+v", *a)
	}
	if got := fmt.Sprint(sent); got != "map[messages:[map[content:one? role:user]] model:m temperature:0]" {
		t.Errorf("sent %s", got)
	}
}

func TestWhatMaySucceedLaterIsTriedAgain(t *testing.T) {
	c, asked := endpoint(t, fails(429, "{}"), fails(503, "busy"), fails(500, ""), says("x"))
	if a, err := c.Ask(t.Context(), nil); err != nil || a.Text != "x" || asked.Load() != 4 {
		t.Errorf("got %v, %v after %d requests", a, err, asked.Load())
	}
	c, asked = endpoint(t, fails(429, "{}"))
	if _, err := c.Ask(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "after 4 tries: HTTP 429") || asked.Load() != 4 {
		t.Errorf("got %v after %d requests", err, asked.Load())
	}
	c, asked = endpoint(t, fails(429, "{}", "1"), says("x"))
	var told []string
	c.Retrying = func(err error, in time.Duration) { told = append(told, fmt.Sprintf("%v, %v", err, in)) }
	start := time.Now()
	if _, err := c.Ask(t.Context(), nil); err != nil || time.Since(start) < time.Second {
		t.Errorf("Retry-After: 1: %v after %v", err, time.Since(start))
	}
	if asked.Load() != 2 {
		t.Errorf("%d requests, want 2", asked.Load())
	}
	if len(told) != 1 || !strings.HasPrefix(told[0], "HTTP 429") || !strings.HasSuffix(told[0], ", 1s") {
		t.Errorf("of trying again it was told %q", told)
	}
}

func TestWhatCannotSucceedIsNotTriedAgain(t *testing.T) {
	for body, status := range map[string]int{
		`{"error":{"message":"no such model","code":"model_not_found"}}`:   404,
		`{"error":{"message":"Incorrect API key"}}`:                        401,
		`{"error":{"message":"You exceeded","code":"insufficient_quota"}}`: 429,
		`<html>not found</html>`:                                           404,
	} {
		c, asked := endpoint(t, fails(status, body))
		_, err := c.Ask(t.Context(), nil)
		var se *StatusError
		if !errors.As(err, &se) || se.Status != status || asked.Load() != 1 || strings.Contains(err.Error(), "sesame") {
			t.Errorf("%s: %v after %d requests", body, err, asked.Load())
		}
	}
	c, _ := endpoint(t, fails(200, `{"choices":[]}`))
	c.Retries = 0
	if _, err := c.Ask(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "no chat completion") {
		t.Errorf("a reply without a choice: %v", err)
	}
}

func TestAskingEndsWithItsContext(t *testing.T) {
	c, _ := endpoint(t, fails(503, "", "600"))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := c.Ask(ctx, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestKeysDoNotTravelInTheOpen(t *testing.T) {
	for url, right := range map[string]bool{
		"https://api.openai.com/v1": true, "http://localhost:8000/v1": true, "http://127.0.0.1:11434/v1": true, "http://10.0.0.7/v1": true,
		"http://example.com/v1": false, "https://user:pass@example.com/v1": false, "api.openai.com/v1": false, "ftp://x/v1": false, "": false,
	} {
		if err := (&Client{URL: url, Key: "sesame"}).Check(); (err == nil) != right {
			t.Errorf("%q: %v", url, err)
		}
	}
	if err := (&Client{URL: "http://example.com/v1"}).Check(); err != nil {
		t.Errorf("without a key: %v", err)
	}
}
