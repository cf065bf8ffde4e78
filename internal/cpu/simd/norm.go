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

// SumSquaredDiff is Σ (x − mean)².
func SumSquaredDiff[E Element](x []E, mean float32) float32 {
	f := of[E]().sumSquaredDiff
	return fold(x, func(x []E) float32 { return f(x, mean) })
}

// DotCentered is Σ dy·w·(x − mean).
func DotCentered[E Element](dy, x, w []E, mean float32) float32 {
	n := len(dy)
	x, w = cut(x, n), cut(w, n)
	f := of[E]().dotCentered
	var sum float32
	inBlocks(n, func(lo, hi int) { sum += f(dy[lo:hi], x[lo:hi], w[lo:hi], mean) })
	return sum
}

// LayerNorm sets out = (x − mean)·rstd·w + b for one row.
func LayerNorm[E Element](out, x, w, b []E, mean, rstd float32) {
	n := len(out)
	x, w, b = cut(x, n), cut(w, n), cut(b, n)
	f := of[E]().layerNorm
	inBlocks(n, func(lo, hi int) { f(out[lo:hi], x[lo:hi], w[lo:hi], b[lo:hi], mean, rstd) })
}

// LayerNormBackward sets dx = rstd·dy·w + c·t + d for one row, with t = (x − mean)·rstd, and adds dy·t to
// dw and dy to db. With c = −rstd·mean(dy·w·t) and d = −rstd·mean(dy·w) these are the gradients of LayerNorm.
func LayerNormBackward[E Element](dx []E, dw, db []float32, dy, x, w []E, mean, rstd, c, d float32) {
	n := len(dx)
	dw, db, dy, x, w = cut(dw, n), cut(db, n), cut(dy, n), cut(x, n), cut(w, n)
	f := of[E]().layerNormBackward
	inBlocks(n, func(lo, hi int) { f(dx[lo:hi], dw[lo:hi], db[lo:hi], dy[lo:hi], x[lo:hi], w[lo:hi], mean, rstd, c, d) })
}

func sumSquaredDiffGeneric(x []float32, mean float32) float32 {
	var s0, s1, s2, s3 float32
	for len(x) >= 4 {
		d0, d1, d2, d3 := x[0]-mean, x[1]-mean, x[2]-mean, x[3]-mean
		s0 += d0 * d0
		s1 += d1 * d1
		s2 += d2 * d2
		s3 += d3 * d3
		x = x[4:]
	}
	for _, v := range x {
		s0 += (v - mean) * (v - mean)
	}
	return (s0 + s1) + (s2 + s3)
}

func dotCenteredGeneric(dy, x, w []float32, mean float32) float32 {
	var sum float32
	for i, g := range dy {
		sum += g * w[i] * (x[i] - mean)
	}
	return sum
}

func layerNormGeneric(out, x, w, b []float32, mean, rstd float32) {
	for i := range out {
		out[i] = (x[i]-mean)*rstd*w[i] + b[i]
	}
}

func layerNormBackwardGeneric(dx, dw, db, dy, x, w []float32, mean, rstd, c, d float32) {
	for i := range dx {
		g, t := dy[i], (x[i]-mean)*rstd
		dw[i] += g * t
		db[i] += g
		dx[i] = rstd*g*w[i] + d + c*t
	}
}
