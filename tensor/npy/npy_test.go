package npy_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hone-ml/hone/tensor"
	"github.com/hone-ml/hone/tensor/npy"
)

func golden(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// expected is the shape and the numbers of a golden file.
func expected(name string) (shape []int, numbers []float64) {
	count := func(n int, less float64) (x []float64) {
		for i := range n {
			x = append(x, float64(i)-less)
		}
		return x
	}
	switch what, _, _ := strings.Cut(name, "-"); what {
	case "counting":
		return []int{2, 3}, count(6, 0)
	case "halves":
		return []int{2, 3}, count(6, 2.5)
	case "flags":
		return []int{2, 3}, []float64{1, 0, 1, 0, 0, 1}
	case "scalar":
		return nil, []float64{7}
	case "vector":
		return []int{5}, count(5, 0)
	case "empty":
		return []int{2, 0, 3}, nil
	case "cube":
		return []int{2, 3, 4}, count(24, 0)
	}
	return nil, nil
}

var dtypes = map[string]tensor.DType{
	"f2": tensor.F16, "f4": tensor.F32, "f8": tensor.F64, "V2": tensor.BF16, "i4": tensor.I32, "i8": tensor.I64, "u1": tensor.U8,
	"b1": tensor.Bool, "i1": tensor.I32, "i2": tensor.I32, "u2": tensor.I32, "u4": tensor.I64, "version2": tensor.I32, "version3": tensor.I32,
}

// arrays are the golden files that hold an array.
func arrays(t testing.TB) []string {
	t.Helper()
	paths, err := filepath.Glob("testdata/*-*.npy")
	if err != nil || len(paths) < 30 {
		t.Fatalf("%d golden files, %v", len(paths), err)
	}
	for i, p := range paths {
		paths[i] = strings.TrimSuffix(filepath.Base(p), ".npy")
	}
	return paths
}

func TestFilesThatNumPyWroteAreRead(t *testing.T) {
	s := tensor.CPU().NewScope()
	defer s.Close()
	for _, name := range arrays(t) {
		for _, p := range []tensor.Place{s, tensor.CPU()} {
			x, err := npy.Load(filepath.Join("testdata", name+".npy"), p)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			shape, numbers := expected(name)
			dt := dtypes[strings.Split(name, "-")[1]]
			if x.DType() != dt || !slices.Equal(x.Shape(), shape) || !slices.Equal(x.Float64s(), numbers) || !x.IsContiguous() {
				t.Errorf("%s: got %s, want %s%v %v", name, x, dt, shape, numbers)
			}
		}
	}
}

func TestFilesAreWrittenAsNumPyWritesThem(t *testing.T) {
	s := tensor.CPU().NewScope()
	defer s.Close()
	for _, name := range arrays(t) {
		want := golden(t, name+".npy")
		x, err := npy.Read(bytes.NewReader(want), s)
		if err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		if err := npy.Write(&got, x); err != nil {
			t.Fatal(err)
		}
		again, err := npy.Read(bytes.NewReader(got.Bytes()), s)
		if err != nil || again.DType() != x.DType() || !slices.Equal(again.Bytes(), x.Bytes()) || !slices.Equal(again.Shape(), x.Shape()) {
			t.Errorf("%s: read again it is %s, %v", name, again, err)
		}
		_, native := map[string]bool{"f2": true, "f4": true, "f8": true, "i4": true, "i8": true, "u1": true, "b1": true}[strings.Split(name, "-")[1]]
		if native && !strings.Contains(name, "big") && !strings.Contains(name, "fortran") && !bytes.Equal(got.Bytes(), want) {
			t.Errorf("%s: wrote\n%q, numpy\n%q", name, got.Bytes(), want)
		}
	}
}

func TestViewsAreWrittenInTheirOwnOrder(t *testing.T) {
	s := tensor.CPU().NewScope()
	defer s.Close()
	x := tensor.Arange(s, tensor.F32, 0, 6, 1).Reshape(2, 3).T()
	path := filepath.Join(t.TempDir(), "x.npy")
	if err := npy.Save(path, x); err != nil {
		t.Fatal(err)
	}
	y, err := npy.Load(path, s)
	if err != nil || !slices.Equal(y.Float64s(), []float64{0, 3, 1, 4, 2, 5}) {
		t.Errorf("got %v, %v", y, err)
	}
}

func TestArchivesThatNumPyWroteAreRead(t *testing.T) {
	for _, name := range []string{"stored.npz", "compressed.npz"} {
		x, err := npy.LoadArchive(filepath.Join("testdata", name), tensor.CPU())
		if err != nil {
			t.Fatal(err)
		}
		_, halves := expected("halves")
		_, counting := expected("counting")
		if len(x) != 2 || !slices.Equal(x["counting"].Float64s(), counting) || !slices.Equal(x["layer.0/halves"].Float64s(), halves) || x["counting"].DType() != tensor.I32 {
			t.Errorf("%s: %v", name, x)
		}
	}
}

func named(names string, x ...*tensor.Tensor) iter.Seq2[string, *tensor.Tensor] {
	return func(yield func(string, *tensor.Tensor) bool) {
		for i, name := range strings.Fields(names) {
			if !yield(name, x[i]) {
				return
			}
		}
	}
}

func TestArchivesThatWereWrittenAreReadAndAreTheSameBytesEachTime(t *testing.T) {
	s := tensor.CPU().NewScope()
	defer s.Close()
	a, b := tensor.Ones(s, tensor.BF16, 2, 2), tensor.Arange(s, tensor.I64, 0, 3, 1)
	path := filepath.Join(t.TempDir(), "x.npz")
	if err := npy.SaveArchive(path, named("a b/c", a, b)); err != nil {
		t.Fatal(err)
	}
	x, err := npy.LoadArchive(path, s)
	if err != nil || len(x) != 2 || !slices.Equal(x["a"].Bytes(), a.Bytes()) || !slices.Equal(x["b/c"].Bytes(), b.Bytes()) {
		t.Errorf("got %v, %v", x, err)
	}
	var first, second bytes.Buffer
	if err := errors.Join(npy.WriteArchive(&first, named("a b", a, b)), npy.WriteArchive(&second, named("a b", a, b))); err != nil || !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Errorf("two archives of the same tensors differ, %v", err)
	}
	if err := npy.WriteArchive(io.Discard, named("a a", a, b)); err == nil || !strings.Contains(err.Error(), `"a" is there twice`) {
		t.Errorf("got %v", err)
	}
}

// file is a .npy file with some header and data.
func file(header, data string) []byte {
	return fmt.Appendf(nil, "\x93NUMPY\x01\x00%c%c%s%s", len(header)%256, len(header)/256, header, data)
}

// malformed are files that must be refused, and what the error says.
var malformed = map[string]struct {
	file []byte
	says string
}{
	"empty":                 {nil, "ends before its header"},
	"another format":        {[]byte("PK\x03\x04 something else"), "not a .npy file"},
	"an unknown version":    {[]byte("\x93NUMPY\x07\x00\x00\x00"), "format version 7.0 is unknown"},
	"no length":             {[]byte("\x93NUMPY\x01\x00\x10"), "ends before its header"},
	"a short header":        {[]byte("\x93NUMPY\x01\x00\x10\x00{"), "ends within its header"},
	"a header of gigabytes": {[]byte("\x93NUMPY\x02\x00\xff\xff\xff\x7f"), "header of 2147483647 bytes is too long"},
	"no dictionary":         {file("[]", ""), `expected "{"`},
	"a missing key":         {file("{'descr': '<f4', 'shape': (1,)}", ""), `"fortran_order" is missing`},
	"a key twice":           {file("{'descr': '<f4', 'descr': '<f4'}", ""), `"descr" is there twice`},
	"another key":           {file("{'danger': '<f4'}", ""), `"danger" is not a key`},
	"text behind":           {file("{'descr': '<f4', 'fortran_order': False, 'shape': ()} x", ""), "more follows"},
	"an open string":        {file("{'descr", ""), "string that does not end"},
	"an escape":             {file(`{'desc\x72': 1}`, ""), "backslash"},
	"a truth of 1":          {file("{'descr': '<f4', 'fortran_order': 1, 'shape': ()}", "0000"), `expected "False"`},
	"a negative length":     {file("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}", ""), "not a length"},
	"a list as shape":       {file("{'descr': '<f4', 'fortran_order': False, 'shape': [1]}", ""), `expected "("`},
	"no comma":              {file("{'descr': '<f4', 'fortran_order': False, 'shape': (1)}", "0000"), "tuple of one needs a comma"},
	"seven axes":            {file("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 1, 1, 1, 1, 1)}", "0000"), "more than 6 axes"},
	"too many elements":     {file("{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296)}", ""), "more than 17592186044416 elements"},
	"a length of 2⁷⁰":       {file("{'descr': '<f4', 'fortran_order': False, 'shape': (1180591620717411303424,)}", ""), "not a length"},
	"an empty lie":          {file("{'descr': '<f4', 'fortran_order': False, 'shape': (0, 9223372036854775807, 3)}", ""), "more than"},
	"promises":              {file("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000, 1000)}", "12345678"), "promises 8000000000000 bytes of data, 8 are there"},
	"strings":               {file("{'descr': '<U5', 'fortran_order': False, 'shape': (1,)}", ""), `the dtype "<U5" is not one that is read`},
	"complex":               {file("{'descr': '<c8', 'fortran_order': False, 'shape': (1,)}", ""), `"<c8" is not one`},
	"unsigned of 8 bytes":   {file("{'descr': '<u8', 'fortran_order': False, 'shape': (1,)}", ""), `"<u8" is not one`},
	"no order":              {file("{'descr': '|f4', 'fortran_order': False, 'shape': (1,)}", "0000"), `"|f4" is not one`},
	"a dtype of one letter": {file("{'descr': 'f', 'fortran_order': False, 'shape': (1,)}", "0000"), `the dtype "f" is unknown`},
}

func TestWhatIsNotAnArrayIsRefused(t *testing.T) {
	check := func(name string, file []byte, says string) {
		x, err := npy.Read(bytes.NewReader(file), tensor.CPU())
		var format *npy.FormatError
		if !errors.As(err, &format) || !strings.Contains(err.Error(), says) || !strings.HasPrefix(err.Error(), "npy: ") {
			t.Errorf("%s: got %v, %v, want an error with %q", name, x, err, says)
		}
	}
	for name, c := range malformed {
		check(name, c.file, c.says)
	}
	check("objects", golden(t, "object.npy"), `the dtype "|O" is not one that is read`)
	check("records", golden(t, "record.npy"), "records are not read")
	whole := golden(t, "halves-f4-little.npy")
	for n := range len(whole) {
		check(fmt.Sprint("cut at ", n), whole[:n], "")
	}
}

func TestErrorsOfReadingAreKept(t *testing.T) {
	broken := errors.New("broken")
	if _, err := npy.Read(io.MultiReader(bytes.NewReader(golden(t, "halves-f4-little.npy")[:140]), failing{broken}), tensor.CPU()); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	if _, err := npy.Load("testdata/nothing.npy", tensor.CPU()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if _, err := npy.LoadArchive("testdata/nothing.npz", tensor.CPU()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestArraysTooLargeForTheDeviceGiveAnOutOfMemoryError(t *testing.T) {
	d := tensor.CPU()
	limit := d.Memory().Limit
	defer d.SetMemoryLimit(limit)
	d.SetMemoryLimit(1)
	data := io.MultiReader(bytes.NewReader(file("{'descr': '|u1', 'fortran_order': False, 'shape': (67108864,)}", "")), io.LimitReader(zeros{}, 64<<20))
	_, err := npy.Read(data, d)
	var oom *tensor.OOMError
	if !errors.As(err, &oom) {
		t.Errorf("got %v", err)
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

func TestAQuantisedTensorIsNotWritten(t *testing.T) {
	s := tensor.CPU().NewScope()
	defer s.Close()
	if err := npy.Write(io.Discard, tensor.Ones(s, tensor.F32, 32).To(tensor.Q8_0)); err == nil || !strings.Contains(err.Error(), "no array can hold q8_0; convert with To") {
		t.Errorf("got %v", err)
	}
}

func TestArchivesThatLieAreRefused(t *testing.T) {
	archive := func(files map[string]string, method uint16) []byte {
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		for _, name := range slices.Sorted(maps.Keys(files)) {
			w, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: method})
			if err == nil {
				_, err = io.WriteString(w, files[name])
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	array := string(golden(t, "halves-f4-little.npy"))
	wrong := archive(map[string]string{"a.npy": array}, zip.Store)
	wrong[bytes.Index(wrong, []byte("NUMPY"))+130]++
	for name, c := range map[string]struct {
		file []byte
		says string
	}{
		"another format": {[]byte("no archive"), "not a .npz archive"},
		"another member": {archive(map[string]string{"a.txt": "x"}, zip.Store), `member "a.txt" of the archive is not a .npy file`},
		"a broken array": {archive(map[string]string{"a.npy": array[:140]}, zip.Deflate), "a.npy: npy: the header promises 24 bytes of data, 12 are there"},
		"a longer array": {archive(map[string]string{"a.npy": array + "x"}, zip.Deflate), "more follows the array"},
		"a changed byte": {wrong, "checksum"},
	} {
		_, err := npy.ReadArchive(bytes.NewReader(c.file), int64(len(c.file)), tensor.CPU())
		var format *npy.FormatError
		if !errors.As(err, &format) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, want %q", name, err, c.says)
		}
	}
}

// FuzzRead reads arbitrary files. What is refused is refused by an error, without memory far above the file's, and
// what is accepted survives being written and read again.
func FuzzRead(f *testing.F) {
	for _, name := range arrays(f) {
		f.Add(golden(f, name+".npy"))
	}
	for _, c := range malformed {
		f.Add(c.file)
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		s := tensor.CPU().NewScope()
		defer s.Close()
		x, err := npy.Read(bytes.NewReader(file), s)
		if err != nil {
			var format *npy.FormatError
			if !errors.As(err, &format) || strings.Contains(err.Error(), "\n") {
				t.Fatalf("error %q", err)
			}
			return
		}
		if n := len(x.Bytes()); n > 4*len(file) {
			t.Fatalf("%d bytes of %d", n, len(file))
		}
		var b bytes.Buffer
		if err := npy.Write(&b, x); err != nil {
			t.Fatal(err)
		}
		y, err := npy.Read(&b, s)
		if err != nil || y.DType() != x.DType() || !slices.Equal(y.Shape(), x.Shape()) || !bytes.Equal(y.Bytes(), x.Bytes()) {
			t.Fatalf("%s became %s, %v", x, y, err)
		}
	})
}

func Example() {
	path := filepath.Join(os.TempDir(), "hone-example.npy")
	defer os.Remove(path)
	s := tensor.CPU().NewScope()
	defer s.Close()
	if err := npy.Save(path, tensor.Arange(s, tensor.F32, 0, 6, 1).Reshape(2, 3)); err != nil {
		fmt.Println(err)
	}
	x, err := npy.Load(path, s) // in Python: numpy.load(path)
	fmt.Println(x, err)
	// Output:
	// f32[2 3]
	// [[0 1 2]
	//  [3 4 5]] <nil>
}
