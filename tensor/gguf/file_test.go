package gguf

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// saved writes data into a file in a new directory.
func saved(t testing.TB, data []byte) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "model.gguf")
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestWhatIsNoFileIsTheSystemsError(t *testing.T) {
	if _, err := Open(filepath.Join(t.TempDir(), "no.gguf")); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "no.gguf") {
		t.Errorf("error %v", err)
	}
	if _, err := Open(t.TempDir()); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("error %v", err)
	}
}

func TestUnknownNamesAreAbsentAndEmptyTensorsAreNot(t *testing.T) {
	path := filepath.Join(t.TempDir(), "empty.gguf")
	if err := Write(path, []Tensor{{Name: "a", Type: F32, Shape: []int{1}, Data: make([]byte, 4)}, {Name: "empty", Type: Q8_0, Shape: []int{0, 32}}}, nil); err != nil {
		t.Fatal(err)
	}
	f := opened(t, path)
	if data := f.Bytes("empty"); data == nil || len(data) != 0 {
		t.Errorf("bytes of an empty tensor: %v", data)
	}
	if data := f.Bytes("other"); data != nil {
		t.Errorf("bytes of no tensor: %v", data)
	}
	if info, ok := f.Info("other"); ok {
		t.Errorf("info of no tensor: %v", info)
	}
}

func TestShapesAreTheCallersOwn(t *testing.T) {
	f := golden(t)
	info, _ := f.Info("cube")
	info.Shape[0] = 99
	for info := range f.All() {
		info.Shape[0] = 99
	}
	if info, _ := f.Info("cube"); !slices.Equal(info.Shape, []int{3, 4, 128}) {
		t.Errorf("shape %v", info.Shape)
	}
}

func TestViewsCannotGrowIntoTheNextTensor(t *testing.T) {
	for info, data := range golden(t).All() {
		if cap(data) != len(data) || int64(len(data)) != info.Size {
			t.Errorf("%s: %d bytes of capacity %d, want %d", info.Name, len(data), cap(data), info.Size)
		}
	}
}

func TestCloseEndsAllAndMayBeRepeated(t *testing.T) {
	f, err := Open(filepath.Join("testdata", "types.gguf"))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		if data := f.Bytes("f32"); data != nil {
			t.Error("bytes after Close")
		}
	}
}

func TestWhereCopyOnWriteHoldsWritingLeavesTheFileAsItIs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.gguf")
	if err := Write(path, []Tensor{{Name: "x", Type: F32, Shape: []int{1}, Data: make([]byte, 4)}}, nil); err != nil {
		t.Fatal(err)
	}
	f := opened(t, path)
	if !f.CopyOnWrite() {
		t.Skip("this system maps files for reading only")
	}
	f.Bytes("x")[0] = 200
	if got := opened(t, path).Bytes("x")[0]; got != 0 {
		t.Errorf("the file's first byte became %d", got)
	}
}

func TestTypesSayWhatTheyAre(t *testing.T) {
	for _, c := range []struct {
		t           Type
		name        string
		block, size int
		readable    bool
	}{{F32, "F32", 1, 4, true}, {Q8_0, "Q8_0", 32, 34, true}, {Q6_K, "Q6_K", 256, 210, true}, {10, "Q2_K", 256, 84, false}, {77, "type 77", 0, 0, false}} {
		if c.t.String() != c.name || c.t.Block() != c.block || c.t.Size() != c.size || c.t.Readable() != c.readable {
			t.Errorf("%s: blocks of %d in %d bytes, readable: %v; want %+v", c.t, c.t.Block(), c.t.Size(), c.t.Readable(), c)
		}
	}
}
