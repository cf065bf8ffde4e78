package safetensors

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

func TestOpenSaysWhatCannotBeOpened(t *testing.T) {
	dir := t.TempDir()
	missing := filepath.Join(dir, "missing.safetensors")
	if _, err := Open(missing); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), missing) {
		t.Errorf("error %v", err)
	}
	if err := os.Mkdir(filepath.Join(dir, singleName), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat("/dev/zero"); err == nil {
		if _, err := Open("/dev/zero"); err == nil || !strings.Contains(err.Error(), "/dev/zero is not a regular file") {
			t.Errorf("error %v", err)
		}
	}
}

func TestUnknownNamesAreAbsentAndEmptyTensorsAreNot(t *testing.T) {
	f := opened(t, saved(t, "a.safetensors", fileOf(`{`+entry("empty", "F32", "[0]", 0, 0)+`}`, 0)))
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

func TestShapesAndMetadataAreTheCallersOwn(t *testing.T) {
	f := opened(t, filepath.Join("testdata", "dtypes.safetensors"))
	info, _ := f.Info("t.f32")
	info.Shape[0] = 99
	for info := range f.All() {
		info.Shape[1] = 99
	}
	f.Metadata()["format"] = "changed"
	if info, _ := f.Info("t.f32"); info.Shape[0] != 2 || info.Shape[1] != 3 || f.Metadata()["format"] != "pt" {
		t.Errorf("shape %v, metadata %v", info.Shape, f.Metadata())
	}
}

func TestViewsCannotGrowIntoTheNextTensor(t *testing.T) {
	f := opened(t, filepath.Join("testdata", "dtypes.safetensors"))
	for info, data := range f.All() {
		if cap(data) != len(data) {
			t.Errorf("%s: %d bytes of capacity %d", info.Name, len(data), cap(data))
		}
	}
}

func TestEvictedBytesComeBackFromTheFile(t *testing.T) {
	const n = 1 << 16 // whole pages, and parts of two that hold other tensors' bytes too
	f := opened(t, saved(t, "a.safetensors", fileOf(`{`+entry("before", "U8", "[4]", 0, 4)+","+entry("x", "U8", "[65536]", 4, 4+n)+","+entry("after", "U8", "[4]", 4+n, 8+n)+`}`, 8+n)))
	if f.CopyOnWrite() {
		f.Bytes("before")[0], f.Bytes("after")[0] = 200, 200
	}
	f.Evict("x")
	f.Evict("other")
	for i, b := range f.Bytes("x") {
		if b != byte(i+4) {
			t.Fatalf("byte %d is %d", i, b)
		}
	}
	if f.CopyOnWrite() && (f.Bytes("before")[0] != 200 || f.Bytes("after")[0] != 200) {
		t.Error("the tensors beside it lost what was written to them")
	}
}

func TestAllStopsWhenAsked(t *testing.T) {
	n := 0
	for range opened(t, filepath.Join("testdata", "dtypes.safetensors")).All() {
		if n++; n == 3 {
			break
		}
	}
	if n != 3 {
		t.Errorf("%d tensors", n)
	}
}

func TestCloseEndsAllAndMayBeRepeated(t *testing.T) {
	f, err := Open(filepath.Join("testdata", "sharded"))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		if data := f.Bytes("scale"); data != nil {
			t.Error("bytes after Close")
		}
	}
}

func TestFileServesManyGoroutines(t *testing.T) {
	f := opened(t, filepath.Join("testdata", "dtypes.safetensors"))
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for _, name := range f.Names() {
				if info, ok := f.Info(name); !ok || int64(len(f.Bytes(name))) != info.Size {
					t.Errorf("%s: %+v", name, info)
				}
			}
		})
	}
	readers.Wait()
}

// sparseFile makes a file with one tensor of the given bytes, all zero, that
// take no room on disk.
func sparseFile(t testing.TB, size int64) (path string) {
	t.Helper()
	l, err := newLayout([]Tensor{{Name: "x", DType: U8, Shape: []int{int(size)}, Stream: noStream}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	path = saved(t, "sparse.safetensors", l.header)
	if err := os.Truncate(path, l.size); err != nil {
		t.Skip("needs sparse files: ", err)
	}
	return path
}

func TestOpeningReadsNoTensor(t *testing.T) {
	needMapping(t)
	if runtime.GOOS == "windows" {
		t.Skip("needs sparse files")
	}
	const size = 64 << 30 // more than the test machines' memory
	path := sparseFile(t, size)
	var f *File
	var err error
	if n := allocated(func() { f, err = Open(path) }); n > 64<<10 {
		t.Errorf("opening allocates %d bytes", n)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	data := f.Bytes("x")
	if len(data) != size || data[0] != 0 || data[size/2] != 0 || data[size-1] != 0 {
		t.Errorf("%d bytes", len(data))
	}
}

func TestWhereCopyOnWriteHoldsWritingLeavesTheFileAsItIs(t *testing.T) {
	path := saved(t, "x.safetensors", fileOf(`{"x":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}`, 4))
	f := opened(t, path)
	if !f.CopyOnWrite() {
		t.Skip("this system maps files for reading only")
	}
	f.Bytes("x")[0] = 200
	if got := opened(t, path).Bytes("x")[0]; got != 0 {
		t.Errorf("the file's first byte became %d", got)
	}
}
