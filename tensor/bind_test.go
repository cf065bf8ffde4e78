package tensor_test

import (
	"slices"
	"testing"
	"unsafe"

	"github.com/hone-ml/hone/tensor"
)

func TestABoundTensorIsTheBytesThemselves(t *testing.T) {
	dev := tensor.CPU()
	data := []float32{1, 2, 3, 4}
	raw := unsafe.Slice((*byte)(unsafe.Pointer(&data[0])), 16)
	p := tensor.Empty(dev, tensor.F32, 2, 2)
	p.SetTrainable(true)
	if !tensor.Bind(p, raw, data) {
		t.Fatal("the CPU computes in host memory, and the bytes are aligned")
	}
	s := dev.NewScope()
	defer s.Close()
	x := tensor.FromSlice(s, []float32{1, 1}, 1, 2)
	if got := tensor.ToSlice[float32](tensor.Linear(x, p, nil)); !slices.Equal(got, []float32{3, 7}) {
		t.Errorf("computed %v from what was bound", got)
	}
	p.Fill(5)
	if !slices.Equal(data, []float32{5, 5, 5, 5}) {
		t.Errorf("writing to the tensor left %v in the bytes", data)
	}
	p.Free()
}

func TestBindRefusesWhatItCannotDoWithoutACopy(t *testing.T) {
	dev := tensor.CPU()
	words := make([]uint64, 4)
	raw := unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), 32)
	s := dev.NewScope()
	defer s.Close()
	for name, ok := range map[string]bool{
		"not aligned":    tensor.Bind(tensor.Zeros(dev, tensor.F32, 4), raw[1:17], words),
		"in a scope":     tensor.Bind(tensor.Zeros(s, tensor.F32, 4), raw[:16], words),
		"a view":         tensor.Bind(tensor.Zeros(dev, tensor.F32, 2, 4).Index(0), raw[:16], words),
		"without memory": tensor.Bind(tensor.Zeros(dev, tensor.F32, 0), raw[:0], words),
	} {
		if ok {
			t.Errorf("%s: bound", name)
		}
	}
	if err := tensor.Try(func() { tensor.Bind(tensor.Zeros(dev, tensor.F32, 4), raw[:12], words) }); err == nil {
		t.Error("12 bytes for 4 elements: no error")
	}
}
