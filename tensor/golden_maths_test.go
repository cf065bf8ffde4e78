package tensor_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/hone-ml/hone/tensor"
	"github.com/hone-ml/hone/tensor/safetensors"
)

// mathsGoldens are the tensors of testdata/maths.safetensors by name, see testdata/README.md.
func mathsGoldens(t *testing.T) map[string]nd {
	f, err := safetensors.Open("testdata/maths.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}()
	g := map[string]nd{}
	for _, name := range f.Names() {
		info, _ := f.Info(name)
		dt := map[safetensors.DType]tensor.DType{"F32": tensor.F32, "F64": tensor.F64}[info.DType]
		g[name] = nd{info.Shape, tensor.FromBytes(tensor.CPU(), dt, f.Bytes(name), info.Shape...).Float64s()}
	}
	return g
}

// unaryGoldens are the element-wise functions of one tensor with a derivative, by their names in the file.
var unaryGoldens = map[string]func(x T) T{
	"abs": T.Abs, "neg": T.Neg, "square": T.Square, "sqrt": T.Sqrt, "rsqrt": T.Rsqrt, "reciprocal": T.Reciprocal,
	"exp": T.Exp, "exp2": T.Exp2, "expm1": T.Expm1, "log": T.Log, "log1p": T.Log1p, "log2": T.Log2, "log10": T.Log10,
	"sin": T.Sin, "cos": T.Cos, "tan": T.Tan, "asin": T.Asin, "acos": T.Acos, "atan": T.Atan,
	"sinh": T.Sinh, "cosh": T.Cosh, "tanh": T.Tanh, "asinh": T.Asinh, "acosh": T.Acosh, "atanh": T.Atanh,
	"erf": T.Erf, "erfc": T.Erfc, "frac": T.Frac,
	"sigmoid": T.Sigmoid, "silu": T.SiLU, "relu": T.ReLU, "gelu": T.GELU, "gelu_tanh": T.GELUTanh,
	"softplus": T.Softplus, "logsigmoid": T.LogSigmoid, "selu": T.SELU, "mish": T.Mish,
	"elu": func(x T) T { return x.ELU(1.5) }, "leaky_relu": func(x T) T { return x.LeakyReLU(0.1) },
	"relu6": T.ReLU6, "hardsigmoid": T.HardSigmoid, "hardswish": T.HardSwish,
	"clamp": func(x T) T { return x.Clamp(-2, 3.5) }, "clamp_min": func(x T) T { return x.ClampMin(0.5) }, "clamp_max": func(x T) T { return x.ClampMax(0.5) },
	"pow_2": func(x T) T { return x.PowScalar(2) }, "pow_half": func(x T) T { return x.PowScalar(0.5) }, "pow_minus_1.5": func(x T) T { return x.PowScalar(-1.5) },
	"remainder_3": func(x T) T { return x.RemainderScalar(3) }, "fmod_3": func(x T) T { return x.FmodScalar(3) },
}

// constantGoldens are those without: in PyTorch the gradient of a rounding is 0, here it is a constant.
var constantGoldens = map[string]func(x T) T{
	"floor": T.Floor, "ceil": T.Ceil, "trunc": T.Trunc, "round": T.Round, "sign": T.Sign,
	"isnan": T.IsNaN, "isinf": T.IsInf, "isfinite": T.IsFinite,
	"lt_half": func(x T) T { return x.LtScalar(0.5) }, "le_half": func(x T) T { return x.LeScalar(0.5) }, "gt_half": func(x T) T { return x.GtScalar(0.5) },
	"ge_half": func(x T) T { return x.GeScalar(0.5) }, "eq_half": func(x T) T { return x.EqScalar(0.5) }, "ne_half": func(x T) T { return x.NeScalar(0.5) },
}

var binaryGoldens = map[string]func(x, y T) T{
	"add": T.Add, "sub": T.Sub, "mul": T.Mul, "div": T.Div, "maximum": T.Maximum, "minimum": T.Minimum,
	"pow": T.Pow, "atan2": T.Atan2, "hypot": T.Hypot, "remainder": T.Remainder, "fmod": T.Fmod,
	"lerp": func(x, y T) T { return x.Lerp(y, 0.25) },
}

// reductionGoldens get the axes.
var reductionGoldens = map[string]func(x T, axes ...int) T{
	"sum": T.SumKeep, "mean": T.MeanKeep, "prod": T.ProdKeep, "amax": T.MaxKeep, "amin": T.MinKeep, "logsumexp": T.LogSumExpKeep,
	"var":    func(x T, axes ...int) T { return x.VarKeep(1, axes...) },
	"var_0":  func(x T, axes ...int) T { return x.VarKeep(0, axes...) },
	"std":    func(x T, axes ...int) T { return x.StdKeep(1, axes...) },
	"norm_1": normKeep(1), "norm_2": normKeep(2), "norm_3": normKeep(3), "norm_half": normKeep(0.5), "norm_inf": normKeep(math.Inf(1)), "norm_minus_inf": normKeep(math.Inf(-1)),
	"cumsum":  func(x T, axes ...int) T { return x.CumSum(axes[0]) },
	"cumprod": func(x T, axes ...int) T { return x.CumProd(axes[0]) },
	"softmax": func(x T, axes ...int) T { return x.SoftmaxAxis(axes[0]) }, "log_softmax": func(x T, axes ...int) T { return x.LogSoftmaxAxis(axes[0]) },
	"sort":            func(x T, axes ...int) T { return first(x.Sort(axes[0], false)) },
	"sort_descending": func(x T, axes ...int) T { return first(x.Sort(axes[0], true)) },
	"topk":            func(x T, axes ...int) T { return first(x.TopK(2, axes[0])) },
	"tril":            func(x T, _ ...int) T { return x.Tril(1) },
	"triu":            func(x T, _ ...int) T { return x.Triu(-1) },
}

var reductionConstantGoldens = map[string]func(x T, axes ...int) T{
	"argmax": T.ArgMax, "argmin": T.ArgMin, "norm_0": normKeep(0),
	"argsort":            func(x T, axes ...int) T { return x.ArgSort(axes[0], false) },
	"argsort_descending": func(x T, axes ...int) T { return x.ArgSort(axes[0], true) },
	"any":                func(x T, axes ...int) T { return x.GtScalar(1).Any(axes...) },
	"all":                func(x T, axes ...int) T { return x.GtScalar(0).All(axes...) },
}

func normKeep(p float64) func(x T, axes ...int) T {
	return func(x T, axes ...int) T { return x.NormKeep(p, axes...) }
}

// otherwise are results that are not PyTorch's on purpose: where at the inputs x (and y) they differ, and why.
var otherwise = []struct {
	results string // names begin so
	where   func(x, y float64) bool
	why     string
}{
	{"gelu", infinite, "an infinite number has the limit; PyTorch's loops give NaN for some"},
	{"gelu_tanh.dx", func(x, _ float64) bool { return math.Abs(x) > 1e9 }, "where the cube overflows the slope has its limit, not NaN"},
	{"pow_half", func(x, _ float64) bool { return x == 0 || math.IsInf(x, -1) }, "the power of C, not the root"},
	{"maximum.d", nan, "who loses against NaN has no gradient"},
	{"minimum.d", nan, "who loses against NaN has no gradient"},
	{"remainder.dz", infinite, "an infinite number of divisors has no derivative that means something"},
	{"topk.ties", always, "of equal elements the first is taken; PyTorch takes any"},
	{"prod.infinite", always, "the gradient is the product of the others; PyTorch divides by what is not a number then"},
	{"prod.nan", always, "as above"},
	{"cumprod.infinite", always, "as above"},
	{"cumprod.nan", always, "as above"},
	{"logsumexp.infinite", infinite, "where all is −∞ the gradient is 0"},
	{"norm_inf.nan", always, "NaN has no extreme: its gradient is NaN, not 0"},
	{"norm_minus_inf.nan", always, "as above"},
}

func always(_, _ float64) bool   { return true }
func nan(x, y float64) bool      { return x != x || y != y }
func infinite(x, y float64) bool { return math.IsInf(x, 0) || math.IsInf(y, 0) }

func differently(name string, x, y float64) bool {
	for _, o := range otherwise {
		if strings.HasPrefix(name, o.results) && o.where(x, y) {
			return true
		}
	}
	return false
}

// agrees compares element by element: NaN with NaN, infinities by sign, other numbers by the tolerances. x and
// y, which may be nil, are the inputs.
func agrees(t *testing.T, what string, x, y, got, want []float64, rtol, atol float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d elements, want %d", what, len(got), len(want))
		return
	}
	for i, w := range want {
		g, at, with := got[i], x[i%len(x)], 0.0
		if y != nil {
			with = y[i]
		}
		if g == w || g != g && w != w || math.Abs(g-w) <= atol+rtol*math.Abs(w) && !math.IsInf(w, 0) || differently(what, at, with) {
			continue
		}
		t.Errorf("%s: at %g and %g it is %v, want %v", what, at, with, g, w)
	}
}

func TestElementwiseMathsEqualsPyTorchs(t *testing.T) {
	g := mathsGoldens(t)
	x := g["grid"].data
	for name, fn := range unaryGoldens {
		y, dx := gradientOf(x, fn, len(x))
		agrees(t, name, x, nil, y, g[name+".y"].data, 1e-11, 1e-15)
		agrees(t, name+".dx", x, nil, dx, g[name+".dx"].data, slopeTolerance(name), 1e-14)

		d := tensor.CPU()
		p := tensor.FromSlice(d, x)
		s := d.NewTape()
		narrow := s.Keep(p.In(s).To(tensor.F32))
		narrow.SetTrainable(true)
		grads := tensor.NewGrads(named(narrow), tensor.F32)
		v := fn(narrow.In(s))
		agrees(t, name+".y32", x, nil, v.Float64s(), g[name+".y32"].data, 2e-6, 1e-6)
		v.Sum().Backward(grads)
		agrees(t, name+".dx32", x, nil, grads.Of(narrow).Float64s(), g[name+".dx32"].data, 1e-5, 1e-6)
		s.Close()
	}
	s := tensor.CPU().NewScope()
	defer s.Close()
	for name, fn := range constantGoldens {
		agrees(t, name, x, nil, fn(tensor.FromSlice(s, x)).Float64s(), g[name+".y"].data, 0, 0)
		agrees(t, name+" of f32", x, nil, fn(tensor.FromSlice(s, x).To(tensor.F32)).Float64s(), g[name+".y"].data, 0, 0)
	}
}

func TestMathsOfTwoTensorsEqualsPyTorchs(t *testing.T) {
	g := mathsGoldens(t)
	side := g["side"].data
	n := len(side)
	d := tensor.CPU()
	left, right := make([]float64, n*n), make([]float64, n*n)
	for i := range left {
		left[i], right[i] = side[i/n], side[i%n]
	}
	for name, fn := range binaryGoldens {
		x, y := paramOf(d, left), paramOf(d, right)
		grads := tensor.NewGrads(named(x, y), tensor.F64)
		s := d.NewTape()
		z := fn(x.In(s), y.In(s))
		agrees(t, name+".y", left, right, z.Float64s(), g[name+".y"].data, 1e-11, 0)
		z.Sum().Backward(grads)
		agrees(t, name+".dx", left, right, grads.Of(x).Float64s(), g[name+".dx"].data, 1e-11, 0)
		agrees(t, name+".dz", left, right, grads.Of(y).Float64s(), g[name+".dz"].data, 1e-11, 0)
		s.Close()
	}
}

// slopeTolerance is the relative tolerance of a gradient in F64.
func slopeTolerance(name string) float64 {
	if name == "hardsigmoid" {
		return 1e-7 // PyTorch has 1/6 in float32
	}
	return 1e-11
}

func TestReductionsEqualPyTorchs(t *testing.T) {
	g := mathsGoldens(t)
	for _, kind := range []string{"plain", "ties", "infinite", "nan"} {
		x := g["x."+kind]
		for key, axes := range map[string][]int{"1": {1}, "2": {2}, "02": {0, 2}} {
			for name, fn := range reductionGoldens {
				what := fmt.Sprintf("%s.%s.%s", name, kind, key)
				want, ok := g[what+".y"]
				if !ok && len(axes) > 1 { // of one axis only
					continue
				}
				y, dx := gradientOf(x.data, func(x T) T { return fn(x, axes...) }, x.shape...)
				agrees(t, what, []float64{0}, nil, y, want.data, 1e-11, 1e-14)
				agrees(t, what+".dx", x.data, nil, dx, g[what+".dx"].data, 1e-9, 1e-12)
			}
			for name, fn := range reductionConstantGoldens {
				if len(axes) > 1 {
					continue
				}
				s := tensor.CPU().NewScope()
				what := fmt.Sprintf("%s.%s.%s", name, kind, key)
				y := fn(tensor.FromSlice(s, x.data, x.shape...), axes...)
				agrees(t, what, []float64{0}, nil, y.Float64s(), g[what+".y"].data, 1e-11, 0)
				s.Close()
			}
		}
	}
}

func TestEveryGoldenOfMathsIsCompared(t *testing.T) {
	for name := range mathsGoldens(t) {
		op := name[:strings.IndexAny(name+".", ".")]
		if strings.HasPrefix(name, "pow_minus_1.5") {
			op = "pow_minus_1.5"
		}
		_, a := unaryGoldens[op]
		_, b := constantGoldens[op]
		_, c := binaryGoldens[op]
		_, d := reductionGoldens[op]
		_, e := reductionConstantGoldens[op]
		if !a && !b && !c && !d && !e && op != "grid" && op != "side" && op != "x" {
			t.Error("nothing compares ", name)
		}
	}
}
