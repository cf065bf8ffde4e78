package models_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

// What is public must suffice: the module in testdata/outside imports hone as anybody's would.
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
	for _, dir := range []string{outside, filepath.Join(root, "train")} { // so that the cache of go test sees changes in them
		if _, err := os.ReadDir(dir); err != nil {
			t.Fatal(err)
		}
	}
	modfile := outsideModfile(t, root)
	for _, command := range []string{"vet", "test"} {
		c := exec.CommandContext(t.Context(), tool, command, "-modfile="+modfile, "./...")
		c.Dir = outside
		c.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=readonly")
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("go %s: %v\n%s", command, err, out)
		}
	}
}

// outsideModfile is the go.mod that the go command would make of the module's own: it takes hone from this
// repository and hone's dependencies in the versions of the repository, so that nothing is looked up.
func outsideModfile(t *testing.T, root string) string {
	t.Helper()
	mod, modErr := os.ReadFile(filepath.Join(root, "go.mod"))
	sum, sumErr := os.ReadFile(filepath.Join(root, "go.sum"))
	if err := errors.Join(modErr, sumErr); err != nil {
		t.Fatal(err)
	}
	const hone = "github.com/hone-ml/hone"
	requires := regexp.MustCompile(`(?m)^module .*$`).ReplaceAllString(string(mod), "module example.com/outside")
	dir := t.TempDir()
	write(t, fmt.Sprintf("%s\nrequire %s v0.0.0\n\nreplace %s => %q\n", requires, hone, hone, root), dir, "outside.mod")
	write(t, string(sum), dir, "outside.sum")
	return filepath.Join(dir, "outside.mod")
}
