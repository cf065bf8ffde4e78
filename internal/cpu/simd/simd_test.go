package simd

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// forEachPath runs a subtest under each path of this machine.
func forEachPath(t *testing.T, f func(t *testing.T)) {
	ForEachPath(func(name string) { t.Run(name, f) })
}

func TestMain(m *testing.M) {
	fmt.Println("kernel paths under test:", strings.Join(Paths(), ", "))
	os.Exit(m.Run())
}

func TestForEachPathRestoresThePath(t *testing.T) {
	before := Path()
	var seen []string
	ForEachPath(func(name string) {
		if Path() != name {
			t.Errorf("path %s is in use instead of %s", Path(), name)
		}
		seen = append(seen, name)
	})
	if Path() != before {
		t.Errorf("path %s afterwards, %s before", Path(), before)
	}
	if !slices.Equal(seen, Paths()) || seen[0] != "generic" {
		t.Errorf("paths %v of %v", seen, Paths())
	}
}

func TestSelectNamesTheValidPaths(t *testing.T) {
	before := Path()
	err := Select("avx9000")
	if err == nil {
		t.Fatal("no error")
	}
	for _, name := range append(Paths(), "avx9000") {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%q does not mention %s", err, name)
		}
	}
	if Path() != before {
		t.Errorf("the path changed to %s", Path())
	}
}

func TestEnvironmentForcesThePath(t *testing.T) {
	if os.Getenv("SIMD_TEST_PRINT_PATH") != "" {
		fmt.Printf("path=%s\n", Path())
		return
	}
	run := func(path string) (stdout, stderr string, code int) {
		cmd := exec.Command(os.Args[0], "-test.run=^TestEnvironmentForcesThePath$")
		cmd.Env = append(os.Environ(), "HONE_SIMD="+path, "SIMD_TEST_PRINT_PATH=1")
		var out, errs strings.Builder
		cmd.Stdout, cmd.Stderr = &out, &errs
		if err := cmd.Run(); err != nil {
			var exit *exec.ExitError
			if !errors.As(err, &exit) {
				t.Fatal(err)
			}
			code = exit.ExitCode()
		}
		return out.String(), errs.String(), code
	}
	for _, name := range Paths() {
		if out, _, code := run(name); code != 0 || !strings.Contains(out, "path="+name+"\n") {
			t.Errorf("HONE_SIMD=%s: exit code %d, output %q", name, code, out)
		}
	}
	_, stderr, code := run("sse9")
	if code != 2 {
		t.Errorf("an invalid path gives exit code %d, want 2", code)
	}
	if strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, "HONE_SIMD") || !strings.Contains(stderr, `"sse9"`) || !strings.Contains(stderr, "generic") {
		t.Errorf("an invalid path gives the message %q", stderr)
	}
}
