package cpu

import (
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/cpu/pool"
)

// RMSNorm sets rstd = 1/√(mean(x²)+eps) and out = T(x·rstd)·w over the last axis.
func (*Backend) RMSNorm(out, rstd, x, w *backend.View, eps float64) {
	if x.DType == backend.F64 {
		rmsNorm[float64](out, rstd, x, w, eps)
	} else {
		rmsNorm[float32](out, rstd, x, w, eps)
	}
}

func rmsNorm[C float](out, rstd, x, w *backend.View, eps float64) {
	d := x.Shape[1]
	if d == 0 {
		return
	}
	narrow := !storedAs[C](x.DType)
	pool.Run(x.Shape[0], 1+2*grainScalar/d, func(lo, hi int) {
		ws := getWorkspace()
		defer ws.put()
		weight := load(w.DType, w.Ptr, w.Strides[0], d, take[C](ws, d))
		scratch := take[C](ws, d)
		for i := lo; i < hi; i++ {
			p := rowAt(out, i)
			in := load(x.DType, rowAt(x, i), 1, d, scratch)
			r := 1 / sqrt(C(squares(in)/float64(d))+C(eps))
			if rstd != nil {
				slice[C](rstd.Ptr, i+1)[i] = r
			}
			o := destination(out.DType, p, 1, d, scratch)
			scale(o, in, r)
			if narrow { // the normalised row is rounded before the weight multiplies it
				store(out.DType, p, 1, o)
				loadInto(o, out.DType, p, 1)
			}
			mul(o, o, weight)
			store(out.DType, p, 1, o)
		}
	})
}

// squares is Σ x², accurate over long rows.
func squares[C float](x []C) float64 {
	total := 0.0
	for len(x) > blockLen {
		total += float64(sumSquares(x[:blockLen]))
		x = x[blockLen:]
	}
	return total + float64(sumSquares(x))
}

// rowAt is the address of row i of a matrix.
func rowAt(v *backend.View, i int) unsafe.Pointer {
	return unsafe.Add(v.Ptr, i*v.Strides[0]*v.DType.Size())
}

// RMSNormBackward sets dx = rstd·(dy·w − x·rstd²·mean(dy·w·x)) and adds Σ dy·x·rstd to dw.
func (*Backend) RMSNormBackward(dx, dw, dy, x, w, rstd *backend.View) {
	if x.DType == backend.F64 {
		rmsNormBackward[float64](dx, dw, dy, x, w, rstd)
	} else {
		rmsNormBackward[float32](dx, dw, dy, x, w, rstd)
	}
}

func rmsNormBackward[C float](dx, dw, dy, x, w, rstd *backend.View) {
	n, d := x.Shape[0], x.Shape[1]
	if n == 0 || d == 0 {
		return
	}
	// Each chunk of rows has a partial dw of its own; they are added in order.
	chunk := max(64, (n+255)/256)
	chunks := (n + chunk - 1) / chunk
	partials := getWorkspace()
	defer partials.put()
	partial := take[C](partials, chunks*d)

	pool.Run(chunks, 1+grainScalar/(chunk*d), func(first, last int) {
		ws := getWorkspace()
		defer ws.put()
		weight := load(w.DType, w.Ptr, w.Strides[0], d, take[C](ws, d))
		xs, gs, tmp := take[C](ws, d), take[C](ws, d), take[C](ws, d)
		for c := first; c < last; c++ {
			acc := partial[c*d : (c+1)*d]
			clear(acc)
			for i := c * chunk; i < min((c+1)*chunk, n); i++ {
				r := slice[C](rstd.Ptr, n)[i]
				in := load(x.DType, rowAt(x, i), 1, d, xs)
				g := load(dy.DType, rowAt(dy, i), 1, d, gs)
				if dw != nil {
					scale(tmp, in, r)
					mulAdd(acc, g, tmp)
				}
				if dx != nil {
					mul(tmp, g, weight)
					mean := C(dotLong(tmp, in) / float64(d))
					o := destination(dx.DType, rowAt(dx, i), 1, d, gs)
					mulScaleAdd(o, tmp, r, in, -r*r*r*mean)
					store(dx.DType, rowAt(dx, i), 1, o)
				}
			}
		}
	})
	if dw == nil {
		return
	}
	total := partial[:d]
	for c := 1; c < chunks; c++ {
		add(total, total, partial[c*d:(c+1)*d])
	}
	addTo(dw, total)
}

// addTo adds a row to a view of rank 1.
func addTo[C float](out *backend.View, x []C) {
	ws := getWorkspace()
	defer ws.put()
	o := take[C](ws, len(x))
	loadInto(o, out.DType, out.Ptr, out.Strides[0])
	add(o, o, x)
	store(out.DType, out.Ptr, out.Strides[0], o)
}
