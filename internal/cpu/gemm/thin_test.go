package gemm

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/hone-ml/hone/internal/backend"
)

// weightDTypes are the formats in which thin products read their weights.
var weightDTypes = []backend.DType{backend.F32, backend.BF16, backend.F16}

func TestAFewRowsTimesTransposedWeightsAtEveryLength(t *testing.T) {
	forEachPath(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(41, 42))
		for _, dt := range weightDTypes {
			for k := 1; k <= 130; k++ {
				m, n := 1+k%9, []int{1, 2, 3, 9, 40}[k%5]
				l := []layout{colMajor, paddedCols}[k%2]
				check(t, mulSerial, newMatrix(backend.F32, m, n, layouts[k%3]).fill(r),
					newMatrix(dt, m, k, rowMajor).fill(r), newMatrix(dt, k, n, l).fill(r), k%4 == 0)
			}
		}
	})
}

func TestARowOfAThinProductDoesNotDependOnTheOthers(t *testing.T) {
	forEachPath(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(43, 44))
		for _, dt := range weightDTypes {
			const n, k = 70, 275
			a, b := newMatrix(dt, ThinRows, k, rowMajor).fill(r), newMatrix(dt, k, n, colMajor).fill(r)
			alone := newMatrix(backend.F32, ThinRows, n, rowMajor)
			for i := range ThinRows {
				Mul(alone.from(i, 0), a.from(i, 0), b.Operand, 1, n, k, false)
			}
			for m := 2; m <= ThinRows; m++ {
				c := newMatrix(backend.F32, m, n, rowMajor)
				Mul(c.Operand, a.Operand, b.Operand, m, n, k, false)
				if size := m * n * 4; !bytes.Equal(elements(c, size), elements(alone, size)) {
					t.Fatalf("%v: %d rows together differ from each alone", dt, m)
				}
			}
		}
	})
}

// elements are the first bytes of a matrix in row-major order.
func elements(m *matrix, n int) []byte {
	var all []byte
	for i, used := range m.used {
		if used && len(all) < n {
			all = append(all, m.bytes[i])
		}
	}
	return all
}

func TestThinProductsOfManyTasksAndCalls(t *testing.T) {
	forEachPath(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(45, 46))
		for _, m := range []int{1, 3, 4, 5, 8} {
			for _, dt := range []backend.DType{backend.F32, backend.BF16} {
				n, k := 3*dotTask/300/dt.Size(), 300
				checkSome(t, Mul, newMatrix(dt, m, n, rowMajor), newMatrix(dt, m, k, rowMajor).fill(r), newMatrix(dt, k, n, colMajor).fill(r), r)
			}
		}
	})
}
