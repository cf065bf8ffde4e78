// Package docs checks that the pages beside it say what is so.
package docs

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A block is a fenced block of a page.
type block struct{ language, text string }

var fence = regexp.MustCompile("(?ms)^```(\\w*)\n(.*?)^```$")

func blocksOf(t *testing.T, page string) (blocks []block) {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range fence.FindAllStringSubmatch(string(text), -1) {
		blocks = append(blocks, block{m[1], m[2]})
	}
	if len(blocks) == 0 {
		t.Fatalf("%s has no blocks: the test shows nothing", page)
	}
	return blocks
}

// programOf makes one program of the Go blocks of a page, in their order: imports and declarations stand by
// themselves, everything else is the body of main.
func programOf(blocks []block) (program, output string) {
	var imports, declarations, body strings.Builder
	for _, b := range blocks {
		first, _, _ := strings.Cut(b.text, " ")
		switch {
		case b.language == "text":
			output += b.text
		case b.language != "go":
		case first == "import":
			imports.WriteString(b.text)
		case first == "type" || first == "func" || first == "var" || strings.HasPrefix(b.text, "//"):
			declarations.WriteString(b.text + "\n")
		default:
			body.WriteString(b.text + "\n")
		}
	}
	return fmt.Sprintf("package main\n\n%s\n%s\nfunc main() {\n%s}\n", imports.String(), declarations.String(), body.String()), output
}

// goBuild compiles a program as if it lay in this module, in a folder of its own.
func goBuild(t *testing.T, program string) (binary string) {
	t.Helper()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	main, overlay := filepath.Join(dir, "main.go"), filepath.Join(dir, "overlay.json")
	list, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(root, "docs", "page", "main.go"): main}})
	if err != nil {
		t.Fatal(err)
	}
	for path, content := range map[string][]byte{main: []byte(program), overlay: list} {
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	binary = filepath.Join(dir, "page.exe")
	build := exec.CommandContext(t.Context(), "go", "build", "-overlay", overlay, "-o", binary, "./docs/page")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		var numbered strings.Builder
		for i, line := range strings.Split(program, "\n") {
			fmt.Fprintf(&numbered, "%3d  %s\n", i+1, line)
		}
		t.Fatalf("the page's code does not compile: %v\n%s\n%s", err, out, numbered.String())
	}
	return binary
}

// goRun compiles and runs a program.
func goRun(t *testing.T, program string) string {
	t.Helper()
	run := exec.CommandContext(t.Context(), goBuild(t, program))
	run.Dir = t.TempDir()
	out, err := run.CombinedOutput()
	if err != nil {
		t.Fatalf("the page's program fails: %v\n%s", err, out)
	}
	return string(out)
}

// The Go blocks of these pages are a program each; it prints what the page's text blocks show.
func TestPagesCanBeFollowedLiterally(t *testing.T) {
	for _, page := range []string{"tutorial.md", "adding-an-op.md"} {
		t.Run(page, func(t *testing.T) {
			program, want := programOf(blocksOf(t, page))
			if got := goRun(t, program); got != want {
				t.Errorf("the program prints\n%s\nthe page shows\n%s", got, want)
			}
		})
	}
}
