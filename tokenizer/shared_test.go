package tokenizer

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// sharedFile returns the path of a file of the shared data folder, and skips the test if it is
// absent.
func sharedFile(tb testing.TB, elem ...string) string {
	tb.Helper()
	path := filepath.Join(append([]string{sharedDir()}, elem...)...)
	if _, err := os.Stat(path); err != nil {
		tb.Skipf("needs the shared data: %s (set HONE_SHARED)", path)
	}
	return path
}

// sharedDir is HONE_SHARED, else the folder named shared beside the module's root.
func sharedDir() string {
	if dir := os.Getenv("HONE_SHARED"); dir != "" {
		return dir
	}
	dir, err := os.Getwd()
	for err == nil && dir != filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		dir = filepath.Dir(dir)
	}
	return filepath.Join(filepath.Dir(dir), "shared")
}

var qwen3Once = sync.OnceValues(func() (*Tokenizer, error) {
	return Load(filepath.Join(sharedDir(), "data", "qwen3-tokenizer"))
})

// qwen3 returns the genuine Qwen3 tokenizer.
func qwen3(tb testing.TB) *Tokenizer {
	tb.Helper()
	sharedFile(tb, "data", "qwen3-tokenizer", "tokenizer.json")
	t, err := qwen3Once()
	if err != nil {
		tb.Fatal(err)
	}
	return t
}

// readLines decodes a file of JSON lines.
func readLines[T any](tb testing.TB, path string) []T {
	tb.Helper()
	f, err := os.Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	var rows []T
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, 16<<20)
	for sc.Scan() {
		var row T
		if err := json.Unmarshal(sc.Bytes(), &row); err != nil {
			tb.Fatalf("%s:%d: %v", path, len(rows)+1, err)
		}
		rows = append(rows, row)
	}
	if err := sc.Err(); err != nil {
		tb.Fatal(err)
	}
	if len(rows) == 0 {
		tb.Fatalf("%s has no rows", path)
	}
	return rows
}

func goldens[T any](tb testing.TB, name string) []T {
	tb.Helper()
	return readLines[T](tb, sharedFile(tb, "data", "tokenizer-goldens", name))
}
