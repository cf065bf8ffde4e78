package safetensors

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// fileOf returns a file with the given header, its length put before it, and
// size bytes of data.
func fileOf(header string, size int) []byte {
	file := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	file = append(file, header...)
	for i := range size {
		file = append(file, byte(i))
	}
	return file
}

// saved writes content into a file of the given name in a new directory.
func saved(t testing.TB, name string, content []byte) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// needMapping skips a test where Open reads files whole, for want of mmap.
func needMapping(t *testing.T) {
	t.Helper()
	switch runtime.GOOS {
	case "js", "wasip1", "plan9":
		t.Skip("needs mmap")
	}
}

// opened opens path, and closes it at the end of the test.
func opened(t testing.TB, path string) *File {
	t.Helper()
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

// contents returns the tensors of f as Write takes them, with copies of their
// bytes.
func contents(f *File) []Tensor {
	var tensors []Tensor
	for info, data := range f.All() {
		tensors = append(tensors, Tensor{Name: info.Name, DType: info.DType, Shape: info.Shape, Data: bytes.Clone(data)})
	}
	return tensors
}
