package qwen

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hone-ml/hone/models"
	"github.com/hone-ml/hone/optim"
	"github.com/hone-ml/hone/tensor"
	"github.com/hone-ml/hone/tensor/safetensors"
)

// The goldens were made with transformers by scripts/goldens/qwen3.py.
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

// onEveryDevice runs a test on the CPU and on the simulated GPU, or on the devices that HONE_TEST_DEVICE names
// ("cpu,cuda:0"). A GPU has all of its memory back when the test ends.
func onEveryDevice(t *testing.T, test func(t *testing.T, dev *tensor.Device)) {
	names := os.Getenv("HONE_TEST_DEVICE")
	switch {
	case names != "":
	case os.Getenv("HONE_SIMD") != "" || testing.Short(): // which say nothing to the simulated GPU
		names = "cpu"
	default:
		names = "cpu,cuda-sim"
	}
	for name := range strings.SplitSeq(names, ",") {
		t.Run(name, func(t *testing.T) {
			dev, err := tensor.OpenDevice(name)
			if err != nil {
				t.Fatal(err)
			}
			if name == "cpu" {
				test(t, dev)
				return
			}
			dev.Poison(true)
			test(t, dev)
			for range 3 { // cleanups of long-lived tensors run after a collection
				runtime.GC()
				time.Sleep(10 * time.Millisecond)
			}
			if m := dev.Memory(); m.InUse != 0 {
				t.Errorf("%d bytes are in use after the test", m.InUse)
			}
			if err := dev.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func load(t *testing.T, dev *tensor.Device, variant string, dt *tensor.DType) *Model {
	t.Helper()
	m, err := models.Load(filepath.Join("testdata", variant), models.LoadOptions{Device: dev, DType: dt})
	if err != nil {
		t.Fatal(err)
	}
	return m.(*Model)
}

// run is forward and backward on the golden batch.
func run(m *Model, g golden) (logits, loss *tensor.Tensor, grads *tensor.Grads, tape *tensor.Scope) {
	tape = m.Head().Device().NewTape()
	grads = tensor.NewGrads(m.Parameters(), tensor.F32)
	h := m.Hidden(models.Batch{IDs: tensor.FromSlice(tape, g.ints("ids"), 2, 11)}, nil)
	logits = tensor.Linear(h, m.Head(), nil)
	loss = tensor.LinearCrossEntropy(h, m.Head(), tensor.FromSlice(tape, g.ints("targets"), 2, 11), tensor.CrossEntropyOptions{})
	loss.Backward(grads)
	return
}

func TestForwardAndEveryGradientEqualTransformers(t *testing.T) {
	onEveryDevice(t, func(t *testing.T, dev *tensor.Device) {
		for _, v := range variants {
			for _, recompute := range []tensor.Recompute{tensor.RecomputeNone, tensor.RecomputeSelective, tensor.RecomputeBlock} {
				t.Run(fmt.Sprintf("%s/recompute=%s", v, recompute), func(t *testing.T) {
					g := openGolden(t, v, "goldens.safetensors")
					m := load(t, dev, v, nil)
					m.SetRecompute(recompute)
					logits, loss, grads, tape := run(m, g)
					defer tape.Close()
					if e := apart(logits.Float64s(), g.floats("logits")); e > 1e-4 {
						t.Errorf("logits are off by %.2g", e)
					}
					if e := apart([]float64{loss.Item()}, g.floats("loss")); e > 1e-5 {
						t.Errorf("loss is off by %.2g", e)
					}
					for name, d := range grads.All() {
						if e := apart(d.Float64s(), g.floats("grad."+name)); e > 1e-4 {
							t.Errorf("gradient of %s is off by %.2g", name, e)
						}
					}
				})
			}
		}
	})
}

func TestBF16ErrsAtMostTwiceAsMuchAsPyTorch(t *testing.T) {
	onEveryDevice(t, func(t *testing.T, dev *tensor.Device) {
		for _, v := range variants {
			t.Run(v, func(t *testing.T) {
				raw, err := os.ReadFile(filepath.Join("testdata", v, "bf16.json"))
				if err != nil {
					t.Fatal(err)
				}
				var torch map[string]map[string]float64
				if err := json.Unmarshal(raw, &torch); err != nil {
					t.Fatal(err)
				}
				g := openGolden(t, v, "goldens.safetensors")
				logits, _, grads, tape := run(load(t, dev, v, new(tensor.BF16)), g)
				defer tape.Close()
				within := func(name string, got, want []float64) {
					t.Helper()
					limit := 2 * max(torch["eager"][name], torch["sdpa"][name])
					if e := apart(got, want); e > limit {
						t.Errorf("%s errs by %.3g, PyTorch by %.3g", name, e, limit/2)
					}
				}
				within("logits", logits.Float64s(), g.floats("logits"))
				for name, d := range grads.All() {
					within("grad."+name, d.Float64s(), g.floats("grad."+name))
				}
			})
		}
	})
}

func TestTwentyAdamWStepsEqualPyTorch(t *testing.T) {
	onEveryDevice(t, func(t *testing.T, dev *tensor.Device) {
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
							if e := apart(p.Float64s(), g.floats(fmt.Sprintf("step%d.%s", s, name))); e > 1e-4 {
								t.Errorf("after step %d %s is off by %.2g", s, name, e)
							}
						}
					}
				}
			})
		}
	})
}

func TestPackedSequencesEqualSeparateOnes(t *testing.T) {
	onEveryDevice(t, func(t *testing.T, dev *tensor.Device) {
		for _, v := range variants {
			t.Run(v, func(t *testing.T) {
				g := openGolden(t, v, "goldens.safetensors")
				m := load(t, dev, v, nil)
				s := dev.NewScope()
				defer s.Close()
				a, b := g.ints("packed.0.ids"), g.ints("packed.1.ids")
				ids := tensor.FromSlice(s, slices.Concat(a, b), 1, len(a)+len(b))
				h := m.Hidden(models.Batch{IDs: ids, SeqStarts: []int32{0, int32(len(a))}}, nil)
				want := slices.Concat(g.floats("packed.0.logits"), g.floats("packed.1.logits"))
				if e := apart(tensor.Linear(h, m.Head(), nil).Float64s(), want); e > 1e-4 {
					t.Errorf("packed logits are off by %.2g", e)
				}
				targets := tensor.FromSlice(s, slices.Concat(g.ints("packed.0.targets"), g.ints("packed.1.targets")))
				loss := tensor.LinearCrossEntropy(h.Reshape(len(a)+len(b), -1), m.Head(), targets, tensor.CrossEntropyOptions{})
				if e := apart([]float64{loss.Item()}, g.floats("packed.loss")); e > 1e-5 {
					t.Errorf("packed loss is off by %.2g", e)
				}
			})
		}
	})
}

func TestGreedyGenerationEqualsTransformers(t *testing.T) {
	onEveryDevice(t, func(t *testing.T, dev *tensor.Device) {
		for _, v := range variants {
			t.Run(v, func(t *testing.T) {
				g := openGolden(t, v, "goldens.safetensors")
				m := load(t, dev, v, nil)
				var prompts, want [][]int32
				for i := range 3 {
					prompts = append(prompts, g.ints(fmt.Sprintf("generate.%d.prompt", i)))
					want = append(want, g.ints(fmt.Sprintf("generate.%d.new", i)))
				}
				o := models.Options{MaxTokens: len(want[0]), Stop: []int32{}}
				got, err := models.GenerateAll(context.Background(), m, prompts, o)
				if err != nil {
					t.Fatal(err)
				}
				for i := range prompts {
					if !slices.Equal(got[i], want[i]) {
						t.Errorf("in a batch, prompt %d gives %v, want %v", i, got[i], want[i])
					}
					alone, err := models.GenerateAll(context.Background(), m, prompts[i:i+1], o)
					if err != nil || !slices.Equal(alone[0], want[i]) {
						t.Errorf("alone, prompt %d gives %v, want %v (%v)", i, alone, want[i], err)
					}
				}
			})
		}
	})
}

func TestPrefillThenDecodeEqualsOnePassForEverySplit(t *testing.T) {
	onEveryDevice(t, func(t *testing.T, dev *tensor.Device) {
		m := load(t, dev, "tied", nil)
		s := dev.NewScope()
		defer s.Close()
		ids := openGolden(t, "tied", "goldens.safetensors").ints("ids")[:11]
		whole := m.Hidden(models.Batch{IDs: tensor.FromSlice(s, ids, 1, 11)}, nil).Float64s()
		for k := 1; k < 11; k++ {
			c := m.NewCache(1, 11)
			got := m.Hidden(models.Batch{IDs: tensor.FromSlice(s, ids[:k], 1, k)}, c).Float64s()
			for _, id := range ids[k:] {
				got = append(got, m.Hidden(models.Batch{IDs: tensor.FromSlice(s, []int32{id}, 1, 1)}, c).Float64s()...)
			}
			if e := apart(got, whole); e > 1e-5 {
				t.Errorf("prefill of %d tokens, then decoding: off by %.2g", k, e)
			}
			c.Free()
		}
	})
}
