package tensor_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/hone-ml/hone/tensor"
)

// typedOps are the ops of docs/types.md, on a tensor of ones [2, 2].
var typedOps = map[string]func(x T) T{
	"Add": twice(T.Add), "Sub": twice(T.Sub), "Mul": twice(T.Mul), "Div": twice(T.Div), "Maximum": twice(T.Maximum), "Minimum": twice(T.Minimum),
	"Remainder": twice(T.Remainder), "Fmod": twice(T.Fmod), "Pow": twice(T.Pow), "Hypot": twice(T.Hypot), "Atan2": twice(T.Atan2),
	"Eq": twice(T.Eq), "Ne": twice(T.Ne), "Lt": twice(T.Lt), "Le": twice(T.Le), "Gt": twice(T.Gt), "Ge": twice(T.Ge),
	"And": twice(T.And), "Or": twice(T.Or), "Xor": twice(T.Xor), "Not": T.Not, "MatMul": twice(T.MatMul),
	"Neg": T.Neg, "Abs": T.Abs, "Square": T.Square, "Sign": T.Sign,
	"Exp": T.Exp, "Exp2": T.Exp2, "Expm1": T.Expm1, "Log": T.Log, "Log1p": T.Log1p, "Log2": T.Log2, "Log10": T.Log10,
	"Sqrt": T.Sqrt, "Rsqrt": T.Rsqrt, "Reciprocal": T.Reciprocal, "Erf": T.Erf, "Erfc": T.Erfc,
	"Sin": T.Sin, "Cos": T.Cos, "Tan": T.Tan, "Asin": T.Asin, "Acos": T.Acos, "Atan": T.Atan,
	"Sinh": T.Sinh, "Cosh": T.Cosh, "Tanh": T.Tanh, "Asinh": T.Asinh, "Acosh": T.Acosh, "Atanh": T.Atanh,
	"Floor": T.Floor, "Ceil": T.Ceil, "Trunc": T.Trunc, "Round": T.Round, "Frac": T.Frac,
	"Sigmoid": T.Sigmoid, "SiLU": T.SiLU, "ReLU": T.ReLU, "ReLU6": T.ReLU6, "SELU": T.SELU, "GELU": T.GELU, "GELUTanh": T.GELUTanh,
	"Softplus": T.Softplus, "LogSigmoid": T.LogSigmoid, "Mish": T.Mish, "HardSigmoid": T.HardSigmoid, "HardSwish": T.HardSwish,
	"IsNaN": T.IsNaN, "IsInf": T.IsInf, "IsFinite": T.IsFinite, "Softmax": T.Softmax, "LogSoftmax": T.LogSoftmax,
	"Sum": overAll(T.Sum), "Mean": overAll(T.Mean), "Max": overAll(T.Max), "Min": overAll(T.Min), "Prod": overAll(T.Prod),
	"LogSumExp": overAll(T.LogSumExp), "Any": overAll(T.Any), "All": overAll(T.All), "ArgMax": overAll(T.ArgMax), "ArgMin": overAll(T.ArgMin),
	"Lerp":            func(x T) T { return x.Lerp(x, 0.5) },
	"AddScalar":       func(x T) T { return x.AddScalar(2) },
	"MulScalar":       func(x T) T { return x.MulScalar(2) },
	"DivScalar":       func(x T) T { return x.DivScalar(2) },
	"PowScalar":       func(x T) T { return x.PowScalar(2) },
	"RemainderScalar": func(x T) T { return x.RemainderScalar(2) },
	"FmodScalar":      func(x T) T { return x.FmodScalar(2) },
	"Clamp":           func(x T) T { return x.Clamp(-0.5, 0.5) },
	"ClampMin":        func(x T) T { return x.ClampMin(-0.5) },
	"ClampMax":        func(x T) T { return x.ClampMax(0.5) },
	"LeakyReLU":       func(x T) T { return x.LeakyReLU(0.1) },
	"ELU":             func(x T) T { return x.ELU(1) },
	"EqScalar":        func(x T) T { return x.EqScalar(0.5) },
	"NeScalar":        func(x T) T { return x.NeScalar(0.5) },
	"LtScalar":        func(x T) T { return x.LtScalar(0.5) },
	"LeScalar":        func(x T) T { return x.LeScalar(0.5) },
	"GtScalar":        func(x T) T { return x.GtScalar(0.5) },
	"GeScalar":        func(x T) T { return x.GeScalar(0.5) },
	"Where":           func(x T) T { return tensor.Where(tensor.Ones(x.Scope(), tensor.Bool, 2), x, x) },
	"Tril":            func(x T) T { return x.Tril(0) },
	"Triu":            func(x T) T { return x.Triu(0) },
	"Reshape":         func(x T) T { return x.T().Reshape(4) },
	"Transpose":       func(x T) T { return x.Transpose(0, 1).Contiguous() },
	"Slice":           func(x T) T { return x.Slice(1, 0, 1).Contiguous() },
	"Expand":          func(x T) T { return x.Expand(2, 2, 2).Contiguous() },
	"Cat":             func(x T) T { return tensor.Cat(1, x, x) },
	"Gather":          func(x T) T { return x.Gather(tensor.FromSlice(x.Scope(), []int32{1, 0})) },
	"CumSum":          func(x T) T { return x.CumSum(0) },
	"CumProd":         func(x T) T { return x.CumProd(0) },
	"Var":             func(x T) T { return x.Var(0) },
	"Std":             func(x T) T { return x.Std(0) },
	"Norm":            func(x T) T { return x.Norm(2) },
	"SoftmaxAxis":     func(x T) T { return x.SoftmaxAxis(0) },
	"LogSoftmaxAxis":  func(x T) T { return x.LogSoftmaxAxis(0) },
	"Sort":            func(x T) T { return first(x.Sort(0, false)) },
	"TopK":            func(x T) T { return first(x.TopK(1, 0)) },
	"ArgSort":         func(x T) T { return x.ArgSort(0, true) },
	"Multinomial":     func(x T) T { return x.Multinomial(2, true) },
}

func twice(fn func(x, y T) T) func(x T) T { return func(x T) T { return fn(x, x) } }

func overAll(fn func(x T, axes ...int) T) func(x T) T { return func(x T) T { return fn(x) } }

func TestTheTableOfDTypesIsTrue(t *testing.T) {
	page, err := os.ReadFile("../docs/types.md")
	if err != nil {
		t.Fatal(err)
	}
	takes := map[string]func(dt tensor.DType) bool{
		"any":     func(tensor.DType) bool { return true },
		"numbers": func(dt tensor.DType) bool { return dt != tensor.Bool },
		"floats":  tensor.DType.IsFloat,
		"Bool":    func(dt tensor.DType) bool { return dt == tensor.Bool },
	}
	gives := map[string]tensor.DType{"Bool": tensor.Bool, "I32": tensor.I32, "I64": tensor.I64}
	name := regexp.MustCompile("`([A-Z][A-Za-z0-9]*)`")
	listed := map[string]bool{}
	_, table, _ := strings.Cut(string(page), "| ops | dtypes | result |")
	for line := range strings.Lines(table) {
		cells := strings.Split(line, "|")
		if len(cells) != 5 || !strings.Contains(line, "`") {
			continue
		}
		accepts := takes[strings.TrimSpace(cells[2])]
		if accepts == nil {
			t.Fatalf("the table has dtypes %q", cells[2])
		}
		for _, m := range name.FindAllStringSubmatch(cells[1], -1) {
			op := m[1]
			listed[op] = true
			fn := typedOps[op]
			if fn == nil {
				t.Errorf("nothing tries %s of the table", op)
				continue
			}
			s := tensor.NewTestDevice(0).NewScope()
			for _, dt := range []tensor.DType{tensor.F32, tensor.F64, tensor.BF16, tensor.F16, tensor.I32, tensor.I64, tensor.U8, tensor.Bool} {
				x := tensor.Ones(s, dt, 2, 2)
				var y T
				switch err := tensor.Try(func() { y = fn(x) }); {
				case accepts(dt) && err != nil:
					t.Errorf("%s of %s: %v", op, dt, err)
				case !accepts(dt) && err == nil:
					t.Errorf("%s of %s gives %v, and should refuse", op, dt, y)
				case err == nil:
					want, other := gives[strings.TrimSpace(cells[3])]
					if !other {
						want = dt
					}
					if y.DType() != want {
						t.Errorf("%s of %s is %s, want %s", op, dt, y.DType(), want)
					}
				case !strings.Contains(err.Error(), dt.String()):
					t.Errorf("%s of %s: the error %q does not name the dtype", op, dt, err)
				}
			}
			s.Close()
		}
	}
	for op := range typedOps {
		if !listed[op] {
			t.Errorf("the table lacks %s", op)
		}
	}
}

// What the table says of shapes.
func TestTheTableOfBroadcastingIsTrue(t *testing.T) {
	s := tensor.NewTestDevice(0).NewScope()
	defer s.Close()
	of := func(shape ...int) T { return tensor.Ones(s, tensor.F32, shape...) }
	for _, c := range []struct{ x, y, want []int }{
		{[]int{2, 3, 4}, []int{4}, []int{2, 3, 4}}, {[]int{3, 1}, []int{1, 4}, []int{3, 4}}, {nil, []int{2, 3}, []int{2, 3}}, {[]int{0, 3}, []int{1, 3}, []int{0, 3}},
	} {
		for _, fn := range []func(x, y T) T{T.Add, T.Lt, T.Pow, T.Atan2, func(x, y T) T { return tensor.Where(x.GtScalar(0), x, y) }} {
			for _, got := range [][]int{fn(of(c.x...), of(c.y...)).Shape(), fn(of(c.y...), of(c.x...)).Shape()} {
				if len(got) != len(c.want) {
					t.Errorf("%v and %v give %v, want %v", c.x, c.y, got, c.want)
					continue
				}
				for i := range got {
					if got[i] != c.want[i] {
						t.Errorf("%v and %v give %v, want %v", c.x, c.y, got, c.want)
						break
					}
				}
			}
		}
	}
	mustSay(t, "Add", func() { of(2, 3).Add(of(3, 2)) }, "2 and 3 differ and neither is 1")
}
