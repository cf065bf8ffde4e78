package gemm

import (
	"bytes"
	"math"
	"math/rand/v2"
	"runtime"
	"testing"
	"unsafe"

	"github.com/x448/float16"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/cpu/simd"
	"github.com/hone-ml/hone/internal/quant"
)

var blockDTypes = []backend.DType{backend.Q8_0, backend.Q4_0}

// newBlocks is a k×n matrix whose columns are blocks, at an odd address, and its values.
func newBlocks(dt backend.DType, k, n int, r *rand.Rand) (Operand, *matrix) {
	weights, values := make([]float32, k*n), make([]float32, k*n)
	for i := range weights {
		weights[i] = float32(r.NormFloat64())
	}
	raw := make([]byte, 1+dt.Bytes(k*n))
	quant.Quantize(dt, raw[1:], weights)
	quant.Dequantize(dt, values, raw[1:])
	m := newMatrix(backend.F32, k, n, colMajor)
	for i, v := range values {
		m.set(i%k, i/k, float64(v))
	}
	return Operand{unsafe.Pointer(&raw[1]), dt, 1, k}, m
}

// by is mul with blocks in the place of their values.
func by(blocks Operand, mul mulFunc) mulFunc {
	return func(c, a, _ Operand, m, n, k int, accumulate bool) { mul(c, a, blocks, m, n, k, accumulate) }
}

func TestProductsWithBlocksAreThoseWithTheirValues(t *testing.T) {
	forEachPath(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(51, 52))
		for _, dt := range blockDTypes {
			for k := 32; k <= 320; k += 32 {
				for m := 1; m <= ThinRows; m++ {
					for _, n := range []int{1, 2, 5, 33} {
						blocks, values := newBlocks(dt, k, n, r)
						x := []backend.DType{backend.F32, backend.BF16, backend.F16}[(m+n)%3]
						to := []backend.DType{backend.F32, x}[m%2]
						check(t, by(blocks, mulSerial), newMatrix(to, m, n, layouts[n%3]).fill(r), newMatrix(x, m, k, []layout{rowMajor, paddedRows}[m%2]).fill(r), values, n%2 == 0)
					}
				}
			}
		}
	})
}

func TestProductsWithBlocksHaveTheSameBitsOnAnyProcessors(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(before)
	forEachPath(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(53, 54))
		for _, dt := range blockDTypes {
			const m, n, k = 5, 1500, 480
			blocks, values := newBlocks(dt, k, n, r)
			a := newMatrix(backend.F32, m, k, rowMajor).fill(r)
			run := func(mul mulFunc) []byte {
				c := newMatrix(backend.F32, m, n, rowMajor)
				checkSome(t, by(blocks, mul), c, a, values, r)
				return c.bytes
			}
			want := run(mulSerial)
			for _, procs := range []int{1, 2, 8} {
				runtime.GOMAXPROCS(procs)
				if !bytes.Equal(run(Mul), want) {
					t.Fatalf("%v: GOMAXPROCS=%d gives other bits than MulSerial", dt, procs)
				}
			}
		}
	})
}

// scales are what a block may begin with.
var scales = []float32{0, 1, -1, 0.0123, 65504, 0x1p-24, 0x1p-15, float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN())}

func TestDequantizeGivesTheBitsOfTheReference(t *testing.T) {
	forEachPath(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(55, 56))
		for _, dt := range blockDTypes {
			for _, blocks := range []int{0, 1, 2, 3, len(scales), 700} {
				raw := make([]byte, 1+dt.Bytes(blocks*quant.Block))[1:]
				for i := range raw {
					raw[i] = byte(r.Uint32())
				}
				for i := range blocks {
					bits := float16.Fromfloat32(scales[i%len(scales)]).Bits()
					raw[i*dt.Size()], raw[i*dt.Size()+1] = byte(bits), byte(bits>>8)
				}
				got, want := make([]float32, blocks*quant.Block+1), make([]float32, blocks*quant.Block)
				got[len(want)] = canary
				Dequantize(got[:len(want)], raw, dt)
				quant.Dequantize(dt, want, raw)
				for i, w := range want {
					if g := got[i]; math.Float32bits(g) != math.Float32bits(w) && !(g != g && w != w) {
						t.Fatalf("%s %v: weight %d of %d blocks is %v, want %v", simd.Path(), dt, i, blocks, g, w)
					}
				}
				if got[len(want)] != canary {
					t.Fatalf("%v: a weight behind the last was written", dt)
				}
			}
		}
	})
}

func TestScalesThatAreNotFiniteReachTheirColumnsOnly(t *testing.T) {
	forEachPath(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(57, 58))
		for _, dt := range blockDTypes {
			const n, k, block, column = 9, 96, 1, 4
			for _, scale := range []float64{math.NaN(), math.Inf(1)} {
				blocks, _ := newBlocks(dt, k, n, r)
				*(*uint16)(blocks.at(block*quant.Block, column)) = float16.Fromfloat32(float32(scale)).Bits()
				c := newMatrix(backend.F32, 2, n, rowMajor)
				Mul(c.Operand, newMatrix(backend.F32, 2, k, rowMajor).fill(r).Operand, blocks, 2, n, k, false)
				for j := range n {
					v := c.get(1, j)
					if finite := !math.IsNaN(v) && !math.IsInf(v, 0); finite == (j == column) {
						t.Errorf("%v: with the scale %v in column %d, column %d is %v", dt, scale, column, j, v)
					}
				}
			}
		}
	})
}
