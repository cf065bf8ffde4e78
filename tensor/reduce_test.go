package tensor_test

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"testing"

	"github.com/hone-ml/hone/tensor"
)

func TestMisuseOfReductionsSaysWhatIsWrong(t *testing.T) {
	d := tensor.NewTestDevice(0)
	s := d.NewTape()
	defer s.Close()
	f := func(shape ...int) T { return tensor.Ones(s, tensor.F32, shape...) }
	b := func(shape ...int) T { return tensor.Zeros(s, tensor.Bool, shape...) }
	i32 := func(data ...int32) T { return tensor.FromSlice(s, data) }
	r := tensor.NewRand(1)
	for _, c := range []struct {
		op   string
		fn   func()
		says []string
	}{
		{"Var", func() { i32(1, 2).Var(1) }, []string{"i32[2]", "a float dtype is needed"}},
		{"Var", func() { f(2, 3).Var(1, 2) }, []string{"f32[2 3]", "axis 2 is not one of 2"}},
		{"Std", func() { b(2).Std(0) }, []string{"bool[2]", "a float dtype is needed"}},
		{"Std", func() { f(2).StdKeep(0, -2) }, []string{"f32[2]", "axis -2"}},
		{"Min", func() { b(2).Min() }, []string{"bool[2]", "convert with To"}},
		{"Min", func() { f(2).Min(1) }, []string{"f32[2]", "axis 1"}},
		{"Prod", func() { b(2).Prod() }, []string{"bool[2]", "convert with To"}},
		{"Prod", func() { f(2).Prod(3) }, []string{"f32[2]", "axis 3"}},
		{"Any", func() { f(2).Any() }, []string{"f32[2]", "not defined for f32; compare first, as NeScalar(0) does"}},
		{"All", func() { b(2).All(1) }, []string{"bool[2]", "axis 1"}},
		{"LogSumExp", func() { i32(1).LogSumExp() }, []string{"i32[1]", "a float dtype is needed"}},
		{"LogSumExp", func() { f(2).LogSumExp(1) }, []string{"f32[2]", "axis 1"}},
		{"Norm", func() { i32(1).Norm(2) }, []string{"i32[1]", "a float dtype is needed"}},
		{"Norm", func() { f(2).Norm(math.NaN()) }, []string{"f32[2]", "p is not a number"}},
		{"Norm", func() { f(2).Norm(2, 1) }, []string{"f32[2]", "axis 1"}},
		{"ArgMax", func() { f(2, 0).ArgMax() }, []string{"f32[2 0]", "axis 1 has no elements"}},
		{"ArgMax", func() { f().ArgMax() }, []string{"f32[]", "at least one axis"}},
		{"ArgMin", func() { f(2, 3).ArgMin(2) }, []string{"f32[2 3]", "axis 2 is not one of 2"}},
		{"ArgMin", func() { f(2, 3).ArgMin(0, 1) }, []string{"f32[2 3]", "along one axis, not along [0 1]"}},
		{"CumSum", func() { f(2).CumSum(1) }, []string{"f32[2]", "axis 1"}},
		{"CumSum", func() { b(2).CumSum(0) }, []string{"bool[2]", "convert with To"}},
		{"CumProd", func() { f(2).CumProd(-2) }, []string{"f32[2]", "axis -2"}},
		{"CumProd", func() { b(2).CumProd(0) }, []string{"bool[2]", "convert with To"}},
		{"SoftmaxAxis", func() { f(2, 3).SoftmaxAxis(2) }, []string{"f32[2 3]", "axis 2"}},
		{"SoftmaxAxis", func() { i32(1).SoftmaxAxis(0) }, []string{"i32[1]", "a float dtype is needed"}},
		{"LogSoftmaxAxis", func() { f(2, 3).LogSoftmaxAxis(-3) }, []string{"f32[2 3]", "axis -3"}},
		{"LogSoftmax", func() { f().LogSoftmax() }, []string{"f32[]", "at least one axis"}},
		{"Sort", func() { f(2).Sort(1, false) }, []string{"f32[2]", "axis 1"}},
		{"ArgSort", func() { f().ArgSort(0, false) }, []string{"f32[]", "axis 0 is not one of 0"}},
		{"TopK", func() { f(2, 3).TopK(4, 1) }, []string{"f32[2 3]", "axis 1 has 3 elements, not 4"}},
		{"TopK", func() { f(2, 3).TopK(-1, 1) }, []string{"not -1"}},
		{"TopK", func() { f(2, 3).TopK(1, 2) }, []string{"axis 2"}},
		{"Sort", func() { tensor.Ones(d, tensor.F32, 2).Sort(0, false) }, []string{"long-lived"}},
		{"CumSum", func() { tensor.Ones(d, tensor.F32, 2).CumSum(0) }, []string{"long-lived"}},
		{"Bernoulli", func() { tensor.Bernoulli(s, tensor.F32, r, 1.5, 2) }, []string{"f32[2]", "not 1.5"}},
		{"Bernoulli", func() { tensor.Bernoulli(s, tensor.F32, r, math.NaN(), 2) }, []string{"not NaN"}},
		{"RandPerm", func() { tensor.RandPerm(s, r, -1) }, []string{"i32[-1]", "not below 0"}},
		{"Multinomial", func() { i32(1).Multinomial(1, true) }, []string{"i32[1]", "a float dtype is needed"}},
		{"Multinomial", func() { f(1, 2, 3).Multinomial(1, true) }, []string{"f32[1 2 3]", "[B, K]"}},
		{"Multinomial", func() { f(2).Multinomial(-1, true) }, []string{"f32[2]", "not -1"}},
		{"Multinomial", func() { f(2).Multinomial(3, false) }, []string{"f32[2]", "3 draws from row 0, which has 2 weights above 0"}},
		{"Multinomial", func() { f(2, 3).MulScalar(0).Multinomial(1, true) }, []string{"0 weights above 0"}},
		{"Multinomial", func() { f(2).Neg().Multinomial(1, true) }, []string{"the weight -1 at 0 of row 0"}},
		{"Multinomial", func() { f(2).MulScalar(math.NaN()).Multinomial(1, true) }, []string{"the weight NaN at 0"}},
	} {
		mustSay(t, fmt.Sprint(c.op, c.says), c.fn, append([]string{"tensor: " + c.op}, c.says...)...)
	}
}

// gradientOf is the value of fn at x and its derivative, in F64.
func gradientOf(x []float64, fn func(x T) T, shape ...int) (y, dx []float64) {
	d := tensor.CPU()
	p := paramOf(d, x, shape...)
	g := tensor.NewGrads(named(p), tensor.F64)
	s := d.NewTape()
	defer s.Close()
	v := fn(p.In(s))
	v.Sum().Backward(g)
	return v.Float64s(), g.Of(p).Float64s()
}

func TestReductionsAndTheirDerivativesAtTheEdges(t *testing.T) {
	inf := math.Inf(1)
	for _, c := range []struct {
		what     string
		fn       func(x T) T
		x, y, dx []float64
	}{
		{"the product with a zero", func(x T) T { return x.Prod() }, []float64{2, 0, 3}, []float64{0}, []float64{0, 6, 0}},
		{"the product with two zeros", func(x T) T { return x.Prod() }, []float64{2, 0, 0}, []float64{0}, []float64{0, 0, 0}},
		{"the cumulative product with a zero", func(x T) T { return x.CumProd(0) }, []float64{2, 0, 3}, []float64{2, 0, 0}, []float64{1, 8, 0}},
		{"the cumulative product with two zeros", func(x T) T { return x.CumProd(0) }, []float64{0, 5, 0}, []float64{0, 0, 0}, []float64{6, 0, 0}},
		{"equal minima", func(x T) T { return x.Min() }, []float64{1, 3, 1}, []float64{1}, []float64{0.5, 0, 0.5}},
		{"the deviation of a constant", func(x T) T { return x.Std(1) }, []float64{5, 5, 5}, []float64{0}, []float64{0, 0, 0}},
		{"the variance of a constant", func(x T) T { return x.Var(0) }, []float64{5, 5, 5}, []float64{0}, []float64{0, 0, 0}},
		{"the variance far from 0", func(x T) T { return x.Var(1) }, []float64{1e8, 1e8 + 1, 1e8 + 2}, []float64{1}, []float64{-1, 0, 1}},
		{"log Σ exp of −∞", func(x T) T { return x.LogSumExp() }, []float64{-inf, -inf}, []float64{-inf}, []float64{0, 0}},
		{"log Σ exp with −∞", func(x T) T { return x.LogSumExp() }, []float64{-inf, 1}, []float64{1}, []float64{0, 1}},
		{"log Σ exp of large numbers", func(x T) T { return x.LogSumExp() }, []float64{1000, 1000}, []float64{1000 + math.Ln2}, []float64{0.5, 0.5}},
		{"the norm of nothing but zeros", func(x T) T { return x.Norm(2) }, []float64{0, 0}, []float64{0}, []float64{0, 0}},
		{"the 1-norm at 0", func(x T) T { return x.Norm(1) }, []float64{0, -2}, []float64{2}, []float64{0, -1}},
		{"the ∞-norm with equals", func(x T) T { return x.Norm(inf) }, []float64{-3, 3, 1}, []float64{3}, []float64{-0.5, 0.5, 0}},
		{"the ½-norm with a zero", func(x T) T { return x.Norm(0.5) }, []float64{0, 4}, []float64{4}, []float64{0, 1}},
		{"the order with equals", func(x T) T { return first(x.Sort(0, true)).Slice(0, 0, 1) }, []float64{1, 3, 3}, []float64{3}, []float64{0, 1, 0}},
	} {
		y, dx := gradientOf(c.x, c.fn, len(c.x))
		near(t, c.what, y, c.y, 1e-12)
		near(t, "gradient of "+c.what, dx, c.dx, 1e-7)
	}

	s := tensor.CPU().NewScope()
	defer s.Close()
	of := func(x ...float64) T { return tensor.FromSlice(s, x) }
	if v := of(3).Var(1).Item(); v == v {
		t.Errorf("the variance of one number with Bessel's correction is %v, want NaN", v)
	}
	if v := of(3, 4).Var(2).Item(); !math.IsInf(v, 1) {
		t.Errorf("the variance divided by nothing is %v, want ∞", v)
	}
	if v := of(inf, 1).LogSumExp().Item(); !math.IsInf(v, 1) {
		t.Errorf("log Σ exp with ∞ is %v", v)
	}
	for name, v := range map[string]T{"Min": of(1, math.NaN()).Min(), "LogSumExp": of(1, math.NaN()).LogSumExp(), "Norm": of(1, math.NaN()).Norm(inf), "Prod": of(0, math.NaN()).Prod()} {
		if x := v.Item(); x == x {
			t.Errorf("%s: NaN is lost: %v", name, x)
		}
	}
	empty := of().Reshape(0, 2)
	near(t, "the minimum of nothing", empty.Min(0).Float64s(), []float64{inf, inf}, 0)
	near(t, "the product of nothing", empty.Prod(0).Float64s(), []float64{1, 1}, 0)
	near(t, "log Σ exp of nothing", empty.LogSumExp(0).Float64s(), []float64{-inf, -inf}, 0)
	near(t, "the ∞-norm of nothing", empty.Norm(inf, 0).Float64s(), []float64{0, 0}, 0)
	near(t, "any of nothing", tensor.Zeros(s, tensor.Bool, 0).Any().Float64s(), []float64{0}, 0)
	near(t, "all of nothing", tensor.Zeros(s, tensor.Bool, 0).All().Float64s(), []float64{1}, 0)
}

func TestNaNIsLastInOrder(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for kind, d := range map[string]*tensor.Device{"kernel": tensor.NewTestDevice(0), "host": tensor.NewComposedDevice()} {
		s := d.NewScope()
		defer s.Close()
		for _, dt := range []tensor.DType{tensor.F32, tensor.F64, tensor.BF16, tensor.F16} {
			x := tensor.FromSlice(s, []float64{2, nan, -inf, 0, math.Copysign(0, -1), inf, nan, -1}).To(dt)
			near(t, kind+" ascending", x.ArgSort(0, false).Float64s(), []float64{2, 7, 3, 4, 0, 5, 1, 6}, 0)
			near(t, kind+" descending", x.ArgSort(0, true).Float64s(), []float64{1, 6, 5, 0, 3, 4, 7, 2}, 0)
		}
		large := tensor.FromSlice(s, []int64{1<<60 + 1, 1 << 60, -1 << 63, 1<<63 - 1})
		near(t, kind+" large integers", large.ArgSort(0, false).Float64s(), []float64{2, 1, 0, 3}, 0)
	}
}

// What runs where a device has no kernel for it gives the same as the kernel.
func TestScansAndOrdersAreTheSameWithoutTheirKernels(t *testing.T) {
	var results [2][]T
	for i, d := range []*tensor.Device{tensor.NewTestDevice(0), tensor.NewComposedDevice()} {
		s := d.NewScope()
		defer s.Close()
		for _, dt := range []tensor.DType{tensor.F32, tensor.F64, tensor.BF16, tensor.I32, tensor.I64, tensor.U8} {
			x := tensor.Randn(s, tensor.F32, tensor.NewRand(3), 2, 4, 7, 3).Abs().To(dt)
			for axis := range 3 {
				v, at := x.TopK(2, axis)
				results[i] = append(results[i], x.CumSum(axis), x.CumProd(axis), x.ArgSort(axis, axis == 1), v, at)
			}
		}
	}
	for i, want := range results[1] {
		if got := results[0][i]; !tensor.AllClose(got, want, 1e-2, 1e-5) {
			t.Errorf("case %d:\n got %v\nwant %v", i, got, want)
		}
	}
}

func TestSumsOfNarrowDTypesAreKeptWide(t *testing.T) {
	s := tensor.NewTestDevice(0).NewScope()
	defer s.Close()
	h := tensor.Full(s, tensor.F16, 300, 1000)
	near(t, "the norm of F16", h.Norm(2).Float64s(), []float64{300 * math.Sqrt(1000)}, 1e-3)
	near(t, "the deviation of F16", tensor.Cat(0, h, h.Neg()).Std(0).Float64s(), []float64{300}, 1e-3)
	near(t, "a cumulative sum of BF16", tensor.Ones(s, tensor.BF16, 1024).CumSum(0).Slice(0, 1023, 1024).Float64s(), []float64{1024}, 0)
}

func TestReductionsOfWideTensorsAreBitIdenticalForAnyProcs(t *testing.T) {
	sums := func() []byte {
		s := tensor.NewTestDevice(0).NewScope()
		defer s.Close()
		x := tensor.Randn(s, tensor.F32, tensor.NewRand(1), 1, 300, 500)
		var all []byte
		for axis := range 2 {
			for _, y := range []T{x.CumSum(axis), x.Var(1, axis), x.LogSumExp(axis), x.Norm(3, axis), x.AddScalar(1).Prod(axis), first(x.Sort(axis, false))} {
				all = append(all, y.Bytes()...)
			}
		}
		return all
	}
	want := sums()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, procs := range []int{1, 3} {
		runtime.GOMAXPROCS(procs)
		if !slices.Equal(sums(), want) {
			t.Errorf("other bits with %d processors", procs)
		}
	}
}
