package simd

import (
	"math"
	"testing"
)

// specialNumbers are the numbers at which arithmetic changes its ways: zeros, denormals, the ends of the normal
// numbers, infinities and NaN.
var specialNumbers = []float32{
	0, float32(math.Copysign(0, -1)), 1, -1, 3, 0x1p-64, -0x1p64,
	0x1p-149, -0x1p-149, 0x1.fffffcp-127, -0x1p-130, 0x1p-126, -0x1p-126,
	math.MaxFloat32, -math.MaxFloat32, float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN()),
}

func TestArithmeticOfSpecialNumbersIsThatOfIEEE754ToTheBit(t *testing.T) {
	var x, y []float32
	for _, a := range specialNumbers {
		for _, b := range specialNumbers {
			x, y = append(x, a), append(y, b)
		}
	}
	cases := []struct {
		name string
		f    func(out, x, y []float32)
		want func(x, y float32) float32
	}{
		{"Add", Add[float32], func(x, y float32) float32 { return x + y }},
		{"Sub", Sub[float32], func(x, y float32) float32 { return x - y }},
		{"Mul", Mul[float32], func(x, y float32) float32 { return x * y }},
		{"Div", Div[float32], func(x, y float32) float32 { return x / y }},
		{"Larger", Larger[float32], func(x, y float32) float32 { return max(x, y) }},
		{"Smaller", Smaller[float32], func(x, y float32) float32 { return min(x, y) }},
		{"Scale", eachPair(Scale[float32]), func(x, y float32) float32 { return x * y }},
		{"AddScalar", eachPair(AddScalar[float32]), func(x, y float32) float32 { return x + y }},
		{"DivScalar", eachPair(DivScalar[float32]), func(x, y float32) float32 { return x / y }},
	}
	forEachPath(t, func(t *testing.T) {
		for _, c := range cases {
			for from := range 5 { // what was in a vector is in what is left over
				x, y := x[from:], y[from:]
				out := make([]float32, len(x))
				c.f(out, x, y)
				for i, got := range out {
					want := c.want(x[i], y[i])
					if got != got && want != want || got == 0 && want == 0 && (c.name == "Larger" || c.name == "Smaller") {
						continue
					}
					if math.Float32bits(got) != math.Float32bits(want) {
						t.Fatalf("%s(%v, %v) = %v, want %v", c.name, x[i], y[i], got, want)
					}
				}
			}
		}
	})
}

// eachPair makes of a loop with a number one with a vector of numbers, an element a call.
func eachPair(f func(out, x []float32, a float32)) func(out, x, y []float32) {
	return func(out, x, y []float32) {
		wide, in := make([]float32, 21), make([]float32, 21)
		for i := range out {
			for j := range in {
				in[j] = x[i]
			}
			f(wide, in, y[i])
			out[i] = wide[(i*5)%len(wide)]
		}
	}
}
