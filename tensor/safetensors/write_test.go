package safetensors

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// noStream is a Stream that is never to be called.
func noStream(io.Writer) error { panic("streamed") }

func TestWriteOrdersAndAlignsTensors(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.safetensors")
	tensors := []Tensor{
		{Name: "b", DType: U8, Shape: []int{3}, Data: []byte{1, 2, 3}},
		{Name: "a", DType: U8, Shape: []int{1}, Data: []byte{4}},
		{Name: "z", DType: F64, Shape: nil, Data: make([]byte, 8)},
		{Name: "h", DType: BF16, Shape: []int{1, 3}, Data: make([]byte, 6)},
		{Name: "f", DType: F32, Shape: []int{3}, Data: make([]byte, 12)},
		{Name: "e", DType: F32, Shape: []int{0}},
	}
	given := slices.Clone(tensors)
	if err := Write(path, tensors, nil); err != nil {
		t.Fatal(err)
	}
	for i := range tensors {
		if tensors[i].Name != given[i].Name {
			t.Error("the argument was reordered")
		}
	}
	f := opened(t, path)
	if names := strings.Join(f.Names(), ""); names != "zefhab" {
		t.Errorf("order %s, want zefhab", names)
	}
	for info := range f.All() {
		if !info.Aligned() {
			t.Errorf("%s is not aligned", info.Name)
		}
	}
	if info, _ := f.Info("z"); info.Offset%8 != 0 {
		t.Errorf("the data begins at %d", info.Offset)
	}
	if m := f.Metadata(); len(m) != 0 || m == nil {
		t.Errorf("metadata %v", m)
	}
}

func TestMetadataIsOrderedByKey(t *testing.T) {
	l, err := newLayout(nil, map[string]string{"format": "pt", "b": "2", "a": "1"})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"__metadata__":{"a":"1","b":"2","format":"pt"}}`
	if got := strings.TrimRight(string(l.header[lengthSize:]), " "); got != want {
		t.Errorf("header %s, want %s", got, want)
	}
	if !maps.Equal(FormatPT(), map[string]string{"format": "pt"}) {
		t.Errorf("FormatPT %v", FormatPT())
	}
}

func TestWhatCannotBeWrittenIsAnErrorBeforeAnythingIs(t *testing.T) {
	const name = "weight"
	tensor := func(t Tensor) []Tensor {
		if t.Name == "" {
			t.Name = name
		}
		return []Tensor{t}
	}
	one := []byte{1}
	for _, test := range []struct {
		name     string
		tensors  []Tensor
		metadata map[string]string
		want     string
	}{
		{"name twice", []Tensor{{Name: name, DType: U8, Data: one}, {Name: name, DType: I8, Data: one}}, nil, "given twice"},
		{"reserved name", tensor(Tensor{Name: "__metadata__", DType: U8, Data: one}), nil, "reserves this name"},
		{"name not UTF-8", tensor(Tensor{Name: "weight\xff", DType: U8, Data: one}), nil, "the name is not UTF-8"},
		{"no dtype", tensor(Tensor{Data: one}), nil, `unknown dtype ""`},
		{"unknown dtype", tensor(Tensor{DType: "f32", Data: one}), nil, `unknown dtype "f32"`},
		{"narrow dtype", tensor(Tensor{DType: "F4", Data: one}), nil, "narrower than a byte"},
		{"negative dimension", tensor(Tensor{DType: U8, Shape: []int{-1}, Data: one}), nil, "negative dimension"},
		{"65 dimensions", tensor(Tensor{DType: U8, Shape: slices.Repeat([]int{1}, 65), Data: one}), nil, "65 dimensions"},
		{"overflowing shape", tensor(Tensor{DType: F32, Shape: []int{math.MaxInt}, Stream: noStream}), nil, "overflows 64 bits"},
		{"overflowing file", []Tensor{
			{Name: "a", DType: U8, Shape: []int{math.MaxInt / 2}, Stream: noStream},
			{Name: name, DType: U8, Shape: []int{math.MaxInt / 2}, Stream: noStream},
		}, nil, "file's size overflows"},
		{"too little data", tensor(Tensor{DType: F32, Shape: []int{2}, Data: make([]byte, 7)}), nil, "takes 8 bytes, but Data has 7"},
		{"too much data", tensor(Tensor{DType: F32, Shape: []int{0}, Data: one}), nil, "takes 0 bytes, but Data has 1"},
		{"no data", tensor(Tensor{DType: F32, Shape: []int{1}}), nil, "takes 4 bytes, but Data has 0"},
		{"data and stream", tensor(Tensor{DType: U8, Data: one, Stream: noStream}), nil, "both Data and Stream"},
		{"metadata key not UTF-8", nil, map[string]string{"weight\xff": ""}, "not UTF-8"},
		{"metadata value not UTF-8", nil, map[string]string{"weight": "\xff"}, "not UTF-8"},
		{"header over the limit", nil, map[string]string{"weight": strings.Repeat("x", maxHeader)}, "over the format's limit"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "m.safetensors")
			err := Write(path, test.tensors, test.metadata)
			if err == nil {
				t.Fatal("written")
			}
			if !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("%q does not say %q and %s", err, test.want, path)
			}
			if len(test.tensors) > 0 && test.name != "reserved name" && !strings.Contains(err.Error(), name) {
				t.Errorf("%q does not name the tensor", err)
			}
			if entries, _ := os.ReadDir(dir); len(entries) != 0 {
				t.Errorf("%s was made", entries[0].Name())
			}
		})
	}
}

// previous writes a file that a failed Write must leave alone, and returns its
// path and a check that it did.
func previous(t *testing.T) (path string, check func()) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "model.safetensors")
	if err := Write(path, []Tensor{{Name: "old", DType: U8, Shape: []int{3}, Data: []byte("old")}}, nil); err != nil {
		t.Fatal(err)
	}
	return path, func() {
		t.Helper()
		if data := opened(t, path).Bytes("old"); string(data) != "old" {
			t.Errorf("the previous file holds %q", data)
		}
		if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 1 {
			t.Errorf("%d files are left, want 1", len(entries))
		}
	}
}

func TestFailingStreamLeavesThePreviousFileWhole(t *testing.T) {
	cause := errors.New("device lost")
	write := func(w io.Writer, n int) error {
		_, err := w.Write(make([]byte, n))
		return err
	}
	for _, test := range []struct {
		name   string
		stream func(w io.Writer) error
		want   string
	}{
		{"fails at once", func(io.Writer) error { return cause }, cause.Error()},
		{"fails midway", func(w io.Writer) error { return errors.Join(write(w, 500_000), cause) }, cause.Error()},
		{"fails at its end", func(w io.Writer) error { return errors.Join(write(w, 1_000_000), cause) }, cause.Error()},
		{"writes nothing", func(io.Writer) error { return nil }, "wrote 0 bytes of 1000000"},
		{"writes too little", func(w io.Writer) error { return write(w, 999_999) }, "wrote 999999 bytes of 1000000"},
		{"writes too much", func(w io.Writer) error { return write(w, 1_000_001) }, "writes 1000001 bytes where 1000000 are left"},
		{"writes on after its end", func(w io.Writer) error { return errors.Join(write(w, 1_000_000), write(w, 1)) }, "writes 1 bytes where 0 are left"},
		{"hides that it writes too much", func(w io.Writer) error {
			_ = write(w, 1_000_001)
			_ = write(w, 1_000_000)
			return nil
		}, "writes 1000001 bytes where 1000000 are left"},
	} {
		t.Run(test.name, func(t *testing.T) {
			path, check := previous(t)
			err := Write(path, []Tensor{
				{Name: "first", DType: U64, Data: make([]byte, 8)},
				{Name: "streamed", DType: U8, Shape: []int{1_000_000}, Stream: test.stream},
			}, nil)
			if err == nil {
				t.Fatal("written")
			}
			for _, want := range []string{test.want, path, `tensor "streamed"`, "1000144 bytes"} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
			if strings.Contains(test.want, cause.Error()) && !errors.Is(err, cause) {
				t.Errorf("%q does not wrap its cause", err)
			}
			check()
		})
	}
}

func TestFailingWriterStopsTheWriting(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("needs /dev/full: ", err)
	}
	defer full.Close()
	stream := func(w io.Writer) error {
		_, _ = w.Write(make([]byte, 8)) // not handed on
		return nil
	}
	l, err := newLayout([]Tensor{{Name: "x", DType: U8, Shape: []int{8}, Stream: stream}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.write(full); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("header: error %v", err)
	}
	if err := l.tensors[0].write(full, 8); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("tensor: error %v", err)
	}
}

func TestWriteNeverHoldsTheModel(t *testing.T) {
	const tensors, size = 4, 16 << 20
	chunk := make([]byte, 1<<20)
	var list []Tensor
	for i := range tensors {
		list = append(list, Tensor{Name: fmt.Sprint(i), DType: U8, Shape: []int{size}, Stream: func(w io.Writer) error {
			for range size / len(chunk) {
				chunk[0] = byte(i)
				if _, err := w.Write(chunk); err != nil {
					return err
				}
			}
			return nil
		}})
	}
	path := filepath.Join(t.TempDir(), "m.safetensors")
	var err error
	if n := allocated(func() { err = Write(path, list, nil) }); n > size {
		t.Errorf("writing %d bytes allocates %d", tensors*size, n)
	}
	if err != nil {
		t.Fatal(err)
	}
	f := opened(t, path)
	for i, name := range f.Names() {
		if data := f.Bytes(name); len(data) != size || data[0] != byte(i) || data[size-len(chunk)] != byte(i) {
			t.Errorf("%s: %d bytes", name, len(data))
		}
	}
}

func TestWriteMayReadTheFileItReplaces(t *testing.T) {
	path, _ := previous(t)
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	err = Write(path, []Tensor{{Name: "new", DType: U8, Shape: []int{3}, Data: f.Bytes("old")}}, nil)
	if err != nil {
		t.Skip("this system replaces no mapped file: ", err)
	}
	if string(f.Bytes("old")) != "old" || string(opened(t, path).Bytes("new")) != "old" {
		t.Error("the open file changed")
	}
}

// randomTensors makes tensors of random names, dtypes, shapes and bytes.
func randomTensors(r *rand.Rand) []Tensor {
	all := slices.Sorted(maps.Keys(dtypes))
	letters := []rune("ab.\"\\/\n\x00\x1f\x7fé重🦙\u2028<&")
	named := map[string]bool{}
	var tensors []Tensor
	for range r.IntN(12) {
		var name strings.Builder
		for range r.IntN(6) {
			name.WriteRune(letters[r.IntN(len(letters))])
		}
		dtype := all[r.IntN(len(all))]
		if dtype.Size() == 0 || named[name.String()] {
			continue
		}
		named[name.String()] = true
		shape := make([]int, r.IntN(4))
		for i := range shape {
			shape[i] = r.IntN(5)
		}
		n, err := size(dtype, shape)
		if err != nil {
			panic(err)
		}
		data := make([]byte, 0, n)
		for range n {
			data = append(data, byte(r.Uint32()))
		}
		tensor := Tensor{Name: name.String(), DType: dtype, Shape: shape, Data: data}
		if r.IntN(2) == 0 {
			tensor.Data = nil
			tensor.Stream = func(w io.Writer) error {
				for half := range slices.Chunk(data, max(1, len(data)/2)) {
					if _, err := w.Write(half); err != nil {
						return err
					}
				}
				return nil
			}
		}
		tensors = append(tensors, tensor)
	}
	return tensors
}

func TestWhatIsWrittenIsReadBack(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		tensors := randomTensors(r)
		metadata := map[string]string{}
		for range r.IntN(4) {
			metadata[fmt.Sprintf("k%d\n\"é", r.IntN(9))] = strings.Repeat("v\t\\", r.IntN(3))
		}
		path := filepath.Join(t.TempDir(), "m.safetensors")
		if err := Write(path, tensors, metadata); err != nil {
			t.Fatal(seed, err)
		}
		f := opened(t, path)
		if len(f.Names()) != len(tensors) || !maps.Equal(f.Metadata(), metadata) {
			t.Errorf("seed %d: %d tensors of %d, metadata %q of %q", seed, len(f.Names()), len(tensors), f.Metadata(), metadata)
		}
		for _, want := range tensors {
			data := want.Data
			if want.Stream != nil {
				var b bytes.Buffer
				if err := want.Stream(&b); err != nil {
					t.Fatal(err)
				}
				data = b.Bytes()
			}
			info, ok := f.Info(want.Name)
			if !ok || info.DType != want.DType || !slices.Equal(info.Shape, want.Shape) || !info.Aligned() ||
				!bytes.Equal(f.Bytes(want.Name), data) {
				t.Errorf("seed %d: got %+v %x, want %+v %x", seed, info, f.Bytes(want.Name), want, data)
			}
		}
	}
}

// Files for testdata/check_with_python.py, which has the reference
// implementation read them.
func TestWriteFilesForTheReference(t *testing.T) {
	dir := os.Getenv("HONE_SAFETENSORS_OUT")
	if dir == "" {
		t.Skip("HONE_SAFETENSORS_OUT names no directory: run testdata/check_with_python.py")
	}
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 2))
		metadata := map[string]string{}
		if seed%2 == 0 {
			metadata = FormatPT()
		}
		if err := Write(filepath.Join(dir, fmt.Sprintf("good-%03d.safetensors", seed)), randomTensors(r), metadata); err != nil {
			t.Fatal(err)
		}
	}
	floats := make([]byte, 0, 16)
	for _, x := range []float32{0, 1, -2.5, float32(math.Inf(1))} {
		floats = binary.LittleEndian.AppendUint32(floats, math.Float32bits(x))
	}
	if err := Write(filepath.Join(dir, "floats.safetensors"), []Tensor{{Name: "x", DType: F32, Shape: []int{2, 2}, Data: floats}}, FormatPT()); err != nil {
		t.Fatal(err)
	}
	for i, m := range malformedFiles() {
		name := fmt.Sprintf("bad-%03d %s.safetensors", i, strings.ReplaceAll(m.name, "/", " "))
		if err := os.WriteFile(filepath.Join(dir, name), m.file, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
