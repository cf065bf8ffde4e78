package gguf

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// contents are the tensors of f as Write takes them.
func contents(f *File) []Tensor {
	var tensors []Tensor
	for info, data := range f.All() {
		tensors = append(tensors, Tensor{Name: info.Name, Type: info.Type, Shape: info.Shape, Data: data})
	}
	return tensors
}

func TestAFileOfTheReferenceIsWrittenAgainToTheByte(t *testing.T) {
	source := filepath.Join("testdata", "types.gguf")
	want, err := os.ReadFile(source)
	if err != nil {
		t.Fatal(err)
	}
	f := opened(t, source)
	path := filepath.Join(t.TempDir(), "again.gguf")
	if err := Write(path, contents(f), f.Metadata()); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%d bytes, want %d; or they differ", len(got), len(want))
	}
}

func TestEveryValueComesBack(t *testing.T) {
	want := Metadata{
		{"a", uint8(1)}, {"b", int8(-2)}, {"c", uint16(3)}, {"d", int16(-4)}, {"e", uint32(5)}, {"f", int32(-6)}, {"g", uint64(7)}, {"h", int64(-8)},
		{"i", float32(0.5)}, {"j", -0.25}, {"k", true}, {"l", false}, {"m", "text"}, {"n", ""},
		{"A", []uint8{1}}, {"B", []int8{-2, 3}}, {"C", []uint16{3}}, {"D", []int16{-4}}, {"E", []uint32{5}}, {"F", []int32{-6}}, {"G", []uint64{7}}, {"H", []int64{-8}},
		{"I", []float32{0.5}}, {"J", []float64{-0.25}}, {"K", []bool{true, false}}, {"L", []string{"", "x"}}, {"M", []int32{}}, {"N", []string{}},
		{alignmentKey, uint32(64)},
	}
	path := filepath.Join(t.TempDir(), "m.gguf")
	if err := Write(path, []Tensor{{Name: "x", Type: F16, Shape: []int{1}, Data: []byte{1, 2}}, {Name: "y", Type: F32, Data: []byte{1, 2, 3, 4}}}, want); err != nil {
		t.Fatal(err)
	}
	f := opened(t, path)
	if !reflect.DeepEqual(f.Metadata(), want) {
		t.Errorf("metadata %v, want %v", f.Metadata(), want)
	}
	if info, _ := f.Info("y"); info.Offset%64 != 0 || len(info.Shape) != 0 || string(f.Bytes("y")) != "\x01\x02\x03\x04" {
		t.Errorf("%+v: %v", info, f.Bytes("y"))
	}
}

func TestWhatCannotBeWrittenIsNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bad.gguf")
	ok := Tensor{Name: "x", Type: F32, Shape: []int{1}, Data: make([]byte, 4)}
	stream := func(n int, err error) []Tensor {
		return []Tensor{{Name: "x", Type: F32, Shape: []int{1}, Stream: func(w io.Writer) error {
			w.Write(make([]byte, n))
			return err
		}}}
	}
	for _, c := range []struct {
		name     string
		tensors  []Tensor
		metadata Metadata
		want     string
	}{
		{"name twice", []Tensor{ok, ok}, nil, `tensor "x": the name is given twice`},
		{"no name", []Tensor{{Type: F32, Data: make([]byte, 4)}}, nil, "a name has 1 to 63 bytes, not 0"},
		{"long name", []Tensor{{Name: strings.Repeat("x", 64), Type: F32, Data: make([]byte, 4)}}, nil, "a name has 1 to 63 bytes, not 64"},
		{"five dimensions", []Tensor{{Name: "x", Type: F32, Shape: []int{1, 1, 1, 1, 1}, Data: make([]byte, 4)}}, nil, "5 dimensions"},
		{"half a block", []Tensor{{Name: "x", Type: Q8_0, Shape: []int{16}, Data: make([]byte, 17)}}, nil, "no whole blocks"},
		{"unknown type", []Tensor{{Name: "x", Type: 99, Shape: []int{16}}}, nil, "type 99"},
		{"too few bytes", []Tensor{{Name: "x", Type: F32, Shape: []int{2}, Data: make([]byte, 4)}}, nil, "takes 8 bytes, but Data has 4"},
		{"data and stream", []Tensor{{Name: "x", Type: F32, Data: make([]byte, 4), Stream: func(io.Writer) error { return nil }}}, nil, "both Data and Stream"},
		{"stream stops early", stream(3, nil), nil, `tensor "x": its Stream wrote 3 bytes of 4`},
		{"stream goes on", stream(5, nil), nil, `tensor "x": its Stream writes 5 bytes where 4 are left`},
		{"stream fails", stream(4, errors.New("no device")), nil, `tensor "x": no device`},
		{"key twice", nil, Metadata{{"k", true}, {"k", true}}, `metadata "k": the key is given twice`},
		{"no key", nil, Metadata{{"", true}}, "a key has 1 to 65535 bytes"},
		{"key with a space", nil, Metadata{{"a b", true}}, "visible ASCII"},
		{"value of another type", nil, Metadata{{"k", 5}}, "a value cannot be a int"},
		{"alignment 3", nil, Metadata{{alignmentKey, uint32(3)}}, "power of two"},
	} {
		err := Write(path, c.tensors, c.metadata)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: error %v, want one that names %s and says %q", c.name, err, path, c.want)
		}
	}
	if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 0 {
		t.Errorf("%d files are left", len(entries))
	}
}
