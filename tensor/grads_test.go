package tensor_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/hone-ml/hone/tensor"
)

func TestGradsFollowTheOrderOfTheParameters(t *testing.T) {
	d := tensor.NewTestDevice(0)
	r := tensor.NewRand(1)
	a, b, c := param(d, r, tensor.F32, 3), param(d, r, tensor.BF16, 2, 2), param(d, r, tensor.F32, 17)
	frozen := tensor.Ones(d, tensor.F32, 5)
	g := tensor.NewGrads(named(b, frozen, a, b, c), tensor.F32)
	var names []string
	for name, v := range g.All() {
		names = append(names, fmt.Sprint(name, v.DType(), " ", v.Shape()))
	}
	if want := []string{"p0f32 [2 2]", "p2f32 [3]", "p4f32 [17]"}; !slices.Equal(names, want) {
		t.Errorf("got %v, want %v: in order, without what is frozen, each once", names, want)
	}
	first := tensor.Address(g.Flat())
	if tensor.Address(g.Of(b)) != first || tensor.Address(g.Of(a)) != first+64 || tensor.Address(g.Of(c)) != first+128 || g.Flat().Len() != 16+16+32 {
		t.Error("gradients do not start on cache lines one behind the other")
	}
	if !g.Has(a) || g.Has(frozen) {
		t.Error("Has is wrong")
	}
	mustSay(t, "Of a frozen tensor", func() { g.Of(frozen) }, "Grads.Of", "not among")
	for range g.All() {
		break // an iteration may end early
	}
}

func TestPaddingBetweenGradientsStaysZero(t *testing.T) {
	d := tensor.NewTestDevice(0)
	r := tensor.NewRand(1)
	a, b := param(d, r, tensor.F32, 3), param(d, r, tensor.F32, 5)
	g := tensor.NewGrads(named(a, b), tensor.F32)
	s := d.NewTape()
	defer s.Close()
	a.In(s).Exp().Sum().Mul(b.In(s).Exp().Sum()).Backward(g)
	g.Scale(3)
	g.Clip(0.1)
	tensor.SumGrads(g, g)
	flat := g.Flat().Float64s()
	for i, v := range flat {
		if in := i < 3 || i >= 16 && i < 21; in != (v != 0) {
			t.Errorf("element %d of the flat buffer is %g", i, v)
		}
	}
}

func TestNewGradsExplainsItsMisuse(t *testing.T) {
	d := tensor.NewTestDevice(0)
	p := param(d, tensor.NewRand(1), tensor.F32, 3)
	q := param(tensor.NewTestDevice(0), tensor.NewRand(1), tensor.F32, 3)
	mustSay(t, "F16 gradients", func() { tensor.NewGrads(named(p), tensor.F16) }, "NewGrads", "f16")
	mustSay(t, "nothing trainable", func() { tensor.NewGrads(named(tensor.Ones(d, tensor.F32, 3)), tensor.F32) }, "SetTrainable")
	mustSay(t, "two devices", func() { tensor.NewGrads(named(p, q), tensor.F32) }, "p1", "another device")
	other := tensor.NewGrads(named(param(d, tensor.NewRand(1), tensor.F32, 40)), tensor.F32)
	mustSay(t, "a sum of others", func() { tensor.SumGrads(tensor.NewGrads(named(p), tensor.F32), other) }, "SumGrads", "different parameters")
}

// filled are gradients of n parameters with known values.
func filled(d *tensor.Device, sizes ...int) (*tensor.Grads, []float64) {
	var ps []T
	for _, n := range sizes {
		ps = append(ps, param(d, tensor.NewRand(1), tensor.F32, n))
	}
	g := tensor.NewGrads(named(ps...), tensor.F32)
	r := tensor.NewRand(2)
	var all []float64
	for _, p := range ps {
		g.Of(p).FillRandn(r, 0, 1)
		all = append(all, g.Of(p).Float64s()...)
	}
	return g, all
}

func euclid(x []float64) float64 {
	sum := 0.0
	for _, v := range x {
		sum += v * v
	}
	return math.Sqrt(sum)
}

func TestNormIsTheEuclideanNorm(t *testing.T) {
	for name, device := range map[string]*tensor.Device{"fused": tensor.NewTestDevice(0), "composed": tensor.NewComposedDevice()} {
		for _, sizes := range [][]int{{1}, {3, 5}, {4096}, {5000, 16, 8191}, {1 << 16}, {3 << 18, 17}, {0, 2}, {0}} {
			g, all := filled(device, sizes...)
			if got, want := g.Norm(), euclid(all); math.Abs(got-want) > 1e-6*want {
				t.Errorf("%s %v: norm %v, want %v", name, sizes, got, want)
			}
		}
	}
}

func TestClipScalesAsTorchDoes(t *testing.T) {
	for _, c := range []float64{0.5, 5, 1e9} {
		g, all := filled(tensor.NewTestDevice(0), 100, 30)
		norm := euclid(all)
		if got := g.Clip(c); math.Abs(got-norm) > 1e-6*norm {
			t.Errorf("Clip gave the norm %v, want %v", got, norm)
		}
		want := min(c/(norm+1e-6), 1) * norm
		if got := g.Norm(); math.Abs(got-want) > 1e-6*want {
			t.Errorf("clipped to %v the norm is %v, want %v", c, got, want)
		}
	}
	g, _ := filled(tensor.NewTestDevice(0), 10)
	before := g.Flat().Bytes()
	g.Clip(1e9)
	if !slices.Equal(before, g.Flat().Bytes()) {
		t.Error("a norm under the limit changed the gradients")
	}
}

func TestZeroScaleAndSum(t *testing.T) {
	d := tensor.NewTestDevice(0)
	a, x := filled(d, 20)
	b, y := filled(d, 20)
	a.Scale(0.5)
	tensor.SumGrads(a, b, b)
	want := make([]float64, 20)
	for i := range want {
		want[i] = x[i]/2 + 2*y[i]
	}
	near(t, "sum", a.Flat().Slice(0, 0, 20).Float64s(), want, 1e-6)
	a.Zero()
	if a.Norm() != 0 {
		t.Error("Zero left something")
	}
}

func TestSumGradsAddsInTheOrderGiven(t *testing.T) {
	d := tensor.NewTestDevice(0)
	grads := func(v float32) *tensor.Grads {
		p := paramOf(d, []float32{0})
		g := tensor.NewGrads(named(p), tensor.F32)
		g.Of(p).Fill(float64(v))
		return g
	}
	sum := func(vs ...float32) float64 {
		dst := grads(0)
		src := make([]*tensor.Grads, len(vs))
		for i, v := range vs {
			src[i] = grads(v)
		}
		tensor.SumGrads(dst, src...)
		return dst.Flat().Index(0).Item()
	}
	if got := sum(1e8, 1, -1e8); got != 0 { // the 1 is lost behind 1e8 in F32
		t.Errorf("(1e8 + 1) − 1e8 = %v", got)
	}
	if got := sum(1e8, -1e8, 1); got != 1 {
		t.Errorf("(1e8 − 1e8) + 1 = %v", got)
	}
}

func TestMicroBatchesGiveTheGradientsOfTheWhole(t *testing.T) {
	for _, dt := range []tensor.DType{tensor.F32, tensor.BF16} {
		d := tensor.NewTestDevice(0)
		m := tinyModel(d, dt)
		const rows, length = 8, 9
		divisor := float64(rows * (length - 1))
		r := tensor.NewRand(3)
		bias, scale, mix := param(d, r, dt, 16), param(d, r, dt, 1, 1), param(d, r, dt, 16, 16)
		m.wrap = func(fn tensor.BlockFunc, x ...T) []T { // parameters whose gradients are sums over broadcast axes
			h := tensor.Linear(x[0], mix, bias).Mul(scale).Add(bias)
			h = h.MatMul(mix).To(tensor.F32).MatMul(mix.In(h.Scope()).To(tensor.F32)).To(dt)
			h = mix.In(h.Scope()).MatMul(h.T()).T()
			return fn(tensor.RMSNorm(h, bias, 1e-6), x[1], x[2])
		}
		run := func(parts int) []T {
			ps := append(m.params(), bias, scale, mix)
			g := tensor.NewGrads(named(ps...), tensor.F32)
			s := d.NewTape()
			defer s.Close()
			for i := range parts {
				m.slice(s, rows, length, i*rows/parts, (i+1)*rows/parts, 0, divisor).Backward(g)
				s.Reset()
			}
			var out []T
			for _, v := range g.All() {
				out = append(out, v)
			}
			return out
		}
		whole, parts := run(1), run(8)
		for i := range whole {
			near(t, fmt.Sprint(dt, " parameter ", i, whole[i].Shape()), parts[i].Float64s(), whole[i].Float64s(), 1e-5)
		}
	}
}

func TestF64GradsOfNarrowerParameters(t *testing.T) {
	for _, dt := range []tensor.DType{tensor.F32, tensor.BF16} {
		d := tensor.NewTestDevice(0)
		m := tinyModel(d, dt)
		var flat []T
		for _, gradType := range []tensor.DType{tensor.F32, tensor.F64} {
			g := tensor.NewGrads(named(m.params()...), gradType)
			s := d.NewTape()
			m.loss(s, 2, 7, 0, 0).Backward(g)
			s.Close()
			flat = append(flat, g.Flat())
		}
		near(t, dt.String(), flat[1].Float64s(), flat[0].Float64s(), 1e-5)
	}
}

func TestBF16GradsAreTheF32OnesRounded(t *testing.T) {
	for _, dt := range []tensor.DType{tensor.F32, tensor.BF16} {
		d := tensor.NewTestDevice(0)
		m := tinyModel(d, dt)
		grads := func(gradType tensor.DType) *tensor.Grads {
			g := tensor.NewGrads(named(m.params()...), gradType)
			s := d.NewTape()
			defer s.Close()
			m.loss(s, 2, 7, 0, 0).Backward(g)
			return g
		}
		exact, rounded := grads(tensor.F32), grads(tensor.BF16)
		for _, p := range m.params() {
			near(t, dt.String(), rounded.Of(p).Float64s(), exact.Of(p).Float64s(), 1e-2)
		}
		if got, want := rounded.Norm(), exact.Norm(); math.Abs(got-want) > 1e-2*want {
			t.Errorf("%s: norm %g, want %g", dt, got, want)
		}
	}
}

// unseen are gradients, the same each time, of which no view has been given away.
func unseen(d *tensor.Device) (g *tensor.Grads, p T, once func()) {
	p = param(d, tensor.NewRand(1), tensor.F32, 50)
	g = tensor.NewGrads(named(p), tensor.F32)
	once = func() {
		s := d.NewTape()
		defer s.Close()
		p.In(s).Square().Sum().Backward(g)
	}
	once()
	return g, p, once
}

func TestClippingIsLeftToTheReaderUntilAViewIsAskedFor(t *testing.T) {
	d := tensor.NewTestDevice(0)
	plain, q, _ := unseen(d)
	want := plain.Of(q).Float64s()
	norm := euclid(want)
	half := func(x []float64) []float64 {
		y := make([]float64, len(x))
		for i := range x {
			y[i] = x[i] / 2
		}
		return y
	}

	g, p, _ := unseen(d)
	g.Clip(norm / 2)
	if f := g.Factor(); math.Abs(f-0.5) > 1e-6 {
		t.Errorf("the factor is %g", f)
	}
	near(t, "unscaled", g.Unscaled(p).Float64s(), want, 0)
	if got := g.Norm(); math.Abs(got-norm/2) > 1e-6*norm {
		t.Errorf("the norm is %g, want %g", got, norm/2)
	}
	near(t, "a view", g.Of(p).Float64s(), half(want), 1e-6)
	if f := g.Factor(); f != 1 {
		t.Errorf("the factor is %g beside a view", f)
	}

	// From now on the view must be right at once.
	view := g.Of(p)
	g.Scale(0.5)
	near(t, "an old view", view.Float64s(), half(half(want)), 1e-6)

	for name, read := range map[string]func(g *tensor.Grads) []float64{
		"Flat": func(g *tensor.Grads) []float64 { return g.Flat().Slice(0, 0, 50).Float64s() },
		"SumGrads": func(g *tensor.Grads) []float64 {
			sum := tensor.NewGrads(named(p), tensor.F32)
			tensor.SumGrads(sum, g)
			return sum.Flat().Slice(0, 0, 50).Float64s()
		},
		"All": func(g *tensor.Grads) (x []float64) {
			for _, v := range g.All() {
				x = append(x, v.Float64s()...)
			}
			return x
		},
	} {
		g, _, _ := unseen(d)
		g.Scale(0.5)
		near(t, name, read(g), half(want), 1e-6)
	}

	g, p, once := unseen(d)
	g.Scale(0.5)
	once()
	sum := half(want)
	for i := range sum {
		sum[i] += want[i]
	}
	near(t, "Backward after Scale", g.Of(p).Float64s(), sum, 1e-6)

	g, p, once = unseen(d)
	g.Scale(0.5)
	g.Zero()
	once()
	near(t, "Backward after Scale and Zero", g.Of(p).Float64s(), want, 0)
}

func TestTheFirstGradientsAfterZeroOverwriteWhatWasThere(t *testing.T) {
	for _, dt := range []tensor.DType{tensor.F32, tensor.BF16} {
		for _, gradients := range []tensor.DType{tensor.F32, tensor.BF16} {
			d := tensor.NewTestDevice(0)
			r := tensor.NewRand(4)
			w, v := param(d, r, dt, 5, 5), param(d, r, dt, 5)
			unused := param(d, r, dt, 3)
			params := []T{w, v, unused}
			step := func(g *tensor.Grads) {
				s := d.NewTape()
				defer s.Close()
				h := w.In(s).MatMul(w.In(s)) // twice in one op,
				h = tensor.Linear(tensor.RMSNorm(h, v, 1e-6), w, nil).Add(v)
				loss := tensor.LinearCrossEntropy(w.In(s), w, tensor.FromSlice(s, []int32{1, 2, 3, 4, 0}), tensor.CrossEntropyOptions{}) // as rows and columns,
				tensor.Embedding(w, tensor.FromSlice(s, []int32{0, 0, 4})).Sum().Add(h.Sum()).To(tensor.F32).Add(loss).Backward(g)       // and by rows
			}
			fresh := tensor.NewGrads(named(params...), gradients)
			step(fresh)
			step(fresh) // two micro-batches
			want, norm := fresh.Flat().Bytes(), fresh.Norm()

			g := tensor.NewGrads(named(params...), gradients)
			for range 3 {
				step(g)
				g.Clip(0.5)
				g.Zero()
			}
			if n := g.Norm(); n != 0 {
				t.Errorf("after Zero the norm is %g", n)
			}
			g.Zero()
			step(g)
			step(g)
			if n := g.Norm(); n != norm {
				t.Errorf("%s in %s: the norm is %g, want %g", dt, gradients, n, norm)
			}
			if got := g.Unscaled(unused).Float64s(); got[0] != 0 {
				t.Errorf("a parameter that the loss does not depend on has gradient %v", got)
			}
			if string(g.Flat().Bytes()) != string(want) {
				t.Errorf("%s in %s: the gradients differ from those in new memory", dt, gradients)
			}
			g.Zero()
			near(t, "zeroed views", g.Of(w).Float64s(), make([]float64, 25), 0)
		}
	}
}
