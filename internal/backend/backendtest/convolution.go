package backendtest

import (
	"fmt"
	"math"

	"github.com/hone-ml/hone/internal/backend"
)

// windows are kernels of many kinds over images of their sizes: of one element and more, that keep the size, with
// strides, holes, much padding, a window that sees nothing at the edge, and rows only.
func windows() []backend.Window {
	var all []backend.Window
	for _, w := range []backend.Window{
		{Kernel: [2]int{1, 1}, Size: [2]int{1, 1}},
		{Kernel: [2]int{3, 3}, Before: [2]int{1, 1}, After: [2]int{1, 1}, Size: [2]int{7, 9}},
		{Kernel: [2]int{3, 3}, Before: [2]int{1, 1}, After: [2]int{1, 1}, Size: [2]int{33, 40}},
		{Kernel: [2]int{3, 2}, Size: [2]int{5, 6}},
		{Kernel: [2]int{5, 3}, Before: [2]int{4, 2}, After: [2]int{3, 1}, Size: [2]int{3, 5}},
		{Kernel: [2]int{2, 2}, Stride: [2]int{2, 2}, Size: [2]int{7, 8}},
		{Kernel: [2]int{3, 2}, Stride: [2]int{2, 1}, Before: [2]int{1, 0}, After: [2]int{1, 1}, Size: [2]int{6, 5}},
		{Kernel: [2]int{2, 3}, Stride: [2]int{1, 3}, Dilation: [2]int{3, 2}, Before: [2]int{0, 2}, After: [2]int{2, 3}, Size: [2]int{6, 8}},
		{Kernel: [2]int{3, 5}, Dilation: [2]int{1, 2}, Before: [2]int{1, 4}, After: [2]int{1, 4}, Size: [2]int{4, 3}},
		{Kernel: [2]int{1, 4}, Before: [2]int{0, 3}, Size: [2]int{1, 700}},
		{Kernel: [2]int{1, 3}, Dilation: [2]int{1, 5}, Before: [2]int{0, 10}, Size: [2]int{1, 6}},
	} {
		for i := range 2 {
			w.Stride[i], w.Dilation[i] = max(w.Stride[i], 1), max(w.Dilation[i], 1)
			w.Result[i] = (w.Before[i]+w.Size[i]+w.After[i]-(w.Kernel[i]-1)*w.Dilation[i]-1)/w.Stride[i] + 1
		}
		all = append(all, w)
	}
	return all
}

// seen calls f for what the kernel sees of an image: with the tap, the place, and the element's place in the image.
func seen(w backend.Window, f func(k, place, element int)) {
	for place := range w.Places() {
		for k := range w.Taps() {
			y := place/w.Result[1]*w.Stride[0] + k/w.Kernel[1]*w.Dilation[0] - w.Before[0]
			x := place%w.Result[1]*w.Stride[1] + k%w.Kernel[1]*w.Dilation[1] - w.Before[1]
			if y >= 0 && y < w.Size[0] && x >= 0 && x < w.Size[1] {
				f(k, place, y*w.Size[1]+x)
			}
		}
	}
}

// batches are numbers of images and channels.
var batches = [][2]int{{1, 1}, {2, 3}, {5, 8}, {0, 2}, {3, 0}}

func testUnfold(s *suite) {
	b := s.b.(backend.Unfolder)
	for _, w := range windows() {
		plane, places, taps := w.Size[0]*w.Size[1], w.Places(), w.Taps()
		for _, batch := range batches {
			n, c := batch[0], batch[1]
			columnAt := func(image, channel, k, place int) int { return ((channel*taps+k)*n+image)*places + place }
			for _, dt := range []backend.DType{backend.F32, backend.F64, backend.BF16, backend.F16, backend.I32, backend.I64, backend.U8} {
				x := s.sample(dt, n, c, w.Size[0], w.Size[1])
				s.try(fmt.Sprintf("%v, %d images, %d channels, %+v", dt, n, c, w), func() {
					columns := s.out(dt, contiguous, c, taps, n, places)
					b.Unfold(&columns.view, s.in(dt, x, contiguous), w)
					s.expect("columns", columns, exact, func() array {
						want := newArray(c, taps, n, places)
						for i := range n * c {
							seen(w, func(k, place, element int) { want.data[columnAt(i/c, i%c, k, place)] = x.data[i*plane+element] })
						}
						return want
					})
				})
			}
			for _, dt := range []backend.DType{backend.F32, backend.F64} {
				y := s.normal(dt, 1, c, taps, n, places)
				s.try(fmt.Sprintf("fold %v, %d images, %d channels, %+v", dt, n, c, w), func() {
					images, columns := s.out(dt, contiguous, n, c, w.Size[0], w.Size[1]), s.inout(dt, y, contiguous)
					b.Fold(&images.view, &columns.view, w)
					s.expect("images", images, summed(dt), func() array {
						want := newArray(n, c, w.Size[0], w.Size[1])
						for i := range n * c {
							seen(w, func(k, place, element int) { want.data[i*plane+element] += y.data[columnAt(i/c, i%c, k, place)] })
						}
						return want
					})
				})
			}
		}
	}
}

func testDepthwise(s *suite) {
	b := s.b.(backend.DepthwiseConvolver)
	for _, w := range windows() {
		plane, places, taps := w.Size[0]*w.Size[1], w.Places(), w.Taps()
		for _, batch := range batches {
			n, c := batch[0], batch[1]
			for _, dt := range []backend.DType{backend.F32, backend.F64} {
				x, kernels, dy := s.normal(dt, 1, n, c, plane), s.normal(dt, 1, c, taps), s.normal(dt, 1, n, c, places)
				before := s.normal(dt, 1, c, taps)
				wantY, wantX, wantW := newArray(n, c, places), newArray(n, c, plane), newArray(c, taps)
				copy(wantW.data, before.data)
				for i := range n * c {
					seen(w, func(k, place, element int) {
						at, from, to := i%c*taps+k, i*plane+element, i*places+place
						wantY.data[to] += kernels.data[at] * x.data[from]
						wantX.data[from] += kernels.data[at] * dy.data[to]
						wantW.data[at] += dy.data[to] * x.data[from]
					})
				}
				s.try(fmt.Sprintf("%v, %d images, %d channels, %+v", dt, n, c, w), func() {
					vx, vw, vdy := s.in(dt, x, contiguous), s.in(dt, kernels, contiguous), s.in(dt, dy, contiguous)
					out, dx, dw := s.out(dt, contiguous, n, c, places), s.out(dt, contiguous, n, c, plane), s.inout(dt, before, contiguous)
					onlyX, onlyW := s.out(dt, contiguous, n, c, plane), s.inout(dt, before, contiguous)
					b.Depthwise(&out.view, vx, vw, w)
					b.DepthwiseBackward(&dx.view, &dw.view, vdy, vx, vw, w)
					b.DepthwiseBackward(&onlyX.view, nil, vdy, vx, vw, w)
					b.DepthwiseBackward(nil, &onlyW.view, vdy, vx, vw, w)
					s.expect("out", out, summed(dt), func() array { return wantY })
					s.expect("dx", dx, summed(dt), func() array { return wantX })
					s.expect("dw", dw, summed(dt), func() array { return wantW })
					s.expect("dx alone", onlyX, summed(dt), func() array { return wantX })
					s.expect("dw alone", onlyW, summed(dt), func() array { return wantW })
				})
			}
		}
	}
}

func testMaxPool(s *suite) {
	b := s.b.(backend.MaxPooler)
	for _, w := range windows() {
		plane, places := w.Size[0]*w.Size[1], w.Places()
		for _, batch := range batches {
			n, c := batch[0], batch[1]
			for _, dt := range floatDTypes {
				for _, special := range []float64{0, math.NaN(), math.Inf(-1)} {
					x, dy := s.integers(-3, 3, n, c, plane), s.normal(dt, 1, n, c, places) // with ties
					for i := range x.data {
						if special != 0 && i%5 == 1 {
							x.data[i] = special
						}
					}
					best, index, dx := newArray(n, c, places), newArray(n, c, places), newArray(n, c, plane)
					for i := range best.data {
						best.data[i], index.data[i] = math.Inf(-1), -1
					}
					for i := range n * c {
						seen(w, func(_, place, element int) {
							to, v := i*places+place, x.data[i*plane+element]
							if m := best.data[to]; index.data[to] < 0 || v > m || v != v && m == m {
								best.data[to], index.data[to] = v, float64(element)
							}
						})
						for to := i * places; to < (i+1)*places; to++ {
							if at := int(index.data[to]); at >= 0 {
								dx.data[i*plane+at] += dy.data[to]
							}
						}
					}
					s.try(fmt.Sprintf("%v, %d images, %d channels, with %g, %+v", dt, n, c, special, w), func() {
						out, at, d := s.out(dt, contiguous, n, c, places), s.out(backend.I32, contiguous, n, c, places), s.out(dt, contiguous, n, c, plane)
						b.MaxPool(&out.view, &at.view, s.in(dt, x, contiguous), w)
						b.MaxPoolBackward(&d.view, s.in(dt, dy, contiguous), &at.view)
						s.expect("out", out, exact, func() array { return best })
						s.expect("index", at, exact, func() array { return index })
						s.expect("dx", d, summed(dt), func() array { return dx })
					})
				}
			}
		}
	}
}
