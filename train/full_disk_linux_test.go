package train

import (
	"errors"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestFullDiskWhileSavingLeavesTheCheckpointBeforeIntact(t *testing.T) {
	dir := t.TempDir()
	// a checkpoint of the tiny model takes 300 KiB: there is room for one
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=500k"); err != nil {
		t.Skip("needs the right to mount a small disk: ", err)
	}
	defer func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	}()
	m := tinyModel(t, "float32")
	c := tinyRunConfig(filepath.Join(dir, "run"))
	r, err := Run(t.Context(), Options{Model: m, Optimizer: adamW(m), Data: tinyData(31), Config: c})
	if !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("error %v, want no space left", err)
	}
	wantError(t, err, "step-000008 could not be saved", "safetensors", "step-000004, is intact")
	wantCheckpoints(t, c.OutDir, 4)
	fresh := tinyModel(t, "float32")
	k := checkpoints{dir: filepath.Join(c.OutDir, "checkpoints"), model: fresh, optimizer: adamW(fresh)}
	if s, err := k.restore(4, nil); err != nil || s.Step != 4 || r.Step != 8 {
		t.Errorf("%+v, %v", s, err)
	}
}
