package tensor_test

import (
	"testing"

	"github.com/hone-ml/hone/tensor"
)

var recomputes = []tensor.Recompute{tensor.RecomputeNone, tensor.RecomputeSelective, tensor.RecomputeBlock}

func TestRecomputeHasNames(t *testing.T) {
	for _, r := range recomputes {
		if got, err := tensor.ParseRecompute(r.String()); err != nil || got != r {
			t.Errorf("%d is %q, which is parsed as %v, %v", r, r, got, err)
		}
	}
	if _, err := tensor.ParseRecompute("all"); err == nil {
		t.Error("all is accepted")
	}
}

// kept is the memory that a block holds for backward beside its output and what existed before.
func kept(t *testing.T, d *tensor.Device, r tensor.Recompute, fn tensor.BlockFunc) (bytes int, gradients []byte) {
	t.Helper()
	rand := tensor.NewRand(1)
	x, w, v := param(d, rand, tensor.F32, 8, 32), param(d, rand, tensor.F32, 32, 32), param(d, rand, tensor.F32, 32)
	g := tensor.NewGrads(named(x, w, v), tensor.F32)
	s := d.NewTape()
	defer s.Close()
	in := x.In(s).MulScalar(1)
	before := s.InUse()
	y := r.Block(fn, in, w.In(s), v.In(s))
	bytes = s.InUse() - before
	for _, o := range y {
		bytes -= 4 * o.Len()
	}
	loss := y[0].Square().Sum()
	for _, o := range y[1:] {
		loss = loss.Add(o.Square().Sum())
	}
	loss.Backward(g)
	return bytes, g.Flat().Bytes()
}

func TestSelectiveKeepsTheResultsOfProductsAndWhatCannotBeComputedFromThem(t *testing.T) {
	const matrix, rows = 4 * 8 * 32, 64
	for _, c := range []struct {
		name            string
		none, selective int
		fn              tensor.BlockFunc
	}{
		{"a chain of cheap ops after a product", 4 * matrix, matrix, func(x ...T) []T {
			h := tensor.Linear(x[0], x[1], nil)
			return []T{h.Exp().Tanh().Sigmoid().Mul(h)}
		}},
		{"a product's input", matrix + rows, rows, func(x ...T) []T { // the norm's statistics, and x, which the block does not own
			return []T{tensor.Linear(tensor.RMSNorm(x[0], x[2], 1e-6), x[1], nil)}
		}},
		{"SwiGLU between products", 3 * matrix, 2 * matrix, func(x ...T) []T {
			gate, up := tensor.Linear(x[0], x[1], nil), tensor.Linear(x[0], x[1], nil)
			return []T{tensor.Linear(tensor.SwiGLU(gate, up), x[1], nil)}
		}},
		{"a sum whose terms nobody keeps", matrix, matrix, func(x ...T) []T {
			h := tensor.Linear(x[0], x[1], nil).Add(x[0].MatMul(x[1]))
			return []T{h.Square()}
		}},
		{"a mask of random numbers", matrix, 0, func(x ...T) []T {
			return []T{tensor.Dropout(x[0].MatMul(x[1]), 0.5)}
		}},
		{"an input that is needed before the product that it belongs to", 2 * matrix, matrix, func(x ...T) []T {
			h := tensor.Linear(x[0], x[1], nil)
			e := h.AddScalar(1).Exp()       // computed again from h …
			return []T{e.Neg(), h.Square()} // … whose own use comes first in backward
		}},
	} {
		d := tensor.NewTestDevice(0)
		none, want := kept(t, d, tensor.RecomputeNone, c.fn)
		selective, got := kept(t, d, tensor.RecomputeSelective, c.fn)
		if none != c.none || selective != c.selective {
			t.Errorf("%s: %d bytes are kept, selectively %d; want %d and %d", c.name, none, selective, c.none, c.selective)
		}
		if string(got) != string(want) {
			t.Errorf("%s: the gradients differ", c.name)
		}
	}
}

func TestRecomputeKeepsGradientsToTheBitOnDevicesWithoutFusedKernels(t *testing.T) {
	for _, dt := range []tensor.DType{tensor.F32, tensor.BF16, tensor.F64} {
		d := tensor.NewComposedDevice()
		m := tinyModel(d, dt)
		for _, l := range m.layers {
			l.dropout = 0.3
		}
		var want T
		for _, r := range recomputes {
			m.wrap = r.Block
			_, g, _ := m.train(d)
			if want == nil {
				want = g.Flat()
			}
			same(t, dt.String()+" "+r.String(), g.Flat(), want)
		}
	}
}

func TestMemoryOfABlockGoesAfterItsLastUseInBackward(t *testing.T) {
	const n, size, matrix = 16, 64, 4 * 64 * 64
	for _, r := range recomputes {
		d := tensor.NewTestDevice(0)
		w := param(d, tensor.NewRand(1), tensor.F32, size, size)
		g := tensor.NewGrads(named(w), tensor.F32)
		s := d.NewTape()
		left := -1
		probe := tensor.CustomOp{Name: "probe",
			Forward:  func(_ *tensor.Scope, in []T) (out, saved []T) { return in, nil },
			Backward: func(dy, _ []T, _ []bool) []T { left = s.InUse(); return dy },
		}
		y := r.Block(func(x ...T) []T {
			h := tensor.Custom(probe, x[0].MatMul(w))[0]
			for range n {
				h = h.MatMul(w)
			}
			return []T{h.MulScalar(1)}
		}, tensor.Ones(s, tensor.F32, size, size))[0]
		y.Sum().Backward(g)
		if left < matrix || left > 6*matrix { // input, output, and gradients
			t.Errorf("%s: %d matrices are left when backward gets to the first of %d products", r, left/matrix, n+1)
		}
		s.Close()
	}
}

func TestCustomOpsWorkInEveryKindOfBlock(t *testing.T) {
	d := tensor.NewTestDevice(0)
	twice := tensor.CustomOp{Name: "squares",
		Forward: func(_ *tensor.Scope, in []T) (out, saved []T) {
			y := in[0].Mul(in[0])
			return []T{y}, []T{in[0], y}
		},
		Backward: func(dy, saved []T, _ []bool) []T { return []T{dy[0].Mul(saved[0]).MulScalar(2)} },
	}
	var want []byte
	for _, r := range recomputes {
		_, got := kept(t, d, r, func(x ...T) []T {
			h := tensor.Linear(x[0], x[1], nil)
			return tensor.Custom(twice, tensor.Custom(twice, h.Tanh())[0].AddScalar(1))
		})
		if want == nil {
			want = got
		} else if string(got) != string(want) {
			t.Errorf("%s: the gradients differ", r)
		}
	}
}

func TestOverwritingWhatBackwardComputesFromPanics(t *testing.T) {
	d := tensor.NewTestDevice(0)
	w := param(d, tensor.NewRand(1), tensor.F32, 4)
	g := tensor.NewGrads(named(w), tensor.F32)
	s := d.NewTape()
	defer s.Close()
	table := tensor.Ones(s, tensor.F32, 4)
	y := tensor.Selective(func(x ...T) []T {
		h := x[0].Mul(x[1]) // keeps the table
		return []T{h.Mul(x[1].Exp())}
	}, w.In(s), table)[0]
	table.Fill(2)
	mustSay(t, "Backward", func() { y.Sum().Backward(g) }, "overwritten by an in-place op")
}

func TestAResultThatWasOverwrittenInTheBlockIsKept(t *testing.T) {
	var want []byte
	for _, r := range recomputes {
		d := tensor.NewTestDevice(0)
		_, got := kept(t, d, r, func(x ...T) []T {
			mask := x[0].Detach().GtScalar(0).To(tensor.F32)
			mask.Slice(0, 0, 1).Fill(3)
			return []T{x[0].MatMul(x[1]).Mul(mask)}
		})
		if want == nil {
			want = got
		} else if string(got) != string(want) {
			t.Errorf("%s: the gradients differ", r)
		}
	}
}
