package backendtest

import (
	"fmt"
	"math"
	"sync"

	"github.com/hone-ml/hone/internal/backend"
)

// product is x·y over the last two axes plus c, if it has elements; the axes before are broadcast.
func product(x, y, c array, shape []int) array {
	out := newArray(shape...)
	r := len(shape)
	n, k := shape[r-1], x.shape[r-1]
	row := func(a array, index []int, i int) []float64 { // row i of the matrix at index
		start := 0
		for axis, d := range a.shape[:r-2] {
			start *= d
			if d > 1 {
				start += index[axis]
			}
		}
		start = (start*a.shape[r-2] + i) * a.shape[r-1]
		return a.data[start : start+a.shape[r-1]]
	}
	each(shape[:r-1], func(i int, index []int) {
		dst := out.data[i*n : (i+1)*n]
		if len(c.data) > 0 {
			copy(dst, c.data[i*n:(i+1)*n])
		}
		xs := row(x, index, index[r-2])
		for p := range k {
			for j, v := range row(y, index, p) {
				dst[j] += xs[p] * v
			}
		}
	})
	return out
}

func testMatMul(s *suite) {
	sizes := [][3]int{ // m, n, k
		{1, 1, 1}, {1, 1, 100}, {1, 100, 1}, {100, 1, 3}, {2, 3, 4}, {7, 9, 11}, {8, 48, 16}, {9, 49, 17}, {7, 47, 15},
		{6, 16, 8}, {12, 32, 33}, {13, 33, 31}, {1, 257, 129}, {257, 1, 129}, {64, 64, 64}, {65, 63, 66}, {5, 130, 300}, {130, 5, 300},
		{0, 4, 5}, {4, 0, 5}, {4, 5, 0}, {100, 100, 1}, {3, 5, 1025}, {200, 150, 100},
	}
	for i, d := range sizes {
		m, n, k := d[0], d[1], d[2]
		for _, dt := range floatDTypes {
			for orientation := range 4 { // which operands are given transposed
				for a, accumulate := range []bool{false, true} {
					if s.slow && (i+orientation+int(dt)+a)%2 == 0 {
						continue // every other case: all kinds remain
					}
					to := dt
					if (i+orientation)%2 == 0 && dt != backend.F64 {
						to = backend.F32
					}
					s.matMul(dt, to, []int{m, n}, k, nil, nil, orientation, accumulate, 1)
				}
			}
		}
	}
	for _, dt := range []backend.DType{backend.F32, backend.BF16} {
		for orientation := range 4 {
			s.matMul(dt, backend.F32, []int{513, 385}, 260, nil, nil, orientation, orientation%2 == 0, 1)
		}
		for _, scale := range []float64{1e-15, 1e15} {
			s.matMul(dt, backend.F32, []int{33, 50}, 40, nil, nil, 0, false, scale)
		}
	}
	batches := []struct{ out, x, y []int }{
		{[]int{3}, []int{3}, []int{3}}, {[]int{3}, []int{1}, []int{3}}, {[]int{3}, []int{3}, []int{1}}, {[]int{0}, []int{0}, []int{0}},
		{[]int{2, 3}, []int{2, 3}, []int{1, 3}}, {[]int{2, 3}, []int{1, 3}, []int{2, 1}}, {[]int{2, 1, 3, 2}, []int{2, 1, 3, 2}, []int{1, 1, 3, 1}},
		{[]int{40}, []int{40}, []int{40}},
	}
	for i, b := range batches {
		for j, d := range [][3]int{{5, 7, 9}, {1, 33, 16}, {64, 48, 32}} {
			for _, dt := range floatDTypes {
				for orientation := range 4 {
					if s.slow && (i+j+orientation+int(dt))%2 == 0 {
						continue
					}
					s.matMul(dt, dt, append(append([]int(nil), b.out...), d[0], d[1]), d[2], b.x, b.y, orientation, orientation == 1, 1)
				}
			}
		}
	}
	for _, v := range []float64{math.Inf(1), math.NaN()} {
		x, y := s.normal(backend.F32, 1, 19, 21), s.normal(backend.F32, 1, 21, 51)
		x.data[3*21+4], y.data[7*51+50] = v, v
		s.try(fmt.Sprintf("one %v in x and one in y", v), func() {
			out := s.out(backend.F32, padded, 19, 51)
			s.b.MatMul(&out.view, s.in(backend.F32, x, padded), s.in(backend.F32, y, padded), false)
			s.expect("out", out, summed(backend.F32), func() array { return product(x, y, array{}, []int{19, 51}) })
		})
	}
}

func testMatMulAdd(s *suite) {
	b := s.b.(backend.MatMulAdder)
	for _, d := range [][3]int{ // m, n, k
		{1, 1, 1}, {1, 100, 3}, {100, 1, 3}, {2, 3, 4}, {8, 48, 16}, {13, 33, 31}, {1, 257, 129}, {64, 64, 64}, {65, 63, 66},
		{31, 33, 65}, {0, 4, 5}, {4, 0, 5}, {4, 5, 0}, {3, 5, 1025}, {200, 150, 100}, {33, 40, 4100},
	} {
		m, n, k := d[0], d[1], d[2]
		for _, dt := range floatDTypes {
			for terms := range 4 {
				orientation := s.rng.IntN(4)
				x, y := s.normal(dt, 1, m, k), s.normal(dt, 1, k, n)
				bias, residual := s.normal(dt, 3, n), s.normal(dt, 3, m, n)
				label := fmt.Sprintf("%v%v·%v, transposed %02b, bias %v, residual %v", dt, x.shape, y.shape, orientation, terms&1 != 0, terms&2 != 0)
				s.try(label, func() {
					l := rowLayouts[s.rng.IntN(2)]
					out := s.out(dt, padded, m, n)
					vx, vy := s.operand(dt, x, l, orientation&1 != 0), s.operand(dt, y, l, orientation&2 != 0)
					sum := newArray(m, n)
					var vb, vr *backend.View
					if terms&1 != 0 {
						vb = s.in(dt, bias, contiguous)
						for i := range sum.data {
							sum.data[i] += bias.data[i%n]
						}
					}
					if terms&2 != 0 {
						vr = s.in(dt, residual, l)
						for i, v := range residual.data {
							sum.data[i] += v
						}
					}
					b.MatMulAdd(&out.view, vx, vy, vb, vr)
					s.expect("out", out, summed(dt), func() array { return product(x, y, sum, []int{m, n}) })
				})
			}
		}
	}
}

// matMul multiplies operands of a batch, of which xBatch and yBatch, unless nil, say how it is broadcast.
func (s *suite) matMul(dt, to backend.DType, shape []int, k int, xBatch, yBatch []int, orientation int, accumulate bool, scale float64) {
	r := len(shape)
	m, n := shape[r-2], shape[r-1]
	xShape := append(append([]int(nil), xBatch...), m, k)
	yShape := append(append([]int(nil), yBatch...), k, n)
	xFull := append(append([]int(nil), shape[:r-2]...), m, k)
	yFull := append(append([]int(nil), shape[:r-2]...), k, n)
	label := fmt.Sprintf("%v%v·%v%v to %v, transposed %02b, accumulate %v, scale %v", dt, xShape, dt, yShape, to, orientation, accumulate, scale)
	x, y := s.normal(dt, scale, xShape...), s.normal(dt, scale, yShape...)
	var c array
	if accumulate {
		c = s.normal(to, scale*scale, shape...)
	}
	s.try(label, func() {
		out := s.out(to, padded, shape...)
		if accumulate {
			out = s.inout(to, c, padded)
		}
		l := rowLayouts[s.rng.IntN(2)]
		vx, vy := s.operand(dt, x, l, orientation&1 != 0), s.operand(dt, y, l, orientation&2 != 0)
		repeat(vx, xFull)
		repeat(vy, yFull)
		s.b.MatMul(&out.view, vx, vy, accumulate)
		s.expect("out", out, summed(dt), func() array { return product(x, y, c, shape) })
	})
}

// operand uploads matrices, those that are to be transposed with their columns contiguous.
func (s *suite) operand(dt backend.DType, a array, l layout, transposed bool) *backend.View {
	if !transposed {
		return s.in(dt, a, l)
	}
	r := len(a.shape)
	flipped := newArray(append(append([]int(nil), a.shape[:r-2]...), a.shape[r-1], a.shape[r-2])...)
	rows, cols := a.shape[r-2], a.shape[r-1]
	for i, v := range a.data {
		matrix, row, col := i/(rows*cols), i/cols%rows, i%cols
		flipped.data[(matrix*cols+col)*rows+row] = v
	}
	v := s.in(dt, flipped, l)
	v.Shape[r-1], v.Shape[r-2] = v.Shape[r-2], v.Shape[r-1]
	v.Strides[r-1], v.Strides[r-2] = v.Strides[r-2], v.Strides[r-1]
	return v
}

// repeat gives the axes of size 1 that are larger in shape stride 0.
func repeat(v *backend.View, shape []int) {
	for axis, d := range shape {
		if v.Shape[axis] != d {
			v.Shape[axis], v.Strides[axis] = d, 0
		}
	}
}

func testGather(s *suite) {
	for _, dt := range allDTypes {
		for _, shape := range [][]int{{1}, {50}, {7, 1}, {7, 33}, {40, 300}, {5, 3, 4}, {6, 0}, {3, 2, 2, 2}} {
			for _, n := range []int{0, 1, 29, 700} {
				for _, l := range layouts {
					indexType := []backend.DType{backend.I32, backend.I64}[s.rng.IntN(2)]
					x, index := s.sample(dt, shape...), s.integers(0, shape[0], n)
					to := append([]int{n}, shape[1:]...)
					s.try(fmt.Sprintf("%v%v %v at %v[%d]", dt, shape, l, indexType, n), func() {
						out := s.out(dt, layouts[s.rng.IntN(4)], to...)
						s.b.Gather(&out.view, s.in(dt, x, l), s.in(indexType, index, contiguous))
						s.expect("out", out, exact, func() array {
							want := newArray(to...)
							width := size(shape[1:])
							for i, row := range index.data {
								copy(want.data[i*width:(i+1)*width], x.data[int(row)*width:])
							}
							return want
						})
					})
				}
			}
		}
	}
	for _, dt := range []backend.DType{backend.I32, backend.I64} {
		for _, bad := range []int64{-1, 5, 1 << 30} {
			s.try(fmt.Sprintf("index %d of %v", bad, dt), func() {
				index := s.integers(0, 5, 9)
				index.data[6] = float64(bad)
				out := s.inout(backend.F32, newArray(9, 2), contiguous)
				x, i := s.in(backend.F32, newArray(5, 2), contiguous), s.in(dt, index, contiguous)
				s.expectPanic(backend.IndexError{Position: 6, Index: bad, Limit: 5}, func() { s.b.Gather(&out.view, x, i) })
			})
		}
	}
}

func testScatterAdd(s *suite) {
	for _, dt := range []backend.DType{backend.F32, backend.F64, backend.BF16, backend.F16, backend.I32, backend.I64} {
		for _, shape := range [][]int{{1}, {50}, {7, 1}, {7, 33}, {3, 600}, {5, 3, 4}, {6, 0}, {3000, 20}} {
			for _, n := range []int{0, 1, 29, 500} {
				for _, l := range layouts {
					if shape[0] > 1000 && n < 100 {
						continue
					}
					to := dt
					if (dt == backend.BF16 || dt == backend.F16) && l != contiguous {
						to = backend.F32
					}
					indexType := []backend.DType{backend.I32, backend.I64}[s.rng.IntN(2)]
					xShape := append([]int{n}, shape[1:]...)
					x, index, start := s.sample(dt, xShape...), s.integers(0, shape[0], n), s.sample(to, shape...)
					s.try(fmt.Sprintf("%v%v %v into %v%v at %v", dt, xShape, l, to, shape, indexType), func() {
						out := s.inout(to, start, l)
						s.b.ScatterAdd(&out.view, s.in(indexType, index, contiguous), s.in(dt, x, l))
						tol := exact
						if dt.IsFloat() {
							tol = tolerance{scale: within(dt).relative}
						}
						if to.Size() == 2 {
							tol.scale = 0x1p-8 // a backend may round after each addition
						}
						s.expect("out", out, tol, func() array {
							want := newArray(shape...)
							copy(want.data, start.data)
							width := size(shape[1:])
							for i, row := range index.data {
								for j := range width {
									want.data[int(row)*width+j] += x.data[i*width+j]
								}
							}
							return want
						})
					})
				}
			}
		}
	}
	s.try("in the order of the index", func() {
		// In F32 the result tells the order: 1e8 swallows what is added after it.
		x := array{[]int{4, 1}, []float64{3, 1e8, -1e8, 5}}
		out := s.inout(backend.F32, newArray(2, 1), contiguous)
		s.b.ScatterAdd(&out.view, s.in(backend.I32, array{[]int{4}, []float64{1, 1, 1, 1}}, contiguous), s.in(backend.F32, x, contiguous))
		s.expect("out", out, exact, func() array {
			sum := float32(0)
			for _, v := range x.data {
				sum += float32(v)
			}
			return array{[]int{2, 1}, []float64{0, float64(sum)}}
		})
	})
	s.try("index out of range", func() {
		out := s.inout(backend.F32, newArray(5, 2), contiguous)
		x, i := s.in(backend.F32, newArray(3, 2), contiguous), s.in(backend.I64, array{[]int{3}, []float64{4, 0, 5}}, contiguous)
		s.expectPanic(backend.IndexError{Position: 2, Index: 5, Limit: 5}, func() { s.b.ScatterAdd(&out.view, i, x) })
		s.expect("out", out, exact, func() array { return newArray(5, 2) })
	})
}

// testConcurrent runs a kernel in several goroutines at once: each must get its own result.
func testConcurrent(s *suite) {
	s.try("four goroutines", func() {
		const n = 4
		x, y := s.normal(backend.F32, 1, 150, 170), s.normal(backend.F32, 1, 170, 130)
		vx, vy := s.in(backend.F32, x, contiguous), s.in(backend.F32, y, contiguous)
		var products, sums [n]*tensor
		for i := range n {
			products[i], sums[i] = s.out(backend.F32, contiguous, 150, 130), s.out(backend.F32, contiguous, 150, 1)
		}
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() {
				for range 5 {
					s.b.MatMul(&products[i].view, vx, vy, false)
					s.b.Reduce(backend.Sum, &sums[i].view, &products[i].view)
				}
			})
		}
		wg.Wait()
		want := sync.OnceValue(func() array { return product(x, y, array{}, []int{150, 130}) })
		for i := range n {
			s.expect("product", products[i], summed(backend.F32), want)
			s.expect("sum", sums[i], tolerance{scale: 1e-5}, func() array { return reduced(backend.Sum, want(), []int{150, 1}, backend.F32) })
		}
	})
}
