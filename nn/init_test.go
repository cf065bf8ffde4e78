package nn_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/hone-ml/hone/nn"
	"github.com/hone-ml/hone/tensor"
)

// moments are the mean, the standard deviation and the largest magnitude of p's elements.
func moments(p T) (mean, std, largest float64) {
	x := p.Float64s()
	for _, v := range x {
		mean += v / float64(len(x))
		largest = max(largest, math.Abs(v))
	}
	for _, v := range x {
		std += (v - mean) * (v - mean) / float64(len(x))
	}
	return mean, math.Sqrt(std), largest
}

func TestInitialisersByFanHaveTheirMoments(t *testing.T) {
	r := tensor.NewRand(1)
	w := tensor.Empty(tensor.CPU(), tensor.F32, 300, 50, 8) // in 400, out 2400
	for name, c := range map[string]struct {
		init nn.Init
		std  float64
		cut  float64 // the largest magnitude by the std, 0 if there is none
	}{
		"xavier uniform":           {nn.XavierUniform(2), 2 * math.Sqrt(2.0/2800), math.Sqrt(3)},
		"xavier normal":            {nn.XavierNormal(nn.GainTanh), 5.0 / 3 * math.Sqrt(2.0/2800), 0},
		"kaiming uniform":          {nn.KaimingUniform(nn.GainReLU, nn.FanInMode), math.Sqrt(2.0 / 400), math.Sqrt(3)},
		"kaiming uniform, out":     {nn.KaimingUniform(nn.GainSELU, nn.FanOutMode), 0.75 / math.Sqrt(2400), math.Sqrt(3)},
		"kaiming normal":           {nn.KaimingNormal(nn.GainLinear, nn.FanInMode), 1 / math.Sqrt(400), 0},
		"kaiming normal, out":      {nn.KaimingNormal(nn.GainLeakyReLU(1), nn.FanOutMode), 1 / math.Sqrt(2400), 0},
		"fan in":                   {nn.FanIn(3), 3 / math.Sqrt(400), 0},
		"torch":                    {nn.TorchLinear(), 1 / math.Sqrt(3*400), math.Sqrt(3)},
		"truncated at 2 std":       {nn.TruncNormal(0.02, 0.04), 0.02 * 0.8796, 2 / 0.8796}, // √(1 − 4φ(2)/(2Φ(2)−1))
		"truncated at a tenth":     {nn.TruncNormal(10, 1), 1 / math.Sqrt(3), math.Sqrt(3)}, // as good as uniform
		"truncated where none are": {nn.TruncNormal(0.5, 50), 0.5, 0},
	} {
		w.Fill(math.NaN())
		c.init(w, r)
		mean, std, largest := moments(w)
		if math.Abs(std-c.std) > 0.01*c.std || math.Abs(mean) > 0.02*c.std {
			t.Errorf("%s: mean %g, standard deviation %g, want 0 and %g", name, mean, std, c.std)
		}
		if c.cut > 0 && (largest > c.cut*c.std*1.001 || largest < c.cut*c.std*0.99) {
			t.Errorf("%s: the largest is %g, want %g", name, largest, c.cut*c.std)
		}
		if c.cut == 0 && largest < 4*c.std {
			t.Errorf("%s: the largest is %g: no tails", name, largest)
		}
	}
}

func TestFansAreCountedAsPyTorchDoes(t *testing.T) {
	g := openGoldens(t, "inits.safetensors")
	r := tensor.NewRand(2)
	for _, shape := range [][]int{{3, 5}, {6, 4, 3}, {8, 2, 3, 5}, {4, 1, 2, 2, 2}} {
		name := "fans." + strings.ReplaceAll(strings.Trim(fmt.Sprint(shape), "[]"), " ", "x")
		w := tensor.Empty(tensor.CPU(), tensor.F32, shape...)
		in, out := nn.Fans(w)
		if want := tensor.ToSlice[int32](g.get(t, name)); !slices.Equal(want, []int32{int32(in), int32(out)}) {
			t.Errorf("%v: %d in, %d out, want %v", shape, in, out, want)
		}
		for i, init := range []nn.Init{
			nn.XavierUniform(nn.GainTanh),
			nn.KaimingUniform(nn.GainReLU, nn.FanInMode),
			nn.KaimingUniform(nn.GainLeakyReLU(0.2), nn.FanOutMode),
		} {
			largest := 0.0
			for range 2000 {
				init(w, r)
				_, _, m := moments(w)
				largest = max(largest, m)
			}
			if want := g.get(t, name+".bounds").Float64s()[i]; math.Abs(largest-want) > 0.001*want {
				t.Errorf("%v, initialiser %d: the largest of 2000 is %g, PyTorch's %g", shape, i, largest, want)
			}
		}
	}
	g.allRead(t)
}

func TestOrthogonalMakesRowsOrColumnsOrthonormal(t *testing.T) {
	d := tensor.CPU()
	for _, shape := range [][]int{{5, 5}, {7, 3}, {3, 7}, {4, 2, 3}, {1, 6}, {6, 1}, {1, 1}, {90, 70}, {0, 4}} {
		w := tensor.Empty(d, tensor.F64, shape...)
		nn.Orthogonal(1.5)(w, tensor.NewRand(3))
		if w.Len() == 0 {
			continue
		}
		s := d.NewScope()
		m := w.In(s).Reshape(shape[0], -1)
		if m.Dim(0) > m.Dim(1) {
			m = m.T()
		}
		gram := m.MatMul(m.T()).Float64s()
		for i, v := range gram {
			want := 0.0
			if i%(m.Dim(0)+1) == 0 {
				want = 1.5 * 1.5
			}
			if math.Abs(v-want) > 1e-12 {
				t.Fatalf("%v: element %d of the Gram matrix is %g, want %g", shape, i, v, want)
			}
		}
		s.Close()
	}
}

func TestOrthogonalMatricesAreDrawnFromAllOfThem(t *testing.T) {
	// The mean of every element is zero only if signs are undone that the decomposition prefers.
	r := tensor.NewRand(4)
	w := tensor.Empty(tensor.CPU(), tensor.F32, 3, 3)
	sum := make([]float64, 9)
	for range 2000 {
		nn.Orthogonal(1)(w, r)
		for i, v := range w.Float64s() {
			sum[i] += v / 2000
		}
	}
	for i, v := range sum {
		if math.Abs(v) > 5/math.Sqrt(3*2000) {
			t.Errorf("the mean of element %d is %g", i, v)
		}
	}
}

func TestInitialisersConvertToTheParametersDType(t *testing.T) {
	for _, dt := range []tensor.DType{tensor.F64, tensor.BF16} {
		for name, init := range map[string]nn.Init{"truncated": nn.TruncNormal(1, 2), "orthogonal": nn.Orthogonal(1)} {
			p, q := tensor.Empty(tensor.CPU(), dt, 4, 6), tensor.Empty(tensor.CPU(), dt, 4, 6)
			init(p, tensor.NewRand(5))
			init(q, tensor.NewRand(5))
			if _, std, _ := moments(p); std == 0 || std != std || !slices.Equal(p.Bytes(), q.Bytes()) {
				t.Errorf("%s of %v: std %g, or not the same twice", name, dt, std)
			}
		}
	}
}

func TestInitialisersSayWhatTheyWant(t *testing.T) {
	r := tensor.NewRand(6)
	v := tensor.Empty(tensor.CPU(), tensor.F32, 4)
	mustSay(t, "xavier", func() { nn.XavierUniform(1)(v, r) }, "nn.Fans f32[4]", "only a weight [out, in, ...] has fans")
	mustSay(t, "kaiming", func() { nn.KaimingNormal(1, nn.FanOutMode)(v, r) }, "nn.Fans f32[4]")
	mustSay(t, "orthogonal", func() { nn.Orthogonal(1)(v, r) }, "nn.Orthogonal f32[4]")
	mustSay(t, "truncated", func() { nn.TruncNormal(0, 1)(v, r) }, "nn.TruncNormal f32[4]", "must be positive")
}

type custom struct {
	Scale *tensor.Tensor `param:"scale"`
	Inner *nn.Linear     `param:"inner"`
	calls int
}

func (c *custom) ResetParameters(*tensor.Rand) {
	c.calls++
	c.Scale.Fill(2)
	c.Inner.Weight.Fill(3)
}

func TestInitializeGivesEveryLayerTheValuesThatPyTorchDoes(t *testing.T) {
	d, f32 := tensor.CPU(), tensor.F32
	shared := &custom{Scale: tensor.Empty(d, f32, 1), Inner: nn.NewLinear(d, f32, 2, 2, false)}
	m := struct {
		Embed   *nn.Embedding  `param:"embed"`
		Linear  nn.Linear      `param:"linear"`
		Norm    *nn.LayerNorm  `param:"norm"`
		Layers  []nn.Layer     `param:"layers"`
		Custom  []*custom      `param:"custom"`
		Raw     *tensor.Tensor `param:"raw"`
		Missing *nn.Linear     `param:"missing"`
		Other   *nn.Linear     // not tagged
		Pair    [2]*nn.RMSNorm `param:"pair"`
	}{
		Embed: nn.NewEmbedding(d, f32, 200, 50), Linear: *nn.NewLinear(d, f32, 100, 300, true), Norm: nn.NewLayerNorm(d, f32, 3, 1e-5),
		Layers: []nn.Layer{nn.ReLU{}, nn.Residual{Layer: nn.NewLinear(d, f32, 100, 100, true)}, nil},
		Custom: []*custom{shared, shared}, Raw: tensor.Full(d, f32, 9, 2), Other: nn.NewLinear(d, f32, 2, 2, false),
		Pair: [2]*nn.RMSNorm{nn.NewRMSNorm(d, f32, 2, 1e-5), nn.NewRMSNorm(d, f32, 2, 1e-5)},
	}
	m.Other.Weight.Fill(8)
	nn.Initialize(&m, tensor.NewRand(1))
	if _, std, _ := moments(m.Embed.Weight); math.Abs(std-1) > 0.02 {
		t.Errorf("the embedding's std is %g", std)
	}
	residual := m.Layers[1].(nn.Residual).Layer.(*nn.Linear)
	for name, p := range map[string]T{"weight": m.Linear.Weight, "bias": m.Linear.Bias, "inner weight": residual.Weight, "inner bias": residual.Bias} {
		if _, std, largest := moments(p); largest > 0.1 || math.Abs(std-0.1/math.Sqrt(3)) > 0.007 {
			t.Errorf("%s: std %g, largest %g", name, std, largest)
		}
	}
	for name, c := range map[string]struct {
		p    T
		want float64
	}{"norm weight": {m.Norm.Weight, 1}, "norm bias": {m.Norm.Bias, 0}, "scale": {shared.Scale, 2}, "inner": {shared.Inner.Weight, 3},
		"raw": {m.Raw, 9}, "untagged": {m.Other.Weight, 8}, "pair": {m.Pair[1].Weight, 1}} {
		if mean, std, _ := moments(c.p); mean != c.want || std != 0 {
			t.Errorf("%s is %v, want %g", name, c.p, c.want)
		}
	}
	if shared.calls != 1 {
		t.Errorf("a shared layer was drawn %d times", shared.calls)
	}
}
