package gguf

import (
	"fmt"
	"iter"
	"slices"

	"github.com/hone-ml/hone/internal/filemap"
)

// File is an open file.
//
// It may be used by several goroutines at once; only Close must come after every other use, those of the
// bytes it gave out included.
type File struct {
	header
	path    string
	mapping filemap.Mapping
	closed  bool
}

// Open opens the .gguf file at path.
//
// The file is mapped into memory, not read. It must not be truncated or overwritten while it is open: a view
// of bytes that are gone is a fault that no program survives. Replacing it by renaming, as [Write] does, is
// safe, though Windows refuses it while the file is open.
//
// A file that breaks a rule of the format is a [*FormatError]; what the operating system refuses is its own
// error, wrapped.
func Open(path string) (*File, error) {
	m, err := filemap.Open(path)
	if err != nil {
		return nil, fmt.Errorf("gguf: %w", err)
	}
	h, err := parseHeader(path, m.Data)
	if err != nil {
		m.Close()
		return nil, err
	}
	return &File{header: *h, path: path, mapping: m}, nil
}

// Version is that of the format, 2 or 3.
func (f *File) Version() int { return f.version }

// Metadata is what the file says of its model. It is not to be changed.
func (f *File) Metadata() Metadata { return f.metadata }

// Names are the names of all tensors in the order of their bytes, which is the order that reads fastest.
func (f *File) Names() []string {
	names := make([]string, len(f.infos))
	for i, info := range f.infos {
		names[i] = info.Name
	}
	return names
}

// Info is what the file says of the tensor called name, and whether there is one. The shape is the caller's
// own.
func (f *File) Info(name string) (Info, bool) {
	i, ok := f.index[name]
	if !ok {
		return Info{}, false
	}
	info := f.infos[i]
	info.Shape = slices.Clone(info.Shape)
	return info, true
}

// Bytes are the bytes of the tensor called name: its elements, or blocks of them, in row-major order. They
// are nil if there is no such tensor; an empty tensor's are empty but not nil.
//
// They are a view of the file: nothing is copied, reading them may wait for the disk, for writing to them
// see [File.CopyOnWrite], and they are gone after Close.
func (f *File) Bytes(name string) []byte {
	i, ok := f.index[name]
	if !ok {
		return nil
	}
	return f.bytes(f.infos[i])
}

func (f *File) bytes(info Info) []byte {
	switch {
	case f.closed:
		return nil
	case info.Size == 0: // it may lie where the file ends
		return []byte{}
	}
	end := info.Offset + info.Size
	return f.mapping.Data[info.Offset:end:end]
}

// All yields every tensor and its bytes in the order of [File.Names]. What is said there of shapes and
// bytes holds here too.
func (f *File) All() iter.Seq2[Info, []byte] {
	return func(yield func(Info, []byte) bool) {
		for _, info := range f.infos {
			info.Shape = slices.Clone(info.Shape)
			if !yield(info, f.bytes(info)) {
				return
			}
		}
	}
}

// CopyOnWrite reports whether the bytes that File.Bytes gives may be written to. The change is private to
// the process: the file stays as it is. Where it is false, writing is a fault.
func (f *File) CopyOnWrite() bool { return f.mapping.Writable }

// Close unmaps the file. Afterwards Bytes returns nil, and reading bytes that were given out before is a
// fault that ends the program. Closing again does nothing.
func (f *File) Close() error {
	if f.closed {
		return nil
	}
	f.closed = true
	if err := f.mapping.Close(); err != nil {
		return fmt.Errorf("gguf: unmap %s: %w", f.path, err)
	}
	return nil
}
