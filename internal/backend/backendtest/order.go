package backendtest

import (
	"fmt"
	"math"
	"slices"

	"github.com/hone-ml/hone/internal/backend"
)

// scanned is the recurrence out[i] = a[i]·out[i∓1] + b[i] along an axis.
func scanned(dt backend.DType, a, b array, axis int, start float64, reverse bool) array {
	out := newArray(b.shape...)
	step := 1
	for _, d := range b.shape[axis+1:] {
		step *= d
	}
	n := b.shape[axis]
	each(b.shape, func(i int, index []int) {
		if index[axis] != 0 {
			return
		}
		acc := start
		for j := range n {
			if reverse {
				j = n - 1 - j
			}
			at := i + j*step
			acc = a.data[at]*acc + b.data[at]
			if dt == backend.I32 {
				acc = float64(int32(int64(acc)))
			}
			out.data[at] = acc
		}
	})
	return out
}

func testScan(s *suite) {
	for _, shape := range [][]int{{1}, {7}, {3000}, {4, 5}, {5, 40}, {40, 5}, {3, 300, 4}, {2, 3, 2, 3}, {300, 500}, {0, 3}, {3, 0}} {
		for axis := range shape {
			for i, dt := range []backend.DType{backend.F32, backend.F64, backend.BF16, backend.F16, backend.I32, backend.I64} {
				for _, reverse := range []bool{false, true} {
					a, b := s.sample(dt, shape...), s.sample(dt, shape...)
					for j := range a.data { // decaying, so that nothing overflows
						if dt.IsFloat() {
							a.data[j] = math.Tanh(a.data[j])
						} else {
							a.data[j] = float64(j % 2)
						}
					}
					a = a.rounded(dt)
					start := float64(i + 1)
					la, lb, lo := layouts[s.rng.IntN(4)], layouts[s.rng.IntN(4)], layouts[s.rng.IntN(4)]
					tol := summed(dt)
					if !dt.IsFloat() {
						tol = exact
					}
					s.try(fmt.Sprintf("%v%v along %d, reverse %v, %v and %v to %v", dt, shape, axis, reverse, la, lb, lo), func() {
						out := s.out(dt, lo, shape...)
						s.b.(backend.Scanner).Scan(&out.view, s.in(dt, a, la), s.in(dt, b, lb), axis, start, reverse)
						s.expect("out", out, tol, func() array { return scanned(dt, a, b, axis, start, reverse) })
					})
				}
			}
			x := s.integers(0, 100, shape...)
			one := newArray(1).mapped(func(float64) float64 { return 1 })
			s.try(fmt.Sprintf("a sum of u8%v along %d", shape, axis), func() {
				out := s.out(backend.U8, contiguous, shape...)
				s.b.(backend.Scanner).Scan(&out.view, s.broadcast(backend.U8, one, contiguous, shape...), s.in(backend.U8, x, contiguous), axis, 0, false)
				s.expect("out", out, exact, func() array {
					want := scanned(backend.I64, newArray(shape...).mapped(func(float64) float64 { return 1 }), x, axis, 0, false)
					return want.mapped(func(x float64) float64 { return float64(uint8(int64(x))) })
				})
			})
		}
	}
}

func testSort(s *suite) {
	for _, shape := range [][]int{{}, {1}, {9}, {4000}, {3, 17}, {17, 3}, {2, 3, 100}, {3, 0}, {0, 3}} {
		for _, dt := range allDTypes {
			for _, descending := range []bool{false, true} {
				if len(shape) == 0 {
					continue
				}
				x := s.sample(dt, shape...)
				for i := range x.data { // equal ones, and what has no order
					switch {
					case dt.IsFloat() && i%5 == 0:
						x.data[i] = special[s.rng.IntN(len(special))]
					case i%3 == 0:
						x.data[i] = x.data[i/2]
					}
				}
				x = x.rounded(dt)
				n := shape[len(shape)-1]
				for _, k := range []int{n, 1, n / 7, 0} {
					if k > n {
						continue
					}
					to := append(slices.Clone(shape[:len(shape)-1]), k)
					l := layouts[s.rng.IntN(4)]
					s.try(fmt.Sprintf("%d of %v%v %v, descending %v", k, dt, shape, l, descending), func() {
						out := s.out(backend.I32, contiguous, to...)
						s.b.(backend.Sorter).Sort(&out.view, s.in(dt, x, l), descending)
						s.expect("index", out, exact, func() array { return ordered(x, k, descending) })
					})
				}
			}
		}
	}
}

// ordered is the places of the first k elements of each row.
func ordered(x array, k int, descending bool) array {
	n := x.shape[len(x.shape)-1]
	out := newArray(append(slices.Clone(x.shape[:len(x.shape)-1]), k)...)
	for at, to := 0, 0; to < len(out.data); at, to = at+n, to+k {
		row, places := x.data[at:at+n], make([]int, n)
		for i := range places {
			places[i] = i
		}
		slices.SortStableFunc(places, func(i, j int) int {
			order := 0
			switch a, b := row[i], row[j]; {
			case a < b, a == a && b != b:
				order = -1
			case a > b, a != a && b == b:
				order = 1
			}
			if descending {
				return -order
			}
			return order
		})
		for i := range k {
			out.data[to+i] = float64(places[i])
		}
	}
	return out
}
