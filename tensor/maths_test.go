package tensor_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/hone-ml/hone/tensor"
)

func TestMisuseOfMathsSaysWhatIsWrong(t *testing.T) {
	s := tensor.NewTestDevice(0).NewTape()
	defer s.Close()
	f := func(shape ...int) T { return tensor.Ones(s, tensor.F32, shape...) }
	h := func(shape ...int) T { return tensor.Ones(s, tensor.BF16, shape...) }
	b := func(shape ...int) T { return tensor.Zeros(s, tensor.Bool, shape...) }
	i32 := func(data ...int32) T { return tensor.FromSlice(s, data) }
	type misuse struct {
		op   string
		fn   func()
		says []string
	}
	cases := []misuse{
		{"Atan2", func() { f(2, 3).Atan2(f(4, 3)) }, []string{"f32[2 3]", "f32[4 3]", "2 and 4 differ"}},
		{"Pow", func() { f(2).Pow(h(2)) }, []string{"f32[2]", "bf16[2]", "convert one with To"}},
		{"Pow", func() { i32(2).Pow(i32(2)) }, []string{"i32[1]", "a float dtype is needed"}},
		{"Hypot", func() { b(2).Hypot(b(2)) }, []string{"bool[2]", "not defined for bool"}},
		{"Remainder", func() { b(2).Remainder(b(2)) }, []string{"bool[2]", "not defined for bool"}},
		{"Remainder", func() { i32(5, 3).Remainder(i32(2, 0)) }, []string{"i32[2]", "cannot be divided by 0"}},
		{"Fmod", func() { i32(5, 3).Fmod(i32(0)) }, []string{"i32[2]", "i32[1]", "cannot be divided by 0"}},
		{"Div", func() { i32(5, 3).Div(i32(0)) }, []string{"i32[2]", "i32[1]", "cannot be divided by 0"}},
		{"RemainderScalar", func() { i32(5).RemainderScalar(0) }, []string{"i32[1]", "divided by 0"}},
		{"FmodScalar", func() { i32(5).FmodScalar(0.5) }, []string{"i32[1]", "divided by 0.5"}},
		{"FmodScalar", func() { i32(5).FmodScalar(1.5) }, []string{"i32[1]", "1.5 is not an integer"}},
		{"AddScalar", func() { i32(5).AddScalar(0.5) }, []string{"i32[1]", "0.5 is not an integer; convert the tensor with To"}},
		{"MulScalar", func() { i32(5).MulScalar(math.Inf(1)) }, []string{"+Inf is not an integer"}},
		{"Lerp", func() { i32(5).Lerp(i32(6), 0.5) }, []string{"i32[1]", "one float dtype"}},
		{"Lerp", func() { f(2).Lerp(h(2), 0.5) }, []string{"f32[2]", "bf16[2]", "one float dtype"}},
		{"Clamp", func() { b(2).Clamp(0, 1) }, []string{"bool[2]", "not defined for bool"}},
		{"Clamp", func() { f(2).Clamp(math.NaN(), 1) }, []string{"f32[2]", "[NaN, 1] is not a number"}},
		{"Sign", func() { b(2).Sign() }, []string{"bool[2]", "not defined for bool"}},
		{"Xor", func() { f(2).Xor(f(2)) }, []string{"f32[2]", "not defined for f32"}},
		{"LtScalar", func() { b(2).LtScalar(1) }, []string{"bool[2]", "not defined for bool"}},
		{"Tril", func() { f(2).Tril(0) }, []string{"f32[2]", "two axes"}},
		{"Triu", func() { f().Triu(0) }, []string{"f32[]", "two axes"}},
		{"Linspace", func() { tensor.Linspace(s, tensor.F32, 0, 1, -1) }, []string{"f32[-1]", "elements ≥ 0"}},
		{"alloc", func() { tensor.Eye(s, tensor.F32, -1) }, []string{"f32[-1 -1]", "negative"}},
	}
	for op, fn := range map[string]func(x T) T{
		"Exp2": T.Exp2, "Expm1": T.Expm1, "Log1p": T.Log1p, "Log2": T.Log2, "Log10": T.Log10, "Reciprocal": T.Reciprocal, "Erf": T.Erf, "Erfc": T.Erfc,
		"Tan": T.Tan, "Asin": T.Asin, "Acos": T.Acos, "Atan": T.Atan, "Sinh": T.Sinh, "Cosh": T.Cosh, "Asinh": T.Asinh, "Acosh": T.Acosh, "Atanh": T.Atanh,
		"Floor": T.Floor, "Ceil": T.Ceil, "Trunc": T.Trunc, "Round": T.Round, "Frac": T.Frac, "GELU": T.GELU, "GELUTanh": T.GELUTanh,
		"Softplus": T.Softplus, "LogSigmoid": T.LogSigmoid, "Mish": T.Mish, "SELU": T.SELU, "ReLU6": T.ReLU6, "HardSigmoid": T.HardSigmoid,
		"HardSwish": T.HardSwish, "ELU": func(x T) T { return x.ELU(1) }, "LeakyReLU": func(x T) T { return x.LeakyReLU(1) },
		"IsNaN": T.IsNaN, "IsInf": T.IsInf, "IsFinite": T.IsFinite,
	} {
		cases = append(cases, misuse{op, func() { fn(i32(1, 2)) }, []string{"i32[2]", "a float dtype is needed"}})
		long := tensor.Ones(s.Device(), tensor.F32, 2)
		cases = append(cases, misuse{op, func() { fn(long) }, []string{"f32[2]", "every operand is long-lived"}})
	}
	for _, c := range cases {
		mustSay(t, fmt.Sprint(c.op, c.says), c.fn, append([]string{"tensor: " + c.op}, c.says...)...)
	}
}

func TestFunctionsAreExactWhereTheirFormulasAreNot(t *testing.T) {
	s := tensor.NewTestDevice(0).NewScope()
	defer s.Close()
	of := func(x float64) T { return tensor.FromSlice(s, []float64{x}) }
	for _, c := range []struct {
		what      string
		got       T
		want, tol float64
	}{
		{"log(1 + 1e-10)", of(1e-10).Log1p(), 1e-10 - 0.5e-20, 1e-15},
		{"e^1e-10 − 1", of(1e-10).Expm1(), 1e-10 + 0.5e-20, 1e-15},
		{"erfc(10)", of(10).Erfc(), 2.088487583762545e-45, 1e-12},
		{"√(1e200² + 1e200²)", of(1e200).Hypot(of(1e200)), math.Sqrt2 * 1e200, 1e-15},
		{"log σ(−800)", of(-800).LogSigmoid(), -800, 0},
		{"log σ(40)", of(40).LogSigmoid(), -math.Exp(-40), 1e-15},
		{"softplus(800)", of(800).Softplus(), 800, 0},
		{"softplus(−40)", of(-40).Softplus(), math.Exp(-40), 1e-15},
		{"gelu(−12)", of(-12).GELU(), -12 * 0.5 * math.Erfc(12/math.Sqrt2), 1e-13},
	} {
		near(t, c.what, c.got.Float64s(), []float64{c.want}, c.tol)
	}
}

func TestLinspaceMeetsBothEnds(t *testing.T) {
	s := tensor.NewTestDevice(0).NewScope()
	defer s.Close()
	for _, c := range []struct {
		dt         tensor.DType
		start, end float64
		n          int
		want       []float64
	}{
		{tensor.F64, 0, 1, 5, []float64{0, 0.25, 0.5, 0.75, 1}},
		{tensor.F64, 1, -1, 3, []float64{1, 0, -1}},
		{tensor.F64, 3, 9, 1, []float64{3}},
		{tensor.F64, 3, 9, 0, []float64{}},
		{tensor.I32, 0, 10, 4, []float64{0, 3, 6, 10}},
	} {
		x := tensor.Linspace(s, c.dt, c.start, c.end, c.n)
		if x.DType() != c.dt || x.Rank() != 1 || x.Len() != c.n {
			t.Errorf("Linspace is %s%v", x.DType(), x.Shape())
		}
		near(t, "Linspace", x.Float64s(), c.want, 1e-15)
	}
	x := tensor.ToSlice[float32](tensor.Linspace(s, tensor.F32, 0.1, 0.7, 1001))
	if x[0] != 0.1 || x[1000] != 0.7 {
		t.Errorf("from 0.1 to 0.7: %v … %v", x[0], x[1000])
	}
}

func TestEyeIsTheIdentityInEveryDType(t *testing.T) {
	d := tensor.NewTestDevice(0)
	for _, dt := range []tensor.DType{tensor.F32, tensor.F64, tensor.BF16, tensor.F16, tensor.I32, tensor.I64, tensor.U8, tensor.Bool} {
		near(t, dt.String(), tensor.Eye(d, dt, 3).Float64s(), []float64{1, 0, 0, 0, 1, 0, 0, 0, 1}, 0)
	}
	if e := tensor.Eye(d, tensor.F32, 0); e.Len() != 0 || e.Rank() != 2 {
		t.Errorf("Eye(0) is %v", e)
	}
}

func TestLikesLiveWhereTheirModelDoes(t *testing.T) {
	d := tensor.NewTestDevice(0)
	s := d.NewScope()
	defer s.Close()
	for _, x := range []T{tensor.Ones(d, tensor.BF16, 2, 3), tensor.Ones(s, tensor.I64, 4).Slice(0, 1, 3), tensor.Ones(s, tensor.Bool)} {
		for _, y := range []T{tensor.ZerosLike(x), tensor.OnesLike(x), tensor.FullLike(x, 3)} {
			if y.Scope() != x.Scope() || y.DType() != x.DType() || fmt.Sprint(y.Shape()) != fmt.Sprint(x.Shape()) {
				t.Errorf("like %v: %v", x, y)
			}
		}
	}
}
