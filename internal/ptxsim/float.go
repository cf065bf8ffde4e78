package ptxsim

import "math"

// Floating point: PTX ISA 9.7.3. Results that are NaN are canonical (0x7fffffff for .f32), so that they do not depend
// on the machine that simulates.

const (
	nan32 = 0x7fffffff
	nan64 = 0x7fffffffffffffff
)

func f32(b uint64) float32 { return math.Float32frombits(uint32(b)) }

func bits32(f float32) uint64 {
	if f != f {
		return nan32
	}
	return uint64(math.Float32bits(f))
}

func f64(b uint64) float64 { return math.Float64frombits(b) }

func bits64(f float64) uint64 {
	if f != f {
		return nan64
	}
	return math.Float64bits(f)
}

// flush is .ftz: subnormal values become zero of the same sign.
func flush(b uint64) uint64 {
	if b&0x7f800000 == 0 {
		return b & 0x80000000
	}
	return b
}

// saturate is .sat: [0, 1], and NaN becomes +0.
func saturate(f float32) float32 {
	if !(f > 0) {
		return 0
	}
	return min(f, 1)
}

func addF32(d, a, b *lanes) {
	for l := range d {
		d[l] = bits32(f32(a[l]) + f32(b[l]))
	}
}

func subF32(d, a, b *lanes) {
	for l := range d {
		d[l] = bits32(f32(a[l]) - f32(b[l]))
	}
}

func mulF32(d, a, b *lanes) {
	for l := range d {
		d[l] = bits32(f32(a[l]) * f32(b[l]))
	}
}

func divF32(d, a, b *lanes) {
	for l := range d {
		d[l] = bits32(f32(a[l]) / f32(b[l]))
	}
}

func fmaF32(d, a, b, c *lanes) {
	for l := range d {
		d[l] = bits32(fma32(f32(a[l]), f32(b[l]), f32(c[l])))
	}
}

// fma32 rounds a*b + c once. The product is exact in float64; the sum, rounded to 53 bits, rounds to the same float32
// unless it lies exactly between two of them, or is subnormal there: then the sum's own error decides.
func fma32(a, b, c float32) float32 {
	p, z := float64(a)*float64(b), float64(c)
	s := p + z
	u := math.Float64bits(s)
	if u&0x1fffffff != 0x10000000 && math.Abs(s) >= 0x1p-126 {
		return float32(s)
	}
	if s-s != 0 {
		return float32(s) // Inf or NaN
	}
	t := s - p
	e := (p - float64(s-t)) + (z - t) // Knuth's TwoSum: s + e is the exact sum
	if e != 0 && u&1 == 0 {
		// Round to odd, so that the second rounding sees that something was lost.
		if (e > 0) == (s > 0) {
			u++
		} else {
			u--
		}
		if s == 0 {
			return float32(e)
		}
	}
	return float32(math.Float64frombits(u))
}

func addF64(d, a, b *lanes) {
	for l := range d {
		d[l] = bits64(f64(a[l]) + f64(b[l]))
	}
}

func subF64(d, a, b *lanes) {
	for l := range d {
		d[l] = bits64(f64(a[l]) - f64(b[l]))
	}
}

func mulF64(d, a, b *lanes) {
	for l := range d {
		d[l] = bits64(f64(a[l]) * f64(b[l]))
	}
}

func divF64(d, a, b *lanes) {
	for l := range d {
		d[l] = bits64(f64(a[l]) / f64(b[l]))
	}
}

func fmaF64(d, a, b, c *lanes) {
	for l := range d {
		d[l] = bits64(math.FMA(f64(a[l]), f64(b[l]), f64(c[l])))
	}
}

// minFloat and maxFloat: if one operand is NaN the result is the other, or NaN with propagate (.NaN); -0 < +0
// (ISA 9.7.3.11 and 9.7.3.12).
func minFloat[F float32 | float64](a, b F, propagate bool) F {
	switch {
	case a != a && (propagate || b != b):
		return a
	case b != b && propagate:
		return b
	case a != a:
		return b
	case b != b:
		return a
	}
	return min(a, b)
}

func maxFloat[F float32 | float64](a, b F, propagate bool) F {
	return -minFloat(-a, -b, propagate)
}

func minF32(propagate bool) binaryLanes {
	return func(d, a, b *lanes) {
		for l := range d {
			d[l] = bits32(minFloat(f32(a[l]), f32(b[l]), propagate))
		}
	}
}

func maxF32(propagate bool) binaryLanes {
	return func(d, a, b *lanes) {
		for l := range d {
			x, y := f32(a[l]), f32(b[l])
			if x > y {
				d[l] = a[l]
				continue
			}
			d[l] = bits32(maxFloat(x, y, propagate))
		}
	}
}

func minF64(d, a, b *lanes) {
	for l := range d {
		d[l] = bits64(minFloat(f64(a[l]), f64(b[l]), false))
	}
}

func maxF64(d, a, b *lanes) {
	for l := range d {
		d[l] = bits64(maxFloat(f64(a[l]), f64(b[l]), false))
	}
}

func signBits(op func(x, sign uint64) uint64, sign uint64) unaryLanes {
	return func(d, a *lanes) {
		for l := range d {
			d[l] = op(a[l], sign)
		}
	}
}

func negBits(x, sign uint64) uint64 { return x ^ sign }
func absBits(x, sign uint64) uint64 { return x &^ sign }

// copysign puts the sign of a on b.
func copysign(sign uint64) binaryLanes {
	return func(d, a, b *lanes) {
		for l := range d {
			d[l] = a[l]&sign | b[l]&^sign
		}
	}
}

// ofF32 makes a loop of a function that is computed in float64 and rounded once. The .approx instructions of a real
// card are within 1–2 ulp of it (ISA 9.7.3.13–9.7.3.21 give the bounds).
func ofF32(f func(float64) float64) unaryLanes {
	return func(d, a *lanes) {
		for l := range d {
			d[l] = bits32(float32(f(float64(f32(a[l])))))
		}
	}
}

func ofF64(f func(float64) float64) unaryLanes {
	return func(d, a *lanes) {
		for l := range d {
			d[l] = bits64(f(f64(a[l])))
		}
	}
}

func reciprocal(x float64) float64 { return 1 / x }

func reciprocalRoot(x float64) float64 { return 1 / math.Sqrt(x) }

// approxTanh keeps the 11 bits that tanh.approx promises (ISA 9.7.3.22), so that code that needs more is found out.
func approxTanh(x float64) float64 {
	t := math.Float64bits(math.Tanh(x))
	return math.Float64frombits((t + 1<<40) &^ (1<<41 - 1))
}

// withFlush and withSaturate wrap a loop for the modifiers that are rare in clang's output.
func flushUnary(f unaryLanes) unaryLanes {
	return func(d, a *lanes) {
		x := flushed(a)
		f(d, &x)
		*d = flushed(d)
	}
}

func flushBinary(f binaryLanes) binaryLanes {
	return func(d, a, b *lanes) {
		x, y := flushed(a), flushed(b)
		f(d, &x, &y)
		*d = flushed(d)
	}
}

func flushTernary(f ternaryLanes) ternaryLanes {
	return func(d, a, b, c *lanes) {
		x, y, z := flushed(a), flushed(b), flushed(c)
		f(d, &x, &y, &z)
		*d = flushed(d)
	}
}

func flushed(a *lanes) (r lanes) {
	for l := range r {
		r[l] = flush(uint64(uint32(a[l])))
	}
	return r
}

func saturated(d *lanes) {
	for l := range d {
		d[l] = bits32(saturate(f32(d[l])))
	}
}

func saturateBinary(f binaryLanes) binaryLanes {
	return func(d, a, b *lanes) {
		f(d, a, b)
		saturated(d)
	}
}

func saturateTernary(f ternaryLanes) ternaryLanes {
	return func(d, a, b, c *lanes) {
		f(d, a, b, c)
		saturated(d)
	}
}

// Half precision arithmetic: float64 holds every product and sum of two halves exactly enough to round once.
func halfBinary(f func(a, b float64) float64) binaryLanes {
	return func(d, a, b *lanes) {
		for l := range d {
			d[l] = uint64(halfFromFloat64(f(halfToFloat64(uint16(a[l])), halfToFloat64(uint16(b[l]))), roundNearest))
		}
	}
}

func halfFMA(d, a, b, c *lanes) {
	for l := range d {
		x, y, z := halfToFloat64(uint16(a[l])), halfToFloat64(uint16(b[l])), halfToFloat64(uint16(c[l]))
		d[l] = uint64(halfFromFloat64(math.FMA(x, y, z), roundNearest))
	}
}

func classify(f float64, test string, subnormal bool) bool {
	switch test {
	case "finite":
		return f-f == 0
	case "infinite":
		return math.IsInf(f, 0)
	case "number":
		return f == f
	case "notanumber":
		return f != f
	case "normal":
		return f-f == 0 && f != 0 && !subnormal
	}
	return subnormal
}
