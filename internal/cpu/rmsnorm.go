package cpu

import (
	"math"
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/cpu/pool"
)

// RMSNorm sets rstd = 1/√(mean(x²)+eps) and out = T(x·rstd)·w over the last axis.
func (*Backend) RMSNorm(out, rstd, x, w *backend.View, eps float64) {
	switch x.DType {
	case backend.F64:
		rmsNorm[float64, float64](out, rstd, x, w, eps)
	case backend.BF16:
		rmsNorm[uint16, float32](out, rstd, x, w, eps)
	default:
		rmsNorm[float32, float32](out, rstd, x, w, eps)
	}
}

func rmsNorm[L lane, A float](out, rstd, x, w *backend.View, eps float64) {
	d := x.Shape[1]
	if d == 0 {
		return
	}
	half := x.DType == backend.F16
	pool.Run(x.Shape[0], 1+2*grainScalar/d, func(lo, hi int) {
		ws := getWorkspace()
		defer ws.put()
		weight := load(w.DType, w.Ptr, w.Strides[0], d, take[L](ws, d))
		scratch, rounding := take[L](ws, d), take[float32](ws, d)
		for i := lo; i < hi; i++ {
			p := rowAt(out, i)
			in := load(x.DType, rowAt(x, i), 1, d, scratch)
			r := A(1 / math.Sqrt(inBlocks(in, rowSquares)/float64(d)+eps))
			if rstd != nil {
				*elementAt[A](rstd, i) = r
			}
			o := destination(out.DType, p, 1, d, scratch)
			if half {
				normalizeHalf(cast[float32](o), cast[float32](in), cast[float32](weight), float32(r), rounding)
			} else {
				normalize(o, in, weight, float64(r))
			}
			store(out.DType, p, 1, o)
		}
	})
}

// normalizeHalf is normalize of a row of F16 in float32.
func normalizeHalf(out, x, w []float32, rstd float32, scratch []float32) {
	scale(out, x, rstd)
	round(out, backend.F16, scratch)
	mul(out, out, w)
}

// rowAt is the address of row i of a matrix.
func rowAt(v *backend.View, i int) unsafe.Pointer {
	return unsafe.Add(v.Ptr, i*v.Strides[0]*v.DType.Size())
}

// RMSNormBackward sets dx = rstd·(dy·w − x·rstd²·mean(dy·w·x)) and adds Σ dy·x·rstd to dw.
func (*Backend) RMSNormBackward(dx, dw, dy, x, w, rstd *backend.View) {
	switch x.DType {
	case backend.F64:
		rmsNormBackward[float64, float64](dx, dw, dy, x, w, rstd)
	case backend.BF16:
		rmsNormBackward[uint16, float32](dx, dw, dy, x, w, rstd)
	default:
		rmsNormBackward[float32, float32](dx, dw, dy, x, w, rstd)
	}
}

func rmsNormBackward[L lane, A float](dx, dw, dy, x, w, rstd *backend.View) {
	n, d := x.Shape[0], x.Shape[1]
	if n == 0 || d == 0 {
		return
	}
	sums := newRowSums[A](n, d)
	defer sums.put()
	sums.run(func(ws *workspace, lo, hi int, acc []A) {
		weight := load(w.DType, w.Ptr, w.Strides[0], d, take[L](ws, d))
		xs, gs := take[L](ws, d), take[L](ws, d)
		for i := lo; i < hi; i++ {
			in := load(x.DType, rowAt(x, i), 1, d, xs)
			g := load(dy.DType, rowAt(dy, i), 1, d, gs)
			var p unsafe.Pointer
			if dx != nil {
				p = rowAt(dx, i)
			}
			rmsNormBackwardRow(x.DType, p, acc, g, in, weight, gs, float64(*elementAt[A](rstd, i)))
		}
	})
	sums.addTo(dw, 0)
}

// rmsNormBackwardRow sets the row of dx at p, if that is not nil, and adds its part to dw. The scratch may
// be g.
func rmsNormBackwardRow[L lane, A float](dt backend.DType, p unsafe.Pointer, dw []A, g, x, w, scratch []L, rstd float64) {
	d := len(x)
	if p == nil {
		normalizeBackward(scratch, dw, g, x, w, rstd, 0)
		return
	}
	mean := 0.0
	for lo := 0; lo < d; lo += blockLen {
		hi := min(lo+blockLen, d)
		mean += dotWeighted(g[lo:hi], x[lo:hi], w[lo:hi])
	}
	mean /= float64(d)
	o := destination(dt, p, 1, d, scratch)
	normalizeBackward(o, dw, g, x, w, rstd, -rstd*rstd*rstd*mean)
	store(dt, p, 1, o)
}

// rowSums adds up vectors over the rows of a matrix: the gradients of a norm's weights.
// Each chunk of rows has sums of its own, which are added in order, so that the result depends on the
// shape alone.
type rowSums[A float] struct {
	rows, width, chunk int
	ws                 *workspace
	partial            []A // [chunks][width]
}

func newRowSums[A float](rows, width int) *rowSums[A] {
	s := &rowSums[A]{rows: rows, width: width, chunk: max(64, (rows+255)/256), ws: getWorkspace()}
	s.partial = take[A](s.ws, s.chunks()*width)
	return s
}

func (s *rowSums[A]) chunks() int { return (s.rows + s.chunk - 1) / s.chunk }

func (s *rowSums[A]) put() { s.ws.put() }

// run calls fn for each chunk [lo, hi) of rows, with the sums that it adds to.
func (s *rowSums[A]) run(fn func(ws *workspace, lo, hi int, acc []A)) {
	pool.Run(s.chunks(), 1+grainScalar/(s.chunk*s.width), func(first, last int) {
		ws := getWorkspace()
		defer ws.put()
		for c := first; c < last; c++ {
			acc := s.partial[c*s.width : (c+1)*s.width]
			clear(acc)
			ws.reset()
			fn(ws, c*s.chunk, min((c+1)*s.chunk, s.rows), acc)
		}
	})
}

// addTo adds the sums from a place in the vectors on to a view of rank 1, if there is one.
func (s *rowSums[A]) addTo(out *backend.View, from int) {
	if out == nil {
		return
	}
	width := out.Shape[0]
	total := s.partial[from : from+width]
	for c := 1; c < s.chunks(); c++ {
		add(total, total, s.partial[c*s.width+from:][:width])
	}
	ws := getWorkspace()
	defer ws.put()
	o := take[A](ws, width)
	loadInto(o, out.DType, out.Ptr, out.Strides[0])
	add(o, o, total)
	store(out.DType, out.Ptr, out.Strides[0], o)
}
