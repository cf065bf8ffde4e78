package simd

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// numberOf is the number that bfloat16 bits stand for.
func numberOf(b uint16) float64 { return float64(math.Float32frombits(uint32(b) << 16)) }

// nearBF16 reports whether got is want rounded to bfloat16, give or take the error of the exponential.
func nearBF16(got uint16, want float64) bool {
	g := numberOf(got)
	if math.IsNaN(want) || math.IsInf(want, 0) {
		return math.IsNaN(g) == math.IsNaN(want) && (math.IsNaN(want) || g == want)
	}
	return math.Abs(g-want) <= 0x1.02p-8*math.Abs(want)+1e-38
}

func TestSoftmaxStepAgreesWithFloat64AtEveryLength(t *testing.T) {
	ForEachPath(func(path string) {
		r := rand.New(rand.NewPCG(1, 2))
		for n := 1; n <= 130; n++ {
			for _, magnitude := range []float64{1e-3, 1, 100, 1e4} {
				for _, top := range []float64{math.Inf(-1), -3, magnitude} {
					x := make([]float32, n+1)[1:] // misaligned
					for i := range x {
						x[i] = float32(magnitude * r.NormFloat64())
					}
					p := make([]uint16, n+40)
					for i := range p {
						p[i] = 0xabcd
					}
					const scale = float32(0.088)
					newTop, sum := SoftmaxStep(p, x, scale, float32(top))
					wantTop, wantSum := float32(top), 0.0
					for _, v := range x {
						wantTop = max(wantTop, scale*v)
					}
					if wantTop != newTop {
						t.Fatalf("%s, %d elements: new top %v, want %v", path, n, newTop, wantTop)
					}
					for i, v := range x {
						want := math.Exp2(float64(scale)*float64(v) - float64(newTop))
						wantSum += want
						// The product may be rounded before the subtraction.
						if slack := 1 + math.Abs(float64(scale*v))*0x1p-23; !nearBF16(p[i], want) && !nearBF16(p[i], want*slack) && !nearBF16(p[i], want/slack) {
							t.Fatalf("%s, %d elements of %v: p[%d] = %v, want %v", path, n, magnitude, i, numberOf(p[i]), want)
						}
					}
					if math.Abs(float64(sum)-wantSum) > 1e-3*wantSum+1e-40 {
						t.Fatalf("%s, %d elements: sum %v, want %v", path, n, sum, wantSum)
					}
					for i, b := range p[n:] {
						if b != 0xabcd {
							t.Fatalf("%s, %d elements: p[%d] beyond the end was written", path, n, n+i)
						}
					}
				}
			}
		}
	})
}

func TestSoftmaxStepKeepsNaNAndLetsInfinityShow(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	ForEachPath(func(path string) {
		for n := 1; n <= 70; n++ {
			for at := range n {
				x, p := make([]float32, n), make([]uint16, n)
				x[at] = nan
				top, sum := SoftmaxStep(p, x, 1, -1)
				if sum == sum || !math.IsNaN(numberOf(p[at])) {
					t.Fatalf("%s: NaN at %d of %d is lost", path, at, n)
				}
				if n > 1 && top != 0 {
					t.Fatalf("%s: NaN at %d of %d makes the top %v", path, at, n, top)
				}
				x[at] = inf
				if top, sum := SoftmaxStep(p, x, 1, -1); top != inf || sum == sum {
					t.Fatalf("%s: infinity at %d of %d gives top %v, sum %v", path, at, n, top, sum)
				}
				x[at] = -inf
				if _, sum := SoftmaxStep(p, x, 1, 0); math.Abs(float64(sum)-float64(n-1)) > 1e-5*float64(n) || p[at] != 0 {
					t.Fatalf("%s: −∞ at %d of %d gives p %v, sum %v", path, at, n, numberOf(p[at]), sum)
				}
			}
		}
	})
}

func TestSoftmaxGradAgreesWithFloat64(t *testing.T) {
	ForEachPath(func(path string) {
		r := rand.New(rand.NewPCG(3, 4))
		for panels := 1; panels <= 5; panels++ {
			stride, panel, rowStride := 32*panels+16, 3*1024, 32*panels+8
			s, dp := make([]float32, GradRows*stride), make([]float32, GradRows*stride)
			for i := range s {
				s[i], dp[i] = float32(5*r.NormFloat64()), float32(r.NormFloat64())
			}
			s[7], dp[stride+9] = float32(math.Inf(-1)), float32(math.NaN())
			var lse, delta [GradRows]float32
			for i := range lse {
				lse[i], delta[i] = float32(3+r.NormFloat64()), float32(r.NormFloat64())
			}
			lse[5] = float32(math.Inf(1))
			p, ds, rows := make([]uint16, panels*panel), make([]uint16, panels*panel), make([]uint16, GradRows*rowStride)
			const scale = 0.25
			SoftmaxGrad(p, ds, panel, rows, rowStride, s, dp, stride, panels, scale, &lse, &delta)
			for i := range GradRows {
				for j := range 32 * panels {
					prob := math.Exp2(scale*float64(s[i*stride+j]) - float64(lse[i]))
					grad := prob * float64(dp[i*stride+j]-delta[i])
					at := j/32*panel + j%32/16*512 + i/2*32 + j%16*2 + i%2
					name := fmt.Sprintf("%s, %d panels, row %d, column %d", path, panels, i, j)
					if !nearBF16(p[at], prob) {
						t.Fatalf("%s: p = %v, want %v", name, numberOf(p[at]), prob)
					}
					if !nearBF16(ds[at], grad) {
						t.Fatalf("%s: ds = %v, want %v", name, numberOf(ds[at]), grad)
					}
					if got := rows[i*rowStride+j]; got != ds[at] {
						t.Fatalf("%s: ds by rows = %v, in pairs %v", name, numberOf(got), numberOf(ds[at]))
					}
				}
			}
		}
	})
}
