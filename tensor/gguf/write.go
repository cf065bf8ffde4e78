package gguf

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/hone-ml/hone/internal/atomicfile"
)

// Tensor is a tensor to be written.
type Tensor struct {
	Name  string // at most 63 bytes, which is ggml's limit
	Type  Type
	Shape []int // the slowest axis first; empty for a scalar; the last a multiple of the type's block

	// Data holds the elements or blocks in row-major order. If it is nil, Stream writes them: when their
	// turn comes, and only then, so that a tensor may be converted or fetched from a device piece by piece.
	Data   []byte
	Stream func(w io.Writer) error
}

// Write writes a .gguf file of version 3 with the given tensors and metadata, both in the order given.
// Tensors begin at multiples of 32 bytes, or of what general.alignment says.
//
// The file is replaced whole or not at all: see [atomicfile.WriteFile], whose temporary file is
// path+".tmp". So on a full disk, or if a Stream fails or writes anything but exactly the tensor's bytes, a
// file that was at path before is still there. Errors name path and, where there is one, the tensor or key.
func Write(path string, tensors []Tensor, metadata Metadata) error {
	l, err := newLayout(tensors, metadata)
	if err != nil {
		return fmt.Errorf("gguf: write %s: %w", path, err)
	}
	if err := atomicfile.WriteFile(path, l.write); err != nil {
		return fmt.Errorf("gguf: writing %d bytes: %w", l.size, err)
	}
	return nil
}

// maxName is GGML_MAX_NAME less the byte that ends a C string.
const maxName = 63

// layout is a file that is ready to be written.
type layout struct {
	header    []byte // padded
	tensors   []Tensor
	sizes     []int64 // their bytes
	alignment int64
	size      int64 // of the file
}

// newLayout checks the tensors and metadata and lays out the file.
func newLayout(tensors []Tensor, metadata Metadata) (*layout, error) {
	l := &layout{tensors: tensors}
	b := append([]byte(magic), 3, 0, 0, 0)
	b = order.AppendUint64(b, uint64(len(tensors)))
	b = order.AppendUint64(b, uint64(len(metadata)))
	seen := make(map[string]bool, len(metadata))
	for _, kv := range metadata {
		if err := checkKey(kv.Key); err != nil {
			return nil, fmt.Errorf("metadata %s: %w", quote(kv.Key), err)
		}
		if seen[kv.Key] {
			return nil, fmt.Errorf("metadata %s: the key is given twice", quote(kv.Key))
		}
		seen[kv.Key] = true
		b = appendText(b, kv.Key)
		var ok bool
		if b, ok = appendValue(b, kv.Value); !ok {
			return nil, fmt.Errorf("metadata %s: a value cannot be a %T", quote(kv.Key), kv.Value)
		}
	}
	var err error
	if l.alignment, err = (&parser{header: header{metadata: metadata}}).alignment(); err != nil {
		return nil, fmt.Errorf("metadata %s: %w", alignmentKey, err)
	}
	names := make(map[string]bool, len(tensors))
	for _, t := range tensors {
		n, err := t.check()
		switch {
		case err != nil:
			return nil, fmt.Errorf("tensor %s: %w", quote(t.Name), err)
		case names[t.Name]:
			return nil, fmt.Errorf("tensor %s: the name is given twice", quote(t.Name))
		case n > math.MaxInt64/2-l.size:
			return nil, fmt.Errorf("tensor %s: with it the file's size overflows 64 bits", quote(t.Name))
		}
		names[t.Name] = true
		b = appendText(b, t.Name)
		b = order.AppendUint32(b, uint32(len(t.Shape)))
		for _, d := range slices.Backward(t.Shape) {
			b = order.AppendUint64(b, uint64(d))
		}
		b = order.AppendUint32(b, uint32(t.Type))
		b = order.AppendUint64(b, uint64(l.size))
		l.sizes = append(l.sizes, n)
		l.size = l.pad(l.size + n)
	}
	l.header = append(b, make([]byte, l.pad(int64(len(b)))-int64(len(b)))...)
	l.size += int64(len(l.header))
	return l, nil
}

// pad is the next multiple of the alignment.
func (l *layout) pad(n int64) int64 { return (n + l.alignment - 1) &^ (l.alignment - 1) }

// checkKey says what is wrong with a key, by the format's description.
func checkKey(key string) error {
	switch {
	case key == "" || len(key) > math.MaxUint16:
		return fmt.Errorf("a key has 1 to %d bytes, not %d", math.MaxUint16, len(key))
	case strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }):
		return errors.New("a key is made of visible ASCII characters")
	}
	return nil
}

// check is the tensor's size in bytes, or why it cannot be written.
func (t Tensor) check() (int64, error) {
	if t.Name == "" || len(t.Name) > maxName {
		return 0, fmt.Errorf("a name has 1 to %d bytes, not %d", maxName, len(t.Name))
	}
	n, err := size(t.Type, t.Shape)
	switch {
	case err != nil:
		return 0, err
	case t.Data != nil && t.Stream != nil:
		return 0, errors.New("it has both Data and Stream: give one")
	case t.Stream == nil && int64(len(t.Data)) != n:
		return 0, fmt.Errorf("shape %v of %s takes %d bytes, but Data has %d", t.Shape, t.Type, n, len(t.Data))
	}
	return n, nil
}

func appendText(b []byte, s string) []byte {
	return append(order.AppendUint64(b, uint64(len(s))), s...)
}

// appendValue appends the type and the bytes of a value; ok is false if the format does not have its type.
func appendValue(b []byte, value any) (_ []byte, ok bool) {
	switch v := value.(type) {
	case string:
		return appendText(order.AppendUint32(b, uint32(typeString)), v), true
	case []string:
		b = order.AppendUint32(b, uint32(typeArray))
		b = order.AppendUint32(b, uint32(typeString))
		b = order.AppendUint64(b, uint64(len(v)))
		for _, s := range v {
			b = appendText(b, s)
		}
		return b, true
	case uint8:
		return one(b, v), true
	case int8:
		return one(b, v), true
	case uint16:
		return one(b, v), true
	case int16:
		return one(b, v), true
	case uint32:
		return one(b, v), true
	case int32:
		return one(b, v), true
	case uint64:
		return one(b, v), true
	case int64:
		return one(b, v), true
	case float32:
		return one(b, v), true
	case float64:
		return one(b, v), true
	case bool:
		return one(b, v), true
	case []uint8:
		return many(b, v), true
	case []int8:
		return many(b, v), true
	case []uint16:
		return many(b, v), true
	case []int16:
		return many(b, v), true
	case []uint32:
		return many(b, v), true
	case []int32:
		return many(b, v), true
	case []uint64:
		return many(b, v), true
	case []int64:
		return many(b, v), true
	case []float32:
		return many(b, v), true
	case []float64:
		return many(b, v), true
	case []bool:
		return many(b, v), true
	}
	return b, false
}

// number is what has a fixed width in the format.
type number interface {
	uint8 | int8 | uint16 | int16 | uint32 | int32 | uint64 | int64 | float32 | float64 | bool
}

func one[T number](b []byte, v T) []byte {
	return appendNumber(order.AppendUint32(b, uint32(typeOf[T]())), v)
}

func many[T number](b []byte, vs []T) []byte {
	b = order.AppendUint32(b, uint32(typeArray))
	b = order.AppendUint32(b, uint32(typeOf[T]()))
	b = order.AppendUint64(b, uint64(len(vs)))
	for _, v := range vs {
		b = appendNumber(b, v)
	}
	return b
}

// typeOf is the format's number of T.
func typeOf[T number]() valueType {
	var zero T
	switch any(zero).(type) {
	case uint8:
		return typeUint8
	case int8:
		return typeInt8
	case uint16:
		return typeUint16
	case int16:
		return typeInt16
	case uint32:
		return typeUint32
	case int32:
		return typeInt32
	case uint64:
		return typeUint64
	case int64:
		return typeInt64
	case float32:
		return typeFloat32
	case float64:
		return typeFloat64
	}
	return typeBool
}

func appendNumber[T number](b []byte, v T) []byte {
	switch v := any(v).(type) {
	case uint8:
		return append(b, v)
	case int8:
		return append(b, byte(v))
	case uint16:
		return order.AppendUint16(b, v)
	case int16:
		return order.AppendUint16(b, uint16(v))
	case uint32:
		return order.AppendUint32(b, v)
	case int32:
		return order.AppendUint32(b, uint32(v))
	case uint64:
		return order.AppendUint64(b, v)
	case int64:
		return order.AppendUint64(b, uint64(v))
	case float32:
		return order.AppendUint32(b, math.Float32bits(v))
	case float64:
		return order.AppendUint64(b, math.Float64bits(v))
	case bool:
		if v {
			return append(b, 1)
		}
	}
	return append(b, 0)
}

// write writes the file to w.
func (l *layout) write(w io.Writer) error {
	if _, err := w.Write(l.header); err != nil {
		return err
	}
	for i, t := range l.tensors {
		if err := t.write(w, l.sizes[i]); err != nil {
			return fmt.Errorf("tensor %s: %w", quote(t.Name), err)
		}
		if _, err := w.Write(make([]byte, l.pad(l.sizes[i])-l.sizes[i])); err != nil {
			return err
		}
	}
	return nil
}

// write writes the tensor's bytes, exactly n, to w.
func (t Tensor) write(w io.Writer, n int64) error {
	if t.Stream == nil {
		_, err := w.Write(t.Data)
		return err
	}
	return atomicfile.Exactly(w, n, t.Stream)
}
