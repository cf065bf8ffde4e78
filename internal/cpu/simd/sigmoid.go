package simd

// Sigmoid sets out = 1 / (1 + exp(−x)), within 4 ulp in float32; below 2⁻¹²⁶ within that.
func Sigmoid[E Element](out, x []E) { unary(out, x, of[E]().sigmoid) }

// SiLU sets out = x·sigmoid(x), and NaN of −Inf as PyTorch does.
func SiLU[E Element](out, x []E) { unary(out, x, of[E]().silu) }

// SwiGLU sets out = silu(gate)·up.
func SwiGLU[E Element](out, gate, up []E) { binary(out, gate, up, of[E]().swiGLU) }

// SwiGLUBackward sets the gradients of SwiGLU from that of its result: with s = sigmoid(gate),
// dup = dy·gate·s and dgate = dy·up·s·(1 + gate·(1 − s)).
func SwiGLUBackward[E Element](dgate, dup, dy, gate, up []E) {
	n := len(dgate)
	dup, dy, gate, up = cut(dup, n), cut(dy, n), cut(gate, n), cut(up, n)
	f := of[E]().swiGLUBackward
	if n <= block {
		f(dgate, dup, dy, gate, up)
		return
	}
	inBlocks(n, func(lo, hi int) { f(dgate[lo:hi], dup[lo:hi], dy[lo:hi], gate[lo:hi], up[lo:hi]) })
}

func sigmoid32(x float32) float32 { return 1 / (1 + exp32(-x)) }

func sigmoidGeneric(out, x []float32) {
	for i := range out {
		out[i] = sigmoid32(x[i])
	}
}

func siluGeneric(out, x []float32) {
	for i := range out {
		out[i] = silu32(x[i])
	}
}

// silu32 divides x instead of multiplying by the sigmoid, so that -Inf gives NaN no sooner than PyTorch.
func silu32(x float32) float32 { return x / (1 + exp32(-x)) }

func swiGLUGeneric(out, gate, up []float32) {
	for i := range out {
		out[i] = silu32(gate[i]) * up[i]
	}
}

func swiGLUBackwardGeneric(dgate, dup, dy, gate, up []float32) {
	for i := range dgate {
		d, g, u := dy[i], gate[i], up[i]
		s := sigmoid32(g)
		dup[i] = d * g * s
		dgate[i] = d * u * s * (1 + g*(1-s))
	}
}
