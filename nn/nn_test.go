package nn

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/hone-ml/hone/tensor"
)

type block struct {
	Norm  *RMSNorm `param:"norm"`
	Proj  Layer    `param:"proj"`
	Inner struct {
		A *tensor.Tensor `param:"a"`
	} `param:""`
	Absent *Linear `param:"absent"`
	Cached *tensor.Tensor
}

type model struct {
	Embed  *Embedding     `param:"embed"`
	Blocks []*block       `param:"layers"`
	Head   *tensor.Tensor `param:"head.weight"`
}

func newModel() *model {
	d := tensor.CPU()
	m := &model{Embed: NewEmbedding(d, tensor.F32, 5, 4)}
	for range 2 {
		b := &block{Norm: NewRMSNorm(d, tensor.F32, 4, 1e-6), Proj: NewLinear(d, tensor.F32, 4, 3, true), Cached: tensor.Zeros(d, tensor.F32, 9)}
		b.Inner.A = tensor.Zeros(d, tensor.F32, 2)
		m.Blocks = append(m.Blocks, b)
	}
	m.Head = m.Embed.Weight
	return m
}

func TestParametersAreTheTaggedFieldsInOrderTiedOnesOnce(t *testing.T) {
	var names []string
	for name := range Parameters(newModel()) {
		names = append(names, name)
	}
	want := []string{"embed.weight",
		"layers.0.norm.weight", "layers.0.proj.weight", "layers.0.proj.bias", "layers.0.a",
		"layers.1.norm.weight", "layers.1.proj.weight", "layers.1.proj.bias", "layers.1.a"}
	if !slices.Equal(names, want) {
		t.Errorf("got %q, want %q", names, want)
	}
	if n := Count(Parameters(newModel())); n != 20+2*(4+12+3+2) {
		t.Errorf("counted %d elements", n)
	}
}

func TestParametersStopWhenTheLoopDoes(t *testing.T) {
	n := 0
	for range Parameters(newModel()) {
		if n++; n == 3 {
			break
		}
	}
	if n != 3 {
		t.Errorf("%d iterations", n)
	}
}

func TestParametersRefuseWhatHoldsNone(t *testing.T) {
	for name, module := range map[string]any{
		"not a struct": 3,
		"tag on int": &struct {
			N int `param:"n"`
		}{},
		"unexported": &struct {
			w *tensor.Tensor `param:"w"`
		}{},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			for range Parameters(module) {
			}
		}()
	}
}

func TestInitialisersHaveTheirMoments(t *testing.T) {
	r := tensor.NewRand(1)
	w := tensor.Empty(tensor.CPU(), tensor.F32, 300, 400)
	for name, c := range map[string]struct {
		init        Init
		std, lo, hi float64
	}{
		"normal":   {Normal(0.02), 0.02, -0.2, 0.2},
		"uniform":  {Uniform(0.3), 0.3 / math.Sqrt(3), -0.3, 0.3},
		"constant": {Constant(7), 0, 7, 7},
		"fan in":   {FanIn(2), 0.1, -1, 1},
		"torch":    {TorchLinear(), 0.05 / math.Sqrt(3), -0.05, 0.05},
	} {
		c.init(w, r)
		x := w.Float64s()
		mean, sq := 0.0, 0.0
		for _, v := range x {
			mean += v / float64(len(x))
			if v < c.lo || v > c.hi {
				t.Fatalf("%s: %g outside [%g, %g]", name, v, c.lo, c.hi)
			}
		}
		for _, v := range x {
			sq += (v - mean) * (v - mean) / float64(len(x))
		}
		if math.Abs(math.Sqrt(sq)-c.std) > 0.01*c.std+1e-9 {
			t.Errorf("%s: standard deviation %g, want %g", name, math.Sqrt(sq), c.std)
		}
	}
}

func TestLayersComputeWhatTheySay(t *testing.T) {
	d := tensor.CPU()
	l := NewLinear(d, tensor.F32, 2, 3, true)
	tensor.CopyFromSlice(l.Weight, []float32{1, 2, 3, 4, 5, 6})
	tensor.CopyFromSlice(l.Bias, []float32{10, 20, 30})
	e := NewEmbedding(d, tensor.F32, 3, 2)
	tensor.CopyFromSlice(e.Weight, []float32{0, 1, 2, 3, 4, 5})
	n := NewRMSNorm(d, tensor.F32, 3, 0)
	n.Weight.Fill(2)
	s := d.NewScope()
	defer s.Close()
	h := e.Forward(tensor.FromSlice(s, []int32{2, 0})) // [4 5], [0 1]
	y := l.Forward(h)
	if got := tensor.ToSlice[float32](y); !slices.Equal(got, []float32{24, 52, 80, 12, 24, 36}) {
		t.Errorf("linear of embedding: %v", got)
	}
	got := tensor.ToSlice[float32](n.Forward(y))
	rms := math.Sqrt((24*24 + 52*52 + 80*80) / 3.0)
	if math.Abs(float64(got[0])-2*24/rms) > 1e-5 {
		t.Errorf("norm: %v", got)
	}
	ln := NewLayerNorm(d, tensor.F32, 3, 0)
	ln.Weight.Fill(2)
	ln.Bias.Fill(-1)
	got = tensor.ToSlice[float32](ln.Forward(y))
	mean := (24 + 52 + 80) / 3.0
	std := math.Sqrt(((24-mean)*(24-mean) + (52-mean)*(52-mean) + (80-mean)*(80-mean)) / 3)
	if math.Abs(float64(got[0])-(2*(24-mean)/std-1)) > 1e-5 {
		t.Errorf("layer norm: %v", got)
	}
}

func TestTwoParametersOfOneNamePanic(t *testing.T) {
	d := tensor.CPU()
	twins := struct {
		A *Linear `param:"proj"`
		B *Linear `param:"proj"`
	}{NewLinear(d, tensor.F32, 2, 2, false), NewLinear(d, tensor.F32, 2, 2, false)}
	defer func() {
		if p := recover(); p != `nn: two parameters are called "proj.weight"` {
			t.Errorf("panic %v", p)
		}
	}()
	for range Parameters(twins) {
	}
}

func TestParametersOfLayersAreTrainableAndOfTheDTypeAskedFor(t *testing.T) {
	for name, p := range Parameters(newModel()) {
		// Inner.A is not made by a layer
		if want := !strings.HasSuffix(name, ".a"); p.Trainable() != want {
			t.Errorf("%s is trainable: %v, want %v", name, p.Trainable(), want)
		}
	}
	for _, dt := range []tensor.DType{tensor.F32, tensor.F64, tensor.BF16} {
		l := NewLinear(tensor.CPU(), dt, 3, 2, true)
		if l.Weight.DType() != dt || l.Bias.DType() != dt || !slices.Equal(l.Weight.Shape(), []int{2, 3}) || !slices.Equal(l.Bias.Shape(), []int{2}) {
			t.Errorf("%s: weight %s, bias %s", dt, l.Weight, l.Bias)
		}
	}
}

func TestTheSameSeedDrawsTheSameParameters(t *testing.T) {
	draw := func(seed uint64) []byte {
		w := tensor.Empty(tensor.CPU(), tensor.BF16, 9, 5)
		Normal(1)(w, tensor.NewRand(seed))
		return w.Bytes()
	}
	if !slices.Equal(draw(7), draw(7)) || slices.Equal(draw(7), draw(8)) {
		t.Error("values do not follow the seed")
	}
}
