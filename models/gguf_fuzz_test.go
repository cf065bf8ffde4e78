package models_test

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/hone-ml/hone/models"
	"github.com/hone-ml/hone/models/qwen"
	"github.com/hone-ml/hone/tensor"
	"github.com/hone-ml/hone/tensor/gguf"
)

// ggufSeeds are small files: a model with a byte-level tokenizer, one of a llama with SentencePiece's.
func ggufSeeds(f *testing.F) [][]byte {
	f.Helper()
	c := qwen.Config{VocabSize: 16, HiddenSize: 8, IntermediateSize: 8, NumHiddenLayers: 1, NumAttentionHeads: 2, NumKeyValueHeads: 1, HeadDim: 4,
		MaxPositionEmbeddings: 8, RMSNormEps: 1e-6, RopeTheta: 1e4, DType: "float32", TieWordEmbeddings: true}
	m, err := qwen.New(c, tensor.CPU())
	if err != nil {
		f.Fatal(err)
	}
	path := filepath.Join(f.TempDir(), "seed.gguf")
	if err := models.SaveGGUF(path, m, models.GGUFOptions{}); err != nil {
		f.Fatal(err)
	}
	var seeds [][]byte
	for _, change := range []func(ts map[string]gguf.Tensor, m *gguf.Metadata){
		func(_ map[string]gguf.Tensor, m *gguf.Metadata) {
			set(m, "tokenizer.ggml.model", "gpt2")
			set(m, "tokenizer.ggml.pre", "qwen2")
			set(m, "tokenizer.ggml.tokens", []string{"a", "b", "ab", "<|im_end|>"})
			set(m, "tokenizer.ggml.token_type", []int32{1, 1, 1, 3})
			set(m, "tokenizer.ggml.merges", []string{"a b"})
		},
		func(ts map[string]gguf.Tensor, m *gguf.Metadata) {
			delete(ts, "blk.0.attn_q_norm.weight")
			delete(ts, "blk.0.attn_k_norm.weight")
			for i, kv := range *m {
				(*m)[i].Key = strings.Replace(kv.Key, "qwen3.", "llama.", 1)
			}
			set(m, "general.architecture", "llama")
			set(m, "tokenizer.ggml.model", "llama")
			set(m, "tokenizer.ggml.tokens", []string{"<unk>", "<s>", "▁", "a", "▁a"})
			set(m, "tokenizer.ggml.scores", []float32{0, 0, -1, -2, -3})
			set(m, "tokenizer.ggml.token_type", []int32{2, 3, 1, 1, 1})
			set(m, "tokenizer.ggml.bos_token_id", uint32(1))
		},
	} {
		rewriteGGUF(f, path, change)
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		seeds = append(seeds, data)
	}
	return seeds
}

// FuzzLoadGGUF loads arbitrary files. What comes is an error of one line that names the file, or a model; neither takes
// memory out of proportion to the file.
func FuzzLoadGGUF(f *testing.F) {
	for _, seed := range ggufSeeds(f) {
		f.Add(seed)
		f.Add(bytes.ReplaceAll(seed, []byte("qwen3"), []byte("qwen2")))
		f.Add(bytes.ReplaceAll(seed, []byte("qwen3"), []byte("llama")))
	}
	path := filepath.Join(f.TempDir(), "fuzz.gguf")
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		peak := tensor.CPU().Memory().InUse
		m, err := models.Load(path, models.LoadOptions{})
		taken := tensor.CPU().Memory().InUse - peak
		tok, tokErr := models.LoadTokenizer(path)
		runtime.ReadMemStats(&after)
		for _, err := range []error{err, tokErr} {
			if err != nil && (strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), path)) {
				t.Fatalf("error %q", err)
			}
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > 8<<20+200*uint64(len(data)) {
			t.Fatalf("%d bytes allocated for a file of %d", n, len(data))
		}
		if taken > 1<<20+16*len(data) {
			t.Fatalf("%d bytes of tensors for a file of %d", taken, len(data))
		}
		if (m == nil) != (err != nil) {
			t.Fatalf("a model %v and the error %v", m, err)
		}
		if m != nil {
			for _, p := range m.Parameters() {
				p.Free()
			}
		}
		if tok != nil {
			tok.Encode("a b")
		}
	})
}
