package quant

import (
	"bytes"
	"encoding/hex"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/hone-ml/hone/internal/backend"
)

var formats = []backend.DType{backend.Q8_0, backend.Q4_0}

// ramp is 0.5·(i − 16): the largest magnitude, −8, comes first.
func ramp() []float32 {
	x := make([]float32, Block)
	for i := range x {
		x[i] = 0.5 * float32(i-16)
	}
	return x
}

// The bytes were worked out by hand from ggml's quantize_row_q8_0_ref and quantize_row_q4_0_ref: the scale
// 8/127 is the half 0x2c08, and −8/−8 is 1, 0x3c00.
func TestQuantizeGivesTheBlocksOfGGML(t *testing.T) {
	for dt, want := range map[backend.DType]string{
		backend.Q8_0: "082c" + "81899199a1a9b1b9c0c8d0d8e0e8f0f8" + "000810182028303840474f575f676f77",
		backend.Q4_0: "003c" + "8091" + "91a2" + "a2b3b3c4c4d5d5e6e6f7f7f8",
	} {
		got := make([]byte, dt.Size())
		Quantize(dt, got, ramp())
		if h := hex.EncodeToString(got); h != want {
			t.Errorf("%v: %s, want %s", dt, h, want)
		}
	}
}

func TestAWeightIsOffByHalfAStepAtMost(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, dt := range formats {
		for _, size := range []float64{1e-6, 0.02, 1, 1e4} {
			x := make([]float32, 64*Block)
			for i := range x {
				x[i] = float32(r.NormFloat64() * size)
			}
			blocks, got := make([]byte, dt.Bytes(len(x))), make([]float32, len(x))
			Quantize(dt, blocks, x)
			Dequantize(dt, got, blocks)
			for b := 0; b < len(x); b += Block {
				most := 0.0
				for _, v := range x[b : b+Block] {
					most = max(most, math.Abs(float64(v)))
				}
				// Half a step; a whole one at the end of Q4_0 that has no value of its own; and what the
				// rounding of the scale moves the farthest weight by, which is absolute for tiny scales.
				step, steps := most/127, 127.0
				if dt == backend.Q4_0 {
					step, steps = most/8, 8
				}
				allowed := step*0.501 + most*0x1p-11 + steps*0x1p-25
				for i, v := range x[b : b+Block] {
					bound := allowed
					if dt == backend.Q4_0 && math.Abs(float64(v)) > 7*step {
						bound += step / 2
					}
					if d := math.Abs(float64(got[b+i]) - float64(v)); d > bound {
						t.Fatalf("%v, weights of size %g: %v became %v, off by %g of %g", dt, size, v, got[b+i], d, bound)
					}
				}
			}
		}
	}
}

func TestQuantizingValuesThatABlockHoldsChangesNothing(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, dt := range formats {
		x := make([]float32, 16*Block)
		for i := range x {
			x[i] = float32(r.NormFloat64())
		}
		first, second := make([]byte, dt.Bytes(len(x))), make([]byte, dt.Bytes(len(x)))
		Quantize(dt, first, x)
		Dequantize(dt, x, first)
		Quantize(dt, second, x)
		if !bytes.Equal(first, second) {
			t.Errorf("%v: other blocks the second time", dt)
		}
	}
}

func TestBlocksOfNothingAndOfTooMuch(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	for _, dt := range formats {
		for _, c := range []struct {
			name      string
			fill, one float32
			ok        func(v float32) bool
		}{
			{"zeros", 0, 0, func(v float32) bool { return v == 0 }},
			{"numbers too small for the scale", 1e-20, -1e-20, func(v float32) bool { return v == 0 }},
			{"the smallest of numbers", math.SmallestNonzeroFloat32, 0, func(v float32) bool { return v == 0 }},
			{"a NaN", 1, nan, func(v float32) bool { return v != v }},
			{"an infinity", 1, -inf, func(v float32) bool { return v != v }},
			{"numbers too large for the scale", 1e38, -1e38, func(v float32) bool { return v != v || math.IsInf(float64(v), 0) }},
		} {
			x := make([]float32, 2*Block)
			for i := range x[:Block] {
				x[i], x[Block+i] = c.fill, 1
			}
			x[Block-1] = c.one
			blocks := bytes.Repeat([]byte{0xee}, dt.Bytes(len(x)))
			Quantize(dt, blocks, x)
			Dequantize(dt, x, blocks)
			for i, v := range x[:Block] {
				if !c.ok(v) {
					t.Errorf("%v of %s: weight %d is %v", dt, c.name, i, v)
				}
			}
			if v := x[Block]; math.Abs(float64(v)-1) > 1e-3 {
				t.Errorf("%v: the block behind %s holds %v, want 1", dt, c.name, v)
			}
		}
	}
}

func TestLengthsThatDoNotFitPanic(t *testing.T) {
	for _, n := range []int{1, 31, 64} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%d weights in one block", n)
				}
			}()
			Quantize(backend.Q8_0, make([]byte, 34), make([]float32, n))
		}()
	}
}
