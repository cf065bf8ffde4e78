package optim_test

import (
	"encoding/binary"
	"fmt"
	"iter"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hone-ml/hone/optim"
	"github.com/hone-ml/hone/tensor"
	"github.com/hone-ml/hone/tensor/safetensors"
)

// golden is a file in testdata, made by scripts/goldens with PyTorch and transformers.
type golden struct {
	t *testing.T
	f *safetensors.File
}

func openGolden(t *testing.T) golden { return openGoldens(t, "optim.safetensors") }

// openBreadth opens what scripts/goldens/breadth_optim.py made.
func openBreadth(t *testing.T) golden { return openGoldens(t, "breadth.safetensors") }

func openGoldens(t *testing.T, name string) golden {
	t.Helper()
	f, err := safetensors.Open(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return golden{t, f}
}

func (g golden) info(name string) safetensors.Info {
	g.t.Helper()
	info, ok := g.f.Info(name)
	if !ok {
		g.t.Fatalf("no golden %s", name)
	}
	return info
}

func (g golden) floats(name string) []float64 {
	g.t.Helper()
	info, b := g.info(name), g.f.Bytes(name)
	var x []float64
	for len(b) > 0 {
		if info.DType == safetensors.F64 {
			x, b = append(x, math.Float64frombits(binary.LittleEndian.Uint64(b))), b[8:]
		} else {
			x, b = append(x, float64(math.Float32frombits(binary.LittleEndian.Uint32(b)))), b[4:]
		}
	}
	return x
}

// step is the values of one of the steps of a golden [steps, …].
func (g golden) step(name string, i int) []float64 {
	g.t.Helper()
	x, n := g.floats(name), g.info(name).Shape[0]
	return x[i*len(x)/n : (i+1)*len(x)/n]
}

// parameter is a trainable tensor with the values and the shape of a golden.
func (g golden) parameter(name string, dt tensor.DType) *tensor.Tensor {
	g.t.Helper()
	p := newParameter(dt, g.info(name).Shape...)
	set(p, g.floats(name))
	return p
}

func newParameter(dt tensor.DType, shape ...int) *tensor.Tensor {
	p := tensor.Zeros(tensor.CPU(), dt, shape...)
	p.SetTrainable(true)
	return p
}

// set gives t values, rounded to its dtype.
func set(t *tensor.Tensor, values []float64) {
	s := t.Device().NewScope()
	defer s.Close()
	t.CopyFrom(tensor.FromSlice(s, values, t.Shape()...))
}

// drawn is a parameter with normal values.
func drawn(dt tensor.DType, seed uint64, shape ...int) *tensor.Tensor {
	p := newParameter(dt, shape...)
	p.FillRandn(tensor.NewRand(seed), 0, 1)
	return p
}

func named(params ...*tensor.Tensor) iter.Seq2[string, *tensor.Tensor] {
	return func(yield func(string, *tensor.Tensor) bool) {
		for i, p := range params {
			if !yield(fmt.Sprint(i), p) {
				return
			}
		}
	}
}

// apart is max|a−b| / max|b|.
func apart(got, want []float64) float64 {
	if len(got) != len(want) {
		return math.Inf(1)
	}
	diff, size := 0.0, 0.0
	for i := range got {
		if math.IsNaN(got[i]) {
			return math.Inf(1)
		}
		diff, size = max(diff, math.Abs(got[i]-want[i])), max(size, math.Abs(want[i]))
	}
	return diff / max(size, 1e-30)
}

func wantNear(t *testing.T, what string, got, want []float64, tolerance float64) {
	t.Helper()
	if e := apart(got, want); e > tolerance {
		t.Errorf("%s is off by %.2g, at most %.2g is allowed", what, e, tolerance)
	}
}

// stateOf is the bytes of an optimizer's state and of its parameters, by name.
func stateOf(o optim.Optimizer, params ...*tensor.Tensor) map[string]string {
	all := map[string]string{}
	for name, t := range o.State() {
		all[name] = string(t.Bytes())
	}
	for name, p := range named(params...) {
		all["parameter "+name] = string(p.Bytes())
	}
	return all
}

func wantPanic(t *testing.T, fn func(), parts ...string) {
	t.Helper()
	defer func() {
		t.Helper()
		text := fmt.Sprint(recover())
		for _, part := range parts {
			if !strings.Contains(text, part) {
				t.Errorf("panic %q does not say %q", text, part)
			}
		}
	}()
	fn()
	t.Errorf("no panic; it should say %q", parts)
}
