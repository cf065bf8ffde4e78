package safetensors

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestFullDiskLeavesThePreviousFileWhole(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skip("needs the right to mount a small disk: ", err)
	}
	defer func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	}()
	tensor := func(size int) []Tensor {
		return []Tensor{{Name: "x", DType: U8, Shape: []int{size}, Data: make([]byte, size)}}
	}
	path := filepath.Join(dir, "model.safetensors")
	if err := Write(path, tensor(400<<10), nil); err != nil {
		t.Fatal(err)
	}
	err := Write(path, tensor(700<<10), nil)
	if !errors.Is(err, unix.ENOSPC) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "writing 716872 bytes") {
		t.Errorf("error %v, want one that names %s, the bytes and no space left", err, path)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if n := len(f.Bytes("x")); n != 400<<10 {
		t.Errorf("%d bytes", n)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("%d files, want 1", len(entries))
	}
}
