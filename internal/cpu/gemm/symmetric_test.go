package gemm

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/cpu/simd"
)

// A product by strips and mirrors sums every element as the whole product does.
func TestSymmetricProductsEqualWholeOnesToTheBit(t *testing.T) {
	sizes := []int{1, 2, 15, 16, 17, 31, 32, 33, 48, 100, 128, 257, 300}
	simd.ForEachPath(func(path string) {
		r := rand.New(rand.NewPCG(3, 4))
		var w Workspace
		for _, n := range sizes {
			if n > 128 && path == "generic" {
				continue
			}
			for _, k := range []int{1, 33, 200} {
				x := newMatrix(backend.F32, k, n, rowMajor).fill(r).Operand
				for _, accumulate := range []bool{false, true} {
					old := newMatrix(backend.F32, n, n, rowMajor).fill(r)
					for i := range n {
						for j := range i {
							old.set(j, i, old.get(i, j))
						}
					}
					copyOf := func() *matrix {
						c := newMatrix(backend.F32, n, n, rowMajor)
						copy(c.bytes, old.bytes)
						return c
					}
					want, serially, spread := copyOf(), copyOf(), copyOf()
					Mul(want.Operand, x.transposed(), x, n, n, k, accumulate)
					MulSymmetricSerial(&w, serially.Operand, x.transposed(), x, n, k, accumulate)
					MulSymmetric(spread.Operand, x.transposed(), x, n, k, accumulate)
					for _, got := range []*matrix{serially, spread} {
						got.checkCanaries(t)
						for i := range n {
							for j := range n {
								if got.get(i, j) != want.get(i, j) {
									t.Fatalf("%s, n %d, k %d, accumulate %v: element (%d, %d) is %v, want %v", path, n, k, accumulate, i, j, got.get(i, j), want.get(i, j))
								}
							}
						}
					}
				}
			}
		}
	})
}

func TestTransposeTightFillsItsRowsAndNothingElse(t *testing.T) {
	simd.ForEachPath(func(path string) {
		r := rand.New(rand.NewPCG(5, 6))
		for _, rows := range []int{1, 7, 16, 17, 40} {
			for _, cols := range []int{1, 5, 16, 33} {
				src := newMatrix(backend.F32, rows, cols, paddedRows).fill(r)
				dst := floats(r, rows*cols+16)
				beyond := slices.Clone(dst[rows*cols:])
				TransposeTight(dst, src.Operand, rows, cols)
				for i := range rows {
					for j := range cols {
						if got, want := float64(dst[j*rows+i]), src.get(i, j); got != want {
							t.Fatalf("%s, %d×%d: element (%d, %d) is %v, want %v", path, rows, cols, j, i, got, want)
						}
					}
				}
				if !slices.Equal(dst[rows*cols:], beyond) {
					t.Fatalf("%s, %d×%d: memory behind the matrix was overwritten", path, rows, cols)
				}
			}
		}
	})
}
