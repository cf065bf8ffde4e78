package cuda

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/cpu"
)

// adamWCase is the forms of a state.
type adamWCase struct {
	moments, grad backend.DType
	weights       weightForm
	coupled       bool
}

type weightForm string

const (
	masters    weightForm = "master and parameter"
	remainders weightForm = "parameter and remainder"
	alone      weightForm = "parameter alone"
)

func (c adamWCase) String() string {
	return fmt.Sprintf("moments %v, gradient %v, %s, coupled %v", c.moments, c.grad, c.weights, c.coupled)
}

// state draws the same state on any device.
func (c adamWCase) state(t *testing.T, b memory, n int) (s backend.AdamWState, all []*backend.View) {
	rng := rand.New(rand.NewPCG(7, 8))
	put := func(dt backend.DType, x []float64, shape ...int) *backend.View {
		v := upload(t, b, dt, x, shape...)
		all = append(all, v)
		return v
	}
	codes := func(n int) []float64 {
		x := make([]float64, n)
		for i := range x {
			x[i] = float64(rng.IntN(256))
		}
		return x
	}
	positive := func(scale float64, n int) []float64 {
		x := normals(rng, scale, n)
		for i := range x {
			x[i] = math.Abs(x[i])
		}
		return x
	}
	switch c.weights {
	case alone:
		s.Param = put(backend.BF16, normals(rng, 0.02, n), n)
	case remainders:
		s.Param, s.Remainder = put(backend.BF16, normals(rng, 0.02, n), n), put(backend.U8, codes(2*n), n, 2)
	default:
		s.Master, s.Param = put(backend.F32, normals(rng, 0.02, n), n), put(backend.BF16, make([]float64, n), n)
	}
	if c.moments != backend.U8 {
		s.M, s.V = put(c.moments, normals(rng, 1e-3, n), n), put(c.moments, positive(1e-6, n), n)
		return s, all
	}
	blocks := ceilDiv(n, backend.QuantBlock)
	s.M, s.V = put(backend.U8, codes(n), n), put(backend.U8, codes(n), n)
	s.MScale, s.VScale = put(backend.F32, normals(rng, 1e-3, blocks), blocks), put(backend.F32, positive(1e-6, blocks), blocks)
	return s, all
}

// A run on a GPU is a run on the CPU: the same sums in the same order, of which not a bit differs. Weight decay in the gradient
// with packed moments is the exception: the CPU rounds once more.
func TestAdamWGivesTheBitsOfTheCPU(t *testing.T) {
	b, host := openSimulator(t), cpu.New()
	if path := host.Info().Path; path == "generic" {
		t.Skipf("the CPU's %s path does not fuse", path)
	}
	for _, n := range []int{1024, 2000} {
		for _, moments := range []backend.DType{backend.F32, backend.BF16, backend.U8} {
			for _, c := range []adamWCase{
				{moments, backend.F32, masters, false}, {moments, backend.BF16, masters, false}, {moments, backend.F32, remainders, false},
				{moments, backend.BF16, remainders, false}, {moments, backend.BF16, alone, false},
				{moments, backend.BF16, remainders, true}, {moments, backend.F32, masters, true},
			} {
				if c.coupled && moments != backend.F32 {
					continue
				}
				t.Run(fmt.Sprintf("%d, %v", n, c), func(t *testing.T) {
					args := backend.AdamWArgs{Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, Stream: 3<<33 | 9, Coupled: c.coupled}
					run := func(b interface {
						memory
						backend.AdamWer
					}) [][]byte {
						s, all := c.state(t, b, n)
						grad := upload(t, b, c.grad, normals(rand.New(rand.NewPCG(1, 9)), 1e-3, n), n)
						hyper := upload(t, b, backend.F32, []float64{1e-3, 0.1, 1.8, 3.5, 0.25, 12345}, backend.AdamWHyper)
						for range 3 {
							b.AdamW(s, grad, hyper, args)
						}
						var raw [][]byte
						for _, v := range all {
							raw = append(raw, download(t, b, v))
						}
						return raw
					}
					got, want := run(b), run(host)
					for i := range want {
						// Elements that fill no vector go through the CPU's plain code, which rounds where vectors fuse.
						whole := len(want[i]) / n * (n &^ (backend.QuantBlock - 1))
						if whole == 0 { // scales
							whole = n / backend.QuantBlock * 4
						}
						if !bytes.Equal(got[i][:whole], want[i][:whole]) {
							at := 0
							for got[i][at] == want[i][at] {
								at++
							}
							t.Errorf("array %d: byte %d of %d is %#x on the GPU, %#x on the CPU", i, at, len(want[i]), got[i][at], want[i][at])
						}
					}
				})
			}
		}
	}
}
