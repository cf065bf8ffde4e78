package safetensors

import (
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hone-ml/hone/internal/filemap"
)

// shardIndex is the index of a sharded model: which shard holds which tensor.
type shardIndex struct {
	weightMap map[string]string // from the name of a tensor to that of its shard
	shards    []string          // the names of the shards, sorted
}

// readIndex reads an index file. Members other than weight_map are skipped (the
// total_size of the metadata is often wrong), as transformers does.
func readIndex(path string) (*shardIndex, error) {
	file, size, err := filemap.OpenRegular(path)
	if err != nil {
		return nil, fmt.Errorf("safetensors: %w", err)
	}
	defer file.Close()
	if size > maxHeader {
		return nil, &FormatError{Path: path, Reason: fmt.Sprintf("%d bytes are over the limit of %d for an index", size, maxHeader)}
	}
	data, err := io.ReadAll(io.LimitReader(file, size))
	if err != nil {
		return nil, fmt.Errorf("safetensors: %w", err)
	}
	index := &shardIndex{weightMap: map[string]string{}}
	if err := index.parse(data); err != nil {
		return nil, &FormatError{Path: path, Reason: err.Error()}
	}
	return index, nil
}

func (x *shardIndex) parse(data []byte) error {
	if err := checkUTF8(data, 0); err != nil {
		return fmt.Errorf("the index is %w", err)
	}
	s := scanner{data: data}
	seen := map[string]bool{}
	err := s.object(func(key string) error {
		if seen[key] {
			return s.errorf("the key %s occurs twice", quote(key))
		}
		seen[key] = true
		if key != "weight_map" {
			return s.skip(0)
		}
		return s.stringMap(key, x.weightMap)
	})
	if err != nil {
		return err
	}
	if err := s.end(" \t\r\n"); err != nil {
		return err
	}
	if len(x.weightMap) == 0 {
		return s.errorf("it has no weight_map, or an empty one")
	}
	x.shards = slices.Compact(slices.Sorted(maps.Values(x.weightMap)))
	for _, shard := range x.shards {
		if !isFileName(shard) {
			return fmt.Errorf("weight_map names the shard %s, which is not a plain file name: shards lie beside their index", quote(shard))
		}
	}
	return nil
}

// isFileName reports whether name names a file in a directory on every system:
// nothing that leads out of it, no drive, stream or device of Windows.
func isFileName(name string) bool {
	return name != "." && filepath.IsLocal(name) && !strings.ContainsAny(name, "/\\:\x00")
}

// openSharded opens the shards that the index at path names, and requires that
// they hold just what it says.
func (f *File) openSharded(path string) error {
	index, err := readIndex(path)
	if err != nil {
		return err
	}
	dir := filepath.Dir(path)
	f.header = header{index: make(map[string]int, len(index.weightMap)), metadata: map[string]string{}}
	for _, shard := range index.shards {
		shardPath := filepath.Join(dir, shard)
		h, err := f.openShard(shardPath)
		if err != nil {
			return fmt.Errorf("%w (a shard named by %s)", err, path)
		}
		if err := f.add(h); err != nil {
			return err
		}
		for _, info := range h.infos {
			switch mapped, ok := index.weightMap[info.Name]; {
			case !ok:
				return &FormatError{shardPath, info.Name, "it is not in the weight_map of " + path}
			case mapped != shard:
				return &FormatError{shardPath, info.Name, fmt.Sprintf("the weight_map of %s puts it in %s", path, quote(mapped))}
			}
		}
	}
	// Every tensor found is mapped to where it was found; is every mapped one found?
	if len(f.infos) == len(index.weightMap) {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(index.weightMap)) {
		if _, found := f.index[name]; !found {
			shardPath := filepath.Join(dir, index.weightMap[name])
			return &FormatError{shardPath, name, "the weight_map of " + path + " puts it here, but it is missing"}
		}
	}
	return nil
}

// add appends the header of one shard.
func (f *File) add(h *header) error {
	for i, info := range h.infos {
		if first, twice := f.index[info.Name]; twice {
			return &FormatError{info.File, info.Name, "it is also in " + f.infos[first].File}
		}
		f.index[info.Name] = len(f.infos) + i
	}
	f.infos = append(f.infos, h.infos...)
	for key, value := range h.metadata {
		if _, ok := f.metadata[key]; !ok {
			f.metadata[key] = value
		}
	}
	return nil
}
