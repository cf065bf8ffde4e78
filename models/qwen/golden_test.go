package qwen

import (
	"encoding/binary"
	"fmt"
	"math"
	"path/filepath"
	"testing"

	"github.com/hone-ml/hone/models"
	"github.com/hone-ml/hone/models/modeltest"
	"github.com/hone-ml/hone/optim"
	"github.com/hone-ml/hone/tensor"
	"github.com/hone-ml/hone/tensor/safetensors"
)

// The Qwen3 goldens were made with transformers by scripts/goldens/qwen3.py, the others by scripts/goldens/model.py.
var variants = []string{"tied", "untied"}

// golden is a file of reference tensors.
type golden struct {
	t *testing.T
	f *safetensors.File
}

func openGolden(t *testing.T, path ...string) golden {
	t.Helper()
	f, err := safetensors.Open(filepath.Join(append([]string{"testdata"}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return golden{t, f}
}

func (g golden) ints(name string) []int32 {
	g.t.Helper()
	b := g.bytes(name, safetensors.I32)
	x := make([]int32, len(b)/4)
	for i := range x {
		x[i] = int32(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return x
}

func (g golden) floats(name string) []float64 {
	g.t.Helper()
	b := g.bytes(name, safetensors.F32)
	x := make([]float64, len(b)/4)
	for i := range x {
		x[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:])))
	}
	return x
}

func (g golden) bytes(name string, dt safetensors.DType) []byte {
	g.t.Helper()
	info, ok := g.f.Info(name)
	if !ok || info.DType != dt {
		g.t.Fatalf("golden %s: present %v, dtype %s", name, ok, info.DType)
	}
	return g.f.Bytes(name)
}

func load(t *testing.T, dev *tensor.Device, variant string, dt *tensor.DType) *Model {
	t.Helper()
	m, err := models.Load(filepath.Join("testdata", variant), models.LoadOptions{Device: dev, DType: dt})
	if err != nil {
		t.Fatal(err)
	}
	return m.(*Model)
}

func TestQwensComputeWhatTransformersComputes(t *testing.T) {
	for _, v := range []string{"tied", "untied", "qwen2", "moe"} {
		t.Run(v, func(t *testing.T) { modeltest.Run(t, filepath.Join("testdata", v)) })
	}
}

func TestTwentyAdamWStepsEqualPyTorch(t *testing.T) {
	modeltest.OnEveryDevice(t, func(t *testing.T, dev *tensor.Device) {
		for _, v := range variants {
			t.Run(v, func(t *testing.T) {
				g := openGolden(t, v, "training.safetensors")
				m := load(t, dev, v, nil)
				tape := dev.NewTape()
				defer tape.Close()
				grads := tensor.NewGrads(m.Parameters(), tensor.F32)
				opt := optim.NewAdamW(optim.Split(m.Parameters(), 1, 0.1), optim.AdamWConfig{})
				ids, targets, lr := g.ints("ids"), g.ints("targets"), g.floats("lr")
				losses, norms := g.floats("loss"), g.floats("grad_norm")
				for step := range 20 {
					batch := ids[step*22 : step*22+22]
					h := m.Hidden(models.Batch{IDs: tensor.FromSlice(tape, batch, 2, 11)}, nil)
					loss := tensor.LinearCrossEntropy(h, m.Head(), tensor.FromSlice(tape, targets[step*22:step*22+22], 2, 11), tensor.CrossEntropyOptions{})
					loss.Backward(grads)
					norm := grads.Clip(1)
					if e := math.Abs(loss.Item()-losses[step]) / losses[step]; e > 1e-4 {
						t.Errorf("step %d: loss %g, want %g", step+1, loss.Item(), losses[step])
					}
					if e := math.Abs(norm-norms[step]) / norms[step]; e > 1e-4 {
						t.Errorf("step %d: gradient norm %g, want %g", step+1, norm, norms[step])
					}
					opt.SetFactor(lr[step])
					if err := opt.Step(grads); err != nil {
						t.Fatal(err)
					}
					grads.Zero()
					tape.Reset()
					if s := step + 1; s == 2 || s == 3 || s == 20 {
						for name, p := range m.Parameters() {
							if e := modeltest.Apart(p.Float64s(), g.floats(fmt.Sprintf("step%d.%s", s, name))); e > 1e-4 {
								t.Errorf("after step %d %s is off by %.2g", s, name, e)
							}
						}
					}
				}
			})
		}
	})
}
