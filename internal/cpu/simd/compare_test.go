package simd

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/x448/float16"
)

// guarded8 makes bytes between canaries.
func guarded8(n int) (x []uint8, check func(t *testing.T)) {
	m := make([]uint8, n+2*guard)
	for i := range m {
		m[i] = 0xa5
	}
	return m[guard : guard+n : guard+n], func(t *testing.T) {
		t.Helper()
		for i, v := range m {
			if (i < guard || i >= guard+n) && v != 0xa5 {
				t.Fatalf("n=%d: byte %d was overwritten", n, i-guard)
			}
		}
	}
}

func TestComparisonsAgreeWithGo(t *testing.T) {
	type comparison struct {
		name string
		wide func(out []uint8, x, y []float32)
		half func(out []uint8, x, y []uint16)
		want func(x, y float32) bool
	}
	forEachPath(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(41, 1))
		for _, c := range []comparison{
			{"Less", Less[float32], Less[uint16], func(x, y float32) bool { return x < y }},
			{"LessEqual", LessEqual[float32], LessEqual[uint16], func(x, y float32) bool { return x <= y }},
			{"Equal", Equal[float32], Equal[uint16], func(x, y float32) bool { return x == y }},
			{"NotEqual", NotEqual[float32], NotEqual[uint16], func(x, y float32) bool { return x != y }},
		} {
			for _, n := range lengths() {
				offset := r.IntN(32)
				var g guarded
				x, y := g.make16(n, offset), g.make16(n, offset)
				random16(r, x)
				random16(r, y)
				for i := range x {
					if r.IntN(3) == 0 {
						y[i] = x[i]
					}
				}
				wide, checkWide := guarded8(n)
				half, checkHalf := guarded8(n)
				a, b := widenAll(x), widenAll(y)
				c.wide(wide, a, b)
				c.half(half, x, y)
				checkWide(t)
				checkHalf(t)
				for i := range wide {
					if want := truth(c.want(a[i], b[i])); wide[i] != want || half[i] != want {
						t.Fatalf("%s(%v, %v) n=%d at %d: %d, of bfloat16 %d, want %d", c.name, a[i], b[i], n, i, wide[i], half[i], want)
					}
				}
			}
		}
	})
}

func TestWhereChoosesBitsAsTheyAre(t *testing.T) {
	forEachPath(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(42, 1))
		for _, n := range lengths() {
			offset := r.IntN(32)
			var g guarded
			cond, _ := guarded8(n)
			x, y, out := g.make16(n, offset), g.make16(n, offset), g.make16(n, offset)
			wide := make([][]uint32, 3)
			for k := range wide {
				wide[k] = make([]uint32, n)
			}
			for i := range cond {
				cond[i] = uint8(r.IntN(3)) * 0x7f
				x[i], y[i] = uint16(r.Uint32()), uint16(r.Uint32())
				wide[0][i], wide[1][i] = r.Uint32(), r.Uint32()
			}
			Where(out, cond, x, y)
			Where(wide[2], cond, wide[0], wide[1])
			g.check(t, n, offset)
			for i, c := range cond {
				h, w := y[i], wide[1][i]
				if c != 0 {
					h, w = x[i], wide[0][i]
				}
				if out[i] != h || wide[2][i] != w {
					t.Fatalf("n=%d at %d: %#x and %#x, want %#x and %#x", n, i, out[i], wide[2][i], h, w)
				}
			}
		}
	})
}

func TestHalfPrecisionCastsAgreeWithTheDefinition(t *testing.T) {
	forEachPath(t, func(t *testing.T) {
		all := make([]uint16, 1<<16)
		for i := range all {
			all[i] = uint16(i)
		}
		wide, back := make([]float32, len(all)), make([]uint16, len(all))
		F16ToF32(wide, all)
		F32ToF16(back, wide)
		for i, h := range all {
			want := float16.Frombits(h).Float32()
			if wide[i] != want && (wide[i] == wide[i] || want == want) {
				t.Fatalf("%#04x widens to %v, want %v", h, wide[i], want)
			}
			if want == want && back[i] != h {
				t.Fatalf("%v rounds to %#04x, want %#04x", want, back[i], h)
			}
		}
		r := rand.New(rand.NewPCG(43, 1))
		for _, n := range lengths() {
			offset := r.IntN(32)
			var g guarded
			x, h := g.make(n, offset), g.make16(n, offset)
			for i := range x {
				switch r.IntN(3) {
				case 0:
					x[i] = math.Float32frombits(r.Uint32())
				case 1:
					x[i] = float32(r.NormFloat64())
				default: // half way between two numbers, or nearly
					at := float16.Frombits(uint16(r.IntN(0x7bff)))
					x[i] = (at.Float32()+float16.Frombits(at.Bits()+1).Float32())/2 + float32(r.IntN(3)-1)*0x1p-30
				}
			}
			F32ToF16(h, x)
			g.check(t, n, offset)
			for i, v := range x {
				if want := float16.Fromfloat32(v); h[i] != want.Bits() && v == v {
					t.Fatalf("n=%d: %v rounds to %#04x, want %#04x", n, v, h[i], want.Bits())
				}
				if v != v && h[i]&0x7fff <= 0x7c00 {
					t.Fatalf("n=%d: NaN rounds to %#04x", n, h[i])
				}
			}
		}
	})
}
