package backend

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// publishedMap is bitsandbytes' create_dynamic_map: the same numbers by other means.
func publishedMap(signed bool) (numbers []float64) {
	for i := range 7 {
		n := 1 << i
		if !signed {
			n *= 2
		}
		for j := range n {
			low, high := 0.1+0.9*float64(j)/float64(n), 0.1+0.9*float64(j+1)/float64(n)
			numbers = append(numbers, math.Pow10(i-6)*(low+high)/2)
		}
	}
	numbers = append(numbers, 0, 1)
	slices.Sort(numbers)
	return numbers
}

func TestDynamicMapsHoldThePublishedNumbersInOrder(t *testing.T) {
	for _, signed := range []bool{true, false} {
		m, want := Unsigned, publishedMap(signed)
		if signed {
			m = Signed
		}
		for code, w := range want {
			if got := float64(m.Number(uint8(code))); math.Abs(got-w) > 2e-6*w {
				t.Errorf("signed %v: code %d is %g, want %g", signed, code, got, w)
			}
		}
		if len(want) != map[bool]int{true: 129, false: 256}[signed] {
			t.Errorf("signed %v: %d numbers", signed, len(want))
		}
	}
}

func TestCodesAreThoseOfTheNearestNumbers(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for name, m := range map[string]*DynamicMap{"signed": Signed, "unsigned": Unsigned} {
		last := 255
		if m == Signed {
			last = 128
		}
		for code := range last + 1 {
			if got := m.Code(m.Number(uint8(code))); int(got) != code {
				t.Errorf("%s: the number of code %d has code %d", name, code, got)
			}
		}
		for range 200_000 {
			y := float32(math.Pow(10, -8*r.Float64()))
			code := int(m.Code(y))
			error := math.Abs(float64(m.Number(uint8(code)) - y))
			for _, c := range []int{code - 1, code + 1} {
				// 1 is kept for the largest of a block: what is near it may go to the step below.
				if c < 0 || c >= last || c == 0 && m == Unsigned {
					continue
				}
				if other := math.Abs(float64(m.Number(uint8(c)) - y)); other < error*(1-4e-3)-1e-9 {
					t.Fatalf("%s: %g has code %d, error %g, but code %d has error %g", name, y, code, error, c, other)
				}
			}
		}
	}
}

func TestQuantizedBlocksKeepTheirExtremesAndNeverLoseASecondMoment(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, size := range []float64{1e-30, 1e-6, 1, 1e20} {
		for _, sign := range []float64{1, -1} {
			m, v := make([]float32, QuantBlock), make([]float32, QuantBlock)
			for i := range m {
				m[i] = float32(size * r.NormFloat64())
				v[i] = float32(size * math.Pow(10, -20*r.Float64()))
			}
			m[17], v[18] = float32(sign*10*size), float32(2*size)
			m[3], v[3], v[4] = 0, 0, math.SmallestNonzeroFloat32
			codes := make([]uint8, QuantBlock)
			scale := QuantizeSigned(codes, m)
			for i, c := range codes {
				got := DequantizeSigned(c, scale)
				if e := math.Abs(float64(got - m[i])); e > 0.008*10*size || m[i] == 0 && got != 0 {
					t.Errorf("m[%d] = %g comes back as %g", i, m[i], got)
				}
			}
			if DequantizeSigned(codes[17], scale) != m[17] {
				t.Errorf("the extreme %g comes back as %g", m[17], DequantizeSigned(codes[17], scale))
			}
			scale = QuantizeUnsigned(codes, v)
			for i, c := range codes {
				if got := DequantizeUnsigned(c, scale); (got == 0) != (v[i] == 0) && v[i]/v[18] > 0 {
					t.Errorf("v[%d] = %g comes back as %g", i, v[i], got)
				}
			}
			if e := math.Abs(float64(DequantizeUnsigned(codes[18], scale)/v[18] - 1)); e > 2e-7 {
				t.Errorf("the extreme %g comes back off by %g", v[18], e)
			}
		}
	}
}

func TestBlocksOfNothingOrOfNoNumbersStayWhatTheyAre(t *testing.T) {
	codes := make([]uint8, 3)
	for name, quantize := range map[string]func([]uint8, []float32) float32{"signed": QuantizeSigned, "unsigned": QuantizeUnsigned} {
		if scale := quantize(codes, []float32{0, 0, 0}); scale != 0 || slices.Max(codes) != 0 {
			t.Errorf("%s: zeros have scale %g and codes %v", name, scale, codes)
		}
		if quantize(codes, []float32{math.SmallestNonzeroFloat32, 0, 0}); slices.Max(codes) != 0 {
			t.Errorf("%s: a scale without an inverse has codes %v", name, codes)
		}
		for _, bad := range []float32{float32(math.Inf(1)), float32(math.NaN())} {
			if scale := float64(quantize(codes, []float32{1, bad, 0})); !math.IsNaN(scale) && !math.IsInf(scale, 0) {
				t.Errorf("%s: %g has scale %g", name, bad, scale)
			}
		}
	}
}

func TestStochasticRoundingIsRightInTheMeanAndExactOnBF16(t *testing.T) {
	for _, x := range []float32{1, -2.5, 0, 1 + 0x1p-9, -1 - 3*0x1p-10, 1e-40, 3e38, 0.001} {
		low := math.Float32frombits(math.Float32bits(x) &^ 0xffff)
		sum := 0.0
		for random := range 1 << 16 {
			y := math.Float32frombits(uint32(StochasticBF16(x, uint16(random))) << 16)
			if low == x && y != x {
				t.Fatalf("%g, a bfloat16, becomes %g", x, y)
			}
			sum += float64(y)
		}
		if mean := sum / (1 << 16); math.Abs(mean-float64(x)) > 1e-12*math.Abs(float64(x)) {
			t.Errorf("%g is %g in the mean", x, mean)
		}
	}
	for _, bits := range []uint32{0x7f800000, 0xff800000, 0x7fffffff, 0xffffffff, 0x7f800001} {
		x := math.Float32frombits(bits)
		y := math.Float32frombits(uint32(StochasticBF16(x, 0xffff)) << 16)
		if x == x && y != x || x != x && y == y {
			t.Errorf("%#x becomes %g", bits, y)
		}
	}
}

func TestAdamWNoiseTakesEachWordOnceABlock(t *testing.T) {
	words := map[uint32]int{}
	for block := range uint64(16) {
		for _, w := range Philox(5<<32|block, 9) {
			words[w]++
		}
	}
	for i := range 64 {
		words[AdamWNoise(9, 5, i)]--
	}
	for w, n := range words {
		if n != 0 {
			t.Errorf("word %#x is taken %d times too few", w, n)
		}
	}
}
