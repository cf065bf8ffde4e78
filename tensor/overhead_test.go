package tensor_test

import (
	"testing"

	"github.com/hone-ml/hone/tensor"
)

// A small op makes its result, a record of itself on a tape, and little else: at most three allocations, one more
// where it is made of two ops. BenchmarkOpOnOneElement has the times.
func TestSmallOpsMakeLittleGarbage(t *testing.T) {
	d := tensor.NewTestDevice(0)
	w := paramOf(d, []float32{1})
	for name, open := range map[string]func() *tensor.Scope{"scope": d.NewScope, "tape": d.NewTape} {
		s := open()
		x := w.In(s)
		m := x.Reshape(1, 1)
		for _, c := range smallOps {
			most := 3.0
			if name == "tape" && (c.name == "Sum" || c.name == "Where") {
				most = 4
			}
			if n := testing.AllocsPerRun(500, func() { c.fn(x, m) }); n > most {
				t.Errorf("%s on a %s allocates %v times", c.name, name, n)
			}
		}
		s.Close()
	}
}

// What is small goes another way than what is large, and must give the same bits.
func TestSmallAndLargeTensorsGiveTheSameBits(t *testing.T) {
	s := tensor.NewTestDevice(0).NewScope()
	defer s.Close()
	const n = 5000 // more than what counts as small
	for _, dt := range []tensor.DType{tensor.F32, tensor.F64, tensor.BF16, tensor.F16, tensor.I32, tensor.U8} {
		x := tensor.Randn(s, tensor.F32, tensor.NewRand(1), 4, n).To(dt)
		y := tensor.Randn(s, tensor.F32, tensor.NewRand(2), 4, n).Abs().AddScalar(1).To(dt)
		ops := map[string]func(x, y T) T{
			"Add": T.Add, "Div": T.Div, "Maximum": T.Maximum, "Remainder": T.Remainder, "Lt": T.Lt, "Ge": T.Ge,
			"Neg":       func(x, _ T) T { return x.Neg() },
			"MulScalar": func(x, _ T) T { return x.MulScalar(3) },
			"LeScalar":  func(x, _ T) T { return x.LeScalar(0.5) },
			"Where":     func(x, y T) T { return tensor.Where(x.GtScalar(0), x, y) },
			"To":        func(x, _ T) T { return x.To(tensor.F64) },
			"to I64":    func(x, _ T) T { return x.To(tensor.I64) },
			"to Bool":   func(x, _ T) T { return x.To(tensor.Bool) },
		}
		if dt.IsFloat() {
			for name, fn := range unaryGoldens {
				ops[name] = func(x, _ T) T { return fn(x) }
			}
			ops["pow"], ops["atan2"] = T.Pow, T.Atan2
		}
		for name, fn := range ops {
			large := fn(x, y)
			for _, at := range [][2]int{{0, 1}, {100, 117}, {3000, 4000}} {
				same(t, name+" of "+dt.String(), fn(x.Slice(0, at[0], at[1]), y.Slice(0, at[0], at[1])), large.Slice(0, at[0], at[1]))
			}
		}
	}
}
