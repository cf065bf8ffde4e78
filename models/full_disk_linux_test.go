package models_test

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hone-ml/hone/models"
)

func TestAFullDiskWhileSavingLeavesTheModelBeforeIntact(t *testing.T) {
	disk := t.TempDir()
	m := newTiny(t, true, "float32")
	f, err := os.Stat(filepath.Join(saved(t, m), "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	if f.Size() < 40<<10 || f.Size() > 80<<10 {
		t.Fatalf("the model has %d bytes: choose the disk's size anew", f.Size())
	}
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=112k"); err != nil {
		t.Skip("needs the right to mount a small disk: ", err)
	}
	defer func() {
		if err := unix.Unmount(disk, 0); err != nil {
			t.Error(err)
		}
	}()
	dir := filepath.Join(disk, "model")
	if err := models.Save(dir, m); err != nil {
		t.Fatal(err)
	}
	before := bytesOf(m)
	for _, p := range m.Parameters() {
		p.Fill(3)
	}
	err = models.Save(dir, m)
	wantError(t, err, filepath.Join(dir, "model.safetensors"))
	if !errors.Is(err, unix.ENOSPC) {
		t.Errorf("error %v, want no space left", err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*.tmp")); left != nil {
		t.Errorf("left behind: %q", left)
	}
	loaded, err := models.Load(dir, models.LoadOptions{Copy: true}) // a mapping would keep the disk busy
	if err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(bytesOf(loaded), before) {
		t.Error("the model before is not intact")
	}
}
