package cpu

import (
	"math"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/cpu/pool"
)

// LayerNorm sets mean, rstd = 1/√(mean((x − mean)²)+eps) and out = (x − mean)·rstd·w + b over the last axis.
func (*Backend) LayerNorm(out, mean, rstd, x, w, b *backend.View, eps float64) {
	switch x.DType {
	case backend.F64:
		layerNorm[float64, float64](out, mean, rstd, x, w, b, eps)
	case backend.BF16:
		layerNorm[uint16, float32](out, mean, rstd, x, w, b, eps)
	default:
		layerNorm[float32, float32](out, mean, rstd, x, w, b, eps)
	}
}

func layerNorm[L lane, A float](out, mean, rstd, x, w, b *backend.View, eps float64) {
	d := x.Shape[1]
	if d == 0 {
		return
	}
	pool.Run(x.Shape[0], 1+2*grainScalar/d, func(lo, hi int) {
		ws := getWorkspace()
		defer ws.put()
		weight := load(w.DType, w.Ptr, w.Strides[0], d, take[L](ws, d))
		bias := load(b.DType, b.Ptr, b.Strides[0], d, take[L](ws, d))
		scratch := take[L](ws, d)
		for i := lo; i < hi; i++ {
			p := rowAt(out, i)
			in := load(x.DType, rowAt(x, i), 1, d, scratch)
			m := A(inBlocks(in, rowSum) / float64(d))
			variance := inBlocks(in, func(block []L) float64 { return rowSquaredDiff(block, float64(m)) }) / float64(d)
			r := A(1 / math.Sqrt(variance+eps))
			if mean != nil {
				*elementAt[A](mean, i) = m
			}
			if rstd != nil {
				*elementAt[A](rstd, i) = r
			}
			o := destination(out.DType, p, 1, d, scratch)
			center(o, in, weight, bias, float64(m), float64(r))
			store(out.DType, p, 1, o)
		}
	})
}

// LayerNormBackward sets dx = rstd·(dy·w − mean(dy·w) − t·mean(dy·w·t)) with t = (x − mean)·rstd, and adds
// Σ dy·t to dw and Σ dy to db.
func (*Backend) LayerNormBackward(dx, dw, db, dy, x, w, mean, rstd *backend.View) {
	switch x.DType {
	case backend.F64:
		layerNormBackward[float64, float64](dx, dw, db, dy, x, w, mean, rstd)
	case backend.BF16:
		layerNormBackward[uint16, float32](dx, dw, db, dy, x, w, mean, rstd)
	default:
		layerNormBackward[float32, float32](dx, dw, db, dy, x, w, mean, rstd)
	}
}

func layerNormBackward[L lane, A float](dx, dw, db, dy, x, w, mean, rstd *backend.View) {
	n, d := x.Shape[0], x.Shape[1]
	if n == 0 || d == 0 {
		return
	}
	sums := newRowSums[A](n, 2*d) // of dw and db, one behind the other
	defer sums.put()
	sums.run(func(ws *workspace, lo, hi int, acc []A) {
		weight := load(w.DType, w.Ptr, w.Strides[0], d, take[L](ws, d))
		xs, gs := take[L](ws, d), take[L](ws, d)
		for i := lo; i < hi; i++ {
			in := load(x.DType, rowAt(x, i), 1, d, xs)
			g := load(dy.DType, rowAt(dy, i), 1, d, gs)
			m, r := float64(*elementAt[A](mean, i)), float64(*elementAt[A](rstd, i))
			if dx == nil {
				centerBackward(gs, acc[:d], acc[d:], g, in, weight, m, r, 0, 0)
				continue
			}
			meanG := inBlocks2(g, weight, rowDot) / float64(d)
			meanGT := 0.0
			for lo := 0; lo < d; lo += blockLen {
				hi := min(lo+blockLen, d)
				meanGT += dotCentered(g[lo:hi], in[lo:hi], weight[lo:hi], m)
			}
			meanGT *= r / float64(d)
			p := rowAt(dx, i)
			o := destination(dx.DType, p, 1, d, gs)
			centerBackward(o, acc[:d], acc[d:], g, in, weight, m, r, -r*meanGT, -r*meanG)
			store(dx.DType, p, 1, o)
		}
	})
	sums.addTo(dw, 0)
	sums.addTo(db, d)
}
