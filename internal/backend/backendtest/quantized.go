package backendtest

import (
	"fmt"
	"math"

	"github.com/x448/float16"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/quant"
)

var quantizedDTypes = []backend.DType{backend.Q8_0, backend.Q4_0}

// narrowFloats are the dtypes that quantised weights meet.
var narrowFloats = []backend.DType{backend.F32, backend.BF16, backend.F16}

// asBlocks is the view of bytes as quantised weights.
func asBlocks(v *backend.View, dt backend.DType, shape ...int) *backend.View {
	q := backend.NewView(v.Ptr, dt, shape...)
	return &q
}

// bytesArray is raw memory as an array of U8.
func bytesArray(raw []byte) array {
	a := newArray(len(raw))
	for i, b := range raw {
		a.data[i] = float64(b)
	}
	return a
}

func (a array) float32s() []float32 {
	f := make([]float32, len(a.data))
	for i, v := range a.data {
		f[i] = float32(v)
	}
	return f
}

// valuesOf are the weights that blocks hold.
func valuesOf(dt backend.DType, raw []byte, shape ...int) array {
	f, a := make([]float32, size(shape)), newArray(shape...)
	quant.Dequantize(dt, f, raw)
	for i, v := range f {
		a.data[i] = float64(v)
	}
	return a
}

// blocks are those of normal numbers.
func (s *suite) blocks(dt backend.DType, scale float64, n int) []byte {
	raw := make([]byte, dt.Bytes(n))
	quant.Quantize(dt, raw, s.normal(backend.F32, scale, n).float32s())
	return raw
}

func testQuantize(s *suite) {
	b := s.b.(backend.Quantizer)
	for _, dt := range quantizedDTypes {
		for _, n := range []int{0, 1, 2, 7, 32, 33, 65, 2011} {
			n *= dt.Block()
			for _, other := range narrowFloats {
				for _, scale := range []float64{1e-7, 0.02, 1, 300} {
					x := s.normal(other, scale, n)
					for i := range x.data {
						switch i / dt.Block() % 9 { // some blocks of nothing, and some that are broken
						case 3:
							x.data[i] = 0
						case 5:
							x.data[i] = []float64{math.NaN(), math.Inf(1), math.Inf(-1), 1}[i%4]
						}
					}
					s.try(fmt.Sprintf("%v[%d] to %v, scale %v", other, n, dt, scale), func() {
						out := s.out(backend.U8, padded, dt.Bytes(n))
						b.Quantize(asBlocks(&out.view, dt, n), s.in(other, x, padded))
						s.expect("blocks", out, exact, func() array {
							raw := make([]byte, dt.Bytes(n))
							quant.Quantize(dt, raw, x.float32s())
							return bytesArray(raw)
						})
					})
				}
				raw := make([]byte, dt.Bytes(n))
				for i := range raw {
					raw[i] = byte(s.rng.Uint32())
				}
				for i := 0; i < len(raw); i += dt.Size() {
					d := []float64{0.01 * s.rng.NormFloat64(), 1, 0x1p-24, 60000, 0, math.Inf(1), math.NaN()}[i/dt.Size()%7]
					bits := float16.Fromfloat32(float32(d)).Bits()
					raw[i], raw[i+1] = byte(bits), byte(bits>>8)
				}
				s.try(fmt.Sprintf("%v[%d] to %v", dt, n, other), func() {
					out := s.out(other, padded, n)
					b.Dequantize(&out.view, asBlocks(s.in(backend.U8, bytesArray(raw), padded), dt, n))
					s.expect("weights", out, exact, func() array { return valuesOf(dt, raw, n) })
				})
			}
		}
	}
}

func testMatMulQuantized(s *suite) {
	b := s.b.(backend.QuantizedMatMuler)
	for _, dt := range quantizedDTypes {
		for _, d := range [][3]int{ // m, n, k
			{1, 1, 32}, {1, 45, 64}, {1, 2500, 160}, {2, 33, 96}, {3, 31, 352}, {4, 17, 1024}, {5, 130, 32}, {7, 9, 288}, {8, 64, 128},
			{9, 64, 128}, {40, 45, 96}, {130, 1, 64}, {9, 1500, 736}, {0, 4, 32}, {4, 0, 32}, {2, 3, 0}, {20, 3, 0},
		} {
			m, n, k := d[0], d[1], d[2]
			raw := s.blocks(dt, 1, n*k)
			for i, xt := range narrowFloats {
				for _, accumulate := range []bool{false, true} {
					to := xt
					if (i+m)%2 == 0 {
						to = backend.F32
					}
					x := s.normal(xt, 1, m, k)
					var c array
					if accumulate {
						c = s.normal(to, 1, m, n)
					}
					s.try(fmt.Sprintf("%v[%d %d]·%v[%d %d]ᵀ to %v, accumulate %v", xt, m, k, dt, n, k, to, accumulate), func() {
						out := s.out(to, padded, m, n)
						if accumulate {
							out = s.inout(to, c, padded)
						}
						w := asBlocks(s.in(backend.U8, bytesArray(raw), padded), dt, n, k)
						b.MatMulQuantized(&out.view, s.in(xt, x, rowLayouts[m%2]), w, accumulate)
						s.expect("out", out, toleranceOf(xt), func() array {
							values, y := valuesOf(dt, raw, n, k), newArray(k, n)
							for j, v := range values.data {
								y.data[j%k*n+j/k] = v
							}
							return product(x, y, c, []int{m, n})
						})
					})
				}
			}
		}
	}
}
