package safetensors_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log"
	"math"
	"os"
	"path/filepath"

	"github.com/hone-ml/hone/tensor/safetensors"
)

func Example() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "model.safetensors")

	weight := []float32{1, 0.5, -2, 4}
	err = safetensors.Write(path, []safetensors.Tensor{
		{Name: "norm.weight", DType: safetensors.BF16, Shape: []int{2}, Data: []byte{0x80, 0x3f, 0x00, 0x40}},
		{Name: "proj.weight", DType: safetensors.F32, Shape: []int{2, 2}, Stream: func(w io.Writer) error {
			return binary.Write(w, binary.LittleEndian, weight)
		}},
	}, safetensors.FormatPT())
	if err != nil {
		log.Fatal(err)
	}

	f, err := safetensors.Open(dir) // finds model.safetensors in it
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	for info, data := range f.All() {
		fmt.Println(info.Name, info.DType, info.Shape, len(data), "bytes")
	}
	third := f.Bytes("proj.weight")[8:]
	fmt.Println(math.Float32frombits(binary.LittleEndian.Uint32(third)))
	// Output:
	// proj.weight F32 [2 2] 16 bytes
	// norm.weight BF16 [2] 4 bytes
	// -2
}

func ExampleFormatError() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "part.safetensors")

	header := `{"w":{"dtype":"F32","shape":[1024,1024],"data_offsets":[0,4194304]}}`
	file := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	file = append(file, header...)
	file = append(file, make([]byte, 1000)...) // the rest was not downloaded
	if err := os.WriteFile(path, file, 0o644); err != nil {
		log.Fatal(err)
	}

	_, err = safetensors.Open(path)
	if format, ok := errors.AsType[*safetensors.FormatError](err); ok {
		fmt.Printf("%s, tensor %s: %s\n", filepath.Base(format.Path), format.Tensor, format.Reason)
	}
	// Output:
	// part.safetensors, tensor w: data_offsets [0, 4194304] reach beyond the 1000 bytes of data in the file: it is truncated or its header wrong; fetch it again
}
