package tensor_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/hone-ml/hone/tensor"
	"github.com/hone-ml/hone/tensor/safetensors"
)

// goldens are the tensors of testdata/ops.safetensors, see testdata/README.md.
type goldens struct {
	file *safetensors.File
	dev  *tensor.Device
}

func openGoldens(t *testing.T, d *tensor.Device) goldens {
	f, err := safetensors.Open("testdata/ops.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return goldens{f, d}
}

// get is a long-lived copy of a golden tensor.
func (g goldens) get(t *testing.T, name string) T {
	t.Helper()
	info, ok := g.file.Info(name)
	if !ok {
		t.Fatalf("no golden tensor %s", name)
	}
	dt := map[safetensors.DType]tensor.DType{"F32": tensor.F32, "I32": tensor.I32}[info.DType]
	return tensor.FromBytes(g.dev, dt, g.file.Bytes(name), info.Shape...)
}

// A golden is a case of the file: what flows in and out, and the op.
type golden struct {
	name   string
	inputs []string // trainable
	others []string // constants
	loss   bool     // the result is a loss
	fn     func(x []T) T
}

func goldenCases() []golden {
	var cases []golden
	add := func(names string, inputs, others string, loss bool, fn func(x []T) T) {
		for _, name := range strings.Fields(names) {
			cases = append(cases, golden{name, strings.Fields(inputs), strings.Fields(others), loss, fn})
		}
	}
	add("rmsnorm rmsnorm_tiny rmsnorm_large", "x w", "", false, func(x []T) T { return tensor.RMSNorm(x[0], x[1], 1e-6) })
	rope := func(theta float64) func(x []T) T {
		return func(x []T) T {
			cos, sin := tensor.RoPETable(x[1], x[0].Dim(-1), theta)
			return tensor.RoPE(x[0], cos, sin)
		}
	}
	add("rope", "x", "positions", false, rope(1e4))
	add("rope_far", "x", "positions", false, rope(1e6))
	add("swiglu swiglu_large", "gate up", "", false, func(x []T) T { return tensor.SwiGLU(x[0], x[1]) })
	attention := func(o tensor.AttentionOptions) func(x []T) T {
		o.Causal = true
		return func(x []T) T { return tensor.Attention(x[0], x[1], x[2], o) }
	}
	add("attention attention_cached attention_large", "q k v", "", false, attention(tensor.AttentionOptions{}))
	add("attention_packed", "q k v", "", false, attention(tensor.AttentionOptions{SeqStarts: []int32{0, 4, 9, 13}}))
	crossEntropy := func(o tensor.CrossEntropyOptions) func(x []T) T {
		return func(x []T) T { return tensor.CrossEntropy(x[0], x[1], o) }
	}
	add("cross_entropy cross_entropy_large", "logits", "targets", true, crossEntropy(tensor.CrossEntropyOptions{}))
	add("cross_entropy_smooth cross_entropy_large_smooth", "logits", "targets", true, crossEntropy(tensor.CrossEntropyOptions{Smoothing: 0.1}))
	add("linear_cross_entropy", "hidden weight", "targets", true, func(x []T) T {
		return tensor.LinearCrossEntropy(x[0], x[1], x[2], tensor.CrossEntropyOptions{})
	})
	add("embedding", "w", "ids", false, func(x []T) T { return tensor.Embedding(x[0], x[1]) })
	add("softmax softmax_large", "x", "", false, func(x []T) T { return x[0].Softmax() })
	return cases
}

func TestOpsEqualPyTorchs(t *testing.T) {
	const tolerance = 1e-4
	for kind, d := range map[string]*tensor.Device{"fused": tensor.NewTestDevice(0), "composed": tensor.NewComposedDevice()} {
		g := openGoldens(t, d)
		for _, c := range goldenCases() {
			t.Run(kind+"/"+c.name, func(t *testing.T) {
				var in []T
				for _, name := range c.inputs {
					x := g.get(t, c.name+"."+name)
					x.SetTrainable(true)
					in = append(in, x)
				}
				for _, name := range c.others {
					in = append(in, g.get(t, c.name+"."+name))
				}
				grads := tensor.NewGrads(named(in...), tensor.F32)
				s := d.NewTape()
				defer s.Close()
				guests := make([]T, len(in))
				for i, x := range in {
					guests[i] = x.In(s)
				}
				y := c.fn(guests)
				if c.loss {
					near(t, "loss", y.Float64s(), g.get(t, c.name+".loss").Float64s(), tolerance)
					y.Backward(grads)
				} else {
					near(t, "y", y.Float64s(), g.get(t, c.name+".y").Float64s(), tolerance)
					y.Mul(g.get(t, c.name+".dy")).Sum().Backward(grads)
				}
				for i, name := range c.inputs {
					near(t, "d"+name, grads.Of(in[i]).Float64s(), g.get(t, c.name+".d"+name).Float64s(), tolerance)
				}
			})
		}
	}
}

func TestRoPETableEqualsTransformers(t *testing.T) {
	d := tensor.NewTestDevice(0)
	g := openGoldens(t, d)
	s := d.NewScope()
	defer s.Close()
	positions := g.get(t, "rope.positions")
	for _, p := range []T{positions.In(s), positions.In(s).To(tensor.I64)} {
		cos, sin := tensor.RoPETable(p, 10, 1e4)
		near(t, "cos", cos.Float64s(), g.get(t, "rope.cos").Float64s(), 1e-6)
		near(t, "sin", sin.Float64s(), g.get(t, "rope.sin").Float64s(), 1e-6)
	}
}

func TestEveryGoldenIsCompared(t *testing.T) {
	f, err := os.ReadFile("testdata/README.md")
	if err != nil {
		t.Fatal(err)
	}
	g := openGoldens(t, tensor.NewTestDevice(0))
	seen := map[string]bool{}
	for _, c := range goldenCases() {
		seen[c.name] = true
		if !strings.Contains(string(f), "`"+c.name+"`") {
			t.Errorf("the README does not know %s", c.name)
		}
	}
	for _, name := range g.file.Names() {
		if c, _, _ := strings.Cut(name, "."); !seen[c] {
			t.Error(fmt.Sprint("nothing compares ", name))
			seen[c] = true
		}
	}
}
