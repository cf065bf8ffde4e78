package backend

import (
	"math"
	"math/rand/v2"
	"testing"
)

// nearest is the bfloat16 that is nearest to a finite w, the one farther from zero of two, found by
// comparing neighbours in float64.
func nearest(w float32) uint16 {
	value := func(bits uint16) float64 {
		if bits&0x7fff == 0x7f80 { // where the next number would lie
			return math.Copysign(0x1p128, float64(int16(bits)))
		}
		return float64(math.Float32frombits(uint32(bits) << 16))
	}
	below := uint16(math.Float32bits(w) >> 16) // nearer to zero
	if math.Abs(value(below+1)-float64(w)) <= math.Abs(float64(w)-value(below)) {
		return below + 1
	}
	return below
}

func TestSplitMastersAreTheNearestBF16AndComeBackToTheBit(t *testing.T) {
	check := func(bits uint32) {
		w := math.Float32frombits(bits)
		p, r := SplitMaster(w)
		if back := math.Float32bits(JoinMaster(p, r)); back != bits {
			t.Fatalf("%#08x is split into %#04x and %#04x, which give %#08x", bits, p, r, back)
		}
		if !math.IsInf(float64(w), 0) && p != nearest(w) {
			t.Fatalf("the parameter of %#08x is %#04x, the nearest is %#04x", bits, p, nearest(w))
		}
	}
	// Every lower half beside upper halves of each kind: zero, denormal, odd, even, 1, largest, infinite.
	for _, upper := range []uint32{0, 1, 2, 0x7f, 0x80, 0x3f7f, 0x3f80, 0x3f81, 0x7f7e, 0x7f7f} {
		for lower := range uint32(1 << 16) {
			check(upper<<16 | lower)
			check(upper<<16 | lower | 1<<31)
		}
	}
	check(0x7f800000)
	check(0xff800000)
	r := rand.New(rand.NewPCG(1, 2))
	for range 1 << 20 {
		if bits := r.Uint32(); bits&0x7f800000 != 0x7f800000 {
			check(bits)
		}
	}
}

func TestASplitNaNIsANaN(t *testing.T) {
	for _, bits := range []uint32{0x7f800001, 0x7f80ffff, 0x7fc00000, 0x7fffffff, 0xff800001, 0xffc00000, 0xffffffff} {
		p, r := SplitMaster(math.Float32frombits(bits))
		if p&0x7f80 != 0x7f80 || p&0x7f == 0 {
			t.Errorf("the parameter of %#08x is %#04x", bits, p)
		}
		if w := JoinMaster(p, r); w == w {
			t.Errorf("%#08x comes back as %g", bits, w)
		}
	}
}

// A program may write to a parameter without knowing of the remainder.
func TestAnyRemainderLeavesAWeightWithinHalfAUnitOfItsParameter(t *testing.T) {
	for _, p := range []uint16{0, 0x8000, 1, 0x8001, 0x3f80, 0xbf80, 0x7f7f} {
		unit := float64(math.Float32frombits(uint32(p&0x7f80|1)<<16)) - float64(math.Float32frombits(uint32(p&0x7f80)<<16))
		want := float64(math.Float32frombits(uint32(p) << 16))
		for r := range 1 << 16 {
			if w := float64(JoinMaster(p, uint16(r))); !(math.Abs(w-want) <= unit/2) {
				t.Fatalf("%#04x with remainder %#04x is %g, which is farther than %g from %g", p, r, w, unit/2, want)
			}
		}
	}
}
