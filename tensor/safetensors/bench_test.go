package safetensors

import (
	"fmt"
	"path/filepath"
	"testing"
)

// BenchmarkOpenAndTouch1GiB opens a file of one GiB, reads a byte and closes it,
// which must not depend on the size of the file.
func BenchmarkOpenAndTouch1GiB(b *testing.B) {
	path := sparseFile(b, 1<<30)
	b.ReportAllocs()
	for b.Loop() {
		f, err := Open(path)
		if err != nil {
			b.Fatal(err)
		}
		if f.Bytes("x")[1<<29] != 0 {
			b.Fatal("not zero")
		}
		if err := f.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// qwen3 returns the tensors of Qwen3-0.6B, 1.2 GB in BF16, without their data.
func qwen3() []Tensor {
	tensors := []Tensor{
		{Name: "model.embed_tokens.weight", Shape: []int{151936, 1024}},
		{Name: "model.norm.weight", Shape: []int{1024}},
	}
	for i := range 28 {
		for name, shape := range map[string][]int{
			"input_layernorm":          {1024},
			"post_attention_layernorm": {1024},
			"self_attn.q_norm":         {128},
			"self_attn.k_norm":         {128},
			"self_attn.q_proj":         {2048, 1024},
			"self_attn.k_proj":         {1024, 1024},
			"self_attn.v_proj":         {1024, 1024},
			"self_attn.o_proj":         {1024, 2048},
			"mlp.gate_proj":            {3072, 1024},
			"mlp.up_proj":              {3072, 1024},
			"mlp.down_proj":            {1024, 3072},
		} {
			tensors = append(tensors, Tensor{Name: fmt.Sprintf("model.layers.%d.%s.weight", i, name), Shape: shape})
		}
	}
	for i := range tensors {
		tensors[i].DType = BF16
		tensors[i].Stream = noStream
	}
	return tensors
}

// BenchmarkParseHeaderOfQwen3 checks the header of a model of 310 tensors.
func BenchmarkParseHeaderOfQwen3(b *testing.B) {
	l, err := newLayout(qwen3(), FormatPT())
	if err != nil {
		b.Fatal(err)
	}
	p := parser{}
	b.SetBytes(int64(len(l.header)))
	b.ReportAllocs()
	for b.Loop() {
		p = parser{path: "model.safetensors"}
		p.data, p.dataSize = l.header[lengthSize:], l.size-int64(len(l.header))
		if err := p.readHeader(); err != nil {
			b.Fatal(err)
		}
	}
	if len(p.infos) != 310 {
		b.Fatalf("%d tensors", len(p.infos))
	}
}

// BenchmarkWrite writes 256 MiB to the temporary directory's disk, synced.
func BenchmarkWrite(b *testing.B) {
	const size = 256 << 20
	tensors := []Tensor{{Name: "x", DType: U8, Shape: []int{size}, Data: make([]byte, size)}}
	path := filepath.Join(b.TempDir(), "m.safetensors")
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		if err := Write(path, tensors, nil); err != nil {
			b.Fatal(err)
		}
	}
}
