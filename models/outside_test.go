package models_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// What is public must suffice: the module in testdata/outside imports hone as anybody's would. A workspace
// puts it beside the repository, so that it needs no list of hone's own dependencies.
func TestAModuleOfItsOwnAddsAnOpAndAModel(t *testing.T) {
	tool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("needs the go command: ", err)
	}
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	outside := filepath.Join(root, "models", "testdata", "outside")
	work := filepath.Join(t.TempDir(), "go.work")
	write(t, fmt.Sprintf("go 1.26.0\n\nuse (\n\t%[1]q\n\t%[2]q\n)\n\nreplace github.com/hone-ml/hone v0.0.0 => %[1]q\n", root, outside), work)
	for _, command := range [][]string{{"vet", "./..."}, {"test", "./..."}} {
		c := exec.CommandContext(t.Context(), tool, command...)
		c.Dir = outside
		c.Env = append(os.Environ(), "GOWORK="+work, "GOFLAGS=-mod=readonly")
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("go %s: %v\n%s", command[0], err, out)
		}
	}
}
