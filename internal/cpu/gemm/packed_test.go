package gemm

import (
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/cpu/simd"
)

// near fails the test unless got is want, give or take the rounding of so many products.
func near(t *testing.T, name string, i, j int, got float32, want float64) {
	t.Helper()
	if math.Abs(float64(got)-want) > 1e-4*(1+math.Abs(want)) {
		t.Fatalf("%s: element (%d, %d) is %v, want %v", name, i, j, got, want)
	}
}

func floats(r *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

func operandOf(x []float32, stride int) Operand {
	return Operand{unsafe.Pointer(unsafe.SliceData(x)), backend.F32, stride, 1}
}

func TestPackedOperandsGiveTheProduct(t *testing.T) {
	simd.ForEachPath(func(path string) {
		r := rand.New(rand.NewPCG(1, 2))
		var w Workspace
		var p Packed
		for _, m := range []int{1, 11, 12, 13, 48} {
			for _, n := range []int{1, 15, 16, 17, 31, 33, 100} {
				for _, k := range []int{1, 4, 7, 130} {
					a, b := floats(r, m*k), floats(r, k*n+64)
					p.Pack(&w, operandOf(b, n), k, n)
					for _, accumulate := range []bool{false, true} {
						packed, inPlace := floats(r, m*n), make([]float32, m*n)
						copy(inPlace, packed)
						old := append([]float32(nil), packed...)
						p.Mul(operandOf(packed, n), operandOf(a, k), m, n, k, accumulate)
						MulInPlace(operandOf(inPlace, n), operandOf(a, k), operandOf(b, n), m, n, k, accumulate)
						for i := range m {
							for j := range n {
								want := 0.0
								if accumulate {
									want = float64(old[i*n+j])
								}
								for q := range k {
									want += float64(a[i*k+q]) * float64(b[q*n+j])
								}
								near(t, path+" packed", i, j, packed[i*n+j], want)
								near(t, path+" in place", i, j, inPlace[i*n+j], want)
							}
						}
					}
				}
			}
		}
	})
}

func TestTransposeExchangesRowsAndColumns(t *testing.T) {
	simd.ForEachPath(func(path string) {
		r := rand.New(rand.NewPCG(3, 4))
		for _, rows := range []int{1, 15, 16, 17, 32, 33} {
			for _, cols := range []int{1, 15, 16, 17, 70} {
				src := floats(r, rows*cols)
				const stride = 48
				dst := make([]float32, cols*stride+64)
				Transpose(dst, stride, operandOf(src, cols), rows, cols)
				for i := range rows {
					for j := range cols {
						if got, want := dst[j*stride+i], src[i*cols+j]; got != want {
							t.Fatalf("%s, %d×%d: element (%d, %d) is %v, want %v", path, rows, cols, i, j, got, want)
						}
					}
				}
			}
		}
	})
}

func TestPackedOperandsOfBF16GiveTheProduct(t *testing.T) {
	tested := false
	simd.ForEachPath(func(path string) {
		if !MultipliesBF16() {
			return
		}
		tested = true
		r := rand.New(rand.NewPCG(5, 6))
		var w Workspace
		for _, m := range []int{1, 16, 31, 33, 64} {
			for _, n := range []int{1, 16, 33, 96} {
				for _, k := range []int{1, 31, 32, 65} {
					a, b := newMatrix(backend.BF16, m, k, rowMajor).fill(r), newMatrix(backend.BF16, k, n, rowMajor).fill(r)
					var left Left
					var right Right
					left.Pack(&w, a.Operand, m, k)
					right.Pack(&w, b.Operand, k, n)
					stride := ceilDiv(n, 16) * 16
					c := floats(r, ceilDiv(m, 16)*16*stride)
					old := append([]float32(nil), c...)
					MulPacked(c, stride, &left, 0, 0, &right, m, n, k, true)
					for i := range m {
						for j := range n {
							want := float64(old[i*stride+j])
							for q := range k {
								want += a.get(i, q) * b.get(q, j)
							}
							near(t, path, i, j, c[i*stride+j], want)
						}
					}
				}
			}
		}
	})
	if !tested {
		t.Skip("no path here multiplies BF16")
	}
}
