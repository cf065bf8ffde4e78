package simd

// Rotate turns the pairs (x1, x2), the halves of a head, by the angles of the given cosines and sines:
// out1 = x1·cos − x2·sin, out2 = x2·cos + x1·sin.
func Rotate[E Element](out1, out2, x1, x2 []E, cos, sin []float32) {
	n := len(out1)
	out2, x1, x2, cos, sin = cut(out2, n), cut(x1, n), cut(x2, n), cut(cos, n), cut(sin, n)
	f := of[E]().rotate
	if n <= block {
		f(out1, out2, x1, x2, cos, sin)
		return
	}
	inBlocks(n, func(lo, hi int) { f(out1[lo:hi], out2[lo:hi], x1[lo:hi], x2[lo:hi], cos[lo:hi], sin[lo:hi]) })
}

// NormRotate is RMSNorm and Rotate in one sweep over a head with halves x1 and x2, and w1 and w2 of the
// weight. In bfloat16 the normalised number is rounded before and after it is multiplied by w.
func NormRotate[E Element](out1, out2, x1, x2, w1, w2 []E, cos, sin []float32, rstd float32) {
	n := len(out1)
	out2, x1, x2, w1, w2 = cut(out2, n), cut(x1, n), cut(x2, n), cut(w1, n), cut(w2, n)
	cos, sin = cut(cos, n), cut(sin, n)
	f := of[E]().normRotate
	if n <= block {
		f(out1, out2, x1, x2, w1, w2, cos, sin, rstd)
		return
	}
	inBlocks(n, func(lo, hi int) {
		f(out1[lo:hi], out2[lo:hi], x1[lo:hi], x2[lo:hi], w1[lo:hi], w2[lo:hi], cos[lo:hi], sin[lo:hi], rstd)
	})
}

func rotateGeneric(out1, out2, x1, x2, cos, sin []float32) {
	for i := range out1 {
		a, b, c, s := x1[i], x2[i], cos[i], sin[i]
		out1[i] = a*c - b*s
		out2[i] = b*c + a*s
	}
}

func normRotateGeneric(out1, out2, x1, x2, w1, w2, cos, sin []float32, rstd float32) {
	for i := range out1 {
		a, b, c, s := x1[i]*rstd*w1[i], x2[i]*rstd*w2[i], cos[i], sin[i]
		out1[i] = a*c - b*s
		out2[i] = b*c + a*s
	}
}
