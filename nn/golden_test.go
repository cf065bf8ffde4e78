package nn_test

import (
	"math"
	"strings"
	"testing"

	"github.com/hone-ml/hone/nn"
	"github.com/hone-ml/hone/tensor"
	"github.com/hone-ml/hone/tensor/safetensors"
)

// goldens is a file of testdata, see testdata/README.md, and which of its tensors were read.
type goldens struct {
	*safetensors.File
	read map[string]bool
}

func openGoldens(t *testing.T, name string) goldens {
	t.Helper()
	f, err := safetensors.Open("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return goldens{f, map[string]bool{}}
}

// get is a long-lived copy of a golden tensor.
func (g goldens) get(t *testing.T, name string) T {
	t.Helper()
	info, ok := g.Info(name)
	if !ok {
		t.Fatalf("no golden tensor %s", name)
	}
	g.read[name] = true
	dt := map[safetensors.DType]tensor.DType{"F32": tensor.F32, "I32": tensor.I32}[info.DType]
	return tensor.FromBytes(tensor.CPU(), dt, g.Bytes(name), info.Shape...)
}

// set overwrites p with a golden tensor, converting it.
func (g goldens) set(t *testing.T, p T, name string) {
	t.Helper()
	from := g.get(t, name)
	if from.DType() == tensor.I32 {
		tensor.CopyFromSlice(p, []int64{int64(from.Item())})
		return
	}
	p.CopyFrom(from)
}

// A layerCase is a module whose state, inputs, results and gradients a golden file holds under a name.
type layerCase struct {
	name       string
	module     any    // nil if it has no parameters
	inputs     string // floats want gradients, but for those behind a "!"
	forward    func(x []T) []T
	evaluating bool
	zero       string // a parameter whose gradient is nothing but rounding
}

// of is a case of a layer with one input and one result.
func of(name string, l nn.Layer) layerCase {
	return layerCase{name: name, module: l, inputs: "x", forward: func(x []T) []T { return []T{l.Forward(x[0])} }}
}

// compare runs the case and holds all that it gives against the file.
func (c layerCase) compare(t *testing.T, g goldens) {
	const tolerance = 2e-5
	module := c.module
	if module == nil {
		module = struct{}{}
	}
	for name, p := range nn.State(module) {
		g.set(t, p, c.name+".state."+name)
	}
	var inputs []T
	names := strings.Fields(c.inputs)
	for _, name := range names {
		name, constant := strings.CutPrefix(name, "!")
		x := g.get(t, c.name+"."+name)
		if x.DType().IsFloat() && !constant {
			x.SetTrainable(true)
		}
		inputs = append(inputs, x)
	}
	grads := tensor.NewGrads(together(nn.Parameters(module), numbered(inputs...)), tensor.F32)
	s := tensor.CPU().NewTape()
	defer s.Close()
	s.SetTraining(!c.evaluating)
	guests := make([]T, len(inputs))
	for i, x := range inputs {
		guests[i] = x.In(s)
	}
	loss := tensor.Zeros(s, tensor.F32)
	for i, y := range c.forward(guests) {
		suffix := string(rune('0' + i))
		near(t, "y"+suffix, y.Float64s(), g.get(t, c.name+".y"+suffix).Float64s(), tolerance)
		loss = loss.Add(y.Mul(g.get(t, c.name+".dy"+suffix)).Sum())
	}
	loss.Backward(grads)
	for i, x := range inputs {
		if x.Trainable() {
			near(t, "gradient of "+names[i], grads.Of(x).Float64s(), g.get(t, c.name+".d."+names[i]).Float64s(), tolerance)
		}
	}
	for name, p := range nn.Parameters(module) {
		got, want := grads.Of(p).Float64s(), g.get(t, c.name+".d.state."+name).Float64s()
		if name == c.zero {
			for _, v := range append(got, want...) {
				if math.Abs(v) > 1e-5 {
					t.Errorf("the gradient of %s is %g, not zero", name, v)
				}
			}
			continue
		}
		near(t, "gradient of "+name, got, want, tolerance)
	}
	for name, b := range nn.Buffers(module) {
		near(t, name+" afterwards", b.Float64s(), g.get(t, c.name+".after."+name).Float64s(), tolerance)
	}
}

func layerCases() []layerCase {
	d, f32 := tensor.CPU(), tensor.F32
	batchNorm := func(channels int, eps, momentum float64) *nn.BatchNorm {
		n := nn.NewBatchNorm(d, f32, channels, eps)
		n.Momentum = momentum
		return n
	}
	evaluating := of("batch_norm_eval", batchNorm(3, 1e-5, 0.1))
	evaluating.evaluating = true
	embedding := nn.NewEmbedding(d, f32, 7, 4)
	return []layerCase{
		of("group_norm", nn.NewGroupNorm(d, f32, 3, 6, 1e-3)),
		of("group_norm_one", nn.NewGroupNorm(d, f32, 1, 6, 1e-5)),
		of("group_norm_each", nn.NewGroupNorm(d, f32, 6, 6, 1e-5)),
		of("batch_norm", batchNorm(4, 1e-3, 0.1)),
		of("batch_norm_1d", batchNorm(4, 1e-5, 0.3)),
		of("batch_norm_2d", batchNorm(3, 1e-5, 0.1)),
		of("batch_norm_cumulative", batchNorm(4, 1e-5, 0)),
		evaluating,
		of("linear", nn.NewLinear(d, f32, 5, 4, true)),
		of("linear_plain", nn.NewLinear(d, f32, 5, 4, false)),
		of("sequential", nn.Sequential{nn.NewLinear(d, f32, 5, 6, true), nn.SiLU{}, nn.NewLinear(d, f32, 6, 4, true), nn.Sigmoid{}}),
		of("relu", nn.ReLU{}),
		of("gelu", nn.GELU{}),
		of("gelu_tanh", nn.GELU{Tanh: true}),
		of("silu", nn.SiLU{}),
		of("tanh", nn.Tanh{}),
		of("sigmoid", nn.Sigmoid{}),
		of("layer_norm", nn.NewLayerNorm(d, f32, 5, 1e-3)),
		of("rms_norm", nn.NewRMSNorm(d, f32, 5, 1e-3)),
		of("embedding", embedding),
		of("conv1d", nn.NewConv1d(d, f32, 4, 6, 3, true, tensor.Conv1dOptions{Stride: 2, Padding: 1, Dilation: 2, Groups: 2})),
		of("conv1d_causal", nn.NewConv1d(d, f32, 4, 3, 3, true, tensor.Conv1dOptions{Causal: true, Dilation: 2})),
		of("conv1d_depthwise", nn.NewConv1d(d, f32, 4, 4, 4, false, tensor.Conv1dOptions{Causal: true, Groups: 4})),
		of("conv2d", nn.NewConv2d(d, f32, 4, 3, [2]int{3, 2}, true, tensor.Conv2dOptions{Stride: [2]int{2, 1}, Padding: [2]int{1, 0}})),
		of("conv2d_groups", nn.NewConv2d(d, f32, 4, 4, [2]int{3, 3}, false, tensor.Conv2dOptions{Padding: [2]int{1, 1}, Groups: 2})),
		of("max_pool2d", nn.MaxPool2d{Kernel: [2]int{2, 2}}),
		of("avg_pool2d", nn.AvgPool2d{Kernel: [2]int{3, 2}, Options: tensor.Pool2dOptions{Stride: [2]int{2, 1}, Padding: [2]int{1, 1}}}),
	}
}

func TestLayersEqualPyTorchs(t *testing.T) {
	g := openGoldens(t, "layers.safetensors")
	for _, c := range layerCases() {
		t.Run(c.name, func(t *testing.T) { c.compare(t, g) })
	}
	g.allRead(t)
}

// allRead fails t if a golden tensor was compared with nothing.
func (g goldens) allRead(t *testing.T) {
	t.Helper()
	for _, name := range g.Names() {
		if !g.read[name] {
			t.Errorf("nothing is compared with %s", name)
		}
	}
}
