package main

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestAFullDiskWhileSavingIsSaidAndTheCheckpointBeforeIsIntact(t *testing.T) {
	w, dir := theWorld(t), t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=3m"); err != nil { // a checkpoint of the small model takes 1.5 MiB
		t.Skip("needs the right to mount a small disk: ", err)
	}
	defer func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	}()
	out := filepath.Join(dir, "run")
	fails(t, 1, []string{"no space left", "step-", "is intact"}, trainArgs(w, out, "-max-steps", "9", "-save-every", "3", "-keep", "0")...)
	if _, err := os.Stat(filepath.Join(out, "checkpoints", "step-000003", "trainer.json")); err != nil {
		t.Error(err)
	}
}
