package tensor_test

import (
	"math"
	"slices"

	"github.com/hone-ml/hone/tensor"
)

// An opCase is an op on inputs, with what it must give.
type opCase struct {
	op  string // the exported name of a function or a method
	in  []operand
	fn  func(x []T) T
	ref func(x []nd) nd
}

// An operand says how an input looks. Its numbers are drawn anew for every case.
type operand struct {
	kind  byte // see the constants
	shape []int
	limit int // of indices
}

const (
	normal   = 'n' // standard normal, wants a gradient
	positive = 'p' // in [0.5, 2), wants a gradient
	distant  = 'd' // at least 0.3 from 0, wants a gradient
	index    = 'i' // I32 in [0, limit)
	boolean  = 'b'
	constant = 'c' // standard normal, wants no gradient
)

func n(shape ...int) operand            { return operand{kind: normal, shape: shape} }
func c(shape ...int) operand            { return operand{kind: constant, shape: shape} }
func b(shape ...int) operand            { return operand{kind: boolean, shape: shape} }
func i(limit int, shape ...int) operand { return operand{kind: index, shape: shape, limit: limit} }

// differentiable lists cases of every op that backward goes through.
func differentiable() []opCase {
	cases := append(mathsCases(), reductionCases()...)
	add := func(op string, fn func(x []T) T, ref func(x []nd) nd, in ...operand) {
		cases = append(cases, opCase{op, in, fn, ref})
	}

	shapes := [][]int{{}, {1}, {5}, {2, 3, 4}, {3, 0, 2}}
	unary := func(op string, kind byte, fn func(x T) T, ref func(float64) float64) {
		for _, s := range shapes {
			add(op, func(x []T) T { return fn(x[0]) }, map1(ref), operand{kind: kind, shape: s})
		}
	}
	unary("Neg", normal, T.Neg, func(x float64) float64 { return -x })
	unary("Abs", distant, T.Abs, math.Abs)
	unary("Square", normal, T.Square, func(x float64) float64 { return x * x })
	unary("Exp", normal, T.Exp, math.Exp)
	unary("Log", positive, T.Log, math.Log)
	unary("Sqrt", positive, T.Sqrt, math.Sqrt)
	unary("Rsqrt", positive, T.Rsqrt, func(x float64) float64 { return 1 / math.Sqrt(x) })
	unary("Sin", normal, T.Sin, math.Sin)
	unary("Cos", normal, T.Cos, math.Cos)
	unary("Tanh", normal, T.Tanh, math.Tanh)
	unary("Sigmoid", normal, T.Sigmoid, sigmoid)
	unary("SiLU", normal, T.SiLU, func(x float64) float64 { return x * sigmoid(x) })
	unary("ReLU", distant, T.ReLU, func(x float64) float64 { return max(x, 0) })
	unary("AddScalar", normal, func(x T) T { return x.AddScalar(0.75) }, func(x float64) float64 { return x + 0.75 })
	unary("MulScalar", normal, func(x T) T { return x.MulScalar(-1.5) }, func(x float64) float64 { return -1.5 * x })
	unary("DivScalar", normal, func(x T) T { return x.DivScalar(-3) }, func(x float64) float64 { return x / -3 })
	for _, e := range []float64{3, 2, 1, 0, -1.5} {
		unary("PowScalar", positive, func(x T) T { return x.PowScalar(e) }, func(x float64) float64 { return math.Pow(x, e) })
	}
	unary("Contiguous", normal, T.Contiguous, func(x float64) float64 { return x })

	pairs := [][2][]int{{{3, 4}, {3, 4}}, {{2, 3, 4}, {4}}, {{3, 1}, {1, 4}}, {{}, {2, 3}}, {{0, 3}, {1, 3}}, {{1}, {1}}, {{2, 1, 3}, {4, 1}}, {{2}, {3, 1, 1}}}
	binary := func(op string, kinds string, fn func(x, y T) T, ref func(x, y float64) float64) {
		for _, p := range pairs {
			add(op, func(x []T) T { return fn(x[0], x[1]) }, map2(ref), operand{kind: kinds[0], shape: p[0]}, operand{kind: kinds[1], shape: p[1]})
		}
	}
	binary("Add", "nn", T.Add, plus)
	binary("Sub", "nn", T.Sub, func(x, y float64) float64 { return x - y })
	binary("Mul", "nn", T.Mul, func(x, y float64) float64 { return x * y })
	binary("Mul", "nc", T.Mul, func(x, y float64) float64 { return x * y })
	binary("Div", "nd", T.Div, func(x, y float64) float64 { return x / y })
	binary("Div", "cd", T.Div, func(x, y float64) float64 { return x / y })
	binary("Div", "nc", func(x, y T) T { return x.Div(y.Exp()) }, func(x, y float64) float64 { return x / math.Exp(y) })
	binary("Maximum", "nn", T.Maximum, math.Max)
	binary("Minimum", "nn", T.Minimum, math.Min)
	for _, s := range [][3][]int{{{3, 4}, {3, 4}, {3, 4}}, {{4}, {3, 1}, {}}, {{2, 3, 1}, {3, 4}, {1, 4}}, {{0, 2}, {2}, {2}}, {{1}, {1}, {1}}} {
		add("Where", func(x []T) T { return tensor.Where(x[0], x[1], x[2]) }, func(x []nd) nd {
			shape := broadcastShape(x[0].shape, broadcastShape(x[1].shape, x[2].shape))
			return build(shape, func(at []int) float64 {
				if *x[0].at(at...) != 0 {
					return *x[1].at(at...)
				}
				return *x[2].at(at...)
			})
		}, b(s[0]...), n(s[1]...), n(s[2]...))
	}

	identity := func(shape ...int) func(x []nd) nd {
		return func(x []nd) nd { return nd{shape, x[0].data} }
	}
	add("Reshape", func(x []T) T { return x[0].Reshape(4, -1) }, identity(4, 6), n(2, 3, 4))
	add("Reshape", func(x []T) T { return x[0].Reshape() }, identity(), n(1, 1))
	add("Reshape", func(x []T) T { return x[0].Reshape(3, 0) }, identity(3, 0), n(0, 2))
	add("Flatten", func(x []T) T { return x[0].Flatten() }, identity(24), n(2, 3, 4))
	add("Flatten", func(x []T) T { return x[0].Flatten() }, identity(1), n())
	add("Flatten", func(x []T) T { return x[0].Flatten() }, identity(0), n(2, 0))
	for _, s := range [][]int{{2, 3, 4}, {1, 5, 1}, {2, 0, 3}} {
		swap := func(x []nd) nd {
			return build([]int{s[2], s[1], s[0]}, func(at []int) float64 { return *x[0].at(at[2], at[1], at[0]) })
		}
		add("Transpose", func(x []T) T { return x[0].Transpose(0, -1) }, swap, n(s...))
		last := func(x []nd) nd {
			return build([]int{s[0], s[2], s[1]}, func(at []int) float64 { return *x[0].at(at[0], at[2], at[1]) })
		}
		add("T", func(x []T) T { return x[0].T() }, last, n(s...))
	}
	slice := func(shape []int, axis, lo, hi, from, count int) {
		a := (axis + len(shape)) % len(shape)
		out := slices.Clone(shape)
		out[a] = count
		add("Slice", func(x []T) T { return x[0].Slice(axis, lo, hi) }, func(x []nd) nd {
			return build(out, func(at []int) float64 {
				at = slices.Clone(at)
				at[a] += from
				return *x[0].at(at...)
			})
		}, n(shape...))
	}
	slice([]int{4, 3}, 0, 1, 3, 1, 2)
	slice([]int{2, 5, 3}, 1, -3, 5, 2, 3)
	slice([]int{2, 3}, -1, 1, -1, 1, 1)
	slice([]int{2, 3}, -1, 1, 1, 1, 0)
	slice([]int{0, 3}, 0, 0, 0, 0, 0)
	slice([]int{1}, 0, 0, 1, 0, 1)
	for _, at := range []int{0, 2, -1} {
		add("Index", func(x []T) T { return x[0].Index(at) }, func(x []nd) nd {
			return build([]int{2, 2}, func(i []int) float64 { return *x[0].at((at+3)%3, i[0], i[1]) })
		}, n(3, 2, 2))
	}
	add("Index", func(x []T) T { return x[0].Index(0) }, identity(), n(1))
	add("Squeeze", func(x []T) T { return x[0].Squeeze(1) }, identity(2, 3), n(2, 1, 3))
	add("Squeeze", func(x []T) T { return x[0].Squeeze(-1) }, identity(), n(1))
	add("Squeeze", func(x []T) T { return x[0].Squeeze(0) }, identity(0), n(1, 0))
	add("Unsqueeze", func(x []T) T { return x[0].Unsqueeze(1) }, identity(2, 1, 3), n(2, 3))
	add("Unsqueeze", func(x []T) T { return x[0].Unsqueeze(-1) }, identity(1), n())
	add("Unsqueeze", func(x []T) T { return x[0].Unsqueeze(0) }, identity(1, 2, 0), n(2, 0))
	for _, s := range [][2][]int{{{3, 1}, {2, 3, 4}}, {{}, {2, 2}}, {{1, 3}, {1, 3}}, {{1}, {0}}, {{2, 1}, {3, 2, 1}}} {
		add("Expand", func(x []T) T { return x[0].Expand(s[1]...) }, func(x []nd) nd {
			return build(s[1], func(at []int) float64 { return *x[0].at(at...) })
		}, n(s[0]...))
	}
	for _, s := range [][2]int{{2, 3}, {1, 1}, {0, 4}} {
		add("Cat", func(x []T) T { return tensor.Cat(1, x[0], x[1], x[0]) }, func(x []nd) nd {
			return build([]int{2, 2*s[0] + s[1], 3}, func(at []int) float64 {
				switch j := at[1]; {
				case j < s[0]:
					return *x[0].at(at[0], j, at[2])
				case j < s[0]+s[1]:
					return *x[1].at(at[0], j-s[0], at[2])
				default:
					return *x[0].at(at[0], j-s[0]-s[1], at[2])
				}
			})
		}, n(2, s[0], 3), n(2, s[1], 3))
	}

	folds := []struct {
		shape, axes, kept, dropped []int
	}{
		{[]int{2, 3, 4}, nil, []int{1, 1, 1}, nil},
		{[]int{2, 3, 4}, []int{1}, []int{2, 1, 4}, []int{2, 4}},
		{[]int{2, 3, 4}, []int{0, -1}, []int{1, 3, 1}, []int{3}},
		{[]int{5}, []int{-1}, []int{1}, nil},
		{nil, nil, nil, nil},
		{[]int{3, 1}, []int{1}, []int{3, 1}, []int{3}},
	}
	for _, f := range folds {
		in := n(f.shape...)
		add("SumKeep", func(x []T) T { return x[0].SumKeep(f.axes...) }, foldRef(0, plus, f.axes...), in)
		add("Sum", func(x []T) T { return x[0].Sum(f.axes...) }, shaped(f.dropped, foldRef(0, plus, f.axes...)), in)
		add("MeanKeep", func(x []T) T { return x[0].MeanKeep(f.axes...) }, meanRef(f.axes...), in)
		add("Mean", func(x []T) T { return x[0].Mean(f.axes...) }, shaped(f.dropped, meanRef(f.axes...)), in)
		add("MaxKeep", func(x []T) T { return x[0].MaxKeep(f.axes...) }, foldRef(math.Inf(-1), math.Max, f.axes...), in)
		add("Max", func(x []T) T { return x[0].Max(f.axes...) }, shaped(f.dropped, foldRef(math.Inf(-1), math.Max, f.axes...)), in)
	}
	add("Sum", func(x []T) T { return x[0].Sum(0) }, func([]nd) nd { return zeros(3) }, n(0, 3))
	add("Sum", func(x []T) T { return x[0].Sum(1) }, func([]nd) nd { return zeros(0) }, n(0, 3))

	for _, s := range [][2][]int{{{5}, {3}}, {{4, 3}, {2, 3}}, {{3, 2, 2}, {4}}, {{1, 1}, {1}}, {{3, 2}, {0}}, {{2, 0}, {3}}, {{3, 2}, {}}} {
		gather := func(x []nd) nd {
			w := length(s[0][1:])
			y := zeros(append(slices.Clone(s[1]), s[0][1:]...)...)
			for j := range y.data {
				y.data[j] = x[0].data[int(x[1].data[j/w])*w+j%w]
			}
			return y
		}
		add("Gather", func(x []T) T { return x[0].Gather(x[1]) }, gather, n(s[0]...), i(s[0][0], s[1]...))
		if len(s[0]) == 2 {
			add("Embedding", func(x []T) T { return tensor.Embedding(x[0], x[1]) }, gather, n(s[0]...), i(s[0][0], s[1]...))
		}
	}

	for _, s := range [][2][]int{
		{{2, 3}, {3, 4}}, {{1, 1}, {1, 1}}, {{2, 0}, {0, 3}}, {{0, 2}, {2, 3}}, {{3, 2, 3}, {3, 3, 2}}, {{2, 2, 3, 4}, {4, 2}},
		{{2, 3}, {4, 3, 2}}, {{2, 1, 2, 3}, {3, 3, 2}}, {{1, 5}, {5, 1}}, {{2, 1, 3}, {2, 3, 1}}, {{1, 2, 3}, {4, 3, 2}}, {{1, 2, 3}, {3, 2}},
	} {
		add("MatMul", func(x []T) T { return x[0].MatMul(x[1]) }, matmulRef, n(s[0]...), n(s[1]...))
	}
	// A right operand in which neither rows nor columns lie one behind the other.
	scattered := func(x T) T { return x.Slice(2, 1, 2).Squeeze(2) }
	scatteredRef := func(x nd) nd {
		return build(x.shape[:2], func(at []int) float64 { return *x.at(at[0], at[1], 1) })
	}
	for _, s := range [][]int{{2, 3}, {4, 2, 3}, {2, 2, 2, 3}} {
		add("MatMul", func(x []T) T { return x[0].MatMul(scattered(x[1])) }, func(x []nd) nd {
			return matmulRef([]nd{x[0], scatteredRef(x[1])})
		}, n(s...), n(3, 2, 3))
		add("LinearCrossEntropy", func(x []T) T {
			return tensor.LinearCrossEntropy(x[0], scattered(x[1]).T(), x[2], tensor.CrossEntropyOptions{})
		}, func(x []nd) nd {
			return crossEntropyRef(-100, 0, 0)([]nd{matmulRef([]nd{x[0], scatteredRef(x[1])}), x[2]})
		}, n(s...), n(3, 2, 3), i(2, s[:len(s)-1]...))
	}
	for _, s := range [][]int{{3}, {2, 3}, {2, 2, 3}, {0, 3}, {1, 1}} {
		out, in := 4, s[len(s)-1]
		linear := func(x []nd) nd {
			shape := append(slices.Clone(s[:len(s)-1]), out)
			y := zeros(shape...)
			for j := range y.data {
				for k := range in {
					y.data[j] += x[0].data[j/out*in+k] * x[1].data[j%out*in+k]
				}
				if len(x) > 2 {
					y.data[j] += x[2].data[j%out]
				}
			}
			return y
		}
		add("Linear", func(x []T) T { return tensor.Linear(x[0], x[1], nil) }, linear, n(s...), n(out, in))
		add("Linear", func(x []T) T { return tensor.Linear(x[0], x[1], x[2]) }, linear, n(s...), n(out, in), n(out))
		shape := append(slices.Clone(s[:len(s)-1]), out)
		plus := func(y, r nd) nd {
			for i, v := range r.data {
				y.data[i] += v
			}
			return y
		}
		add("LinearAdd", func(x []T) T { return tensor.LinearAdd(x[2], x[0], x[1], nil) },
			func(x []nd) nd { return plus(linear(x[:2]), x[2]) }, n(s...), n(out, in), n(shape...))
		add("LinearAdd", func(x []T) T { return tensor.LinearAdd(x[3], x[0], x[1], x[2]) },
			func(x []nd) nd { return plus(linear(x[:3]), x[3]) }, n(s...), n(out, in), n(out), n(shape...))
	}

	for _, s := range [][]int{{3, 5}, {2, 2, 4}, {3, 1}, {0, 3}, {7}} {
		add("Softmax", func(x []T) T { return x[0].Softmax() }, softmaxRef, n(s...))
		add("LogSoftmax", func(x []T) T { return x[0].LogSoftmax() }, func(x []nd) nd { return map1(math.Log)([]nd{softmaxRef(x)}) }, n(s...))
		add("SwiGLU", func(x []T) T { return tensor.SwiGLU(x[0], x[1]) }, map2(func(g, u float64) float64 { return g * sigmoid(g) * u }), n(s...), n(s...))
		if s[len(s)-1] > 1 { // the normalised number of a row of one is 0, and its error all noise
			add("LayerNorm", func(x []T) T { return tensor.LayerNorm(x[0], x[1], x[2], 1e-3) }, layerNormRef(1e-3), n(s...), n(s[len(s)-1]), n(s[len(s)-1]))
		}
		add("RMSNorm", func(x []T) T { return tensor.RMSNorm(x[0], x[1], 1e-3) }, rmsNormRef(1e-3), n(s...), n(s[len(s)-1]))
	}
	for _, s := range [][]int{{2, 3, 2, 4}, {3, 1, 2}, {1, 2}, {0, 2, 4}} {
		rows := length(s[:len(s)-2])
		table := c(rows, s[len(s)-1]/2)
		add("RoPE", func(x []T) T { return tensor.RoPE(x[0], x[1], x[2]) }, ropeRef, n(s...), table, table)
		add("RMSNormRoPE", func(x []T) T { return tensor.RMSNormRoPE(x[0], x[1], x[2], x[3], 1e-3) }, func(x []nd) nd {
			return ropeRef([]nd{rmsNormRef(1e-3)(x[:2]), x[2], x[3]})
		}, n(s...), n(s[len(s)-1]), table, table)
	}
	attention := func(o tensor.AttentionOptions, b, t, s, h, kv, d int, problems ...problem) {
		scale := o.Scale
		if scale == 0 {
			scale = 1 / math.Sqrt(float64(d))
		}
		add("Attention", func(x []T) T { return tensor.Attention(x[0], x[1], x[2], o) }, attentionRef(o.Causal, scale, problems...),
			n(b, t, h, d), n(b, s, kv, d), n(b, s, kv, d))
	}
	attention(tensor.AttentionOptions{}, 1, 3, 3, 2, 1, 2, problem{0, 3, 0, 3})
	attention(tensor.AttentionOptions{Causal: true}, 2, 3, 3, 4, 2, 2, problem{0, 3, 0, 3}, problem{3, 6, 3, 6})
	attention(tensor.AttentionOptions{Causal: true, Scale: 0.3}, 1, 2, 5, 2, 2, 3, problem{0, 2, 0, 5})
	attention(tensor.AttentionOptions{Causal: true}, 1, 5, 2, 1, 1, 2, problem{0, 5, 0, 2})
	attention(tensor.AttentionOptions{Causal: true, SeqStarts: []int32{0, 2, 7}}, 2, 5, 5, 2, 1, 2, problem{0, 2, 0, 2}, problem{2, 5, 2, 5}, problem{5, 7, 5, 7}, problem{7, 10, 7, 10})
	attention(tensor.AttentionOptions{Segments: []tensor.Segment{{Q0: 1, Q1: 2, K0: 0, K1: 4}, {Q0: 2, Q1: 4, K0: 3, K1: 5}}}, 1, 5, 6, 2, 1, 2, problem{1, 2, 0, 4}, problem{2, 4, 3, 5})
	attention(tensor.AttentionOptions{Causal: true}, 1, 1, 1, 1, 1, 1, problem{0, 1, 0, 1})
	attention(tensor.AttentionOptions{}, 0, 2, 2, 1, 1, 2)

	for _, s := range [][]int{{4, 5}, {2, 3, 4}, {1, 1}, {3}} {
		lead, classes := s[:len(s)-1], s[len(s)-1]
		for _, o := range []tensor.CrossEntropyOptions{{}, {Smoothing: 0.2, Divisor: 7}, {IgnoreIndex: 1, Divisor: 2, Smoothing: 0.1}} {
			ignore := o.IgnoreIndex
			if ignore == 0 {
				ignore = -100
			}
			ref := crossEntropyRef(ignore, o.Smoothing, o.Divisor)
			add("CrossEntropy", func(x []T) T { return tensor.CrossEntropy(x[0], x[1], o) }, ref, n(s...), i(classes, lead...))
			add("NLL", func(x []T) T { return tensor.NLL(x[0].LogSoftmax(), x[1], o) }, ref, n(s...), i(classes, lead...))
			rows, weighted := crossEntropyRows(ignore, o.Smoothing), o
			weighted.PerRow = true
			add("CrossEntropy", func(x []T) T { return tensor.CrossEntropy(x[0], x[1], weighted) }, rows, n(s...), i(classes, lead...))
			add("CrossEntropy", func(x []T) T {
				weighted := weighted
				weighted.ClassWeights = x[2].Abs()
				return tensor.CrossEntropy(x[0], x[1], weighted)
			}, func(x []nd) nd { return rows([]nd{x[0], x[1], map1(math.Abs)(x[2:])}) }, n(s...), i(classes, lead...), c(classes))
			add("CrossEntropy", func(x []T) T {
				o := o
				o.RowWeights = x[2].Abs()
				return tensor.CrossEntropy(x[0], x[1], o)
			}, func(x []nd) nd { return ref([]nd{x[0], x[1], map1(math.Abs)(x[2:])}) }, n(s...), i(classes, lead...), c(lead...))
			hidden := append(slices.Clone(lead), 2)
			add("LinearCrossEntropy", func(x []T) T { return tensor.LinearCrossEntropy(x[0], x[1], x[2], o) }, func(x []nd) nd {
				rows := nd{[]int{length(lead), 2}, x[0].data}
				w := build([]int{2, classes}, func(at []int) float64 { return *x[1].at(at[1], at[0]) })
				return ref([]nd{matmulRef([]nd{rows, w}), x[2]})
			}, n(hidden...), n(classes, 2), i(classes, lead...))
		}
	}
	cases = append(cases, convolutionCases()...)
	cases = append(cases, shapeCases()...)
	return cases
}

// constants lists cases of every op whose result has no gradient.
func constants() []opCase {
	cases := append(mathsConstants(), reductionConstants()...)
	add := func(op string, fn func(x []T) T, ref func(x []nd) nd, in ...operand) {
		cases = append(cases, opCase{op, in, fn, ref})
	}
	for _, s := range [][2][]int{{{3, 4}, {3, 4}}, {{2, 1}, {3}}, {{0}, {1}}, {{}, {}}} {
		compare := func(op string, fn func(x, y T) T, ref func(x, y float64) bool) {
			add(op, func(x []T) T { return fn(x[0], x[1]) }, map2(func(x, y float64) float64 { return truth(ref(x, y)) }), i(3, s[0]...), i(3, s[1]...))
		}
		compare("Eq", T.Eq, func(x, y float64) bool { return x == y })
		compare("Ne", T.Ne, func(x, y float64) bool { return x != y })
		compare("Lt", T.Lt, func(x, y float64) bool { return x < y })
		compare("Le", T.Le, func(x, y float64) bool { return x <= y })
		compare("Gt", T.Gt, func(x, y float64) bool { return x > y })
		compare("Ge", T.Ge, func(x, y float64) bool { return x >= y })
		add("And", func(x []T) T { return x[0].And(x[1]) }, map2(func(x, y float64) float64 { return x * y }), b(s[0]...), b(s[1]...))
		add("Or", func(x []T) T { return x[0].Or(x[1]) }, map2(math.Max), b(s[0]...), b(s[1]...))
		add("Not", func(x []T) T { return x[0].Not() }, map1(func(x float64) float64 { return 1 - x }), b(s[0]...))
		add("GtScalar", func(x []T) T { return x[0].GtScalar(1) }, map1(func(x float64) float64 { return truth(x > 1) }), i(3, s[0]...))
		add("GeScalar", func(x []T) T { return x[0].GeScalar(1) }, map1(func(x float64) float64 { return truth(x >= 1) }), i(3, s[0]...))
		add("EqScalar", func(x []T) T { return x[0].EqScalar(1) }, map1(func(x float64) float64 { return truth(x == 1) }), i(3, s[0]...))
		add("Detach", func(x []T) T { return x[0].Detach() }, map1(func(x float64) float64 { return x }), n(s[0]...))
	}
	for _, s := range [][]int{{5}, {2, 3}, {3, 1}, {0, 3}} {
		add("ArgMax", func(x []T) T { return x[0].ArgMax() }, func(x []nd) nd {
			rows := build(s[:len(s)-1], func([]int) float64 { return 0 })
			for j := range rows.data {
				row := x[0].data[j*s[len(s)-1] : (j+1)*s[len(s)-1]]
				rows.data[j] = float64(slices.Index(row, slices.Max(row)))
			}
			return rows
		}, i(3, s...))
	}
	for _, s := range [][]int{{2, 3}, {4}, {}, {0, 2}, {1, 1}} {
		add("NonZero", func(x []T) T { return x[0].NonZero() }, func(x []nd) nd {
			var found []float64
			rows := 0
			indices(s, func(at []int) {
				if *x[0].at(at...) != 0 {
					rows++
					for _, i := range at {
						found = append(found, float64(i))
					}
				}
			})
			return nd{[]int{rows, len(s)}, found}
		}, i(2, s...))
	}
	return cases
}
