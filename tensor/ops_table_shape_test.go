package tensor_test

import (
	"math"
	"slices"

	"github.com/hone-ml/hone/tensor"
)

// from is the array of a shape whose element at `at` is x's at where(at).
func from(x nd, shape []int, where func(at []int) []int) nd {
	return build(shape, func(at []int) float64 { return *x.at(where(at)...) })
}

// with is at with one index replaced.
func with(at []int, axis, i int) []int {
	at = slices.Clone(at)
	at[axis] = i
	return at
}

// insert is at with one index more.
func insert(at []int, axis, i int) []int { return slices.Insert(slices.Clone(at), axis, i) }

// shapeCases are those of ops that move elements: views, joins, padding and indexing.
func shapeCases() []opCase {
	var cases []opCase
	add := func(op string, fn func(x []T) T, ref func(x []nd) nd, in ...operand) {
		cases = append(cases, opCase{op, in, fn, ref})
	}
	// moves is a case of an op with one operand whose result takes each element from somewhere.
	moves := func(op string, shape, result []int, fn func(x T) T, where func(at []int) []int) {
		add(op, func(x []T) T { return fn(x[0]) }, func(x []nd) nd { return from(x[0], result, where) }, n(shape...))
	}

	for _, s := range [][]int{{2, 3, 4}, {1, 5, 1}, {2, 0, 3}} {
		moves("Permute", s, []int{s[2], s[0], s[1]}, func(x T) T { return x.Permute(-1, 0, 1) }, func(at []int) []int { return []int{at[1], at[2], at[0]} })
		moves("Movedim", s, []int{s[1], s[2], s[0]}, func(x T) T { return x.Movedim(0, -1) }, func(at []int) []int { return []int{at[2], at[0], at[1]} })
		moves("Movedim", s, []int{s[2], s[0], s[1]}, func(x T) T { return x.Movedim(2, 0) }, func(at []int) []int { return []int{at[1], at[2], at[0]} })
		for axis := range s {
			length := s[axis]
			moves("Flip", s, s, func(x T) T { return x.Flip(axis) }, func(at []int) []int { return with(at, axis, length-1-at[axis]) })
			for _, shift := range []int{1, -5, 0} {
				moves("Roll", s, s, func(x T) T { return x.Roll(axis, shift) }, func(at []int) []int {
					return with(at, axis, ((at[axis]-shift)%length+length)%length)
				})
			}
			moves("RepeatInterleave", s, with(s, axis, 3*length), func(x T) T { return x.RepeatInterleave(axis, 3) }, func(at []int) []int { return with(at, axis, at[axis]/3) })
		}
		moves("Flip", s, s, func(x T) T { return x.Flip() }, func(at []int) []int { return []int{s[0] - 1 - at[0], s[1] - 1 - at[1], s[2] - 1 - at[2]} })
		moves("Tile", s, []int{2, s[0], 3 * s[1], s[2]}, func(x T) T { return x.Tile(2, 1, 3, 1) }, func(at []int) []int { return []int{at[1], at[2] % max(s[1], 1), at[3]} })
		moves("Tile", s, []int{s[0], s[1], 0}, func(x T) T { return x.Tile(0) }, slices.Clone[[]int])
	}
	for _, s := range [][]int{{2, 3}, {1, 1}, {0, 2}} {
		add("Pad", func(x []T) T { return x[0].Pad(-2, [2]int{1, 2}, [2]int{0, 1}) }, func(x []nd) nd {
			return build([]int{s[0] + 3, s[1] + 1}, func(at []int) float64 {
				if i, j := at[0]-1, at[1]; i >= 0 && i < s[0] && j < s[1] {
					return *x[0].at(i, j)
				}
				return -2
			})
		}, n(s...))
	}
	moves("Pad", []int{2, 2}, []int{2, 2}, func(x T) T { return x.Pad(1) }, slices.Clone[[]int])
	for _, s := range [][]int{{2, 4}, {1, 3, 5}, {3, 4}} {
		last := len(s) - 1
		wide := with(s, last, s[last]+5)
		pad := func(op string, fn func(x T, w ...[2]int) T, where func(i, n int) int) {
			moves(op, s, wide, func(x T) T { return fn(x, [2]int{2, 3}) }, func(at []int) []int { return with(at, last, where(at[last]-2, s[last])) })
		}
		pad("PadReflect", T.PadReflect, func(i, n int) int {
			i = max(i, -i)
			return min(i, 2*(n-1)-i)
		})
		pad("PadReplicate", T.PadReplicate, func(i, n int) int { return min(max(i, 0), n-1) })
		pad("PadCircular", T.PadCircular, func(i, n int) int { return (i + n) % n })
	}
	moves("PadReplicate", []int{1, 1}, []int{3, 2}, func(x T) T { return x.PadReplicate([2]int{1, 1}, [2]int{0, 1}) }, func([]int) []int { return []int{0, 0} })

	for _, c := range []struct {
		shape                         []int
		axis, lo, hi, step, at, count int
	}{
		{[]int{7}, 0, 0, 7, 2, 0, 4}, {[]int{2, 5, 3}, 1, 1, 5, 3, 1, 2}, {[]int{3, 6}, -1, -5, -1, 2, 1, 2},
		{[]int{4, 2}, 0, 2, 2, 3, 2, 0}, {[]int{1, 3}, 0, 0, 1, math.MaxInt, 0, 1}, {[]int{0, 3}, 0, 0, 0, 1, 0, 0},
	} {
		axis := (c.axis + len(c.shape)) % len(c.shape)
		moves("SliceStep", c.shape, with(c.shape, axis, c.count), func(x T) T { return x.SliceStep(c.axis, c.lo, c.hi, c.step) },
			func(at []int) []int { return with(at, axis, c.at+at[axis]*c.step) })
	}
	moves("Unflatten", []int{2, 6}, []int{2, 3, 2}, func(x T) T { return x.Unflatten(-1, 3, -1) }, func(at []int) []int { return []int{at[0], at[1]*2 + at[2]} })
	moves("Unflatten", []int{6, 2}, []int{2, 1, 3, 2}, func(x T) T { return x.Unflatten(0, 2, 1, 3) }, func(at []int) []int { return []int{at[0]*3 + at[2], at[3]} })
	moves("Unflatten", []int{0, 2}, []int{0, 4, 2}, func(x T) T { return x.Unflatten(0, 0, 4) }, func(at []int) []int { return at[1:] })
	moves("Unflatten", []int{1}, []int{1, 1}, func(x T) T { return x.Unflatten(0, 1, 1) }, func(at []int) []int { return at[1:] })
	for _, offset := range []int{0, 1, -2, 3, 9} {
		for _, s := range [][]int{{3, 4}, {1, 1}, {0, 2}} {
			length := max(0, min(s[0]-max(-offset, 0), s[1]-max(offset, 0)))
			down, right := max(-offset, 0), max(offset, 0)
			moves("Diagonal", []int{s[0], 2, s[1]}, []int{2, length}, func(x T) T { return x.Diagonal(offset, 0, -1) }, func(at []int) []int { return []int{down + at[1], at[0], right + at[1]} })
			moves("Diag", s, []int{length}, func(x T) T { return x.Diag(offset) }, func(at []int) []int { return []int{down + at[0], right + at[0]} })
		}
		for _, length := range []int{0, 1, 3} {
			size := length + max(offset, -offset)
			add("Diag", func(x []T) T { return x[0].Diag(offset) }, func(x []nd) nd {
				return build([]int{size, size}, func(at []int) float64 {
					if at[1]-at[0] != offset {
						return 0
					}
					return *x[0].at(min(at[0], at[1]))
				})
			}, n(length))
		}
	}
	for _, s := range [][]int{{3, 3}, {2, 4}, {1, 1}, {0, 3}} {
		add("Trace", func(x []T) T { return x[0].Trace() }, func(x []nd) nd {
			sum := 0.0
			for i := range min(s[0], s[1]) {
				sum += *x[0].at(i, i)
			}
			return nd{nil, []float64{sum}}
		}, n(s...))
	}

	for _, s := range [][]int{{2, 3}, {1}, {}, {0, 2}} {
		for axis := range len(s) + 1 {
			stack := func(x []nd) nd {
				return build(insert(s, axis, 3), func(at []int) float64 {
					return *x[at[axis]%2].at(slices.Delete(slices.Clone(at), axis, axis+1)...)
				})
			}
			add("Stack", func(x []T) T { return tensor.Stack(axis, x[0], x[1], x[0]) }, stack, n(s...), n(s...))
			add("Stack", func(x []T) T { return tensor.Stack(axis-len(s)-1, x[0], x[1], x[0]) }, stack, n(s...), n(s...))
		}
	}
	// Of each split the parts are joined again in another order, one left out and one used twice.
	moves("Split", []int{2, 6}, []int{2, 6}, func(x T) T {
		p := x.Split(1, 1, 0, 3, 2)
		return tensor.Cat(1, p[2], p[0], p[1], p[3])
	}, func(at []int) []int { return []int{at[0], []int{1, 2, 3, 0, 4, 5}[at[1]]} })
	moves("Split", []int{5, 2}, []int{6, 2}, func(x T) T {
		p := x.Split(0, 3, 2)
		return tensor.Cat(0, p[0], p[0])
	}, func(at []int) []int { return []int{at[0] % 3, at[1]} })
	moves("Split", []int{0, 2}, []int{0, 2}, func(x T) T { return x.Split(0, 0)[0] }, slices.Clone[[]int])
	for parts, lengths := range map[int][]int{1: {5}, 2: {3, 2}, 3: {2, 2, 1}, 4: {2, 2, 1}, 9: {1, 1, 1, 1, 1}} {
		moves("Chunk", []int{5, 2}, []int{5, 2}, func(x T) T {
			p := x.Chunk(0, parts)
			for i, c := range p {
				if c.Dim(0) != lengths[i] {
					return x.Slice(0, 0, 0) // has another shape than expected
				}
			}
			return tensor.Cat(0, p...)
		}, slices.Clone[[]int])
	}
	moves("Chunk", []int{2, 0}, []int{2, 0}, func(x T) T { return x.Chunk(1, 3)[0] }, slices.Clone[[]int])
	for _, s := range [][]int{{2, 3}, {1, 1}, {3, 0}} {
		moves("Unbind", s, []int{2, s[1]}, func(x T) T {
			p := x.Unbind(0)
			return tensor.Stack(0, p[len(p)-1], p[0])
		}, func(at []int) []int { return []int{(1 - at[0]) * (s[0] - 1), at[1]} })
	}
	for _, s := range [][2]int{{2, 3}, {1, 1}, {0, 2}} {
		add("Meshgrid", func(x []T) T {
			p := tensor.Meshgrid(x[0], x[1])
			return p[0].Mul(p[1])
		}, func(x []nd) nd {
			return build([]int{s[0], s[1]}, func(at []int) float64 { return *x[0].at(at[0]) * *x[1].at(at[1]) })
		}, n(s[0]), n(s[1]))
	}

	for _, s := range [][]int{{4, 3, 2}, {1, 1, 1}, {2, 0, 3}} {
		for axis := range s {
			if s[axis] == 0 {
				continue
			}
			for _, k := range []int{5, 1, 0} {
				add("IndexSelect", func(x []T) T { return x[0].IndexSelect(axis, x[1]) }, func(x []nd) nd {
					return from(x[0], with(s, axis, k), func(at []int) []int { return with(at, axis, int(x[1].data[at[axis]])) })
				}, n(s...), i(s[axis], k))
				add("IndexAdd", func(x []T) T { return x[0].IndexAdd(axis, x[1], x[2]) }, func(x []nd) nd {
					y := nd{s, slices.Clone(x[0].data)}
					indices(x[2].shape, func(at []int) { *y.at(with(at, axis, int(x[1].data[at[axis]]))...) += *x[2].at(at...) })
					return y
				}, n(s...), i(s[axis], k), n(with(s, axis, k)...))
			}
			for _, index := range [][]int{with(s, axis, 6), {1, min(s[1], 1), 1}, with(s, axis, 0)} {
				add("GatherAlong", func(x []T) T { return x[0].GatherAlong(axis, x[1]) }, func(x []nd) nd {
					return from(x[0], index, func(at []int) []int { return with(at, axis, int(*x[1].at(at...))) })
				}, n(s...), i(s[axis], index...))
				add("GatherAlong", func(x []T) T { return x[0].GatherAlong(axis-3, x[1].To(tensor.I64)) }, func(x []nd) nd {
					return from(x[0], index, func(at []int) []int { return with(at, axis, int(*x[1].at(at...))) })
				}, n(s...), i(s[axis], index...))
				scatter := func(put func(to *float64, v float64)) func(x []nd) nd {
					return func(x []nd) nd {
						y := nd{s, slices.Clone(x[0].data)}
						indices(index, func(at []int) { put(y.at(with(at, axis, int(*x[1].at(at...)))...), *x[2].at(at...)) })
						return y
					}
				}
				add("ScatterAdd", func(x []T) T { return x[0].ScatterAdd(axis, x[1], x[2]) }, scatter(func(to *float64, v float64) { *to += v }), n(s...), i(s[axis], index...), n(index...))
				add("Scatter", func(x []T) T { return x[0].Scatter(axis, x[1], x[2]) }, scatter(func(to *float64, v float64) { *to = v }), n(s...), i(s[axis], index...), n(index...))
			}
		}
		if length(s) > 0 {
			for _, index := range [][]int{{7}, {2, 2}, {}, {0}} {
				add("Take", func(x []T) T { return x[0].Take(x[1]) }, func(x []nd) nd {
					return build(index, func(at []int) float64 { return x[0].data[int(*x[1].at(at...))] })
				}, n(s...), i(length(s), index...))
			}
		}
	}
	for _, s := range [][2][]int{{{2, 3}, {2, 3}}, {{2, 3}, {3}}, {{3, 2}, {3, 1}}, {{1}, {1}}, {{0, 2}, {2}}, {{2}, {}}} {
		add("MaskedFill", func(x []T) T { return x[0].MaskedFill(x[1], -3) }, func(x []nd) nd {
			return build(s[0], func(at []int) float64 {
				if *x[1].at(at...) != 0 {
					return -3
				}
				return *x[0].at(at...)
			})
		}, n(s[0]...), b(s[1]...))
		add("MaskedSelect", func(x []T) T { return x[0].MaskedSelect(x[1]) }, func(x []nd) nd {
			var kept []float64
			indices(s[0], func(at []int) {
				if *x[1].at(at...) != 0 {
					kept = append(kept, *x[0].at(at...))
				}
			})
			return nd{[]int{len(kept)}, kept}
		}, n(s[0]...), b(s[1]...))
	}
	return append(cases, productCases()...)
}

// productCases are those of products with vectors and of Einsum.
func productCases() []opCase {
	var cases []opCase
	add := func(op string, fn func(x []T) T, ref func(x []nd) nd, in ...operand) {
		cases = append(cases, opCase{op, in, fn, ref})
	}
	// A vector is a matrix of one row or column, without that axis in the result.
	vector := func(x []nd) nd {
		a, b := x[0], x[1]
		if len(a.shape) == 1 {
			a = nd{[]int{1, a.shape[0]}, a.data}
		}
		if len(b.shape) == 1 {
			b = nd{[]int{b.shape[0], 1}, b.data}
		}
		y := matmulRef([]nd{a, b})
		if len(x[1].shape) == 1 {
			y.shape = y.shape[:len(y.shape)-1]
		}
		if len(x[0].shape) == 1 {
			at := len(matmulRef([]nd{a, b}).shape) - 2
			y.shape = slices.Delete(slices.Clone(y.shape), at, at+1)
		}
		return y
	}
	for _, s := range [][2][]int{{{3}, {3}}, {{3}, {3, 2}}, {{2, 3}, {3}}, {{3}, {2, 3, 4}}, {{2, 2, 3}, {3}}, {{1}, {1}}, {{0}, {0, 2}}, {{0, 3}, {3}}} {
		add("MatMul", func(x []T) T { return x[0].MatMul(x[1]) }, vector, n(s[0]...), n(s[1]...))
	}
	for _, k := range []int{4, 1, 0} {
		add("Dot", func(x []T) T { return x[0].Dot(x[1]) }, vector, n(k), n(k))
		add("Outer", func(x []T) T { return x[0].Outer(x[1]) }, func(x []nd) nd {
			return build([]int{k, 3}, func(at []int) float64 { return *x[0].at(at[0]) * *x[1].at(at[1]) })
		}, n(k), n(3))
	}
	for _, c := range []struct {
		equation string
		shapes   [][]int
	}{
		{"ij->ji", [][]int{{2, 3}}}, {"ij->", [][]int{{2, 3}}}, {"ij", [][]int{{2, 3}}}, {"ba", [][]int{{2, 3}}}, {"ii->i", [][]int{{3, 3}}}, {"ii", [][]int{{3, 3}}},
		{"iji->j", [][]int{{2, 3, 2}}}, {"iii->i", [][]int{{2, 2, 2}}}, {"...->...", [][]int{{2, 3}}}, {"...i->...", [][]int{{2, 1, 3}}},
		{"ij,jk->ik", [][]int{{2, 3}, {3, 4}}}, {"ij,jk", [][]int{{2, 0}, {0, 2}}}, {"ij,kj->ik", [][]int{{1, 1}, {1, 1}}}, {" i j , j k -> k i ", [][]int{{2, 3}, {3, 2}}},
		{"bhqd,bhkd->bhqk", [][]int{{2, 2, 3, 4}, {2, 2, 2, 4}}}, {"bqhd,bkhd->bhqk", [][]int{{2, 3, 2, 2}, {2, 2, 2, 2}}}, {"bij,bjk->bik", [][]int{{0, 2, 3}, {0, 3, 2}}},
		{"i,j->ij", [][]int{{2}, {3}}}, {"i,i->i", [][]int{{3}, {3}}}, {"i,i->", [][]int{{3}, {3}}}, {"i,i", [][]int{{1}, {1}}}, {"ij,j->i", [][]int{{2, 3}, {3}}}, {",ij->ij", [][]int{{}, {2, 2}}},
		{"ij,ij->ij", [][]int{{2, 3}, {2, 3}}}, {"ijk,jil->kl", [][]int{{2, 3, 2}, {3, 2, 2}}}, {"abcd,cdef->abef", [][]int{{2, 1, 2, 2}, {2, 2, 1, 2}}}, {"abc,cbd->ad", [][]int{{2, 2, 3}, {3, 2, 2}}},
		{"ij,k->k", [][]int{{2, 2}, {3}}}, {"ij,jk,kl->il", [][]int{{2, 3}, {3, 2}, {2, 2}}}, {"i,i,i->i", [][]int{{2}, {2}, {2}}}, {"ii,ij,jj->", [][]int{{2, 2}, {2, 3}, {3, 3}}}, {"bn,anm,bm->ba", [][]int{{2, 2}, {3, 2, 2}, {2, 2}}},
		{"...ij,...jk->...ik", [][]int{{2, 1, 2, 3}, {3, 3, 2}}}, {"...i,i->...", [][]int{{2, 3}, {3}}}, {"i...,i...->i...", [][]int{{2, 3, 1}, {2, 4}}}, {"...,...", [][]int{{2, 1}, {3}}}, {"b...,...c->cb...", [][]int{{2, 3}, {3, 2}}},
	} {
		var in []operand
		for _, s := range c.shapes {
			in = append(in, n(s...))
		}
		add("Einsum", func(x []T) T { return tensor.Einsum(c.equation, x...) }, einsumRef(c.equation), in...)
	}
	return cases
}
