package safetensors

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hone-ml/hone/internal/filemap"
)

const (
	// singleName is the file of a model that is not sharded.
	singleName = "model.safetensors"
	// indexName is the file that names the shards of a sharded model.
	indexName = singleName + ".index.json"
)

// File is an open model: one .safetensors file, or all shards of a sharded one.
//
// It may be used by several goroutines at once; only Close must come after every
// other use, those of the bytes it gave out included.
type File struct {
	header                            // of a sharded model: those of all shards as one
	shards map[string]filemap.Mapping // by path
}

// Open opens the model at path, which is a .safetensors file, an index that
// names the shards of one (a name that ends in .index.json), or a directory that
// holds model.safetensors or, failing that, model.safetensors.index.json.
//
// The files are mapped into memory, not read. They must not be truncated or
// overwritten while the File is open: a view of bytes that are gone is a fault
// that no program survives. Replacing a file by renaming, as [Write] does, is
// safe, though Windows refuses it while the file is open.
//
// A file that breaks a rule of the format is a [*FormatError]; what the
// operating system refuses is its own error, wrapped.
func Open(path string) (*File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("safetensors: %w", err)
	}
	if info.IsDir() {
		if path, err = find(path); err != nil {
			return nil, err
		}
	}
	f := &File{shards: map[string]filemap.Mapping{}}
	if strings.HasSuffix(path, ".index.json") {
		err = f.openSharded(path)
	} else {
		err = f.openSingle(path)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// find returns the model in a directory, in the order of transformers.
func find(dir string) (string, error) {
	for _, name := range []string{singleName, indexName} {
		path := filepath.Join(dir, name)
		_, err := os.Stat(path)
		if err == nil {
			return path, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("safetensors: %w", err)
		}
	}
	hint := ""
	if others, _ := filepath.Glob(filepath.Join(dir, "*.safetensors")); len(others) > 0 {
		hint = "; there is " + filepath.Base(others[0]) + ": open it by its own path"
	}
	return "", fmt.Errorf("safetensors: %s holds neither %s nor %s%s: %w", dir, singleName, indexName, hint, fs.ErrNotExist)
}

func (f *File) openSingle(path string) error {
	h, err := f.openShard(path)
	if err != nil {
		return err
	}
	f.header = *h
	return nil
}

// openShard maps and checks one file.
func (f *File) openShard(path string) (*header, error) {
	m, err := filemap.Open(path)
	if err != nil {
		return nil, fmt.Errorf("safetensors: %w", err)
	}
	f.shards[path] = m
	return parseHeader(path, m.Data)
}

// Names returns the names of all tensors in the order of their bytes in the
// file, which is the order that reads fastest; of a sharded model, shard by
// shard in the order of their names.
func (f *File) Names() []string {
	names := make([]string, len(f.infos))
	for i, info := range f.infos {
		names[i] = info.Name
	}
	return names
}

// Info returns what the header says of the tensor called name, and whether there
// is one. The shape is the caller's own.
func (f *File) Info(name string) (Info, bool) {
	i, ok := f.index[name]
	if !ok {
		return Info{}, false
	}
	info := f.infos[i]
	info.Shape = slices.Clone(info.Shape)
	return info, true
}

// Bytes returns the bytes of the tensor called name: its elements in row-major
// order, little-endian, not necessarily aligned (see [Info.Aligned]). It returns
// nil if there is no such tensor; an empty tensor's bytes are empty but not nil.
//
// They are a view of the file: nothing is copied, reading them may wait for the
// disk, for writing to them see [File.CopyOnWrite], and they are gone after Close.
func (f *File) Bytes(name string) []byte {
	i, ok := f.index[name]
	if !ok {
		return nil
	}
	return f.bytes(f.infos[i])
}

func (f *File) bytes(info Info) []byte {
	m, open := f.shards[info.File]
	if !open {
		return nil
	}
	end := info.Offset + info.Size
	return m.Data[info.Offset:end:end]
}

// Evict lets the bytes of the tensor called name leave the process's memory, where
// the system can do that: for whoever has copied them. They stay valid, and are read
// from the file again; what was written to them may be lost.
func (f *File) Evict(name string) {
	if i, ok := f.index[name]; ok {
		info := f.infos[i]
		f.shards[info.File].Evict(f.bytes(info))
	}
}

// All yields every tensor and its bytes in the order of [File.Names]. What is
// said there of shapes and bytes holds here too.
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

// Metadata returns a copy of the file's free-form metadata, empty if it has
// none. Of a sharded model it is that of all shards together; where they differ,
// the first shard's value stands.
func (f *File) Metadata() map[string]string {
	if f.metadata == nil {
		return map[string]string{}
	}
	return maps.Clone(f.metadata)
}

// CopyOnWrite reports whether the bytes that File.Bytes gives may be written to. The
// change is private to the process: the file stays as it is. Where it is false,
// writing is a fault.
func (f *File) CopyOnWrite() bool {
	for _, m := range f.shards {
		if !m.Writable {
			return false
		}
	}
	return true
}

// Close unmaps the files. Afterwards Bytes returns nil, and reading bytes that
// were given out before is a fault that ends the program. Closing again does
// nothing.
func (f *File) Close() error {
	var errs []error
	for path, m := range f.shards {
		if err := m.Close(); err != nil {
			errs = append(errs, fmt.Errorf("safetensors: unmap %s: %w", path, err))
		}
	}
	f.shards = nil
	return errors.Join(errs...)
}
