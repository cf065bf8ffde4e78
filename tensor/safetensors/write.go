package safetensors

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/hone-ml/hone/internal/atomicfile"
)

// Tensor is a tensor to be written.
type Tensor struct {
	Name  string // UTF-8; not "__metadata__"
	DType DType
	Shape []int // empty for a scalar

	// Data holds the elements in row-major order, little-endian. If it is nil,
	// Stream writes them: when their turn comes, and only then, so that a tensor
	// may be converted or fetched from a device piece by piece.
	Data   []byte
	Stream func(w io.Writer) error
}

// FormatPT returns the metadata that transformers requires of a file that it is
// to load: {"format": "pt"}.
func FormatPT() map[string]string { return map[string]string{"format": "pt"} }

// Write writes a .safetensors file with the given tensors and metadata, which
// may be nil.
//
// The tensors stand in the file by descending alignment of their dtypes, then by
// name, whatever their order in the argument, and the header is padded so that
// all of them are aligned. For the same tensors and at most one entry of metadata
// the file is identical with that of the reference implementation, which orders
// metadata at random; here it is ordered by key.
//
// The file is replaced whole or not at all: see [atomicfile.WriteFile], whose
// temporary file is path+".tmp". So on a full disk, or if a Stream fails or
// writes anything but exactly the tensor's bytes, a file that was at path before
// is still there. Errors name path, the bytes needed and, where there is one, the
// tensor.
func Write(path string, tensors []Tensor, metadata map[string]string) error {
	l, err := newLayout(tensors, metadata)
	if err != nil {
		return fmt.Errorf("safetensors: write %s: %w", path, err)
	}
	if err := atomicfile.WriteFile(path, l.write); err != nil {
		return fmt.Errorf("safetensors: writing %d bytes: %w", l.size, err)
	}
	return nil
}

// layout is a file that is ready to be written.
type layout struct {
	header  []byte   // with its length and padding
	tensors []Tensor // in the order of the file
	sizes   []int64  // their bytes
	size    int64    // of the file
}

// newLayout checks the tensors and metadata and lays out the file.
func newLayout(tensors []Tensor, metadata map[string]string) (*layout, error) {
	l := &layout{tensors: slices.Clone(tensors)}
	slices.SortFunc(l.tensors, func(a, b Tensor) int {
		return cmp.Or(cmp.Compare(dtypes[b.DType].order, dtypes[a.DType].order), cmp.Compare(a.Name, b.Name))
	})
	seen := make(map[string]bool, len(tensors))
	for _, t := range l.tensors {
		n, err := t.check()
		switch {
		case err != nil:
			return nil, fmt.Errorf("tensor %s: %w", quote(t.Name), err)
		case seen[t.Name]:
			return nil, fmt.Errorf("tensor %s: the name is given twice", quote(t.Name))
		case l.size > math.MaxInt64-maxHeader-2*lengthSize-n:
			return nil, fmt.Errorf("tensor %s: with it the file's size overflows 64 bits", quote(t.Name))
		}
		seen[t.Name] = true
		l.sizes = append(l.sizes, n)
		l.size += n
	}
	for key, value := range metadata {
		if !utf8.ValidString(key) || !utf8.ValidString(value) {
			return nil, fmt.Errorf("metadata: %s: %s is not UTF-8", quote(key), quote(value))
		}
	}
	l.encodeHeader(metadata)
	if n := len(l.header) - lengthSize; n > maxHeader {
		return nil, fmt.Errorf("the header takes %d bytes, over the format's limit of %d: write fewer tensors or less metadata", n, maxHeader)
	}
	l.size += int64(len(l.header))
	return l, nil
}

// check returns the tensor's size in bytes, or why it cannot be written.
func (t Tensor) check() (int64, error) {
	if t.Name == metadataKey {
		return 0, errors.New("the format reserves this name")
	}
	if !utf8.ValidString(t.Name) {
		return 0, errors.New("the name is not UTF-8")
	}
	if err := t.DType.check(); err != nil {
		return 0, err
	}
	n, err := size(t.DType, t.Shape)
	switch {
	case err != nil:
		return 0, err
	case t.Data != nil && t.Stream != nil:
		return 0, errors.New("it has both Data and Stream: give one")
	case t.Stream == nil && int64(len(t.Data)) != n:
		return 0, fmt.Errorf("shape %v of %s takes %d bytes, but Data has %d", t.Shape, t.DType, n, len(t.Data))
	}
	return n, nil
}

// encodeHeader sets l.header from l.tensors, spelled as serde_json does.
func (l *layout) encodeHeader(metadata map[string]string) {
	b := append(make([]byte, lengthSize), '{')
	if len(metadata) > 0 {
		b = appendString(b, metadataKey)
		b = append(b, ":{"...)
		for i, key := range slices.Sorted(maps.Keys(metadata)) {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendString(b, key)
			b = append(b, ':')
			b = appendString(b, metadata[key])
		}
		b = append(b, '}')
	}
	offset := int64(0)
	for i, t := range l.tensors {
		if i > 0 || len(metadata) > 0 {
			b = append(b, ',')
		}
		b = appendString(b, t.Name)
		b = append(b, `:{"dtype":"`...)
		b = append(b, t.DType...)
		b = append(b, `","shape":[`...)
		for j, n := range t.Shape {
			if j > 0 {
				b = append(b, ',')
			}
			b = strconv.AppendInt(b, int64(n), 10)
		}
		b = append(b, `],"data_offsets":[`...)
		b = strconv.AppendInt(b, offset, 10)
		offset += l.sizes[i]
		b = append(b, ',')
		b = strconv.AppendInt(b, offset, 10)
		b = append(b, "]}"...)
	}
	b = append(b, '}')
	for len(b)%8 != 0 { // the length itself takes 8 bytes
		b = append(b, ' ')
	}
	binary.LittleEndian.PutUint64(b, uint64(len(b)-lengthSize))
	l.header = b
}

// appendString appends s, which is valid UTF-8, as JSON with no more escapes
// than JSON demands.
func appendString(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for i := range len(s) {
		switch c := s[i]; c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\b':
			b = append(b, `\b`...)
		case '\f':
			b = append(b, `\f`...)
		case '\n':
			b = append(b, `\n`...)
		case '\r':
			b = append(b, `\r`...)
		case '\t':
			b = append(b, `\t`...)
		default:
			if c < ' ' {
				b = append(b, `\u00`...)
				b = append(b, hex[c>>4], hex[c&15])
			} else {
				b = append(b, c)
			}
		}
	}
	return append(b, '"')
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
