package simd

// SumExp is Σ exp(x − bias), each term as Exp has it.
func SumExp[E Element](x []E, bias float32) float32 {
	f := of[E]().sumExp
	if len(x) <= block {
		return f(x, bias)
	}
	var sum float32
	inBlocks(len(x), func(lo, hi int) { sum += f(x[lo:hi], bias) })
	return sum
}

// ScaledExp sets out = scale·exp(x − bias) + shift.
func ScaledExp[E Element](out, x []E, bias, scale, shift float32) {
	x = cut(x, len(out))
	f := of[E]().scaledExp
	if len(out) <= block {
		f(out, x, bias, scale, shift)
		return
	}
	inBlocks(len(out), func(lo, hi int) { f(out[lo:hi], x[lo:hi], bias, scale, shift) })
}

// ScaledExpTo is ScaledExp from float32 to bfloat16. Both may begin at the same address.
func ScaledExpTo(out []uint16, x []float32, bias, scale, shift float32) {
	x = cut(x, len(out))
	if len(out) <= block {
		k.scaledExpTo(out, x, bias, scale, shift)
		return
	}
	inBlocks(len(out), func(lo, hi int) { k.scaledExpTo(out[lo:hi], x[lo:hi], bias, scale, shift) })
}

// SoftmaxBackward sets dx = (dy − a)·y, the gradient of the softmax y if a = Σ dy·y.
func SoftmaxBackward[E Element](dx, dy, y []E, a float32) {
	n := len(dx)
	dy, y = cut(dy, n), cut(y, n)
	f := of[E]().softmaxBackward
	if n <= block {
		f(dx, dy, y, a)
		return
	}
	inBlocks(n, func(lo, hi int) { f(dx[lo:hi], dy[lo:hi], y[lo:hi], a) })
}
