package simd

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/hone-ml/hone/internal/backend"
)

var adamWHyper = AdamWHyper{LR: 1e-3, WeightDecay: 0.1, C1: float32(1 / (1 - math.Pow(0.9, 3))), C2: float32(1 / (1 - math.Pow(0.999, 3))), GradScale: 0.5, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, Step: 3, Stream: 0x123456789}

// adamWFixture is a state with F32 moments in guarded memory. All forms begin with the same numbers.
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
	h.L2 = 0.03
	forEachPath(t, func(t *testing.T) {
		for _, n := range append(lengths(), adamWBlock+35) {
			var g guarded
			s := adamWFixture(&g, n, masterWeights, grads32)
			type state struct{ w, m, v float64 }
			want := make([]state, n)
			for i := range n {
				gr := float64(s.Grad[i])*float64(h.GradScale) + float64(h.L2)*float64(s.Master[i])
				x := state{float64(s.Master[i]), h.Beta1*float64(s.M[i]) + (1-h.Beta1)*gr, h.Beta2*float64(s.V[i]) + (1-h.Beta2)*gr*gr}
				x.w *= 1 - float64(h.LR)*float64(h.WeightDecay)
				x.w -= float64(h.LR) * x.m * float64(h.C1) / (math.Sqrt(x.v*float64(h.C2)) + h.Eps)
				want[i] = x
			}
			AdamW(s, h)
			g.check(t, n, 5)
			for i := range n {
				v := near(s.V[i], want[i].v, 1) || want[i].v > math.MaxFloat32 && math.IsInf(float64(s.V[i]), 1)
				if !near(s.Master[i], want[i].w, 1) || !near(s.M[i], want[i].m, 1) || !v {
					t.Fatalf("n=%d: at %d w, m, v = %v, %v, %v, want %v", n, i, s.Master[i], s.M[i], s.V[i], want[i])
				}
			}
		}
	})
}

func TestAdamWGivesTheSameWeightsInEveryForm(t *testing.T) {
	h := adamWHyper
	h.L2 = 0.03
	forEachPath(t, func(t *testing.T) {
		for _, n := range append(lengths(), adamWBlock+35) {
			var g guarded
			plain := adamWFixture(&g, n, masterWeights, grads32)
			for range 3 {
				AdamW(plain, h)
			}
			for weights := range weightForms {
				for grads := range gradForms {
					name := fmt.Sprintf("n=%d, weights %d, gradients %d", n, weights, grads)
					s := adamWFixture(&g, n, weights, grads)
					for range 3 {
						AdamW(s, h)
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

// packed is s with its moments in another form, and unpacked the same with those moments as F32.
func packed(g *guarded, s AdamWState, moments int) (p, unpacked AdamWState) {
	const offset = 5
	n := s.Len()
	p, unpacked = s, s
	p.M, p.V, unpacked.M, unpacked.V = nil, nil, make([]float32, n), make([]float32, n)
	if moments == moments16 {
		p.M16, p.V16 = g.make16(n, offset), g.make16(n, offset)
		F32ToBF16(p.M16, s.M)
		F32ToBF16(p.V16, s.V)
		BF16ToF32(unpacked.M, p.M16)
		BF16ToF32(unpacked.V, p.V16)
		return p, unpacked
	}
	blocks := (n + backend.QuantBlock - 1) / backend.QuantBlock
	p.M8, p.V8, p.MScale, p.VScale = make([]uint8, n), make([]uint8, n), g.make(blocks, offset), g.make(blocks, offset)
	for b := range blocks {
		lo, hi := b*backend.QuantBlock, min((b+1)*backend.QuantBlock, n)
		p.MScale[b] = backend.QuantizeSigned(p.M8[lo:hi], s.M[lo:hi])
		p.VScale[b] = backend.QuantizeUnsigned(p.V8[lo:hi], s.V[lo:hi])
		for i := lo; i < hi; i++ {
			unpacked.M[i] = backend.DequantizeSigned(p.M8[i], p.MScale[b])
			unpacked.V[i] = backend.DequantizeUnsigned(p.V8[i], p.VScale[b])
		}
	}
	return p, unpacked
}

// duplicate is s with weights of its own.
func duplicate(s AdamWState) AdamWState {
	s.Master, s.Param, s.Remainder = slices.Clone(s.Master), slices.Clone(s.Param), slices.Clone(s.Remainder)
	return s
}

func TestPackedMomentsAreTheF32OnesPackedToTheBit(t *testing.T) {
	forEachPath(t, func(t *testing.T) {
		for _, n := range append(lengths(), 255, 256, 257, 511, 512, 513, adamWBlock+300) {
			for weights := range weightForms {
				for _, moments := range []int{moments16, moments8} {
					for grads := range gradForms {
						name := fmt.Sprintf("n=%d, weights %d, moments %d, gradients %d", n, weights, moments, grads)
						var g guarded
						s, want := packed(&g, adamWFixture(&g, n, weights, grads), moments)
						s.First, want.First = 7*backend.QuantBlock, 7*backend.QuantBlock
						want = duplicate(want)
						AdamW(s, adamWHyper)
						g.check(t, n, 5)

						// What fills no vector of this form is left to plain Go.
						whole := n &^ (adamWGranule[moments] - 1)
						if k.adamW[weights][moments][grads] == nil {
							whole = 0
						}
						c := adamWHyper.constants()
						AdamW(want.Slice(0, whole), adamWHyper)
						adamWGeneric(want.Slice(whole, n), &c, &adamWHyper)
						if !slices.Equal(weightsOf(&s), weightsOf(&want)) || !slices.Equal(s.Param, want.Param) {
							t.Fatalf("%s: other weights", name)
						}
						for i := range n {
							if moments == moments16 {
								noise := backend.AdamWNoise(adamWHyper.Stream, adamWHyper.Step, s.First+i)
								m, v := backend.StochasticBF16(want.M[i], uint16(noise)), backend.StochasticBF16(want.V[i], uint16(noise>>16))
								if s.M16[i] != m || s.V16[i] != v {
									t.Fatalf("%s: moments %d are %#x and %#x, want %#x and %#x", name, i, s.M16[i], s.V16[i], m, v)
								}
							}
						}
						if moments == moments8 {
							codes := make([]uint8, backend.QuantBlock)
							for b, scale := range s.MScale {
								lo, hi := b*backend.QuantBlock, min((b+1)*backend.QuantBlock, n)
								if want := backend.QuantizeSigned(codes, want.M[lo:hi]); scale != want || !slices.Equal(s.M8[lo:hi], codes[:hi-lo]) {
									t.Fatalf("%s: block %d of m: scale %g, codes %v, want %g, %v", name, b, scale, s.M8[lo:hi], want, codes)
								}
								if want := backend.QuantizeUnsigned(codes, want.V[lo:hi]); s.VScale[b] != want || !slices.Equal(s.V8[lo:hi], codes[:hi-lo]) {
									t.Fatalf("%s: block %d of v: scale %g, codes %v, want %g, %v", name, b, s.VScale[b], s.V8[lo:hi], want, codes)
								}
							}
						}
					}
				}
			}
		}
	})
}

func TestAdamWCarriesNaNAndInfinityIntoTheWeights(t *testing.T) {
	const n = 256
	forEachPath(t, func(t *testing.T) {
		for form := range weightForms * momentForms {
			weights, moments := form%weightForms, form/weightForms
			var g guarded
			s := adamWFixture(&g, n, weights, grads32)
			if moments != moments32 {
				s, _ = packed(&g, s, moments)
			}
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
	for weights, w := range []string{"f32", "bf16+f32", "bf16"} {
		for moments, m := range []string{"f32", "bf16", "8bit"} {
			ForEachPath(func(path string) {
				b.Run(fmt.Sprintf("%s/moments=%s/%s", w, m, path), func(b *testing.B) {
					var g guarded
					s := adamWFixture(&g, n, weights, grads32)
					if moments != moments32 {
						s, _ = packed(&g, s, moments)
					}
					for b.Loop() {
						AdamW(s, adamWHyper)
					}
					b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/element")
				})
			})
		}
	}
}
