package npy

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/hone-ml/hone/internal/atomicfile"
	"github.com/hone-ml/hone/tensor"
)

// A kind is how elements lie in a file, and what becomes of them.
type kind struct {
	dtype tensor.DType
	size  int                      // bytes of an element in the file
	widen func(data []byte) []byte // from what the file has to dtype, nil if it has that; both little-endian
}

// kinds are the dtypes without their byte order.
var kinds = map[string]kind{
	"f2": {tensor.F16, 2, nil}, "f4": {tensor.F32, 4, nil}, "f8": {tensor.F64, 8, nil},
	"i4": {tensor.I32, 4, nil}, "i8": {tensor.I64, 8, nil}, "u1": {tensor.U8, 1, nil}, "b1": {tensor.Bool, 1, truths},
	"V2": {tensor.BF16, 2, nil},
	"i1": {tensor.I32, 1, widened(1, func(b []byte) int32 { return int32(int8(b[0])) })},
	"i2": {tensor.I32, 2, widened(2, func(b []byte) int32 { return int32(int16(binary.LittleEndian.Uint16(b))) })},
	"u2": {tensor.I32, 2, widened(2, func(b []byte) int32 { return int32(binary.LittleEndian.Uint16(b)) })},
	"u4": {tensor.I64, 4, widened(4, func(b []byte) int64 { return int64(binary.LittleEndian.Uint32(b)) })},
}

// descriptions are the dtypes as files name them.
var descriptions = map[tensor.DType]string{
	tensor.F16: "<f2", tensor.F32: "<f4", tensor.F64: "<f8", tensor.BF16: "<V2",
	tensor.I32: "<i4", tensor.I64: "<i8", tensor.U8: "|u1", tensor.Bool: "|b1",
}

// truths makes what is not 0 a 1.
func truths(data []byte) []byte {
	for i, b := range data {
		if b != 0 {
			data[i] = 1
		}
	}
	return data
}

// widened makes I32 or I64 of elements of size bytes, each of which one reads.
func widened[T int32 | int64](size int, one func(b []byte) T) func(data []byte) []byte {
	return func(data []byte) []byte {
		wide := make([]T, len(data)/size)
		for i := range wide {
			wide[i] = one(data[i*size:])
		}
		out, _ := binary.Append(make([]byte, 0, len(wide)*binary.Size(T(0))), binary.LittleEndian, wide) // fails for other types only
		return out
	}
}

// Load reads an array from a .npy file into a new tensor in p.
func Load(path string, p tensor.Place) (*tensor.Tensor, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	t, err := Read(bufio.NewReader(f), p)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

// Read reads an array in the .npy format into a new tensor in p, and nothing that follows it. What is not such an
// array gives a *FormatError, and an array that does not fit into memory a *tensor.OOMError.
func Read(r io.Reader, p tensor.Place) (*tensor.Tensor, error) {
	h, err := readHeader(r)
	if err != nil {
		return nil, err
	}
	if len(h.descr) < 2 {
		return nil, &FormatError{fmt.Sprintf("the dtype %q is unknown", h.descr)}
	}
	order, name := h.descr[0], h.descr[1:]
	k, known := kinds[name]
	if !known || order != '<' && order != '>' && order != '|' && order != '=' || order == '|' && k.size > 1 && name != "V2" {
		return nil, &FormatError{fmt.Sprintf("the dtype %q is not one that is read: f2 f4 f8 i1 i2 i4 i8 u1 u2 u4 b1 V2", h.descr)}
	}
	n := 1
	for _, d := range h.shape {
		n *= d
	}
	data, err := readData(r, n*k.size)
	if err != nil {
		return nil, err
	}
	if order == '>' {
		swap(data, k.size)
	}
	if k.widen != nil {
		data = k.widen(data)
	}
	var t *tensor.Tensor
	err = tensor.Try(func() {
		if !h.fortran || len(h.shape) < 2 {
			t = tensor.FromBytes(p, k.dtype, data, h.shape...)
			return
		}
		reversed, axes := slices.Clone(h.shape), make([]int, len(h.shape))
		slices.Reverse(reversed)
		for i := range axes {
			axes[i] = len(axes) - 1 - i
		}
		t = tensor.FromBytes(p, k.dtype, data, reversed...).Permute(axes...).Contiguous()
	})
	return t, err
}

// readData reads n bytes. Memory grows with what is there.
func readData(r io.Reader, n int) ([]byte, error) {
	var b bytes.Buffer
	b.Grow(min(n, 1<<20))
	if got, err := io.CopyN(&b, r, int64(n)); err != nil {
		return nil, truncated(err, fmt.Sprintf("the header promises %d bytes of data, %d are there", n, got))
	}
	return b.Bytes(), nil
}

// swap turns the bytes of elements round.
func swap(data []byte, size int) {
	for i := 0; size > 1 && i < len(data); i += size {
		slices.Reverse(data[i : i+size])
	}
}

// Save writes t as a .npy file, which is there whole or not at all.
func Save(path string, t *tensor.Tensor) error {
	return atomicfile.WriteFile(path, func(w io.Writer) error { return Write(w, t) })
}

// Write writes t in the .npy format, version 1.0, in C order and little-endian, as numpy.save does. BF16 is written
// as V2, which numpy reads as raw bytes: .view(ml_dtypes.bfloat16) makes numbers of them. Quantised tensors give an
// error.
func Write(w io.Writer, t *tensor.Tensor) error {
	descr, ok := descriptions[t.DType()]
	if !ok {
		return fmt.Errorf("npy: no array can hold %s; convert with To", t.DType())
	}
	if err := writeHeader(w, descr, t.Shape()); err != nil {
		return err
	}
	var err error
	if misuse := tensor.Try(func() { _, err = t.WriteTo(w) }); misuse != nil {
		return misuse
	}
	return err
}
