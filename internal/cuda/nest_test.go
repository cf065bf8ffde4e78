package cuda

import (
	"math/bits"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
)

func TestDivisorDividesLikeTheOperator(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	quotient := func(i, d uint32) uint32 {
		magic, shift := divisor(d)
		hi, _ := bits.Mul32(i, magic)
		return (hi + i) >> shift
	}
	divisors := []uint32{1, 2, 3, 5, 7, 641, 1<<16 - 1, 1 << 16, 1<<30 + 1, 1<<31 - 1}
	for range 1000 {
		divisors = append(divisors, rng.Uint32N(1<<31-1)>>rng.IntN(31)+1)
	}
	for _, d := range divisors {
		for _, i := range []uint32{0, 1, d - 1, d, d + 1, 2*d - 1, 1<<31 - 1, rng.Uint32N(1 << 31), (1<<31 - 1) / d * d} {
			if i < 1<<31 && quotient(i, d) != i/d {
				t.Fatalf("%d / %d gives %d", i, d, quotient(i, d))
			}
		}
	}
}

func TestNestMergesAxesAndKeepsElements(t *testing.T) {
	out := backend.NewView(nil, backend.F32, 3, 1, 4, 5)
	x := backend.NewView(nil, backend.F32, 5, 4, 3)
	x.Rank, x.Shape, x.Strides = 4, out.Shape, [6]int{1, 99, 15, 3}
	if n := newNest(0, &out, &out); n.rank != 1 || n.shape[0] != 60 || !n.vectorizes(4, false) {
		t.Errorf("contiguous views are not one axis of vectors: %+v", n)
	}
	n := newNest(0, &out, &x)
	if n.rank != 2 || n.shape[0] != 3 || n.shape[1] != 20 {
		t.Fatalf("axes [4 5] of strides [15 3] do not make one of 20 in [3 20]: %+v", n)
	}
	d := device[[2]deviceOperand](&n, 1)
	if d.size != [6]uint32{20, 3, 1, 1, 1, 1} || d.operands[1].strides != [6]int64{3, 1} {
		t.Errorf("the device has other axes: %+v", d)
	}
}

func TestNestsTooLargeForAKernelAreCut(t *testing.T) {
	const rows, columns = 3000, 1 << 20
	v := backend.NewView(nil, backend.BF16, rows, columns)
	v.Strides[0] = columns + 8 // rows that do not merge
	next := 0
	newNest(0, &v).parts(maxElements, func(part *nest, base int) {
		if part.total() > maxElements || base != next {
			t.Errorf("a part of %d elements begins at %d, want %d", part.total(), base, next)
		}
		if want := uintptr(base / columns * v.Strides[0] * 2); uintptr(part.operands[0].ptr) != want {
			t.Errorf("the part at %d lies at %d, want %d", base, uintptr(part.operands[0].ptr), want)
		}
		next += part.total()
	})
	if next != rows*columns {
		t.Errorf("the parts have %d elements", next)
	}
}

func TestVectorsNeedAlignedRows(t *testing.T) {
	base := unsafe.Pointer(nil)
	v := backend.NewView(base, backend.F32, 8, 64)
	padded := v
	padded.Strides[0] = 68
	odd := v
	odd.Strides[0] = 67
	shifted := padded
	shifted.Ptr = unsafe.Add(base, 4)
	repeated := padded
	repeated.Strides[1] = 0
	for _, c := range []struct {
		name    string
		x       backend.View
		repeats bool
		want    bool
	}{{"padded rows", padded, false, true}, {"rows of 67", odd, false, false}, {"rows that begin at 4", shifted, false, false},
		{"one element a row", repeated, true, true}, {"one element a row where none may be", repeated, false, false}} {
		if n := newNest(0, &v, &c.x); n.vectorizes(4, c.repeats) != c.want {
			t.Errorf("%s: vectors are %v", c.name, !c.want)
		}
	}
}
