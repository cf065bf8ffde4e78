package cpu

import (
	"math"

	"github.com/hone-ml/hone/internal/cpu/simd"
)

// The loops of row kernels. A row of F32 or BF16 goes to package simd, which computes in float32 and reads
// and writes either in one pass; F64 goes through the plain loops below. An output may be one of the
// inputs.

// lane is what a row kernel reads and writes: float32, float64, or the bits of a BF16.
type lane interface{ float | uint16 }

// plain is x as float64, which the caller knows that it is.
func plain[L lane](x []L) []float64 { return cast[float64](x) }

// wideOf is the number that an element stands for.
func wideOf[L lane](x L) float64 {
	if sizeOf[L]() == 2 {
		return float64(math.Float32frombits(uint32(x) << 16))
	}
	return float64(x)
}

func rowSum[L lane](x []L) float64 {
	switch sizeOf[L]() {
	case 2:
		return float64(simd.Sum(cast[uint16](x)))
	case 4:
		return float64(simd.Sum(cast[float32](x)))
	}
	var s float64
	for _, v := range plain(x) {
		s += v
	}
	return s
}

func rowDot[L lane](x, y []L) float64 {
	switch sizeOf[L]() {
	case 2:
		return float64(simd.Dot(cast[uint16](x), cast[uint16](y)))
	case 4:
		return float64(simd.Dot(cast[float32](x), cast[float32](y)))
	}
	var s float64
	b := plain(y)
	for i, v := range plain(x) {
		s += v * b[i]
	}
	return s
}

// dotWeighted is Σ g·w·x.
func dotWeighted[L lane](g, x, w []L) float64 {
	switch sizeOf[L]() {
	case 2:
		return float64(simd.DotWeighted(cast[uint16](g), cast[uint16](x), cast[uint16](w)))
	case 4:
		return float64(simd.DotWeighted(cast[float32](g), cast[float32](x), cast[float32](w)))
	}
	var s float64
	a, b := plain(x), plain(w)
	for i, v := range plain(g) {
		s += v * b[i] * a[i]
	}
	return s
}

func rowSquares[L lane](x []L) float64 {
	switch sizeOf[L]() {
	case 2:
		return float64(simd.SumSquares(cast[uint16](x)))
	case 4:
		return float64(simd.SumSquares(cast[float32](x)))
	}
	return rowDot(x, x)
}

// rowMax is NaN if an element is, -Inf of nothing.
func rowMax[L lane](x []L) float64 {
	switch sizeOf[L]() {
	case 2:
		return float64(simd.Max(cast[uint16](x)))
	case 4:
		return float64(simd.Max(cast[float32](x)))
	}
	m := math.Inf(-1)
	for _, v := range plain(x) {
		m = max(m, v)
	}
	return m
}

// rowSumExp is Σ exp(x − bias).
func rowSumExp[L lane](x []L, bias float64) float64 {
	switch sizeOf[L]() {
	case 2:
		return float64(simd.SumExp(cast[uint16](x), float32(bias)))
	case 4:
		return float64(simd.SumExp(cast[float32](x), float32(bias)))
	}
	var s float64
	for _, v := range plain(x) {
		s += math.Exp(v - bias)
	}
	return s
}

// scaledExp sets out = a·exp(x − bias) + b. Besides rows of one type it takes float32 to BF16.
func scaledExp[O, L lane](out []O, x []L, bias, a, b float64) {
	switch {
	case sizeOf[L]() == 2:
		simd.ScaledExp(cast[uint16](out), cast[uint16](x), float32(bias), float32(a), float32(b))
	case sizeOf[O]() == 2:
		simd.ScaledExpTo(cast[uint16](out), cast[float32](x), float32(bias), float32(a), float32(b))
	case sizeOf[L]() == 4:
		simd.ScaledExp(cast[float32](out), cast[float32](x), float32(bias), float32(a), float32(b))
	default:
		o := plain(out)
		for i, v := range plain(x) {
			o[i] = a*math.Exp(v-bias) + b
		}
	}
}

// minusTimes sets out = (x − a)·y.
func minusTimes[L lane](out, x, y []L, a float64) {
	switch sizeOf[L]() {
	case 2:
		simd.SoftmaxBackward(cast[uint16](out), cast[uint16](x), cast[uint16](y), float32(a))
	case 4:
		simd.SoftmaxBackward(cast[float32](out), cast[float32](x), cast[float32](y), float32(a))
	default:
		o, b := plain(out), plain(y)
		for i, v := range plain(x) {
			o[i] = (v - a) * b[i]
		}
	}
}

// normalize sets out = x·rstd·w, where BF16 rounds x·rstd first.
func normalize[L lane](out, x, w []L, rstd float64) {
	switch sizeOf[L]() {
	case 2:
		simd.RMSNorm(cast[uint16](out), cast[uint16](x), cast[uint16](w), float32(rstd))
	case 4:
		simd.RMSNorm(cast[float32](out), cast[float32](x), cast[float32](w), float32(rstd))
	default:
		o, b := plain(out), plain(w)
		for i, v := range plain(x) {
			o[i] = v * rstd * b[i]
		}
	}
}

// normalizeBackward sets dx = rstd·g·w + c·x and adds g·x·rstd to dw.
func normalizeBackward[L lane, A float](dx []L, dw []A, g, x, w []L, rstd, c float64) {
	switch sizeOf[L]() {
	case 2:
		simd.RMSNormBackward(cast[uint16](dx), cast[float32](dw), cast[uint16](g), cast[uint16](x), cast[uint16](w), float32(rstd), float32(c))
	case 4:
		simd.RMSNormBackward(cast[float32](dx), cast[float32](dw), cast[float32](g), cast[float32](x), cast[float32](w), float32(rstd), float32(c))
	default:
		d, acc, gs, b := plain(dx), cast[float64](dw), plain(g), plain(w)
		for i, v := range plain(x) {
			scaled := gs[i] * rstd
			acc[i] += scaled * v
			d[i] = scaled*b[i] + c*v
		}
	}
}

// rotate sets out1 = x1·cos − x2·sin and out2 = x2·cos + x1·sin.
func rotate[L lane, A float](out1, out2, x1, x2 []L, cos, sin []A) {
	switch sizeOf[L]() {
	case 2:
		simd.Rotate(cast[uint16](out1), cast[uint16](out2), cast[uint16](x1), cast[uint16](x2), cast[float32](cos), cast[float32](sin))
	case 4:
		simd.Rotate(cast[float32](out1), cast[float32](out2), cast[float32](x1), cast[float32](x2), cast[float32](cos), cast[float32](sin))
	default:
		o1, o2, b, c, s := plain(out1), plain(out2), plain(x2), cast[float64](cos), cast[float64](sin)
		for i, u := range plain(x1) {
			v := b[i]
			o1[i], o2[i] = u*c[i]-v*s[i], v*c[i]+u*s[i]
		}
	}
}

// normRotate is normalize and rotate in one, over the halves of a head.
func normRotate[L lane, A float](out, x, w []L, cos, sin []A, rstd float64) {
	half := len(x) / 2
	switch sizeOf[L]() {
	case 2:
		o, x, w := cast[uint16](out), cast[uint16](x), cast[uint16](w)
		simd.NormRotate(o[:half], o[half:], x[:half], x[half:], w[:half], w[half:], cast[float32](cos), cast[float32](sin), float32(rstd))
	case 4:
		o, x, w := cast[float32](out), cast[float32](x), cast[float32](w)
		simd.NormRotate(o[:half], o[half:], x[:half], x[half:], w[:half], w[half:], cast[float32](cos), cast[float32](sin), float32(rstd))
	default:
		normalize(out, x, w, rstd)
		rotate(out[:half], out[half:], out[:half], out[half:], cos, sin)
	}
}

// rowSquaredDiff is Σ (x − mean)².
func rowSquaredDiff[L lane](x []L, mean float64) float64 {
	switch sizeOf[L]() {
	case 2:
		return float64(simd.SumSquaredDiff(cast[uint16](x), float32(mean)))
	case 4:
		return float64(simd.SumSquaredDiff(cast[float32](x), float32(mean)))
	}
	var s float64
	for _, v := range plain(x) {
		s += (v - mean) * (v - mean)
	}
	return s
}

// dotCentered is Σ g·w·(x − mean).
func dotCentered[L lane](g, x, w []L, mean float64) float64 {
	switch sizeOf[L]() {
	case 2:
		return float64(simd.DotCentered(cast[uint16](g), cast[uint16](x), cast[uint16](w), float32(mean)))
	case 4:
		return float64(simd.DotCentered(cast[float32](g), cast[float32](x), cast[float32](w), float32(mean)))
	}
	var s float64
	a, b := plain(x), plain(w)
	for i, v := range plain(g) {
		s += v * b[i] * (a[i] - mean)
	}
	return s
}

// center sets out = (x − mean)·rstd·w + b.
func center[L lane](out, x, w, b []L, mean, rstd float64) {
	switch sizeOf[L]() {
	case 2:
		simd.LayerNorm(cast[uint16](out), cast[uint16](x), cast[uint16](w), cast[uint16](b), float32(mean), float32(rstd))
	case 4:
		simd.LayerNorm(cast[float32](out), cast[float32](x), cast[float32](w), cast[float32](b), float32(mean), float32(rstd))
	default:
		o, ws, bs := plain(out), plain(w), plain(b)
		for i, v := range plain(x) {
			o[i] = (v-mean)*rstd*ws[i] + bs[i]
		}
	}
}

// centerBackward sets dx = rstd·g·w + c·t + e with t = (x − mean)·rstd, and adds g·t to dw and g to db.
func centerBackward[L lane, A float](dx []L, dw, db []A, g, x, w []L, mean, rstd, c, e float64) {
	switch sizeOf[L]() {
	case 2:
		simd.LayerNormBackward(cast[uint16](dx), cast[float32](dw), cast[float32](db), cast[uint16](g), cast[uint16](x), cast[uint16](w),
			float32(mean), float32(rstd), float32(c), float32(e))
	case 4:
		simd.LayerNormBackward(cast[float32](dx), cast[float32](dw), cast[float32](db), cast[float32](g), cast[float32](x), cast[float32](w),
			float32(mean), float32(rstd), float32(c), float32(e))
	default:
		d, ww, wb, gs, ws := plain(dx), cast[float64](dw), cast[float64](db), plain(g), plain(w)
		for i, v := range plain(x) {
			g, t := gs[i], (v-mean)*rstd
			ww[i] += g * t
			wb[i] += g
			d[i] = rstd*g*ws[i] + c*t + e
		}
	}
}
