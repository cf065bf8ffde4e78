package simd

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/hone-ml/hone/internal/backend"
)

var adamWHyper = AdamWHyper{LR: 1e-3, WeightDecay: 0.1, C1: float32(1 / (1 - math.Pow(0.9, 3))), C2: float32(1 / (1 - math.Pow(0.999, 3))), GradScale: 0.5, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8}

// adamWFixture is a state of one form in guarded memory. All forms begin with the same numbers.
func adamWFixture(g *guarded, n, weights, grads int) AdamWState {
	const offset = 5
	r := rand.New(rand.NewPCG(14, uint64(n)))
	s := AdamWState{M: g.make(n, offset), V: g.make(n, offset)}
	w, grad := make([]float32, n), make([]float32, n)
	random(r, w)
	random(r, s.M)
	random(r, grad)
	for i := range s.V {
		s.V[i] = r.Float32()
		grad[i] = math.Float32frombits(math.Float32bits(grad[i]) &^ 0xffff) // a bfloat16
	}
	if n > 2 {
		grad[2], s.M[2], s.V[2] = 0, 0, 0 // 0/ε, not 0/0
	}
	for i := 7; i < n; i += 31 { // numbers that rounding treats in ways of its own
		w[i] = math.Float32frombits([]uint32{0, 1 << 31, 1, 0x80000001, 0x00008000, 0x3f808000, 0x3f818000, 0x3f80ffff, 0x7f7f0000, 0xff7f7fff}[i%10])
	}
	switch weights {
	case splitWeights:
		s.Param, s.Remainder = g.make16(n, offset), g.make16(n, offset)
		for i := range w {
			s.setWeight(i, w[i])
		}
	case roundedWeights:
		s.Param = g.make16(n, offset)
		fallthrough
	default:
		s.Master = g.make(n, offset)
		copy(s.Master, w)
	}
	if grads == grads32 {
		s.Grad = g.make(n, offset)
		copy(s.Grad, grad)
	} else {
		s.Grad16 = g.make16(n, offset)
		F32ToBF16(s.Grad16, grad)
	}
	return s
}

func weightsOf(s *AdamWState) []float32 {
	w := make([]float32, s.Len())
	for i := range w {
		w[i] = s.weight(i)
	}
	return w
}

func TestAdamWAgreesWithFloat64AtEveryLengthAndStaysInBounds(t *testing.T) {
	h := adamWHyper
	forEachPath(t, func(t *testing.T) {
		for _, n := range append(lengths(), adamWBlock+35) {
			var g guarded
			s := adamWFixture(&g, n, masterWeights, grads32)
			type state struct{ w, m, v float64 }
			want := make([]state, n)
			for i := range n {
				gr := float64(s.Grad[i]) * float64(h.GradScale)
				x := state{float64(s.Master[i]), h.Beta1*float64(s.M[i]) + (1-h.Beta1)*gr, h.Beta2*float64(s.V[i]) + (1-h.Beta2)*gr*gr}
				x.w *= 1 - float64(h.LR)*float64(h.WeightDecay)
				x.w -= float64(h.LR) * x.m * float64(h.C1) / (math.Sqrt(x.v*float64(h.C2)) + h.Eps)
				want[i] = x
			}
			AdamW(s, h)
			g.check(t, n, 5)
			for i := range n {
				if !near(s.Master[i], want[i].w, 1) || !near(s.M[i], want[i].m, 1) || !near(s.V[i], want[i].v, 1) {
					t.Fatalf("n=%d: at %d w, m, v = %v, %v, %v, want %v", n, i, s.Master[i], s.M[i], s.V[i], want[i])
				}
			}
		}
	})
}

func TestAdamWGivesTheSameWeightsInEveryForm(t *testing.T) {
	forEachPath(t, func(t *testing.T) {
		for _, n := range append(lengths(), adamWBlock+35) {
			var g guarded
			plain := adamWFixture(&g, n, masterWeights, grads32)
			for range 3 {
				AdamW(plain, adamWHyper)
			}
			for weights := range weightForms {
				for grads := range gradForms {
					name := fmt.Sprintf("n=%d, weights %d, gradients %d", n, weights, grads)
					s := adamWFixture(&g, n, weights, grads)
					for range 3 {
						AdamW(s, adamWHyper)
					}
					g.check(t, n, 5)
					if !slices.Equal(weightsOf(&s), plain.Master) || !slices.Equal(s.M, plain.M) || !slices.Equal(s.V, plain.V) {
						t.Fatalf("%s: other weights or moments than with masters", name)
					}
					for i, p := range s.Param {
						want := BF16(plain.Master[i])
						if weights == splitWeights {
							want, _ = backend.SplitMaster(plain.Master[i])
						}
						if p != want {
							t.Fatalf("%s: parameter %d is %#x, want %#x of %g", name, i, p, want, plain.Master[i])
						}
					}
				}
			}
		}
	})
}

func TestAdamWCarriesNaNAndInfinityIntoTheWeights(t *testing.T) {
	const n = 64
	forEachPath(t, func(t *testing.T) {
		for weights := range weightForms {
			var g guarded
			s := adamWFixture(&g, n, weights, grads32)
			for i := range n {
				s.Grad[i] = math.Float32frombits([]uint32{0x7fffffff, 0xffffffff, 0x7f800000, 0xff800000}[i%4])
			}
			AdamW(s, adamWHyper)
			for i, w := range weightsOf(&s) {
				if w == w {
					t.Fatalf("weights %d: gradient %g leaves weight %d at %g", weights, s.Grad[i], i, w)
				}
				if s.Param != nil && (s.Param[i]&0x7f80 != 0x7f80 || s.Param[i]&0x7f == 0) {
					t.Fatalf("weights %d: gradient %g leaves parameter %d at %#x", weights, s.Grad[i], i, s.Param[i])
				}
			}
		}
	})
}

// BenchmarkAdamWInCache shows what computing costs where memory does not: 4,096 elements.
func BenchmarkAdamWInCache(b *testing.B) {
	const n = 4096
	for weights, form := range []string{"f32", "bf16+f32", "bf16+16"} {
		ForEachPath(func(path string) {
			b.Run(form+"/"+path, func(b *testing.B) {
				var g guarded
				s := adamWFixture(&g, n, weights, grads32)
				for b.Loop() {
					AdamW(s, adamWHyper)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/element")
			})
		})
	}
}
