package simd

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/hone-ml/hone/internal/backend"
)

func TestMastersAreSplitAndJoinedToTheBitAtEveryLength(t *testing.T) {
	const offset = 3
	forEachPath(t, func(t *testing.T) {
		for _, n := range lengths() {
			var g guarded
			w, back, param, rest := g.make(n, offset), g.make(n, offset), g.make16(n, offset), g.make16(n, offset)
			r := rand.New(rand.NewPCG(5, uint64(n)))
			for i := range w {
				w[i] = math.Float32frombits(r.Uint32())
				if i%7 == 1 { // half-way between two bfloat16, the largest, zeros, denormals, NaN
					w[i] = math.Float32frombits([]uint32{0x3f808000, 0x3f818000, 0x7f7fffff, 0, 1 << 31, 1, 0x80008000, 0x7f800001, 0xffc12345, 0x7f800000}[i/7%10])
				}
			}
			SplitMasters(param, rest, w)
			JoinMasters(back, param, rest)
			g.check(t, n, offset)
			for i := range w {
				p, q := backend.SplitMaster(w[i])
				if param[i] != p || rest[i] != q {
					t.Fatalf("n=%d: %#08x at %d is split into %#04x and %#04x, want %#04x and %#04x", n, math.Float32bits(w[i]), i, param[i], rest[i], p, q)
				}
				if got, want := math.Float32bits(back[i]), math.Float32bits(backend.JoinMaster(p, q)); got != want {
					t.Fatalf("n=%d: %#04x and %#04x at %d are joined to %#08x, want %#08x", n, p, q, i, got, want)
				}
			}
			for i := range rest { // parameters that were changed meanwhile
				param[i], rest[i] = uint16(r.Uint32()), uint16(r.Uint32())
				if i%3 == 0 {
					param[i] &= 0x8000
				}
			}
			JoinMasters(back, param, rest)
			for i := range rest {
				if got, want := math.Float32bits(back[i]), math.Float32bits(backend.JoinMaster(param[i], rest[i])); got != want {
					t.Fatalf("n=%d: %#04x and %#04x at %d are joined to %#08x, want %#08x", n, param[i], rest[i], i, got, want)
				}
			}
		}
	})
}
