package gemm

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/cpu/simd"
)

// forEachGrid runs a test under each path that multiplies BF16 as it is. The others convert it to F32.
func forEachGrid(t *testing.T, f func(t *testing.T)) {
	forEachPath(t, func(t *testing.T) {
		if grids[simd.Active()] == nil {
			t.Skip("no BF16 instructions")
		}
		f(t)
	})
}

// randomLayout is one that BF16 instructions serve in three cases of four, and any otherwise.
func randomLayout(r *rand.Rand) layout {
	return [...]layout{rowMajor, colMajor, paddedRows, paddedCols, rowMajor, colMajor, anyStrides, anyStrides}[r.IntN(8)]
}

func TestBF16ProductsAgreeWithFloat64AtTheEdgesOfTiles(t *testing.T) {
	lengths := []int{1, 2, 15, 16, 17, 31, 32, 33, 47, 48, 49, 63, 64, 65, 95, 96, 97, 127, 128, 129, 130}
	depths := []int{255, 256, 257, 511, 512, 513, 544, 1024, 1025}
	for k := 1; k <= 70; k++ {
		depths = append(depths, k)
	}
	forEachGrid(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(41, 42))
		for i := range 600 {
			m, n, k := lengths[r.IntN(len(lengths))], lengths[r.IntN(len(lengths))], depths[r.IntN(len(depths))]
			if i%2 == 0 {
				m, n = 1+r.IntN(130), 1+r.IntN(130)
			}
			if underRace && i > 60 {
				break
			}
			a := newMatrix(backend.BF16, m, k, randomLayout(r)).fill(r)
			b := newMatrix(backend.BF16, k, n, randomLayout(r)).fill(r)
			c := newMatrix([]backend.DType{backend.F32, backend.BF16}[r.IntN(2)], m, n, randomLayout(r)).fill(r)
			mul := []mulFunc{Mul, mulSerial}[r.IntN(2)]
			check(t, mul, c, a, b, r.IntN(2) == 0)
		}
	})
}

func TestBF16ProductsInEveryLayoutOfEveryOperand(t *testing.T) {
	forEachGrid(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(43, 44))
		for _, s := range [][3]int{{33, 49, 35}, {64, 32, 64}, {16, 48, 300}} {
			m, n, k := s[0], s[1], s[2]
			for _, la := range layouts {
				for _, lb := range layouts {
					for _, lc := range layouts {
						dc := []backend.DType{backend.F32, backend.BF16}[r.IntN(2)]
						check(t, mulSerial, newMatrix(dc, m, n, lc).fill(r), newMatrix(backend.BF16, m, k, la).fill(r),
							newMatrix(backend.BF16, k, n, lb).fill(r), r.IntN(2) == 0)
					}
				}
			}
		}
	})
}

func TestBF16ProductsOfSeveralBlocksInEveryDirection(t *testing.T) {
	forEachGrid(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(45, 46))
		for _, s := range [][3]int{
			{300, 500, 600},                                                    // several tiles and slices
			{40, 50, 2*bf16SpanK + 3},                                          // spans of k
			{70, bf16Packed/1024 + 70, 1024}, {bf16Packed/1024 + 70, 70, 1024}, // a large operand
			{bf16Packed/3000 + 70, bf16Packed/3000 + 300, 3000}, // two of them
		} {
			m, n, k := s[0], s[1], s[2]
			if underRace && m*n*k > 1<<26 {
				continue
			}
			for _, l := range [][2]layout{{rowMajor, colMajor}, {colMajor, rowMajor}} {
				a, b := newMatrix(backend.BF16, m, k, l[0]).fill(r), newMatrix(backend.BF16, k, n, l[1]).fill(r)
				for _, dc := range []backend.DType{backend.F32, backend.BF16} {
					checkSome(t, Mul, newMatrix(dc, m, n, paddedRows), a, b, r)
				}
			}
		}
	})
}

func TestNaNAndInfinityOfBF16ReachTheirRowAndColumnOnly(t *testing.T) {
	inf := math.Inf(1)
	forEachGrid(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(47, 48))
		for _, s := range [][3]int{{30, 70, 40}, {32, 64, 64}, {17, 33, 301}} {
			m, n, k := s[0], s[1], s[2]
			for _, la := range layouts[:2] {
				for _, lb := range layouts[:2] {
					a, b := newMatrix(backend.BF16, m, k, la).fill(r), newMatrix(backend.BF16, k, n, lb).fill(r)
					c := newMatrix([]backend.DType{backend.F32, backend.BF16}[r.IntN(2)], m, n, rowMajor)
					row, col, p := r.IntN(m), r.IntN(n), r.IntN(k)
					a.set(row, p, math.NaN())
					for i := range m {
						a.set(i, k-1, 1)
					}
					b.set(k-1, col, inf)
					if p == k-1 {
						a.set(row, p, math.NaN())
					}
					Mul(c.Operand, a.Operand, b.Operand, m, n, k, false)
					for i := range m {
						for j := range n {
							got := c.get(i, j)
							if (i == row) != math.IsNaN(got) || (i != row && j == col) != (got == inf) {
								t.Fatalf("m=%d n=%d k=%d: c[%d,%d] = %v with a NaN in row %d and an infinity in column %d", m, n, k, i, j, got, row, col)
							}
						}
					}
				}
			}
		}
	})
}

func TestBF16InstructionsTakeDenormalsAsZero(t *testing.T) {
	const tiny, huge = 0x1p-130, 0x1p127
	forEachGrid(t, func(t *testing.T) {
		a, b, c := newMatrix(backend.BF16, 20, 20, rowMajor), newMatrix(backend.BF16, 20, 20, rowMajor), newMatrix(backend.F32, 20, 20, rowMajor)
		for i := range 20 {
			a.set(i, 0, tiny)
			a.set(i, 1, 1)
			b.set(0, i, huge)
			b.set(1, i, 2)
		}
		for i := range 20 {
			for j := 2; j < 20; j++ {
				a.set(i, j, 0)
				b.set(j, i, 0)
			}
		}
		const want = 2
		Mul(c.Operand, a.Operand, b.Operand, 20, 20, 20, false)
		if got := c.get(3, 4); got != want {
			t.Errorf("2^-130·2^127 + 1·2 = %v, want %v", got, want)
		}
	})
}

func TestAnElementOfABF16ProductDoesNotDependOnTheOthers(t *testing.T) {
	forEachGrid(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(49, 50))
		const m, n, k = 300, 80, 700
		a, b := newMatrix(backend.BF16, m, k, rowMajor).fill(r), newMatrix(backend.BF16, k, n, colMajor).fill(r)
		for _, dc := range []backend.DType{backend.F32, backend.BF16} {
			start := newMatrix(dc, m, n, rowMajor).fill(r)
			all := newMatrix(dc, m, n, rowMajor)
			copy(all.bytes, start.bytes)
			Mul(all.Operand, a.Operand, b.Operand, m, n, k, true)
			for _, rows := range []int{9, 16, 33, 257} {
				c := newMatrix(dc, m, n, rowMajor)
				copy(c.bytes, start.bytes)
				Mul(c.Operand, a.Operand, b.Operand, rows, n, k, true)
				for i := range rows {
					for j := range n {
						if got, want := c.get(i, j), all.get(i, j); got != want {
							t.Fatalf("%v: c[%d,%d] = %v in a product of %d rows and %v in one of %d", dc, i, j, got, rows, want, m)
						}
					}
				}
			}
		}
	})
}

func TestBF16ProductsAreTheSameBitsForAnyNumberOfProcessors(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	forEachGrid(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(53, 54))
		for _, s := range [][3]int{{64, 2 * ownTiles * bf16Tile, 544}, {2 * ownTiles * bf16Tile, 33, 600}, {32, 1100, 64}} {
			m, n, k := s[0], s[1], s[2]
			for _, l := range [][2]layout{{rowMajor, colMajor}, {colMajor, rowMajor}, {paddedRows, rowMajor}} {
				a, b := newMatrix(backend.BF16, m, k, l[0]).fill(r), newMatrix(backend.BF16, k, n, l[1]).fill(r)
				var want []byte
				for _, processors := range []int{1, 2, 8} {
					runtime.GOMAXPROCS(processors)
					c := newMatrix(backend.F32, m, n, rowMajor)
					Mul(c.Operand, a.Operand, b.Operand, m, n, k, false)
					if want == nil {
						want = c.bytes
					} else if !bytes.Equal(c.bytes, want) {
						t.Fatalf("%d×%d×%d, %v: %d processors give other bits than one", m, n, k, l, processors)
					}
				}
			}
		}
	})
}

// BenchmarkMulSerialTiles measures what tiled attention does: small products on one processor.
func BenchmarkMulSerialTiles(b *testing.B) {
	var w Workspace
	mul := func(c, a, b Operand, m, n, k int, accumulate bool) { MulSerial(&w, c, a, b, m, n, k, accumulate) }
	simd.ForEachPath(func(path string) {
		if grids[simd.Active()] == nil {
			return
		}
		for _, layout := range []string{"NN", "NT", "TN", "TT"} {
			for _, s := range [][3]int{{64, 64, 128}, {64, 128, 64}, {128, 128, 128}, {256, 256, 128}} {
				b.Run(fmt.Sprintf("%s/%s-%dx%dx%d", path, layout, s[0], s[1], s[2]), func(b *testing.B) {
					x, y, c := benchMatrix(backend.BF16, s[0], s[2]), benchMatrix(backend.BF16, s[2], s[1]), benchMatrix(backend.F32, s[0], s[1])
					if layout[0] == 'T' {
						x.RowStride, x.ColStride = 1, s[0]
					}
					if layout[1] == 'T' {
						y.RowStride, y.ColStride = 1, s[2]
					}
					for b.Loop() {
						mul(c, x, y, s[0], s[1], s[2], true)
					}
					flop := 2 * float64(s[0]) * float64(s[1]) * float64(s[2])
					b.ReportMetric(flop*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GFLOP/s")
				})
			}
		}
	})
}

func TestFinishedTilesAreStoredAsTheReferenceDoes(t *testing.T) {
	if grids[simd.Active()] == nil {
		t.Skip("no BF16 instructions")
	}
	r := rand.New(rand.NewPCG(51, 52))
	for cols := 1; cols <= 130; cols++ {
		const rows, stride = 3, 144
		sums := make([]float32, rows*stride)
		for i := range sums {
			sums[i] = float32(r.NormFloat64() * math.Exp2(float64(r.IntN(60)-30)))
		}
		sums[0], sums[stride+cols-1], sums[2*stride] = float32(math.NaN()), float32(math.Inf(-1)), math.MaxFloat32
		narrow := newMatrix(backend.BF16, rows, cols, paddedRows).fill(r)
		wide := newMatrix(backend.F32, rows, cols, paddedRows).fill(r)
		for _, c := range []struct {
			name      string
			start     *matrix
			got, want func(m *matrix)
		}{
			{"storeTileBF16", narrow, storeBF16(storeTileBF16, sums, stride), storeBF16(storeTileBF16Go, sums, stride)},
			{"addTileBF16", narrow, storeBF16(addTileBF16, sums, stride), storeBF16(addTileBF16Go, sums, stride)},
			{"storeTileF32", wide, storeF32(storeTileF32, sums, stride), storeF32(storeTileF32Go, sums, stride)},
			{"addTileF32", wide, storeF32(addTileF32, sums, stride), storeF32(addTileF32Go, sums, stride)},
		} {
			got, want := newMatrix(c.start.DType, rows, cols, paddedRows), newMatrix(c.start.DType, rows, cols, paddedRows)
			copy(got.bytes, c.start.bytes)
			copy(want.bytes, c.start.bytes)
			c.got(got)
			c.want(want)
			got.checkCanaries(t)
			for i := range rows {
				for j := range cols {
					g, w := got.get(i, j), want.get(i, j)
					if g != w && !(math.IsNaN(g) && math.IsNaN(w)) {
						t.Fatalf("%s of %d columns: element %d,%d is %v, want %v", c.name, cols, i, j, g, w)
					}
				}
			}
		}
	}
}

func storeF32(f func(dst *float32, drs int, src *float32, srs, rows, cols int), sums []float32, stride int) func(*matrix) {
	return func(m *matrix) { f((*float32)(m.Ptr), m.RowStride*4, &sums[0], stride*4, m.rows, m.cols) }
}

func storeBF16(f func(dst *uint16, drs int, src *float32, srs, rows, cols int), sums []float32, stride int) func(*matrix) {
	return func(m *matrix) { f((*uint16)(m.Ptr), m.RowStride*2, &sums[0], stride*4, m.rows, m.cols) }
}
