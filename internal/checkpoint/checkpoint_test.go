package checkpoint

import (
	"path/filepath"
	"testing"

	"github.com/hone-ml/hone/tensor"
	"github.com/hone-ml/hone/tensor/safetensors"
)

func TestEveryDTypeOfElementsComesBackAsItWas(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.safetensors")
	for _, dt := range []tensor.DType{tensor.F32, tensor.F64, tensor.BF16, tensor.F16, tensor.I32, tensor.I64, tensor.U8, tensor.Bool} {
		x := tensor.Ones(tensor.CPU(), dt, 2, 3)
		e, ok := Entry("x", x)
		if !ok {
			t.Fatalf("%s has no format", dt)
		}
		if err := safetensors.Write(path, []safetensors.Tensor{e}, nil); err != nil {
			t.Fatal(err)
		}
		f, err := safetensors.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		info, _ := f.Info("x")
		if got, ok := DType(info.DType); !ok || got != dt || string(f.Bytes("x")) != string(x.Bytes()) {
			t.Errorf("%s came back as %s, known: %v", dt, info.DType, ok)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWhatHasNoCounterpartIsToldApart(t *testing.T) {
	s := tensor.CPU().NewScope()
	defer s.Close()
	if _, ok := Entry("x", tensor.Ones(s, tensor.F32, 2, 32).To(tensor.Q8_0)); ok {
		t.Error("a quantised tensor has a format")
	}
	if dt, ok := DType(safetensors.F8E4M3); ok {
		t.Errorf("F8_E4M3 is %s", dt)
	}
}
