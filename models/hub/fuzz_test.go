package hub

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// answers is a network in which every answer is given: to questions for the list of files, for what a file is, and
// for its content.
type answers struct {
	api, header, content []byte
	status               byte
}

func (a *answers) RoundTrip(r *http.Request) (*http.Response, error) {
	header := http.Header{}
	body := a.content
	status := []int{200, 206, 302, 307, 404, 403, 500, 100}[a.status%8]
	switch {
	case strings.HasPrefix(r.URL.Path, "/api/"):
		body, status = a.api, 200
	default:
		for line := range bytes.Lines(a.header) {
			if key, value, ok := bytes.Cut(bytes.TrimSpace(line), []byte(":")); ok {
				header.Add(string(key), string(value))
			}
		}
	}
	if r.Method == http.MethodHead {
		body = nil
	}
	return &http.Response{StatusCode: status, Status: "status", Header: header, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: -1, Request: r}, nil
}

// FuzzDownload takes arbitrary answers for those of a hub. It ends, with an error of one line or with a model that is
// complete, and nothing is written outside of the cache.
func FuzzDownload(f *testing.F) {
	info := `{"sha":"` + commit + `","siblings":[{"rfilename":"config.json"},{"rfilename":"model.safetensors"}]}`
	f.Add([]byte(info), []byte("Etag: \"abc\"\nContent-Length: 2\n"), []byte("{}"), byte(0))
	f.Add([]byte(info), []byte("X-Linked-Etag: "+etagOf("model.safetensors", "{}")+"\nX-Linked-Size: 2\nContent-Range: bytes 0-1/2\n"), []byte("{}"), byte(1))
	f.Add([]byte(info), []byte("X-Linked-Etag: ../x\nX-Linked-Size: 2\n"), []byte("{}"), byte(0))
	f.Add([]byte(info), []byte("Location: /elsewhere\nEtag: x\nX-Linked-Size: 999999999999\n"), []byte("{}"), byte(2))
	f.Add([]byte(`{"sha":"../..","siblings":[{"rfilename":"../config.json"}]}`), []byte{}, []byte{}, byte(3))
	f.Add([]byte(`<html>`), []byte{}, []byte{}, byte(4))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, api, header, content []byte, status byte) {
		cache := filepath.Join(dir, "cache")
		defer os.RemoveAll(cache)
		c := newClient(Options{Endpoint: "http://hub.invalid", Cache: cache})
		c.http, c.wait, c.repeats = &http.Client{Transport: &answers{api, header, content, status}}, 1, 2
		path, err := c.download(context.Background(), whole)
		if err == nil {
			if e := complete(path); e != nil {
				t.Fatalf("%s is not complete: %v", path, e)
			}
		} else if strings.Contains(err.Error(), "\n") {
			t.Fatalf("error %q", err)
		}
		entries, err := os.ReadDir(dir)
		if err != nil || len(entries) > 1 {
			t.Fatalf("%v, %v beside the cache", entries, err)
		}
	})
}
