package simd

// RMSNorm sets out = (x·rstd)·w for one row. In bfloat16 the normalised number is rounded before it is
// multiplied by w.
func RMSNorm[E Element](out, x, w []E, rstd float32) {
	n := len(out)
	x, w = cut(x, n), cut(w, n)
	f := of[E]().rmsNorm
	if n <= block {
		f(out, x, w, rstd)
		return
	}
	inBlocks(n, func(lo, hi int) { f(out[lo:hi], x[lo:hi], w[lo:hi], rstd) })
}

// RMSNormBackward sets dx = rstd·dy·w + c·x for one row and adds dy·x·rstd to dw. With
// c = −rstd³·mean(dy·w·x) these are the gradients of RMSNorm.
func RMSNormBackward[E Element](dx []E, dw []float32, dy, x, w []E, rstd, c float32) {
	n := len(dx)
	dw, dy, x, w = cut(dw, n), cut(dy, n), cut(x, n), cut(w, n)
	f := of[E]().rmsNormBackward
	if n <= block {
		f(dx, dw, dy, x, w, rstd, c)
		return
	}
	inBlocks(n, func(lo, hi int) { f(dx[lo:hi], dw[lo:hi], dy[lo:hi], x[lo:hi], w[lo:hi], rstd, c) })
}

func rmsNormGeneric(out, x, w []float32, rstd float32) {
	for i := range out {
		out[i] = x[i] * rstd * w[i]
	}
}

func rmsNormBackwardGeneric(dx, dw, dy, x, w []float32, rstd, c float32) {
	for i := range dx {
		g, v := dy[i]*rstd, x[i]
		dw[i] += g * v
		dx[i] = g*w[i] + c*v
	}
}
