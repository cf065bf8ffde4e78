package simd

// widened are loops over bfloat16 made of a path's loops over float32: a stretch of elements at a time is
// widened into buffers, computed there, and rounded.
func widened(t *kernels) loops[uint16] {
	f := &t.f32
	return loops[uint16]{
		add: t.binary(f.add), sub: t.binary(f.sub), mul: t.binary(f.mul), div: t.binary(f.div),
		larger: t.binary(f.larger), smaller: t.binary(f.smaller),
		scale: t.scalar(f.scale), addScalar: t.scalar(f.addScalar), divScalar: t.scalar(f.divScalar),
		largerScalar: t.scalar(f.largerScalar), smallerScalar: t.scalar(f.smallerScalar),
		sigmoid: t.unary(f.sigmoid), silu: t.unary(f.silu), abs: t.unary(f.abs), relu: t.unary(f.relu),
		sqrt: t.unary(f.sqrt), rsqrt: t.unary(f.rsqrt), reciprocal: t.unary(f.reciprocal),
		log: t.unary(f.log), sin: t.unary(f.sin), cos: t.unary(f.cos), tanh: t.unary(f.tanh),
		gelu: t.unary(f.gelu), geluSlope: t.unary(f.geluSlope), geluTanh: t.unary(f.geluTanh), geluTanhSlope: t.unary(f.geluTanhSlope),
		swiGLU: t.binary(f.swiGLU),
		sum:    t.total(f.sum), sumSquares: t.total(f.sumSquares),
		max: t.extreme(f.max), min: t.extreme(f.min),

		less: t.comparison(f.less), lessEqual: t.comparison(f.lessEqual), equal: t.comparison(f.equal), notEqual: t.comparison(f.notEqual),

		swiGLUBackward: func(dgate, dup, dy, gate, up []uint16) {
			var d, g, u buffer
			stretches(len(dgate), func(lo, hi int) {
				a, b := t.widen(&g, gate[lo:hi]), t.widen(&u, up[lo:hi])
				f.swiGLUBackward(a, b, t.widen(&d, dy[lo:hi]), a, b)
				t.f32ToBF16(dgate[lo:hi], a)
				t.f32ToBF16(dup[lo:hi], b)
			})
		},
		dot: func(x, y []uint16) (sum float32) {
			var a, b buffer
			stretches(len(x), func(lo, hi int) { sum += f.dot(t.widen(&a, x[lo:hi]), t.widen(&b, y[lo:hi])) })
			return sum
		},
		dotWeighted: func(dy, x, w []uint16) (sum float32) {
			var a, b, c buffer
			stretches(len(dy), func(lo, hi int) {
				sum += f.dotWeighted(t.widen(&a, dy[lo:hi]), t.widen(&b, x[lo:hi]), t.widen(&c, w[lo:hi]))
			})
			return sum
		},
		sumExp: func(x []uint16, bias float32) (sum float32) {
			var a buffer
			stretches(len(x), func(lo, hi int) { sum += f.sumExp(t.widen(&a, x[lo:hi]), bias) })
			return sum
		},
		scaledExp: func(out, x []uint16, bias, scale, shift float32) {
			var a buffer
			stretches(len(out), func(lo, hi int) {
				v := t.widen(&a, x[lo:hi])
				f.scaledExp(v, v, bias, scale, shift)
				t.f32ToBF16(out[lo:hi], v)
			})
		},
		softmaxBackward: func(dx, dy, y []uint16, a float32) {
			t.binary(func(out, x, y []float32) { f.softmaxBackward(out, x, y, a) })(dx, dy, y)
		},
		rmsNorm: func(out, x, w []uint16, rstd float32) {
			var a, b buffer
			stretches(len(out), func(lo, hi int) {
				v := t.widen(&a, x[lo:hi])
				f.scale(v, v, rstd)
				t.round(v)
				f.mul(v, v, t.widen(&b, w[lo:hi]))
				t.f32ToBF16(out[lo:hi], v)
			})
		},
		rmsNormBackward: func(dx []uint16, dw []float32, dy, x, w []uint16, rstd, c float32) {
			var g, a, b buffer
			stretches(len(dx), func(lo, hi int) {
				v := t.widen(&g, dy[lo:hi])
				f.rmsNormBackward(v, dw[lo:hi], v, t.widen(&a, x[lo:hi]), t.widen(&b, w[lo:hi]), rstd, c)
				t.f32ToBF16(dx[lo:hi], v)
			})
		},
		sumSquaredDiff: func(x []uint16, mean float32) (sum float32) {
			var a buffer
			stretches(len(x), func(lo, hi int) { sum += f.sumSquaredDiff(t.widen(&a, x[lo:hi]), mean) })
			return sum
		},
		dotCentered: func(dy, x, w []uint16, mean float32) (sum float32) {
			var a, b, c buffer
			stretches(len(dy), func(lo, hi int) {
				sum += f.dotCentered(t.widen(&a, dy[lo:hi]), t.widen(&b, x[lo:hi]), t.widen(&c, w[lo:hi]), mean)
			})
			return sum
		},
		layerNorm: func(out, x, w, b []uint16, mean, rstd float32) {
			var xs, ws, bs buffer
			stretches(len(out), func(lo, hi int) {
				v := t.widen(&xs, x[lo:hi])
				f.layerNorm(v, v, t.widen(&ws, w[lo:hi]), t.widen(&bs, b[lo:hi]), mean, rstd)
				t.f32ToBF16(out[lo:hi], v)
			})
		},
		layerNormBackward: func(dx []uint16, dw, db []float32, dy, x, w []uint16, mean, rstd, c, d float32) {
			var gs, xs, ws buffer
			stretches(len(dx), func(lo, hi int) {
				v := t.widen(&gs, dy[lo:hi])
				f.layerNormBackward(v, dw[lo:hi], db[lo:hi], v, t.widen(&xs, x[lo:hi]), t.widen(&ws, w[lo:hi]), mean, rstd, c, d)
				t.f32ToBF16(dx[lo:hi], v)
			})
		},
		rotate: func(out1, out2, x1, x2 []uint16, cos, sin []float32) {
			var a, b buffer
			stretches(len(out1), func(lo, hi int) {
				u, v := t.widen(&a, x1[lo:hi]), t.widen(&b, x2[lo:hi])
				f.rotate(u, v, u, v, cos[lo:hi], sin[lo:hi])
				t.f32ToBF16(out1[lo:hi], u)
				t.f32ToBF16(out2[lo:hi], v)
			})
		},
		normRotate: func(out1, out2, x1, x2, w1, w2 []uint16, cos, sin []float32, rstd float32) {
			var a, b, c buffer
			norm := func(b *buffer, x, w []uint16) []float32 {
				v := t.widen(b, x)
				f.scale(v, v, rstd)
				t.round(v)
				f.mul(v, v, t.widen(&c, w))
				t.round(v)
				return v
			}
			stretches(len(out1), func(lo, hi int) {
				u, v := norm(&a, x1[lo:hi], w1[lo:hi]), norm(&b, x2[lo:hi], w2[lo:hi])
				f.rotate(u, v, u, v, cos[lo:hi], sin[lo:hi])
				t.f32ToBF16(out1[lo:hi], u)
				t.f32ToBF16(out2[lo:hi], v)
			})
		},
	}
}

// stretch is how many elements are widened at a time: few enough for the stack and the first-level cache.
const stretch = 256

type buffer [stretch]float32

// stretches calls f for consecutive ranges that cover [0, n).
func stretches(n int, f func(lo, hi int)) {
	for lo := 0; lo < n; lo += stretch {
		f(lo, min(lo+stretch, n))
	}
}

// widen puts x into b.
func (t *kernels) widen(b *buffer, x []uint16) []float32 {
	t.bf16ToF32(b[:len(x)], x)
	return b[:len(x)]
}

// round makes of x what bfloat16 can hold.
func (t *kernels) round(x []float32) {
	var h [stretch]uint16
	t.f32ToBF16(h[:len(x)], x)
	t.bf16ToF32(x, h[:len(x)])
}

func (t *kernels) unary(f func(out, x []float32)) func(out, x []uint16) {
	return func(out, x []uint16) {
		var a buffer
		stretches(len(out), func(lo, hi int) {
			v := t.widen(&a, x[lo:hi])
			f(v, v)
			t.f32ToBF16(out[lo:hi], v)
		})
	}
}

func (t *kernels) scalar(f func(out, x []float32, a float32)) func(out, x []uint16, a float32) {
	return func(out, x []uint16, a float32) {
		t.unary(func(out, x []float32) { f(out, x, a) })(out, x)
	}
}

func (t *kernels) binary(f func(out, x, y []float32)) func(out, x, y []uint16) {
	return func(out, x, y []uint16) {
		var a, b buffer
		stretches(len(out), func(lo, hi int) {
			v := t.widen(&a, x[lo:hi])
			f(v, v, t.widen(&b, y[lo:hi]))
			t.f32ToBF16(out[lo:hi], v)
		})
	}
}

func (t *kernels) comparison(f func(out []uint8, x, y []float32)) func(out []uint8, x, y []uint16) {
	return func(out []uint8, x, y []uint16) {
		var a, b buffer
		stretches(len(out), func(lo, hi int) { f(out[lo:hi], t.widen(&a, x[lo:hi]), t.widen(&b, y[lo:hi])) })
	}
}

func (t *kernels) total(f func(x []float32) float32) func(x []uint16) float32 {
	return func(x []uint16) (sum float32) {
		var a buffer
		stretches(len(x), func(lo, hi int) { sum += f(t.widen(&a, x[lo:hi])) })
		return sum
	}
}

// extreme folds the extremes of stretches with f itself, so that NaN stays.
func (t *kernels) extreme(f func(x []float32) float32) func(x []uint16) float32 {
	return func(x []uint16) float32 {
		var a buffer
		best := f(nil)
		stretches(len(x), func(lo, hi int) { best = f([]float32{best, f(t.widen(&a, x[lo:hi]))}) })
		return best
	}
}
