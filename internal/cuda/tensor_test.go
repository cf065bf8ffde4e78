package cuda

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/hone-ml/hone/internal/backend"
)

// downloadF32 is the elements of a contiguous view of F32 or BF16.
func downloadF32(b *Backend, v *backend.View) []float32 {
	raw := make([]byte, v.Len()*v.DType.Size())
	b.CopyOut(raw, v.Ptr)
	values := make([]float32, v.Len())
	for i := range values {
		if v.DType == backend.F32 {
			values[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
		} else {
			values[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(raw[2*i:])) << 16)
		}
	}
	return values
}

// normal draws n numbers from N(0, scale²) that BF16 holds exactly.
func normal(rng *rand.Rand, n int, scale float64) []float32 {
	values := make([]float32, n)
	for i := range values {
		values[i] = inBF16(float32(rng.NormFloat64() * scale))
	}
	return values
}

// inBF16 is a number that BF16 holds exactly, next to x.
func inBF16(x float32) float32 { return math.Float32frombits(math.Float32bits(x) &^ 0xffff) }

// expectNear demands that each element differs from what is wanted by at most tolerance times the largest finite element
// wanted, and that infinities and NaN are the same.
func expectNear(t testing.TB, what string, got, want []float32, tolerance float64) {
	t.Helper()
	largest := 0.0
	for _, w := range want {
		if x := math.Abs(float64(w)); x > largest && !math.IsInf(x, 0) {
			largest = x
		}
	}
	expectWithin(t, what, got, want, tolerance*largest)
}

// expectWithin is expectNear with an absolute limit.
func expectWithin(t testing.TB, what string, got, want []float32, limit float64) {
	t.Helper()
	for i, g := range got {
		x, w := float64(g), float64(want[i])
		if x == w || math.IsNaN(x) && math.IsNaN(w) || math.Abs(x-w) <= limit {
			continue
		}
		t.Errorf("%s: element %d is %v, want %v within %.3g", what, i, g, want[i], limit)
		return
	}
}
