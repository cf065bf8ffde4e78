package tensor_test

import (
	"slices"
	"testing"

	"github.com/hone-ml/hone/tensor"
)

func TestBlockAndCheckpointGiveTheSameGradientsInLessMemory(t *testing.T) {
	for _, dt := range []tensor.DType{tensor.F32, tensor.BF16} {
		d := tensor.NewTestDevice(0)
		m := newModel(d, dt, 6, 19, 16, 4, 2, 6, 24)
		for _, l := range m.layers {
			l.dropout = 0.2
		}
		loss, want, open := m.train(d)
		nested := func(outer, inner func(tensor.BlockFunc, ...T) []T) func(tensor.BlockFunc, ...T) []T {
			return func(fn tensor.BlockFunc, in ...T) []T {
				return outer(func(x ...T) []T {
					y := inner(func(x ...T) []T { return []T{x[0].MulScalar(1), x[1]} }, x[0], x[1])
					return inner(fn, y[0], y[1], x[2])
				}, in...)
			}
		}
		peaks := map[string]int{}
		for _, c := range []struct {
			name string
			wrap func(tensor.BlockFunc, ...T) []T
		}{
			{"Block", tensor.Block}, {"Selective", tensor.Selective}, {"Checkpoint", tensor.Checkpoint},
			{"Block in Block", nested(tensor.Block, tensor.Block)},
			{"Block in Selective", nested(tensor.Selective, tensor.Block)},
			{"Selective in Block", nested(tensor.Block, tensor.Selective)},
			{"Selective in Selective", nested(tensor.Selective, tensor.Selective)},
			{"Checkpoint in Selective", nested(tensor.Selective, tensor.Checkpoint)},
			{"Selective in Checkpoint", nested(tensor.Checkpoint, tensor.Selective)},
			{"Checkpoint in Block", nested(tensor.Block, tensor.Checkpoint)},
			{"Block in Checkpoint", nested(tensor.Checkpoint, tensor.Block)},
			{"Checkpoint in Checkpoint", nested(tensor.Checkpoint, tensor.Checkpoint)},
		} {
			m.wrap = c.wrap
			l, g, peak := m.train(d)
			peaks[c.name] = peak
			if l != loss {
				t.Errorf("%s: the loss is %v, without it %v", c.name, l, loss)
			}
			same(t, c.name, g.Flat(), want.Flat())
		}
		if block, selective, checkpoint := peaks["Block"], peaks["Selective"], peaks["Checkpoint"]; block >= open*9/10 || selective >= block*4/5 || checkpoint >= selective*3/4 {
			t.Errorf("%s: the peak is %d without, %d with Block, %d with Selective, %d with Checkpoint", dt, open, block, selective, checkpoint)
		}
	}
}

func TestBlockFreesAtOnceWhatInferenceDoesNotNeed(t *testing.T) {
	d := tensor.NewTestDevice(0)
	s := d.NewScope()
	defer s.Close()
	x := tensor.Ones(s, tensor.F32, 1<<10)
	before := s.InUse()
	var inside T
	y := tensor.Block(func(x ...T) []T {
		for range 10 {
			x[0] = x[0].AddScalar(1)
		}
		inside = x[0]
		return []T{x[0].MulScalar(2)}
	}, x)[0]
	if got := s.InUse() - before; got != 4<<10 {
		t.Errorf("after the block %d bytes more are in use, want the 4096 of its output", got)
	}
	near(t, "output", y.Slice(0, 0, 1).Float64s(), []float64{22}, 0)
	mustSay(t, "use of what the block freed", func() { inside.Exp() }, "Exp", "used after")
}

func TestATapeKeepsOfABlockOnlyWhatBackwardNeeds(t *testing.T) {
	d := tensor.NewTestDevice(0)
	w := paramOf(d, []float32{3}, 1)
	g := tensor.NewGrads(named(w), tensor.F32)
	s := d.NewTape()
	defer s.Close()
	x := tensor.Ones(s, tensor.F32, 1<<10)
	before := s.InUse()
	y := tensor.Block(func(x ...T) []T {
		h := x[0].Add(w)                      // Add needs nothing
		h = h.AddScalar(1).MulScalar(2).Exp() // Exp needs its result
		return []T{h.AddScalar(1).Neg()}
	}, x)[0]
	if got := s.InUse() - before; got != 2*4<<10 {
		t.Errorf("after the block %d bytes more are in use, want 8192: its output and what Exp keeps", got)
	}
	y.Mean().Backward(g)
	if got := s.InUse() - before; got > 2*4<<10 {
		t.Errorf("after Backward %d bytes more are in use than before the block", got)
	}
}

func TestATensorThatABlockCapturesPanics(t *testing.T) {
	d := tensor.NewTestDevice(0)
	s := d.NewTape()
	defer s.Close()
	x, captured := tensor.Ones(s, tensor.F32, 2), tensor.Ones(s, tensor.F32, 2)
	for name, run := range map[string]func(tensor.BlockFunc, ...T) []T{"Block": tensor.Block, "Selective": tensor.Selective, "Checkpoint": tensor.Checkpoint} {
		mustSay(t, name, func() { run(func(x ...T) []T { return []T{x[0].Add(captured)} }, x) }, "Add", "only as its argument")
		mustSay(t, name, func() { run(func(x ...T) []T { return []T{captured.Exp()} }, x) }, "does not belong to the block")
		mustSay(t, name, func() { run(func(x ...T) []T { return []T{nil} }, x) }, "output 0")
		mustSay(t, name, func() { run(func(x ...T) []T { return x }, x, nil) }, "input 1 is nil")
		mustSay(t, name, func() { run(func(x ...T) []T { return x }) }, name, "In")
	}
	var inside T
	p := param(d, tensor.NewRand(1), tensor.F32, 2)
	tensor.Block(func(x ...T) []T {
		inside = x[0].Mul(p).Exp() // lives on for backward
		return []T{inside.Neg()}
	}, x)
	mustSay(t, "use outside of what lives in a block", func() { inside.Neg() }, "Neg", "after Close")
}

// compareWraps runs fn on a tape directly, with Block and with Checkpoint, and compares the gradients.
func compareWraps(t *testing.T, fn func(wrap func(tensor.BlockFunc, ...T) []T, x, w T) T) {
	t.Helper()
	var want []byte
	for _, c := range []struct {
		name string
		wrap func(tensor.BlockFunc, ...T) []T
	}{{"direct", direct}, {"Block", tensor.Block}, {"Selective", tensor.Selective}, {"Checkpoint", tensor.Checkpoint}} {
		d := tensor.NewTestDevice(0)
		r := tensor.NewRand(3)
		w, v := param(d, r, tensor.F64, 3, 3), param(d, r, tensor.F64, 3, 3)
		g := tensor.NewGrads(named(w, v), tensor.F64)
		s := d.NewTape()
		fn(c.wrap, v.In(s).Tanh(), w).Square().Sum().Backward(g)
		got := g.Flat().Bytes()
		if want == nil {
			want = got
		} else if !slices.Equal(got, want) {
			t.Errorf("%s gives other gradients: %v", c.name, g.Flat())
		}
		s.Close()
	}
}

func TestABlockMayReturnItsInput(t *testing.T) {
	compareWraps(t, func(wrap func(tensor.BlockFunc, ...T) []T, x, w T) T {
		y := wrap(func(x ...T) []T { return []T{x[0], x[0].MatMul(w)} }, x)
		return y[0].Mul(y[1])
	})
}

func TestANestedBlockMayReturnItsInput(t *testing.T) {
	compareWraps(t, func(wrap func(tensor.BlockFunc, ...T) []T, x, w T) T {
		return wrap(func(x ...T) []T {
			y := wrap(func(x ...T) []T { return x }, x...)[0]
			return []T{y.MatMul(w).Add(y)}
		}, x)[0]
	})
}

func TestABlockMayReturnATensorTwice(t *testing.T) {
	compareWraps(t, func(wrap func(tensor.BlockFunc, ...T) []T, x, w T) T {
		y := wrap(func(x ...T) []T {
			h := x[0].MatMul(w)
			return []T{h, h, h.T()}
		}, x)
		return y[0].Mul(y[1]).Add(y[2].MulScalar(3))
	})
}

func TestABlockMayReturnAViewOfItsInput(t *testing.T) {
	compareWraps(t, func(wrap func(tensor.BlockFunc, ...T) []T, x, w T) T {
		y := wrap(func(x ...T) []T { return []T{x[0].T(), x[0].Slice(0, 1, 2)} }, x)
		return y[0].MatMul(w).Mul(y[1])
	})
}

func TestABlockMayTakeAParameterAsItsInput(t *testing.T) {
	compareWraps(t, func(wrap func(tensor.BlockFunc, ...T) []T, x, w T) T {
		return wrap(func(x ...T) []T {
			return wrap(func(x ...T) []T { return []T{x[0].MatMul(x[1]).Add(tensor.Linear(x[0], x[1], nil))} }, x...)
		}, x, w.In(x.Scope()))[0]
	})
	compareWraps(t, func(wrap func(tensor.BlockFunc, ...T) []T, x, w T) T {
		return wrap(func(x ...T) []T { return []T{x[0].MatMul(x[1].In(x[0].Scope()))} }, x, w)[0]
	})
}

func TestABlockMayReturnAParameter(t *testing.T) {
	compareWraps(t, func(wrap func(tensor.BlockFunc, ...T) []T, x, w T) T {
		y := wrap(func(x ...T) []T { return []T{w.In(x[0].Scope()), x[0].Exp()} }, x)
		return y[0].MatMul(y[1])
	})
}

func TestOutputsThatNobodyUsesGetNoGradient(t *testing.T) {
	compareWraps(t, func(wrap func(tensor.BlockFunc, ...T) []T, x, w T) T {
		return wrap(func(x ...T) []T { return []T{x[0].Exp(), x[0].MatMul(w), x[0].GtScalar(0)} }, x)[1]
	})
}

func TestCheckpointRepeatsItsDropoutMask(t *testing.T) {
	d := tensor.NewTestDevice(0)
	w := paramOf(d, slices.Repeat([]float32{1}, 4096))
	g := tensor.NewGrads(named(w), tensor.F32)
	s := d.NewTape()
	defer s.Close()
	s.UseRand(tensor.NewRand(7))
	tensor.Dropout(w.In(s), 0.5) // the stream is somewhere
	y := tensor.Checkpoint(func(x ...T) []T { return []T{tensor.Dropout(x[0], 0.5)} }, w.In(s))[0]
	tensor.Dropout(w.In(s), 0.5) // and goes on
	state := s.Rand().State()
	y.Sum().Backward(g)
	same(t, "the gradient is the mask", g.Of(w), y) // y = w·mask, w = 1
	if s.Rand().State() != state {
		t.Error("Backward moved the scope's random stream")
	}
}

func TestACheckpointThatComputesSomethingElseTheSecondTimePanics(t *testing.T) {
	d := tensor.NewTestDevice(0)
	w := param(d, tensor.NewRand(1), tensor.F32, 4, 2)
	g := tensor.NewGrads(named(w), tensor.F32)
	s := d.NewTape()
	defer s.Close()
	calls := 0
	y := tensor.Checkpoint(func(x ...T) []T {
		calls++
		return []T{x[0].Slice(0, 0, calls).Exp()}
	}, w.In(s))[0]
	mustSay(t, "Backward", func() { y.Sum().Backward(g) }, "Checkpoint", "other outputs")
}

func TestAPanicInABlockLeavesTheScopeUsable(t *testing.T) {
	d := tensor.NewTestDevice(0)
	w := param(d, tensor.NewRand(1), tensor.F32, 4)
	g := tensor.NewGrads(named(w), tensor.F32)
	s := d.NewTape()
	defer s.Close()
	for name, run := range map[string]func(tensor.BlockFunc, ...T) []T{"Block": tensor.Block, "Selective": tensor.Selective, "Checkpoint": tensor.Checkpoint} {
		var inside T
		mustFail(t, name, func() {
			run(func(x ...T) []T {
				inside = x[0].Exp()
				return []T{inside.Add(tensor.Ones(x[0].Scope(), tensor.F32, 3))}
			}, w.In(s))
		})
		g.Zero()
		w.In(s).Sum().Backward(g)
		near(t, "gradient afterwards", g.Of(w).Float64s(), []float64{1, 1, 1, 1}, 0)
		s.Reset()
		mustSay(t, "what the failed block computed, after Reset", func() { inside.Item() }, "used after")
		if s.InUse() != 0 {
			t.Errorf("%d bytes are in use after Reset", s.InUse())
		}
	}
}
