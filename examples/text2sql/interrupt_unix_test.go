//go:build unix

package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// heard is the standard error of a child.
type heard struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (h *heard) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.text.Write(p)
}

func (h *heard) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.text.String()
}

// The steps and tokens of these runs take milliseconds, and each run would last for minutes.
func TestSIGTERMEndsARunWhateverItIsDoing(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	w, dir := theWorld(t), t.TempDir()
	measured := []string{"-valid", w.valid, "-db-dir", w.databases}
	for _, test := range []struct {
		name   string
		signal os.Signal
		args   []string
		until  string // the standard error has this
		saving bool   // wait for a checkpoint that is being written as well
		says   string
	}{
		{"examining before training", syscall.SIGTERM, append([]string{"-max-steps", "9", "-max-tokens", "900"}, measured...), "validation 0/4", false, "text2sql: interrupted\n"},
		{"training", syscall.SIGINT, []string{"-max-steps", "900000"}, "tok/s", false, "which is saved; the same command with -resume goes on"},
		{"saving", syscall.SIGTERM, []string{"-max-steps", "900000", "-save-every", "1"}, "tok/s", true, "which is saved; the same command with -resume goes on"},
		{"evaluating", syscall.SIGTERM, append([]string{"-max-steps", "900", "-eval-every", "1", "-max-tokens", "300"}, measured...), "step 1, validation", false, "is saved; the same command with -resume goes on"},
	} {
		t.Run(test.name, func(t *testing.T) {
			out := filepath.Join(dir, strings.ReplaceAll(test.name, " ", "-"))
			args := trainArgs(w, out, "-schedule", "constant", "-warmup", "0")
			cmd := exec.Command(os.Args[0], append(args, test.args...)...)
			cmd.Env = append(os.Environ(), childVariable+"=1")
			said := new(heard)
			cmd.Stderr = said
			if err := cmd.Start(); err != nil {
				t.Skip("needs to start processes: ", err)
			}
			defer cmd.Process.Kill() // of a child that did not listen
			ready := func() bool {
				if !strings.Contains(said.String(), test.until) {
					return false
				}
				parts, err := filepath.Glob(filepath.Join(out, "checkpoints", "*.tmp"))
				return err == nil && (!test.saving || len(parts) > 0)
			}
			for deadline := time.Now().Add(time.Minute); !ready(); time.Sleep(100 * time.Microsecond) {
				if time.Now().After(deadline) {
					t.Fatalf("it never said %q: %s", test.until, said)
				}
			}
			began := time.Now()
			if err := cmd.Process.Signal(test.signal); err != nil {
				t.Fatal(err)
			}
			err := cmd.Wait()
			if code := cmd.ProcessState.ExitCode(); code != 1 {
				t.Errorf("%v, exit code %d", err, code)
			}
			if d := time.Since(began); d > 3*time.Second {
				t.Errorf("it took %s to end", d)
			}
			if !strings.Contains(said.String(), test.says) {
				t.Errorf("its last words lack %q: %s", test.says, said)
			}
			parts, err := filepath.Glob(filepath.Join(out, "checkpoints", "*.tmp"))
			if err != nil || len(parts) > 0 {
				t.Errorf("half a checkpoint is left: %v, %v", parts, err)
			}
		})
	}
}
