package tensor_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/hone-ml/hone/tensor"
)

func TestATensorUsedSeveralTimesGetsTheSumOfItsGradients(t *testing.T) {
	d := tensor.NewTestDevice(0)
	w := paramOf(d, []float64{2, 3})
	g := tensor.NewGrads(named(w), tensor.F64)
	s := d.NewTape()
	defer s.Close()
	x := w.In(s).MulScalar(1)
	y := x.Mul(x).Add(x).Add(x.Reshape(2, 1).T().Reshape(2)).Add(w.In(s)) // x² + 3x
	y.Sum().Backward(g)
	near(t, "gradient", g.Of(w).Float64s(), []float64{7, 9}, 1e-15)
}

func TestBackwardAddsToTheGradients(t *testing.T) {
	d := tensor.NewTestDevice(0)
	w := paramOf(d, []float64{2, 3})
	g := tensor.NewGrads(named(w), tensor.F64)
	s := d.NewTape()
	defer s.Close()
	for range 3 {
		w.In(s).Square().Sum().Backward(g)
		s.Reset()
	}
	near(t, "gradient", g.Of(w).Float64s(), []float64{12, 18}, 1e-15)
}

func TestALossThatIsAParameterHasGradientOne(t *testing.T) {
	d := tensor.NewTestDevice(0)
	w := paramOf(d, []float64{2}, 1)
	g := tensor.NewGrads(named(w), tensor.F64)
	s := d.NewTape()
	defer s.Close()
	w.In(s).Backward(g)
	near(t, "gradient", g.Of(w).Float64s(), []float64{1}, 0)
}

func TestGradientsOfTensorsThatAreNotInGradsAreLeftOut(t *testing.T) {
	d := tensor.NewTestDevice(0)
	r := tensor.NewRand(1)
	w, frozen := param(d, r, tensor.F32, 5, 5), param(d, r, tensor.F32, 5, 5)
	norm := param(d, r, tensor.F32, 5)
	g := tensor.NewGrads(named(w), tensor.F32)
	s := d.NewTape()
	defer s.Close()
	ids, targets := tensor.FromSlice(s, []int32{1, 2, 1}), tensor.FromSlice(s, []int32{0, 4, 1})
	h := tensor.Embedding(frozen, ids)
	h = tensor.RMSNorm(tensor.Linear(h, frozen, norm), norm, 1e-6).MatMul(frozen).Mul(norm).Add(frozen.In(s).Slice(0, 0, 3))
	h = tensor.Block(func(x ...T) []T { return []T{x[0].MatMul(x[1])} }, h, frozen)[0]
	loss := tensor.LinearCrossEntropy(tensor.Linear(h, w, nil), frozen, targets, tensor.CrossEntropyOptions{})
	loss.Backward(g)
	if g.Norm() == 0 || g.Has(frozen) {
		t.Error("the parameter that is in the gradients got none")
	}
}

func TestBackwardExplainsItsMisuse(t *testing.T) {
	d := tensor.NewTestDevice(0)
	w := param(d, tensor.NewRand(1), tensor.F32, 2)
	g := tensor.NewGrads(named(w), tensor.F32)
	s := d.NewTape()
	defer s.Close()
	y := w.In(s).Exp()
	mustSay(t, "a loss of two elements", func() { y.Backward(g) }, "Backward", "f32[2]", "one element")
	mustSay(t, "a long-lived loss", func() { tensor.Ones(d, tensor.F32, 1).Backward(g) }, "not computed on a tape")
	mustSay(t, "a loss of constants", func() { tensor.Ones(s, tensor.F32, 1).Exp().Backward(g) }, "depends on no trainable tensor")
	mustSay(t, "no gradients", func() { y.Sum().Backward(nil) }, "NewGrads")
	loss, other := y.Sum(), y.Mean()
	loss.Backward(g)
	mustSay(t, "Backward twice", func() { loss.Backward(g) }, "Backward", "earlier Backward")
	mustSay(t, "Backward of a second loss", func() { other.Backward(g) }, "earlier Backward")
	mustSay(t, "a new loss of old tensors", func() { y.Mul(w).Sum().Backward(g) }, "earlier Backward", "Detach")
	g.Zero()
	y.Detach().Mul(w).Sum().Backward(g)
	near(t, "a new loss of detached tensors", g.Of(w).Float64s(), y.Float64s(), 0)
}

func TestALossInsideABlockThatHasEndedPanics(t *testing.T) {
	d := tensor.NewTestDevice(0)
	w := param(d, tensor.NewRand(1), tensor.F32, 2)
	s := d.NewTape()
	defer s.Close()
	var inside T
	tensor.Block(func(x ...T) []T {
		inside = x[0].Sum().Exp() // lives on for backward
		return []T{inside.Neg()}
	}, w.In(s))
	mustSay(t, "Backward", func() { inside.Backward(tensor.NewGrads(named(w), tensor.F32)) }, "Backward", "a Block that has ended")
}

func TestRecordingWhileBackwardRunsPanics(t *testing.T) {
	d := tensor.NewTestDevice(0)
	w := param(d, tensor.NewRand(1), tensor.F32, 2)
	s := d.NewTape()
	defer s.Close()
	x := w.In(s).Exp()
	y := tensor.Custom(tensor.CustomOp{
		Name:    "Captures",
		Forward: func(_ *tensor.Scope, x []T) (outputs, saved []T) { return []T{x[0].Neg()}, nil },
		Backward: func(dy, _ []T, _ []bool) []T {
			x.Sin() // of the forward's scope: it was not saved
			return dy
		},
	}, x)[0]
	mustSay(t, "Backward", func() { y.Sum().Backward(tensor.NewGrads(named(w), tensor.F32)) }, "Sin", "while its Backward runs")
}

func TestOverwritingWhatBackwardNeedsPanics(t *testing.T) {
	d := tensor.NewTestDevice(0)
	w := param(d, tensor.NewRand(1), tensor.F32, 2, 2)
	g := tensor.NewGrads(named(w), tensor.F32)
	for name, overwrite := range map[string]func(c T){
		"Fill":          func(c T) { c.Fill(1) },
		"a view's Fill": func(c T) { c.T().Slice(0, 0, 1).Fill(1) },
		"CopyFrom":      func(c T) { c.CopyFrom(w) },
		"CopyFromSlice": func(c T) { tensor.CopyFromSlice(c, []float32{1, 2, 3, 4}) },
		"FillUniform":   func(c T) { c.FillUniform(tensor.NewRand(1), 0, 1) },
		"the weight":    func(T) { w.Fill(2) },
	} {
		s := d.NewTape()
		c := tensor.Ones(s, tensor.F32, 2, 2)
		loss := w.In(s).Exp().MatMul(c).MatMul(w).Sum()
		overwrite(c)
		mustSay(t, name, func() { loss.Backward(g) }, "MatMul (backward)", "overwritten by an in-place op")
		s.Close()
	}
	s := d.NewTape()
	defer s.Close()
	c := tensor.Ones(s, tensor.F32, 2, 2)
	loss := w.In(s).Add(c).Sum() // Add keeps nothing
	c.Fill(7)
	loss.Backward(g)
	mustSay(t, "overwriting a recorded result", func() { w.In(s).Exp().Fill(1) }, "Fill", "recorded computation")
	mustSay(t, "overwriting a guest", func() { w.In(s).Fill(1) }, "Fill", "recorded computation")
}

func TestAPanicInBackwardLeavesTheTapeUsable(t *testing.T) {
	d := tensor.NewTestDevice(0)
	w := paramOf(d, []float32{1, 2})
	g := tensor.NewGrads(named(w), tensor.F32)
	s := d.NewTape()
	defer s.Close()
	boom := errors.New("boom")
	bad := tensor.CustomOp{
		Name:     "Bad",
		Forward:  func(_ *tensor.Scope, x []T) (outputs, saved []T) { return []T{x[0].Exp()}, nil },
		Backward: func(_, _ []T, _ []bool) []T { panic(boom) },
	}
	loss := tensor.Custom(bad, tensor.Block(func(x ...T) []T { return []T{x[0].Exp()} }, w.In(s))...)[0].Exp().Sum()
	func() {
		defer func() {
			if p := recover(); p != boom {
				t.Errorf("recovered %v", p)
			}
		}()
		loss.Backward(g)
	}()
	mustSay(t, "the same loss", func() { loss.Backward(g) }, "earlier Backward")
	g.Zero()
	w.In(s).Square().Sum().Backward(g)
	near(t, "a new loss", g.Of(w).Float64s(), []float64{2, 4}, 0)
	s.Reset()
	if s.InUse() != 0 {
		t.Errorf("%d bytes are in use after Reset", s.InUse())
	}
}

// A program is a random composition of ops, which shares memory wherever ops do.
type program struct {
	seed  uint64
	clone func(T) T                        // between ops
	wrap  func(tensor.BlockFunc, ...T) []T // around some of them
}

// run gives a scalar that depends on everything computed.
func (p program) run(x ...T) T {
	r := rand.New(rand.NewPCG(p.seed, 0))
	pool := slices.Clone(x)
	pick := func() T { return p.clone(pool[r.IntN(len(pool))]) }
	for range 14 {
		y := p.clone(p.op(r, pick))
		if y.Len() > 0 && y.Len() <= 200 {
			pool = append(pool, y)
		}
	}
	sum := tensor.Scalar[float64](x[0].Scope(), 0)
	for i, y := range pool[len(x):] {
		sum = sum.Add(p.clone(y).MulScalar(1 / float64(i+1)).Sum())
	}
	return sum
}

func (p program) op(r *rand.Rand, pick func() T) T {
	x := pick()
	rank := x.Rank()
	axis := func() int { return r.IntN(max(rank, 1)) }
	switch kind := r.IntN(20); {
	case kind == 0:
		return x.Flatten()
	case kind == 1 && x.Len()%2 == 0:
		return x.Reshape(2, -1)
	case kind == 2 && rank >= 2:
		return x.Transpose(axis(), axis())
	case kind == 3 && rank >= 1:
		a := axis()
		lo := r.IntN(x.Dim(a))
		return x.Slice(a, lo, lo+1+r.IntN(x.Dim(a)-lo))
	case kind == 4 && rank >= 1:
		return x.Index(r.IntN(x.Dim(0)))
	case kind == 5 && rank < tensor.MaxRank-1:
		return x.Unsqueeze(0).Expand(append([]int{2}, x.Shape()...)...)
	case kind == 6 && rank >= 1:
		return x.SumKeep(axis()).Expand(x.Shape()...)
	case kind == 7 && rank >= 1:
		return tensor.Cat(axis(), x, x)
	case kind == 8:
		return x.Add(x)
	case kind == 9:
		return x.Sub(x.MulScalar(0.5))
	case kind == 10:
		return x.Tanh().Mul(x)
	case kind == 11 && rank == 2:
		return x.Tanh().MatMul(x.T())
	case kind == 12 && rank >= 1:
		return x.Softmax()
	case kind == 13 && rank >= 1:
		return x.Add(x.Index(0))
	case kind == 14: // gives one gradient to both inputs, and that of the output itself
		y := x.Sin()
		return tensor.Custom(tensor.CustomOp{
			Name:     "Sum",
			Forward:  func(_ *tensor.Scope, x []T) (outputs, saved []T) { return []T{x[0].Add(x[1]).Add(x[2])}, nil },
			Backward: func(dy, _ []T, _ []bool) []T { return []T{dy[0], dy[0], dy[0]} },
		}, x, y, x)[0]
	case kind == 15:
		return p.wrap(func(x ...T) []T { return []T{x[0].Add(x[0].Flatten().Reshape(x[0].Shape()...)), x[0]} }, x)[r.IntN(2)]
	case kind == 16:
		return p.wrap(func(x ...T) []T {
			return p.wrap(func(x ...T) []T { return []T{x[0].Sin(), x[0]} }, x[0], x[0].Cos())
		}, x)[r.IntN(2)]
	case kind == 17 && rank >= 1:
		return x.Gather(tensor.FromSlice(x.Scope(), []int32{0, int32(x.Dim(0) - 1), 0}))
	case kind == 18:
		return x.Maximum(x.Neg())
	default:
		return x.Contiguous().AddScalar(1)
	}
}

// Gradients are views of each other wherever they can be, and are added to in place wherever that is safe.
// The oracle copies every operand and every result, so that no gradient shares memory with another.
func TestSharedGradientsAreNeverCorrupted(t *testing.T) {
	d := tensor.NewTestDevice(0)
	clone := func(x T) T { return x.MulScalar(1) }
	for seed := range uint64(400) {
		r := tensor.NewRand(seed)
		a, b := param(d, r, tensor.F64, 3, 4), param(d, r, tensor.F64, 2, 2, 3)
		gradients := func(p program) T {
			g := tensor.NewGrads(named(a, b), tensor.F64)
			s := d.NewTape()
			defer s.Close()
			p.run(a.In(s), b.In(s)).Backward(g)
			return g.Flat()
		}
		want := gradients(program{seed, clone, direct})
		for name, p := range map[string]program{
			"direct":     {seed, func(x T) T { return x }, direct},
			"Block":      {seed, func(x T) T { return x }, tensor.Block},
			"Checkpoint": {seed, func(x T) T { return x }, tensor.Checkpoint},
		} {
			if got := gradients(p); !(relative(got.Float64s(), want.Float64s()) < 1e-12) {
				t.Fatalf("seed %d, %s:\n got %v\nwant %v", seed, name, got.Float64s(), want.Float64s())
			}
		}
	}
}
