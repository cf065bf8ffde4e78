package simd

import "math"

// GELU sets out = x·Φ(x), within 6 ulp in float32, Φ the distribution function of the standard normal
// distribution. (Hendrycks and Gimpel, "Gaussian Error Linear Units", 2016.)
func GELU[E Element](out, x []E) { unary(out, x, of[E]().gelu) }

// GELUSlope sets out to the derivative of GELU, within 2·10⁻⁷ in float32.
func GELUSlope[E Element](out, x []E) { unary(out, x, of[E]().geluSlope) }

// GELUTanh sets out = x·(1 + tanh(√(2/π)·(x + 0.044715·x³)))/2, within 5·10⁻⁷ in float32 below 0 and 4 ulp
// above.
func GELUTanh[E Element](out, x []E) { unary(out, x, of[E]().geluTanh) }

// GELUTanhSlope sets out to the derivative of GELUTanh, within 10⁻⁶ in float32.
func GELUTanhSlope[E Element](out, x []E) { unary(out, x, of[E]().geluTanhSlope) }

func geluGeneric(out, x []float32)          { each(out, x, GELU64) }
func geluSlopeGeneric(out, x []float32)     { each(out, x, GELUSlope64) }
func geluTanhGeneric(out, x []float32)      { each(out, x, GELUTanh64) }
func geluTanhSlopeGeneric(out, x []float32) { each(out, x, GELUTanhSlope64) }

// GELU64 is x·Φ(x) of a float64.
func GELU64(x float64) float64 { return x * normalCDF(x) }

// GELUSlope64 is the derivative of GELU64.
func GELUSlope64(x float64) float64 {
	if math.Abs(x) > 40 { // where exp(−x²/2) is 0 and x may be ∞
		return normalCDF(x)
	}
	return normalCDF(x) + x*math.Exp(-0.5*x*x)*(1/(math.Sqrt2*math.SqrtPi))
}

// normalCDF is Φ(x), with all its digits also where it is small.
func normalCDF(x float64) float64 { return 0.5 * math.Erfc(-x/math.Sqrt2) }

// The approximation of Φ in Hendrycks and Gimpel is (1 + tanh(u))/2 = sigmoid(2u) with
// 2u = geluScale·(x + geluCubic·x³).
const (
	geluCubic = 0.044715
	geluScale = 2 * math.Sqrt2 / math.SqrtPi
)

func geluSigmoid(x float64) float64 { return 1 / (1 + math.Exp(-geluScale*(x+geluCubic*x*x*x))) }

// GELUTanh64 is the approximation of GELU64 by a hyperbolic tangent.
func GELUTanh64(x float64) float64 { return x * geluSigmoid(x) }

// GELUTanhSlope64 is the derivative of GELUTanh64.
func GELUTanhSlope64(x float64) float64 {
	s := geluSigmoid(x)
	if s == 0 || s == 1 { // far out, where x³ may be ∞
		return s
	}
	return s + x*s*(1-s)*geluScale*(1+3*geluCubic*x*x)
}
