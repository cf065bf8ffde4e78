package docs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// adding-a-model.md walks through a real file: its Go blocks, in their order, are that file, and so they compile and
// pass its tests.
func TestAddingAModelIsTheWholeOfLlama(t *testing.T) {
	var page strings.Builder
	for _, b := range blocksOf(t, "adding-a-model.md") {
		switch b.language {
		case "go":
			page.WriteString(b.text)
		case "json":
			if want := readFile(t, "models", "llama", "testdata", "llama3", "config.json"); b.text != want {
				t.Errorf("the page's configuration is not that of the golden:\n%s", b.text)
			}
		case "diff":
			checkDiff(t, b.text)
		}
	}
	got, want := lines(page.String()), lines(readFile(t, "models", "llama", "llama.go"))
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			t.Fatalf("the page parts from models/llama/llama.go at its line %d that is not empty: %q", i+1, append(got, "nothing")[min(i, len(got))])
		}
	}
}

// checkDiff looks for the lines that a diff adds in the file that its first line names.
func checkDiff(t *testing.T, diff string) {
	t.Helper()
	name, added, _ := strings.Cut(diff, "\n")
	file := readFile(t, strings.TrimPrefix(name, "--- "))
	for line := range strings.Lines(added) {
		line, ok := strings.CutPrefix(line, "+")
		if !ok || !strings.Contains(file, line) {
			t.Errorf("%s: it has no line %q", name, line)
		}
	}
}

func readFile(t *testing.T, elem ...string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(append([]string{".."}, elem...)...))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// lines are the lines of a text that are not empty.
func lines(text string) (out []string) {
	for line := range strings.Lines(text) {
		if line = strings.TrimRight(line, "\n"); line != "" {
			out = append(out, line)
		}
	}
	return out
}
