package gemm

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/cpu/simd"
)

// aligned is n zeroed bytes at a multiple of 64.
func aligned(n int) []byte {
	x := make([]byte, n+64)
	skip := int(-uintptr(unsafe.Pointer(&x[0])) & 63)
	return x[skip : skip+n : skip+n]
}

func TestStreamedTilesAreTheStoredOnes(t *testing.T) {
	if grids[simd.Active()] == nil {
		t.Skip("no BF16 instructions")
	}
	r := rand.New(rand.NewPCG(61, 62))
	const rows, stride = 3, 256
	sums := make([]float32, rows*stride)
	for i := range sums {
		sums[i] = float32(r.NormFloat64())
	}
	for cols := 1; cols <= 130; cols++ {
		got, want := aligned(rows*stride*4), aligned(rows*stride*4)
		streamTileF32((*float32)(unsafe.Pointer(&got[0])), stride*4, &sums[0], stride*4, rows, cols)
		storeTileF32Go((*float32)(unsafe.Pointer(&want[0])), stride*4, &sums[0], stride*4, rows, cols)
		if !bytes.Equal(got, want) {
			t.Errorf("%d columns of F32 differ", cols)
		}
		got, want = aligned(rows*stride*2), aligned(rows*stride*2)
		streamTileBF16((*uint16)(unsafe.Pointer(&got[0])), stride*2, &sums[0], stride*4, rows, cols)
		storeTileBF16Go((*uint16)(unsafe.Pointer(&want[0])), stride*2, &sums[0], stride*4, rows, cols)
		if !bytes.Equal(got, want) {
			t.Errorf("%d columns of BF16 differ", cols)
		}
	}
}

func TestProductsThatGoPastTheCachesHaveTheSameBits(t *testing.T) {
	forEachGrid(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(63, 64))
		const n = 1056 // whole lines
		for _, m := range []int{1030, 2100} {
			for _, k := range []int{33, 640} {
				for _, dtype := range []backend.DType{backend.F32, backend.BF16} {
					a, b := newMatrix(backend.BF16, m, k, colMajor).fill(r), newMatrix(backend.BF16, k, n, rowMajor).fill(r)
					size := dtype.Size()
					streamed, stored := aligned(m*n*size), aligned(m*n*size + 4)[4:]
					for _, c := range [][]byte{streamed, stored} { // the second begins in the midst of a line
						Mul(Operand{unsafe.Pointer(&c[0]), dtype, n, 1}, a.Operand, b.Operand, m, n, k, false)
					}
					if !bytes.Equal(streamed, stored) {
						t.Errorf("%d×%d×%d to %v: other bits", m, n, k, dtype)
					}
				}
			}
		}
	})
}
