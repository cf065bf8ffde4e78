package gguf_test

import (
	"encoding/binary"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/hone-ml/hone/tensor/gguf"
)

func Example() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "model.gguf")

	norm, err := binary.Append(nil, binary.LittleEndian, []float32{1, 0.5})
	if err != nil {
		log.Fatal(err)
	}
	err = gguf.Write(path, []gguf.Tensor{
		{Name: "output_norm.weight", Type: gguf.F32, Shape: []int{2}, Data: norm},
	}, gguf.Metadata{
		{Key: "general.architecture", Value: "llama"},
		{Key: "llama.block_count", Value: uint32(30)},
	})
	if err != nil {
		log.Fatal(err)
	}

	f, err := gguf.Open(path)
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	layers, _, err := gguf.Get[int](f.Metadata(), "llama.block_count")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(layers, "layers")
	for info, data := range f.All() {
		weights := make([]float32, 2)
		gguf.Dequantize(info.Type, weights, data)
		fmt.Println(info.Name, info.Type, info.Shape, weights)
	}
	// Output:
	// 30 layers
	// output_norm.weight F32 [2] [1 0.5]
}
