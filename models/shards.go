package models

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/hone-ml/hone/internal/checkpoint"
	"github.com/hone-ml/hone/tensor/safetensors"
)

const (
	singleFile = "model.safetensors"
	indexFile  = "model.safetensors.index.json"
)

// SaveSharded is Save with the parameters in several files of at most shardBytes of them each, or one larger
// parameter, and an index that says which file holds which. transformers and Load find them by it. Where one file
// is enough it is Save. A model.safetensors that dir held before, which would be loaded in their place, is removed
// last.
func SaveSharded(dir string, m CausalLM, shardBytes int) error {
	if shardBytes <= 0 {
		return fmt.Errorf("models: shards of %d bytes: give a positive number", shardBytes)
	}
	return save(dir, m, shardBytes)
}

// saveWeights writes the parameters of m to files of at most shardBytes, 0 for one file.
func saveWeights(dir string, m CausalLM, shardBytes int) error {
	shards, total, err := shardsOf(m, shardBytes)
	if err != nil {
		return err
	}
	if len(shards) <= 1 {
		return SaveParameters(filepath.Join(dir, singleFile), m)
	}
	index := shardIndex{WeightMap: map[string]string{}}
	index.Metadata.TotalSize = total
	for i, shard := range shards {
		name := fmt.Sprintf("model-%05d-of-%05d.safetensors", i+1, len(shards))
		if err := safetensors.Write(filepath.Join(dir, name), shard, safetensors.FormatPT()); err != nil {
			return err
		}
		for _, t := range shard {
			index.WeightMap[t.Name] = name
		}
	}
	data, err := json.MarshalIndent(index, "", "  ")
	if err != nil {
		return fmt.Errorf("models: %w", err)
	}
	if err := writeFile(filepath.Join(dir, indexFile), append(data, '\n')); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(dir, singleFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("models: %w", err)
	}
	return nil
}

// shardIndex is model.safetensors.index.json.
type shardIndex struct {
	Metadata struct {
		TotalSize int `json:"total_size"`
	} `json:"metadata"`
	WeightMap map[string]string `json:"weight_map"`
}

// shardsOf fills one shard after the other in the order of the parameters, and says how many bytes they all have.
func shardsOf(m CausalLM, limit int) (shards [][]safetensors.Tensor, total int, err error) {
	size := 0 // of the last shard
	for name, p := range m.Parameters() {
		e, ok := checkpoint.Entry(name, p)
		if !ok || !p.DType().IsFloat() {
			return nil, 0, notSaved(name, p.DType())
		}
		n := p.DType().Bytes(p.Len())
		if len(shards) == 0 || limit > 0 && size+n > limit {
			shards, size = append(shards, nil), 0
		}
		last := &shards[len(shards)-1]
		*last = append(*last, e)
		size += n
		total += n
	}
	return shards, total, nil
}
