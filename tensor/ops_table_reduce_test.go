package tensor_test

import (
	"math"
	"slices"

	"github.com/hone-ml/hone/tensor"
)

// folds are shapes and axes to fold, with the shape of the result: kept, and dropped.
var folds = []struct {
	shape, axes, kept, dropped []int
}{
	{[]int{2, 3, 4}, nil, []int{1, 1, 1}, nil},
	{[]int{2, 3, 4}, []int{1}, []int{2, 1, 4}, []int{2, 4}},
	{[]int{2, 3, 4}, []int{0, -1}, []int{1, 3, 1}, []int{3}},
	{[]int{5}, []int{-1}, []int{1}, nil},
	{[]int{3, 2}, []int{1}, []int{3, 1}, []int{3}},
	{[]int{0, 2}, []int{1}, []int{0, 1}, []int{0}},
}

// varianceRef is the variance over the axes, which it keeps.
func varianceRef(correction float64, axes ...int) func(x []nd) nd {
	return func(x []nd) nd {
		mean := meanRef(axes...)(x)
		y := foldRef(0, plus, axes...)([]nd{build(x[0].shape, func(at []int) float64 {
			d := *x[0].at(at...) - *mean.at(at...)
			return d * d
		})})
		n := float64(len(x[0].data)) / float64(len(y.data))
		for i := range y.data {
			y.data[i] /= n - correction
		}
		return y
	}
}

// then is ref followed by a function of each element.
func then(ref func(x []nd) nd, fn func(float64) float64) func(x []nd) nd {
	return func(x []nd) nd { return map1(fn)([]nd{ref(x)}) }
}

// along is the function of every row along an axis: to row in shape of another length.
func along(axis, length int, fn func(to, row []float64)) func(x []nd) nd {
	return func(x []nd) nd {
		in := x[0]
		a := (axis + len(in.shape)) % len(in.shape)
		n := in.shape[a]
		shape := slices.Clone(in.shape)
		if length >= 0 {
			shape[a] = length
		}
		out := zeros(shape...)
		lanes := slices.Clone(in.shape)
		lanes[a] = 1
		indices(lanes, func(at []int) {
			at = slices.Clone(at)
			row, to := make([]float64, n), make([]float64, shape[a])
			for i := range row {
				at[a] = i
				row[i] = *in.at(at...)
			}
			fn(to, row)
			for i := range to {
				at[a] = i
				*out.at(at...) = to[i]
			}
		})
		return out
	}
}

// places is the order of a row, ascending or descending, equal elements as they come.
func places(row []float64, descending bool) []int {
	order := make([]int, len(row))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int {
		if row[i] == row[j] {
			return 0
		}
		if (row[i] < row[j]) != descending {
			return -1
		}
		return 1
	})
	return order
}

// sorted is the first elements of a row in order.
func sorted(descending bool) func(to, row []float64) {
	return func(to, row []float64) {
		for i, at := range places(row, descending)[:len(to)] {
			to[i] = row[at]
		}
	}
}

func first(x, _ T) T  { return x }
func second(_, x T) T { return x }

// reductionCases lists cases of the reductions, scans and orders with a derivative.
func reductionCases() []opCase {
	var cases []opCase
	add := func(op string, fn func(x T) T, ref func(x []nd) nd, in operand) {
		cases = append(cases, opCase{op, []operand{in}, func(x []T) T { return fn(x[0]) }, ref})
	}
	for _, f := range folds {
		reduce := func(op string, keep, drop func(x T, axes ...int) T, ref func(x []nd) nd, kind byte) {
			in := operand{kind: kind, shape: f.shape}
			add(op+"Keep", func(x T) T { return keep(x, f.axes...) }, ref, in)
			add(op, func(x T) T { return drop(x, f.axes...) }, shaped(f.dropped, ref), in)
		}
		reduce("Min", T.MinKeep, T.Min, foldRef(math.Inf(1), math.Min, f.axes...), normal)
		reduce("Prod", T.ProdKeep, T.Prod, foldRef(1, func(x, y float64) float64 { return x * y }, f.axes...), distant)
		exps := foldRef(0, func(acc, x float64) float64 { return acc + math.Exp(x) }, f.axes...)
		reduce("LogSumExp", T.LogSumExpKeep, T.LogSumExp, then(exps, math.Log), normal)
		for _, c := range []int{0, 1} {
			variance := varianceRef(float64(c), f.axes...)
			reduce("Var", func(x T, axes ...int) T { return x.VarKeep(c, axes...) }, func(x T, axes ...int) T { return x.Var(c, axes...) }, variance, normal)
			reduce("Std", func(x T, axes ...int) T { return x.StdKeep(c, axes...) }, func(x T, axes ...int) T { return x.Std(c, axes...) }, then(variance, math.Sqrt), normal)
		}
		for _, p := range []float64{1, 2, 3, 1.5, math.Inf(1), math.Inf(-1)} {
			powers := then(foldRef(0, func(acc, x float64) float64 { return acc + math.Pow(math.Abs(x), p) }, f.axes...), func(x float64) float64 { return math.Pow(x, 1/p) })
			if math.IsInf(p, 1) {
				powers = foldRef(0, func(acc, x float64) float64 { return max(acc, math.Abs(x)) }, f.axes...)
			} else if math.IsInf(p, -1) {
				powers = foldRef(math.Inf(1), func(acc, x float64) float64 { return min(acc, math.Abs(x)) }, f.axes...)
			}
			reduce("Norm", func(x T, axes ...int) T { return x.NormKeep(p, axes...) }, func(x T, axes ...int) T { return x.Norm(p, axes...) }, powers, distant)
		}
	}
	for _, s := range [][]int{{5}, {1}, {2, 3, 4}, {4, 1}, {3, 0}, {0, 2}} {
		for axis := range s {
			running := func(start float64, fn func(acc, x float64) float64) func(to, row []float64) {
				return func(to, row []float64) {
					acc := start
					for i, v := range row {
						acc = fn(acc, v)
						to[i] = acc
					}
				}
			}
			add("CumSum", func(x T) T { return x.CumSum(axis - len(s)) }, along(axis, -1, running(0, plus)), n(s...))
			add("CumProd", func(x T) T { return x.CumProd(axis) }, along(axis, -1, running(1, func(x, y float64) float64 { return x * y })), operand{kind: distant, shape: s})
			add("SoftmaxAxis", func(x T) T { return x.SoftmaxAxis(axis) }, along(axis, -1, func(to, row []float64) {
				if len(row) > 0 {
					softmaxRow(to, row)
				}
			}), n(s...))
			add("LogSoftmaxAxis", func(x T) T { return x.LogSoftmaxAxis(axis - len(s)) }, along(axis, -1, func(to, row []float64) {
				if len(row) > 0 {
					softmaxRow(to, row)
				}
				for i := range to {
					to[i] = math.Log(to[i])
				}
			}), n(s...))
			for _, descending := range []bool{false, true} {
				add("Sort", func(x T) T { return first(x.Sort(axis, descending)) }, along(axis, -1, sorted(descending)), n(s...))
			}
			for _, k := range []int{0, 1, 2} {
				if k <= s[axis] {
					add("TopK", func(x T) T { return first(x.TopK(k, axis)) }, along(axis, k, sorted(true)), n(s...))
				}
			}
		}
	}
	return cases
}

// reductionConstants lists cases of the reductions and orders without a derivative.
func reductionConstants() []opCase {
	var cases []opCase
	add := func(op string, fn func(x T) T, ref func(x []nd) nd, in operand) {
		cases = append(cases, opCase{op, []operand{in}, func(x []T) T { return fn(x[0]) }, ref})
	}
	for _, f := range folds {
		or := foldRef(0, math.Max, f.axes...)
		and := foldRef(1, math.Min, f.axes...)
		add("AnyKeep", func(x T) T { return x.AnyKeep(f.axes...) }, or, b(f.shape...))
		add("Any", func(x T) T { return x.Any(f.axes...) }, shaped(f.dropped, or), b(f.shape...))
		add("AllKeep", func(x T) T { return x.AllKeep(f.axes...) }, and, b(f.shape...))
		add("All", func(x T) T { return x.All(f.axes...) }, shaped(f.dropped, and), b(f.shape...))
		counts := foldRef(0, func(acc, x float64) float64 { return acc + truth(x != 0) }, f.axes...)
		add("NormKeep", func(x T) T { return x.To(tensor.F64).NormKeep(0, f.axes...) }, counts, i(2, f.shape...))
	}
	for _, s := range [][]int{{5}, {2, 3}, {3, 1}, {2, 3, 4}, {0, 3}} {
		for axis := range s {
			if s[axis] == 0 {
				continue
			}
			index := func(descending bool) func(x []nd) nd {
				dropped := slices.Delete(slices.Clone(s), axis, axis+1)
				return shaped(dropped, along(axis, 1, func(to, row []float64) { to[0] = float64(places(row, descending)[0]) }))
			}
			add("ArgMax", func(x T) T { return x.ArgMax(axis) }, index(true), i(3, s...))
			add("ArgMin", func(x T) T { return x.ArgMin(axis - len(s)) }, index(false), i(3, s...))
			for _, descending := range []bool{false, true} {
				where := along(axis, -1, func(to, row []float64) {
					for i, at := range places(row, descending) {
						to[i] = float64(at)
					}
				})
				add("ArgSort", func(x T) T { return x.ArgSort(axis, descending) }, where, i(3, s...))
				add("Sort", func(x T) T { return second(x.Sort(axis, descending)) }, where, i(3, s...))
				add("Sort", func(x T) T { return first(x.Sort(axis, descending)) }, along(axis, -1, sorted(descending)), b(s...))
			}
			add("CumSum", func(x T) T { return x.CumSum(axis) }, along(axis, -1, func(to, row []float64) {
				sum := 0.0
				for i, v := range row {
					sum += v
					to[i] = sum
				}
			}), i(100, s...))
		}
	}
	add("ArgMin", func(x T) T { return x.ArgMin() }, shaped([]int{2}, along(1, 1, func(to, row []float64) { to[0] = float64(places(row, false)[0]) })), i(4, 2, 3))
	return cases
}
