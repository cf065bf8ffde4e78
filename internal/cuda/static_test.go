//go:build linux

package cuda

import (
	"debug/elf"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestWithoutCUDAABinaryNeedsNothing builds the example with the tag nocuda and runs it where no other file is.
func TestWithoutCUDAABinaryNeedsNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("it links a program")
	}
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("this machine lacks the go command, which builds the program")
	}
	root := t.TempDir()
	program := filepath.Join(root, "text2sql")
	build := exec.Command("go", "build", "-tags", "nocuda", "-o", program, "github.com/hone-ml/hone/examples/text2sql")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	f, err := elf.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Errorf("the binary has a segment %v: it is not static", p.Type)
		}
	}
	run := exec.Command("/text2sql", "info")
	run.Dir = "/"
	run.SysProcAttr = &syscall.SysProcAttr{Chroot: root}
	if os.Getuid() != 0 { // a user may have a root of his own in a namespace of his own
		run.SysProcAttr.Cloneflags = syscall.CLONE_NEWUSER
		run.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
	}
	out, err := run.CombinedOutput()
	if errors.Is(err, syscall.EPERM) {
		t.Skipf("this machine lacks the right to change a program's root: %v", err)
	}
	if err != nil || !strings.Contains(string(out), "kernel path") || !strings.Contains(string(out), "nocuda") {
		t.Errorf("in an empty root: %v\n%s", err, out)
	}
}
