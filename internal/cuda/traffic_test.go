package cuda

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/hone-ml/hone/internal/backend"
)

// Kernels over rows are bound by memory. Without caches, which the simulator does not have, they move at most a tenth more
// than the least that the op needs: each input read once, each output written once.
func TestKernelsOverRowsMoveLittleMoreThanTheLeast(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	const eps = 1e-6
	b := openSimulator(t)
	in := func(t *testing.T, dt backend.DType, shape ...int) *backend.View {
		v := backend.NewView(nil, dt, shape...)
		return upload(t, b, dt, normals(rng, 1, v.Len()), shape...)
	}
	size := func(views ...*backend.View) (bytes int) {
		for _, v := range views {
			bytes += v.DType.Bytes(v.Len())
		}
		return bytes
	}
	for _, dt := range []backend.DType{backend.BF16, backend.F32} {
		const rows, d = 1600, 1024
		cases := []struct {
			name string
			run  func(t *testing.T) (least int)
		}{
			{"RMSNorm", func(t *testing.T) int {
				x, w, out, rstd := in(t, dt, rows/4, d), in(t, dt, d), empty(t, b, dt, rows/4, d), empty(t, b, backend.F32, rows/4)
				b.RMSNorm(out, rstd, x, w, eps)
				return size(x, w, out, rstd)
			}},
			{"RMSNorm of long rows", func(t *testing.T) int {
				x, w, out, rstd := in(t, dt, 2048, 2*d), in(t, dt, 2*d), empty(t, b, dt, 2048, 2*d), empty(t, b, backend.F32, 2048)
				b.RMSNorm(out, rstd, x, w, eps)
				return size(x, w, out, rstd)
			}},
			{"RMSNorm backward", func(t *testing.T) int {
				x, w, dy, dx, dw, rstd := in(t, dt, rows, d), in(t, dt, d), in(t, dt, rows, d), empty(t, b, dt, rows, d), in(t, backend.F32, d), in(t, backend.F32, rows)
				b.RMSNormBackward(dx, dw, dy, x, w, rstd)
				return size(x, w, dy, dx, dw, dw, rstd)
			}},
			{"LayerNorm", func(t *testing.T) int {
				x, w, bias, out, mean, rstd := in(t, dt, rows, d/2), in(t, dt, d/2), in(t, dt, d/2), empty(t, b, dt, rows, d/2), empty(t, b, backend.F32, rows), empty(t, b, backend.F32, rows)
				b.LayerNorm(out, mean, rstd, x, w, bias, eps)
				return size(x, w, bias, out, mean, rstd)
			}},
			{"LayerNorm backward", func(t *testing.T) int {
				n := 2 * rows
				x, w, dy, dx, dw, db, mean, rstd := in(t, dt, n, d/2), in(t, dt, d/2), in(t, dt, n, d/2), empty(t, b, dt, n, d/2), in(t, backend.F32, d/2), in(t, backend.F32, d/2), in(t, backend.F32, n), in(t, backend.F32, n)
				b.LayerNormBackward(dx, dw, db, dy, x, w, mean, rstd)
				return size(x, w, dy, dx, dw, dw, db, db, mean, rstd)
			}},
			{"RoPE", func(t *testing.T) int {
				x, out, cos, sin := in(t, dt, 40, 16, 128), empty(t, b, dt, 40, 16, 128), in(t, backend.F32, 40, 64), in(t, backend.F32, 40, 64)
				b.RoPE(out, x, cos, sin, false)
				return size(x, out, cos, sin)
			}},
			{"NormRoPE", func(t *testing.T) int {
				x, w, out, rstd, cos, sin := in(t, dt, 40, 16, 128), in(t, dt, 128), empty(t, b, dt, 40, 16, 128), empty(t, b, backend.F32, 40, 16), in(t, backend.F32, 40, 64), in(t, backend.F32, 40, 64)
				b.NormRoPE(out, rstd, x, w, cos, sin, eps)
				return size(x, w, out, rstd, cos, sin)
			}},
			{"NormRoPE backward", func(t *testing.T) int {
				x, dy, w, dx, dw, rstd, cos, sin := in(t, dt, 200, 16, 128), in(t, dt, 200, 16, 128), in(t, dt, 128), empty(t, b, dt, 200, 16, 128), in(t, backend.F32, 128), in(t, backend.F32, 200, 16), in(t, backend.F32, 200, 64), in(t, backend.F32, 200, 64)
				b.NormRoPEBackward(dx, dw, dy, x, w, rstd, cos, sin)
				return size(x, dy, w, dx, dw, dw, rstd, cos, sin)
			}},
			{"SwiGLU of halves of rows", func(t *testing.T) int {
				both, out := in(t, dt, 30, 2*3072), empty(t, b, dt, 30, 3072)
				gate, up := both.Slice(1, 0, 3072), both.Slice(1, 3072, 2*3072)
				b.SwiGLU(out, &gate, &up)
				return size(both, out)
			}},
			{"SwiGLU backward", func(t *testing.T) int {
				gate, up, dy, dgate, dup := in(t, dt, 30, 3072), in(t, dt, 30, 3072), in(t, dt, 30, 3072), empty(t, b, dt, 30, 3072), empty(t, b, dt, 30, 3072)
				b.SwiGLUBackward(dgate, dup, dy, gate, up)
				return size(gate, up, dy, dgate, dup)
			}},
			{"Softmax", func(t *testing.T) int {
				x, out := in(t, dt, 30, 2048), empty(t, b, dt, 30, 2048)
				b.Softmax(out, x)
				return size(x, out)
			}},
			{"Softmax backward", func(t *testing.T) int {
				y, dy, dx := in(t, dt, 30, 2048), in(t, dt, 30, 2048), empty(t, b, dt, 30, 2048)
				b.SoftmaxBackward(dx, dy, y)
				return size(y, dy, dx)
			}},
			{"CrossEntropy of a vocabulary", func(t *testing.T) int {
				logits, targets, loss, lse := in(t, dt, 2, 151936), upload(t, b, backend.I32, []float64{3, 151935}, 2), empty(t, b, backend.F32, 2), empty(t, b, backend.F32, 2)
				b.CrossEntropy(loss, lse, logits, targets, backend.CrossEntropyArgs{IgnoreIndex: -100})
				return size(logits, targets, loss, lse)
			}},
			{"CrossEntropy backward in place", func(t *testing.T) int {
				logits, targets, scale, lse := in(t, dt, 2, 151936), upload(t, b, backend.I32, []float64{3, 151935}, 2), in(t, backend.F32, 2), in(t, backend.F32, 2)
				b.CrossEntropyBackward(logits, logits, lse, targets, scale, backend.CrossEntropyArgs{IgnoreIndex: -100})
				return size(logits, logits, targets, scale, lse)
			}},
			{"SumSquares", func(t *testing.T) int {
				x, out := in(t, dt, 200000), empty(t, b, backend.F32, 4)
				b.SumSquares(out, x, 1<<16)
				return size(x, out)
			}},
		}
		for _, c := range cases {
			t.Run(fmt.Sprintf("%s of %v", c.name, dt), func(t *testing.T) {
				b.Statistics()
				least := c.run(t)
				expectTraffic(t, b, least)
			})
		}
	}
}

// expectTraffic demands of the kernels since the last look that they moved at most a tenth more than the least.
func expectTraffic(t *testing.T, b *Backend, least int) {
	t.Helper()
	if err := b.Sync(); err != nil {
		t.Fatal(err)
	}
	moved := 0.0
	for _, s := range b.Statistics() {
		moved += float64(s.GlobalLoadBytes + s.GlobalStoreBytes)
	}
	if ratio := moved / float64(least); math.IsNaN(ratio) || ratio < 0.99 || ratio > 1.1 {
		t.Errorf("%.0f bytes were moved, %.3f times the least, %d", moved, ratio, least)
	} else {
		t.Logf("%.3f times the least", ratio)
	}
}

func TestProductsOfARowByQuantizedWeightsMoveLittleMoreThanTheLeast(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	b := openSimulator(t)
	const n, k = 8192, 1024
	for _, dt := range []backend.DType{backend.Q8_0, backend.Q4_0} {
		t.Run(dt.String(), func(t *testing.T) {
			w := uploadBytes(t, b, dt, make([]byte, dt.Bytes(n*k)), n, k)
			x, out := upload(t, b, backend.BF16, normals(rng, 1, k), 1, k), empty(t, b, backend.BF16, 1, n)
			b.Statistics()
			b.MatMulQuantized(out, x, w, false)
			expectTraffic(t, b, dt.Bytes(n*k)+2*(k+n))
		})
	}
}

func TestOptimizersMoveLittleMoreThanTheLeast(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	b := openSimulator(t)
	const n = 100_000
	const blocks = (n + backend.QuantBlock - 1) / backend.QuantBlock
	in := func(t *testing.T, dt backend.DType, shape ...int) *backend.View {
		v := backend.NewView(nil, dt, shape...)
		return upload(t, b, dt, normals(rng, 1, v.Len()), shape...)
	}
	zeros := func(t *testing.T, dt backend.DType, shape ...int) *backend.View {
		v := backend.NewView(nil, dt, shape...)
		return uploadBytes(t, b, dt, make([]byte, dt.Bytes(v.Len())), shape...)
	}
	hyper := upload(t, b, backend.F32, []float64{1e-3, 0.1, 2, 3, 1, 7}, backend.AdamWHyper)
	for _, c := range []struct {
		name  string
		bytes int // read and written an element
		state func(t *testing.T) backend.AdamWState
		grad  backend.DType
	}{
		{"F32 weights and moments", 28, func(t *testing.T) backend.AdamWState {
			return backend.AdamWState{Master: in(t, backend.F32, n), M: zeros(t, backend.F32, n), V: zeros(t, backend.F32, n)}
		}, backend.F32},
		{"masters with BF16 parameters", 28, func(t *testing.T) backend.AdamWState {
			return backend.AdamWState{Param: empty(t, b, backend.BF16, n), Master: in(t, backend.F32, n), M: zeros(t, backend.F32, n), V: zeros(t, backend.F32, n)}
		}, backend.BF16},
		{"remainders and BF16 moments", 18, func(t *testing.T) backend.AdamWState {
			return backend.AdamWState{Param: in(t, backend.BF16, n), Remainder: zeros(t, backend.U8, n, 2), M: zeros(t, backend.BF16, n), V: zeros(t, backend.BF16, n)}
		}, backend.BF16},
		{"BF16 weights alone and 8-bit moments", 10, func(t *testing.T) backend.AdamWState {
			return backend.AdamWState{Param: in(t, backend.BF16, n), M: zeros(t, backend.U8, n), V: zeros(t, backend.U8, n),
				MScale: zeros(t, backend.F32, blocks), VScale: zeros(t, backend.F32, blocks)}
		}, backend.BF16},
		{"remainders and 8-bit moments", 14, func(t *testing.T) backend.AdamWState {
			return backend.AdamWState{Param: in(t, backend.BF16, n), Remainder: zeros(t, backend.U8, n, 2), M: zeros(t, backend.U8, n), V: zeros(t, backend.U8, n),
				MScale: zeros(t, backend.F32, blocks), VScale: zeros(t, backend.F32, blocks)}
		}, backend.BF16},
	} {
		t.Run("AdamW of "+c.name, func(t *testing.T) {
			s, grad := c.state(t), in(t, c.grad, n)
			least := c.bytes * n
			if s.MScale != nil {
				least += 16 * blocks
			}
			b.Statistics()
			b.AdamW(s, grad, hyper, backend.AdamWArgs{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8})
			expectTraffic(t, b, least)
		})
	}
	t.Run("SGD", func(t *testing.T) {
		s, grad := backend.MomentumState{WeightState: backend.WeightState{Master: in(t, backend.F32, n)}, M: in(t, backend.BF16, n)}, in(t, backend.BF16, n)
		b.Statistics()
		b.SGD(s, grad, hyper, backend.SGDArgs{Momentum: 0.9})
		expectTraffic(t, b, 14*n)
	})
	t.Run("Lion", func(t *testing.T) {
		s, grad := backend.MomentumState{WeightState: backend.WeightState{Master: in(t, backend.F32, n)}, M: in(t, backend.F32, n)}, in(t, backend.BF16, n)
		b.Statistics()
		b.Lion(s, grad, hyper, backend.LionArgs{Beta1: 0.9, Beta2: 0.99})
		expectTraffic(t, b, 18*n)
	})
}
