package gemm

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"github.com/x448/float16"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/cpu/simd"
)

// A matrix is test data: memory with canaries before, behind and between its elements.
type matrix struct {
	Operand
	rows, cols int
	bytes      []byte
	used       []bool // bytes that belong to elements
}

const canary = 0xA5

type layout uint8

const (
	rowMajor layout = iota
	colMajor
	paddedRows
	paddedCols
	anyStrides
)

var layouts = []layout{rowMajor, colMajor, paddedRows, paddedCols, anyStrides}

func newMatrix(dtype backend.DType, rows, cols int, l layout) *matrix {
	m := &matrix{rows: rows, cols: cols}
	m.DType = dtype
	switch l {
	case rowMajor:
		m.RowStride, m.ColStride = cols, 1
	case colMajor:
		m.RowStride, m.ColStride = 1, rows
	case paddedRows:
		m.RowStride, m.ColStride = cols+5, 1
	case paddedCols:
		m.RowStride, m.ColStride = 1, rows+3
	case anyStrides:
		m.RowStride, m.ColStride = 2*cols+1, 2
	}
	const guard = 256
	size := dtype.Size()
	span := size
	if rows > 0 && cols > 0 {
		span += ((rows-1)*m.RowStride + (cols-1)*m.ColStride) * size
	}
	m.bytes = make([]byte, span+2*guard+size)
	m.used = make([]bool, len(m.bytes))
	for i := range m.bytes {
		m.bytes[i] = canary
	}
	m.Ptr = unsafe.Pointer(&m.bytes[guard+size]) // never at a cache line
	for i := range rows {
		for j := range cols {
			o := guard + size + (i*m.RowStride+j*m.ColStride)*size
			for b := range size {
				m.used[o+b] = true
			}
		}
	}
	return m
}

func (m *matrix) get(i, j int) float64 { return load(m.at(i, j), m.DType) }

func (m *matrix) set(i, j int, v float64) {
	switch p := m.at(i, j); m.DType {
	case backend.F64:
		*(*float64)(p) = v
	case backend.F32:
		*(*float32)(p) = float32(v)
	case backend.BF16:
		*(*uint16)(p) = simd.BF16(float32(v))
	case backend.F16:
		*(*uint16)(p) = float16.Fromfloat32(float32(v)).Bits()
	}
}

func (m *matrix) fill(r *rand.Rand) *matrix {
	for i := range m.rows {
		for j := range m.cols {
			m.set(i, j, r.NormFloat64())
		}
	}
	return m
}

func (m *matrix) checkCanaries(t *testing.T) {
	t.Helper()
	for i, b := range m.bytes {
		if !m.used[i] && b != canary {
			t.Fatalf("byte %d beside the result was overwritten", i)
		}
	}
}

// epsilon is half the distance from 1 to the next number.
func epsilon(d backend.DType) float64 {
	switch d {
	case backend.F64:
		return 0x1p-53
	case backend.BF16:
		return 0x1p-9
	case backend.F16:
		return 0x1p-11
	}
	return 0x1p-24
}

type mulFunc func(c, a, b Operand, m, n, k int, accumulate bool)

func mulSerial(c, a, b Operand, m, n, k int, accumulate bool) {
	var w Workspace
	MulSerial(&w, c, a, b, m, n, k, accumulate)
}

// fused is Mul with an epilogue of matrices, of which each may be nil.
func fused(bias, residual *matrix) mulFunc {
	return func(c, a, b Operand, m, n, k int, accumulate bool) {
		MulFused(c, a, b, m, n, k, accumulate, epilogueOf(bias, residual))
	}
}

func epilogueOf(bias, residual *matrix) (e Epilogue) {
	if bias != nil {
		e.Bias = bias.Operand
	}
	if residual != nil {
		e.Residual = residual.Operand
	}
	return e
}

// newBias is a row that stands for a matrix.
func newBias(dtype backend.DType, rows, cols int, l layout, r *rand.Rand) *matrix {
	m := newMatrix(dtype, 1, cols, l).fill(r)
	m.RowStride, m.rows = 0, rows
	return m
}

// check multiplies and compares with float64. terms are what mul adds beside the product.
func check(t *testing.T, mul mulFunc, c, a, b *matrix, accumulate bool, terms ...*matrix) {
	t.Helper()
	m, n, k := c.rows, c.cols, a.cols
	want, size := make([]float64, m*n), make([]float64, m*n)
	for i := range m {
		for j := range n {
			var sum, abs float64
			if accumulate {
				sum = c.get(i, j)
				abs = math.Abs(sum)
			}
			for _, term := range terms {
				if term != nil {
					sum += term.get(i, j)
					abs += math.Abs(term.get(i, j))
				}
			}
			for p := range k {
				v := a.get(i, p) * b.get(p, j)
				sum += v
				abs += math.Abs(v)
			}
			want[i*n+j], size[i*n+j] = sum, abs
		}
	}
	mul(c.Operand, a.Operand, b.Operand, m, n, k, accumulate)
	sums := backend.F32
	if a.DType == backend.F64 || b.DType == backend.F64 {
		sums = backend.F64
	}
	for i := range m {
		for j := range n {
			got, want := c.get(i, j), want[i*n+j]
			tolerance := size[i*n+j]*epsilon(sums)*float64(k/8+16) + math.Abs(want)*2*epsilon(c.DType) + 0x1p-24*epsilon(c.DType)/epsilon(backend.F16)
			if !(math.Abs(got-want) <= tolerance) {
				t.Fatalf("%s: c[%d,%d] = %v, want %v ± %.3g (m=%d n=%d k=%d, c %v, a %v, b %v, accumulate %v)", simd.Path(),
					i, j, got, want, tolerance, m, n, k, describe(c), describe(a), describe(b), accumulate)
			}
		}
	}
	c.checkCanaries(t)
}

func describe(m *matrix) string {
	return fmt.Sprintf("%v strides %d, %d", m.DType, m.RowStride, m.ColStride)
}

func TestMain(m *testing.M) {
	fmt.Println("kernel paths under test:", strings.Join(simd.Paths(), ", "))
	os.Exit(m.Run())
}

var edges = []int{1, 2, 3, 5, 7, 8, 9, 11, 12, 13, 15, 16, 17, 23, 24, 25, 31, 32, 33, 47, 48, 49, 63, 64, 65, 95, 96, 97, 127, 128, 129, 255, 257}

func forEachPath(t *testing.T, f func(t *testing.T)) {
	simd.ForEachPath(func(name string) { t.Run(name, f) })
}

func TestMulAgreesWithFloat64OverEdgeSizesAndLayouts(t *testing.T) {
	forEachPath(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 2))
		pick := func() int { return edges[r.IntN(len(edges))] }
		tries := 400
		if underRace {
			tries = 40
		}
		for i := range tries {
			m, n, k := pick(), pick(), pick()
			if m*n*k > 1<<20 {
				continue
			}
			l := func() layout { return layouts[r.IntN(len(layouts))] }
			a := newMatrix(backend.F32, m, k, l()).fill(r)
			b := newMatrix(backend.F32, k, n, l()).fill(r)
			c := newMatrix(backend.F32, m, n, l()).fill(r)
			mul := mulFunc(Mul)
			if i%2 == 0 {
				mul = mulSerial
			}
			check(t, mul, c, a, b, r.IntN(2) == 0)
		}
	})
}

func TestEveryLayoutOfEveryOperand(t *testing.T) {
	forEachPath(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(3, 4))
		for _, s := range [][3]int{{33, 49, 35}, {3, 40, 21}, {40, 3, 21}, {1, 19, 8}, {19, 1, 8}, {20, 21, 1}} {
			m, n, k := s[0], s[1], s[2]
			for _, la := range layouts {
				for _, lb := range layouts {
					for _, lc := range layouts {
						for _, accumulate := range []bool{false, true} {
							check(t, mulSerial, newMatrix(backend.F32, m, n, lc).fill(r),
								newMatrix(backend.F32, m, k, la).fill(r), newMatrix(backend.F32, k, n, lb).fill(r), accumulate)
						}
					}
				}
			}
		}
	})
}

func TestEveryDType(t *testing.T) {
	all := []backend.DType{backend.F32, backend.F64, backend.BF16, backend.F16}
	forEachPath(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(5, 6))
		for _, s := range [][3]int{{33, 49, 35}, {2, 40, 21}, {40, 2, 270}, {13, 17, 300}} {
			m, n, k := s[0], s[1], s[2]
			for _, da := range all {
				for _, db := range all {
					for _, dc := range all {
						for _, accumulate := range []bool{false, true} {
							la, lb := layouts[r.IntN(2)], layouts[r.IntN(2)]
							check(t, Mul, newMatrix(dc, m, n, rowMajor).fill(r),
								newMatrix(da, m, k, la).fill(r), newMatrix(db, k, n, lb).fill(r), accumulate)
						}
					}
				}
			}
		}
	})
}

// checkSome compares a sample of the elements of a large product with float64.
func checkSome(t *testing.T, mul mulFunc, c, a, b *matrix, r *rand.Rand) {
	t.Helper()
	m, n, k := c.rows, c.cols, a.cols
	mul(c.Operand, a.Operand, b.Operand, m, n, k, false)
	for s := range 300 {
		i, j := r.IntN(m), r.IntN(n)
		if s < 4 { // the corners
			i, j = s/2*(m-1), s%2*(n-1)
		}
		var want, size float64
		for p := range k {
			v := a.get(i, p) * b.get(p, j)
			want += v
			size += math.Abs(v)
		}
		if got := c.get(i, j); !(math.Abs(got-want) <= size*0x1p-24*64+math.Abs(want)*2*epsilon(c.DType)) {
			t.Fatalf("%s: c[%d,%d] = %v, want %v (m=%d n=%d k=%d, c %v, a %v, b %v)", simd.Path(), i, j, got, want, m, n, k, describe(c), describe(a), describe(b))
		}
	}
	c.checkCanaries(t)
}

func TestProductsOfSeveralBlocksInEveryDirection(t *testing.T) {
	forEachPath(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(21, 22))
		for _, s := range []struct{ m, n, k int }{
			{530, 530, 2*spanK + 3},                          // several spans of k, blocks of a and of b
			{5, packedB/blockK + 70, blockK},                 // a wide one
			{packedA/blockK + 130, 17, blockK},               // a high one
			{packedA/blockK + 130, inPlaceA + 9, 2 * blockK}, // high, with a packed
			{1100, 2100, 9},                                  // several blocks of scratch for a narrow result
		} {
			if s.m*s.n*s.k > 1<<28 && simd.Path() == "generic" || underRace && s.m*s.n*s.k > 1<<26 {
				continue
			}
			for _, l := range [][2]layout{{rowMajor, colMajor}, {colMajor, rowMajor}} {
				a := newMatrix(backend.F32, s.m, s.k, l[0]).fill(r)
				b := newMatrix(backend.F32, s.k, s.n, l[1]).fill(r)
				checkSome(t, Mul, newMatrix(backend.F32, s.m, s.n, rowMajor), a, b, r)
				if s.k < 1000 {
					checkSome(t, Mul, newMatrix(backend.BF16, s.m, s.n, rowMajor), a, b, r)
				}
			}
		}
	})
}

func TestProductsAtTheEdgesOfBlocksSlabsAndTiles(t *testing.T) {
	forEachPath(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(43, 44))
		var sizes [][3]int
		for _, k := range []int{slabK - 1, slabK, slabK + 1, 2*slabK + 1, blockK - 1, blockK, blockK + 1, blockK + slabK, 2*blockK + 1} {
			sizes = append(sizes, [3]int{blockRows + 5, inPlaceA + 37, k})
		}
		for _, m := range []int{blockRows - 1, blockRows, blockRows + 1, 2*blockRows + 1, slabLanes - 1, slabLanes + blockRows + 1,
			manyTiles*ownRows - 1, manyTiles * ownRows, manyTiles*ownRows + 1} {
			sizes = append(sizes, [3]int{m, inPlaceA + 1, 21})
		}
		for _, n := range []int{inPlaceA, inPlaceA + 1, slabLanes - 1, slabLanes, slabLanes + 33} {
			sizes = append(sizes, [3]int{inPlaceB + 1, n, 19})
		}
		for _, s := range sizes {
			m, n, k := s[0], s[1], s[2]
			if m*n*k > 1<<25 && (simd.Path() == "generic" || underRace) {
				continue
			}
			for _, l := range [][2]layout{{rowMajor, rowMajor}, {rowMajor, colMajor}, {colMajor, rowMajor}, {paddedCols, paddedCols}} {
				checkSome(t, Mul, newMatrix(backend.F32, m, n, rowMajor), newMatrix(backend.F32, m, k, l[0]).fill(r),
					newMatrix(backend.F32, k, n, l[1]).fill(r), r)
			}
		}
	})
}

func TestAnEmptySumIsZeroOrLeavesTheResult(t *testing.T) {
	forEachPath(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(23, 24))
		for _, dtype := range []backend.DType{backend.F32, backend.F64, backend.BF16, backend.F16} {
			for _, l := range layouts {
				for _, accumulate := range []bool{false, true} {
					check(t, Mul, newMatrix(dtype, 5, 7, l).fill(r), newMatrix(dtype, 5, 0, rowMajor), newMatrix(dtype, 0, 7, rowMajor), accumulate)
				}
			}
		}
		empty := newMatrix(backend.F32, 0, 7, rowMajor)
		check(t, Mul, empty, newMatrix(backend.F32, 0, 3, rowMajor), newMatrix(backend.F32, 3, 7, rowMajor).fill(r), true)
	})
}

func TestEpiloguesAreAddedBeforeTheResultIsRounded(t *testing.T) {
	all := []backend.DType{backend.F32, backend.F64, backend.BF16, backend.F16}
	forEachPath(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(41, 42))
		for _, s := range [][3]int{{33, 49, 35}, {2, 40, 21}, {40, 2, 270}, {3, 700, 5}, {13, 17, 300}, {97, 33, 520}, {5, 7, 0}, {1, 1, 1}} {
			m, n, k := s[0], s[1], s[2]
			for _, dc := range all {
				for terms := 1; terms < 4; terms++ {
					for _, accumulate := range []bool{false, true} {
						any := func() backend.DType { return all[r.IntN(4)] }
						l := func() layout { return layouts[r.IntN(len(layouts))] }
						operands := any()
						var bias, residual *matrix
						if terms&1 != 0 {
							bias = newBias(any(), m, n, l(), r)
						}
						if terms&2 != 0 {
							residual = newMatrix(any(), m, n, l()).fill(r)
						}
						check(t, fused(bias, residual), newMatrix(dc, m, n, l()).fill(r), newMatrix(operands, m, k, l()).fill(r),
							newMatrix(operands, k, n, l()).fill(r), accumulate, bias, residual)
					}
				}
			}
		}
		if underRace || simd.Path() == "generic" {
			return
		}
		for _, dc := range []backend.DType{backend.F32, backend.BF16} { // several spans of k
			m, n, k := 34, 130, spanK+7
			bias, residual := newBias(dc, m, n, rowMajor, r), newMatrix(dc, m, n, rowMajor).fill(r)
			check(t, fused(bias, residual), newMatrix(dc, m, n, rowMajor).fill(r), newMatrix(dc, m, k, rowMajor).fill(r),
				newMatrix(dc, k, n, colMajor).fill(r), true, bias, residual)
		}
	})
}

func TestNaNAndInfinityReachTheirRowAndColumnOnly(t *testing.T) {
	forEachPath(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(25, 26))
		for _, s := range [][3]int{{30, 70, 40}, {2, 70, 40}, {70, 2, 40}, {13, 33, 300}} {
			m, n, k := s[0], s[1], s[2]
			for _, l := range [][2]layout{{rowMajor, rowMajor}, {rowMajor, colMajor}, {colMajor, rowMajor}, {colMajor, colMajor}} {
				a, b := newMatrix(backend.F32, m, k, l[0]).fill(r), newMatrix(backend.F32, k, n, l[1]).fill(r)
				c := newMatrix(backend.F32, m, n, rowMajor)
				row, col, p := r.IntN(m), r.IntN(n), r.IntN(k)
				a.set(row, p, math.NaN())
				b.set(k-1-p, col, math.Inf(1))
				for i := range m {
					a.set(i, k-1-p, 0) // 0·Inf is NaN too
				}
				Mul(c.Operand, a.Operand, b.Operand, m, n, k, false)
				for i := range m {
					for j := range n {
						if got, want := math.IsNaN(c.get(i, j)), i == row || j == col; got != want {
							t.Fatalf("m=%d n=%d k=%d: c[%d,%d] = %v with a NaN in row %d and an infinity in column %d", m, n, k, i, j, c.get(i, j), row, col)
						}
					}
				}
			}
		}
	})
}

func TestTheBitsDependOnTheShapeOnly(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(before)
	forEachPath(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(27, 28))
		for _, s := range [][3]int{{130, 200, 300}, {600, 70, 600}, {70, 600, 600}, {3, 500, 130}, {500, 3, 130}, {1, 1000, 2000},
			{manyTiles*ownRows + 5, inPlaceA + 1, 2*slabK + 1}, {manyTiles*ownRows + 5, 70, blockK + 1}} {
			m, n, k := s[0], s[1], s[2]
			for _, dtype := range []backend.DType{backend.F32, backend.BF16} {
				if underRace && m*n*k > 1<<23 {
					continue
				}
				for _, l := range layouts[:2] {
					a, b := newMatrix(dtype, m, k, l).fill(r), newMatrix(dtype, k, n, 1-l).fill(r)
					e := epilogueOf(newBias(dtype, m, n, rowMajor, r), newMatrix(dtype, m, n, rowMajor).fill(r))
					start := newMatrix(dtype, m, n, rowMajor).fill(r)
					run := func(mul mulFunc) []byte {
						c := newMatrix(dtype, m, n, rowMajor)
						copy(c.bytes, start.bytes)
						mul(c.Operand, a.Operand, b.Operand, m, n, k, true)
						return c.bytes
					}
					want := run(mulSerial)
					withEpilogue := func(c, a, b Operand, m, n, k int, accumulate bool) { MulFused(c, a, b, m, n, k, accumulate, e) }
					runtime.GOMAXPROCS(1)
					wantFused := run(withEpilogue)
					for _, procs := range []int{1, 2, 8} {
						runtime.GOMAXPROCS(procs)
						for range 3 {
							if !bytes.Equal(run(Mul), want) {
								t.Fatalf("m=%d n=%d k=%d %v: GOMAXPROCS=%d gives other bits than MulSerial", m, n, k, dtype, procs)
							}
							if got := run(withEpilogue); !bytes.Equal(got, wantFused) {
								t.Fatalf("m=%d n=%d k=%d %v: GOMAXPROCS=%d gives other bits with an epilogue than one", m, n, k, dtype, procs)
							}
						}
					}
				}
			}
		}
	})
}

// backwards does the tasks of a job in the opposite order.
type backwards struct{}

func (backwards) run(w *Workspace, tasks int, j job) {
	for task := tasks - 1; task >= 0; task-- {
		j.do(w, task)
	}
}

func TestTheOrderOfTasksChangesNothing(t *testing.T) {
	forEachPath(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(35, 36))
		dtypes := []backend.DType{backend.F32, backend.F64, backend.BF16, backend.F16}
		for _, s := range [][3]int{{1, 51, 115}, {1, 52, 115}, {1, 53, 115}, {1, 54, 115}, {1, inPlaceA + 3, 70}, {2, 51, 115}, {5, 70, 67}, {slabLanes + 1, 9, 40}, {slabLanes + 97, 33, blockK + 9},
			{22*blockRows + 1, 725, 725}, {97, 193, 2*slabK + 5}, {300, 1, 70}, {33, slabLanes + 17, 40}} {
			m, n, k := s[0], s[1], s[2]
			large := m*n*k > 1<<28
			if large && (underRace || simd.Path() == "generic") {
				continue
			}
			for _, la := range layouts {
				for _, lb := range layouts {
					if large && (la != colMajor || lb != rowMajor) {
						continue
					}
					da, db := dtypes[r.IntN(4)], dtypes[r.IntN(4)]
					if large {
						da, db = backend.F16, backend.F32
					}
					a, b := newMatrix(da, m, k, la).fill(r), newMatrix(db, k, n, lb).fill(r)
					run := func(r runner) []byte {
						c := newMatrix(backend.F32, m, n, rowMajor)
						var w Workspace
						multiply(&w, r, product{c: c.Operand, a: a.Operand, b: b.Operand, m: m, n: n, k: k})
						return c.bytes
					}
					if !bytes.Equal(run(backwards{}), run(serial{})) {
						t.Errorf("m=%d n=%d k=%d, a %s, b %s: tasks done backwards give other bits", m, n, k, describe(a), describe(b))
					}
				}
			}
		}
	})
}

func TestABatchIsItsProducts(t *testing.T) {
	forEachPath(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(29, 30))
		for _, s := range [][4]int{{1, 20, 30, 10}, {50, 20, 30, 10}, {3, 110, 110, 110}, {0, 2, 2, 2}, {4, 0, 2, 2}, {9, 3, 5, 0}} {
			batch, m, n, k := s[0], s[1], s[2], s[3]
			var as, bs, cs []*matrix
			for range batch {
				as = append(as, newMatrix(backend.F32, m, k, rowMajor).fill(r))
				bs = append(bs, newMatrix(backend.F32, k, n, colMajor).fill(r))
				cs = append(cs, newMatrix(backend.F32, m, n, rowMajor).fill(r))
			}
			MulBatch(batch, func(i int) (c, a, b Operand) { return cs[i].Operand, as[i].Operand, bs[i].Operand }, m, n, k, false)
			for i := range batch {
				got := bytes.Clone(cs[i].bytes)
				check(t, mulSerial, cs[i], as[i], bs[i], false)
				if !bytes.Equal(got, cs[i].bytes) {
					t.Fatalf("product %d of %v differs from MulSerial's", i, s)
				}
			}
		}
	})
}

func TestMulSerialDoesNotAllocateOnceItsWorkspaceHasGrown(t *testing.T) {
	forEachPath(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(31, 32))
		for _, dtype := range []backend.DType{backend.F32, backend.BF16} {
			for _, s := range [][3]int{{100, 100, 32}, {100, 32, 100}, {1, 100, 64}} {
				a, b := newMatrix(dtype, s[0], s[2], rowMajor).fill(r), newMatrix(dtype, s[2], s[1], colMajor).fill(r)
				c := newMatrix(dtype, s[0], s[1], rowMajor)
				var w Workspace
				if n := testing.AllocsPerRun(10, func() { MulSerial(&w, c.Operand, a.Operand, b.Operand, s[0], s[1], s[2], false) }); n != 0 {
					t.Errorf("%v of %v: %v allocations", s, dtype, n)
				}
			}
		}
	})
}

func FuzzMul(f *testing.F) {
	f.Add(uint8(13), uint8(33), uint8(17), uint8(0), uint8(1), uint8(0), false, uint64(1))
	f.Add(uint8(1), uint8(50), uint8(200), uint8(5), uint8(7), uint8(3), true, uint64(2))
	f.Add(uint8(98), uint8(70), uint8(255), uint8(0b101010), uint8(25), uint8(0b101011), true, uint64(3))
	f.Fuzz(func(t *testing.T, m, n, k, kinds, strides, terms uint8, accumulate bool, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 0))
		dtypes := []backend.DType{backend.F32, backend.F64, backend.BF16, backend.F16}
		a := newMatrix(dtypes[kinds%4], int(m), int(k), layouts[strides%5]).fill(r)
		b := newMatrix(dtypes[kinds/4%4], int(k), int(n), layouts[strides/5%5]).fill(r)
		var bias, residual *matrix
		if terms&1 != 0 {
			bias = newBias(dtypes[terms/4%4], int(m), int(n), layouts[strides%5], r)
		}
		if terms&2 != 0 {
			residual = newMatrix(dtypes[terms/16%4], int(m), int(n), layouts[strides/5%5]).fill(r)
		}
		simd.ForEachPath(func(string) {
			c := newMatrix(dtypes[kinds/16%4], int(m), int(n), layouts[strides/25%5]).fill(r)
			check(t, fused(bias, residual), c, a, b, accumulate, bias, residual)
		})
	})
}
