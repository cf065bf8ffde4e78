package cuda

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/ptxsim"
)

// operands are x·y with contiguous or transposed operands, and what may be added.
type operands struct{ out, x, y, bias, residual *backend.View }

func newOperands(t testing.TB, b *Backend, dtype, to backend.DType, m, n, k int, xTransposed, yTransposed bool, scale float64) operands {
	rng := rand.New(rand.NewPCG(uint64(m*n), uint64(k)))
	matrix := func(rows, cols int, transposed bool) *backend.View {
		v := upload(t, b, dtype, normal(rng, rows*cols, scale), rows, cols)
		if transposed {
			v.Strides[0], v.Strides[1] = 1, rows
		}
		return v
	}
	return operands{
		out: upload(t, b, to, normal(rng, m*n, scale*scale), m, n), x: matrix(m, k, xTransposed), y: matrix(k, n, yTransposed),
		bias: upload(t, b, dtype, normal(rng, n, scale*scale), n), residual: upload(t, b, dtype, normal(rng, m*n, scale*scale), m, n),
	}
}

// product is the call, with all that can be added.
func (o *operands) product() product {
	p := newProduct(o.out, o.x, o.y)
	p.args.Bias = o.bias.Ptr
	p.args.Residual, p.args.ResidualStride = o.residual.Ptr, int64(o.residual.Strides[0])
	p.args.Flags |= productAccumulate
	if p.vectors() {
		p.args.Flags |= productVector
	}
	return p
}

// naive is the product by the kernel that computes one element a thread.
func (o *operands) naive(t testing.TB, b *Backend, p product) []float32 {
	out := upload(t, b, o.out.DType, downloadF32(b, o.out), o.out.Shape[0], o.out.Shape[1])
	p.args.Out = out.Ptr
	b.multiplyNaive(&p)
	return downloadF32(b, out)
}

func TestTilesOfEverySizeAndOrientationEqualTheNaiveKernel(t *testing.T) {
	b := openSimulator(t)
	for _, size := range []int{largeTile, smallTile} {
		for orientation := range 4 {
			for i, shape := range [][3]int{{128, 128, 64}, {136, 152, 72}, {257, 130, 40}, {8, 264, 8}} {
				for j, dtype := range []backend.DType{backend.BF16, backend.F32} {
					m, n, k := shape[0], shape[1], shape[2]
					if dtype == backend.BF16 {
						m, n = m+m%2*7, n+n%8*3 // so that the lines of transposed operands are aligned
					}
					to := []backend.DType{dtype, backend.F32}[(i+j+orientation)%2]
					scale := []float64{1, 1e15, 1e-15}[(i+orientation)%3]
					label := fmt.Sprintf("%v [%d %d]·[%d %d] to %v, transposed %02b, tiles of %d", dtype, m, k, k, n, to, orientation, size)
					o := newOperands(t, b, dtype, to, m, n, k, orientation&1 != 0, orientation&2 != 0, scale)
					p := o.product()
					want := o.naive(t, b, p)
					p.args.SliceK = int32(k)
					b.multiplyTiles(&p, tiling{size, 1, k})
					tolerance := 1e-5
					if to == backend.BF16 {
						tolerance = 0x1p-8
					}
					expectNear(t, label, downloadF32(b, o.out), want, tolerance)
				}
			}
		}
	}
}

func TestTilesOfF32EndAnywhere(t *testing.T) {
	b := openSimulator(t)
	for _, size := range []int{largeTile, smallTile} {
		for i, shape := range [][3]int{{39, 71, 75}, {70, 45, 13}, {129, 67, 9}} {
			m, n, k := shape[0], shape[1], shape[2]
			o := newOperands(t, b, backend.F32, backend.F32, m, n, k, i == 1, i == 2, 1)
			p := o.product()
			want := o.naive(t, b, p)
			p.args.SliceK = int32(k)
			b.multiplyTiles(&p, tiling{size, 1, k})
			expectNear(t, fmt.Sprint(shape, ", tiles of ", size), downloadF32(b, o.out), want, 1e-5)
		}
	}
}

func TestSlicesOfKEqualTheNaiveKernel(t *testing.T) {
	b := openSimulator(t)
	for _, shape := range [][3]int{{64, 64, 1024}, {70, 33, 1100}} {
		for _, dtype := range []backend.DType{backend.BF16, backend.F32} {
			m, n, k := shape[0], shape[1], shape[2]
			o := newOperands(t, b, dtype, dtype, m, n, k, false, false, 1)
			p := o.product()
			want := o.naive(t, b, p)
			b.Statistics()
			b.multiply(&p)
			tolerance := 1e-5
			if dtype == backend.BF16 {
				tolerance = 0x1p-8
			}
			expectNear(t, fmt.Sprint(dtype, shape), downloadF32(b, o.out), want, tolerance)
			if _, sliced := b.Statistics()["sum_slices_"+dtype.String()]; !sliced {
				t.Errorf("%v %v was not sliced", dtype, shape)
			}
		}
	}
}

func TestInfinityAndNaNStayInTheirRowsAndColumns(t *testing.T) {
	b := openSimulator(t)
	for _, m := range []int{3, 40} { // a thin product and tiles
		x, y := normal(rand.New(rand.NewPCG(1, 2)), m*72, 1), normal(rand.New(rand.NewPCG(3, 4)), 72*48, 1)
		x[1*72+5], y[7*72+70] = float32(math.Inf(1)), float32(math.NaN())
		vx, vy := upload(t, b, backend.BF16, x, m, 72), upload(t, b, backend.BF16, y, 72, 48)
		vy.Strides[0], vy.Strides[1] = 1, 72
		out := upload(t, b, backend.F32, make([]float32, m*48), m, 48)
		b.MatMul(out, vx, vy, false)
		for i, v := range downloadF32(b, out) {
			row, col := i/48, i%48
			if math.IsNaN(float64(v)) != (col == 7) || math.IsInf(float64(v), 0) != (row == 1 && col != 7) {
				t.Errorf("m = %d: element (%d, %d) is %v", m, row, col, v)
			}
		}
	}
}

func TestLargeTilesDoNoMoreThanTheProductNeeds(t *testing.T) {
	b := openSimulator(t)
	const m, n, k = 256, 256, 128
	for orientation := range 4 {
		for _, size := range []int{largeTile, smallTile} {
			for _, dtype := range []backend.DType{backend.BF16, backend.F32} {
				o := newOperands(t, b, dtype, backend.F32, m, n, k, orientation&1 != 0, orientation&2 != 0, 1)
				p := newProduct(o.out, o.x, o.y)
				p.args.Flags |= productVector
				p.args.SliceK = k
				b.Statistics()
				b.multiplyTiles(&p, tiling{size, 1, k})
				for name, s := range b.Statistics() {
					if s.SharedBankConflicts != 0 {
						t.Errorf("%s: %d of %d accesses to shared memory wait for a bank", name, s.SharedBankConflicts, s.SharedAccesses)
					}
					if need := int64(m / 16 * n / 8 * k / 16); dtype == backend.BF16 && s.Mma != need {
						t.Errorf("%s: %d instructions of tensor cores, the product needs %d", name, s.Mma, need)
					}
					if need := int64((m/size)*(n/size)*2*size*k) * int64(dtype.Size()); s.GlobalLoadBytes != need {
						t.Errorf("%s: %d bytes loaded, the tiles have %d", name, s.GlobalLoadBytes, need)
					}
					if s.GlobalStoreBytes != 4*m*n {
						t.Errorf("%s: %d bytes stored, the result has %d", name, s.GlobalStoreBytes, 4*m*n)
					}
				}
			}
		}
	}
}

func TestThinProductsReadTheWeightsOnce(t *testing.T) {
	b := openSimulator(t)
	const n, k = 64, 1536
	for _, rows := range []int{1, 2, 4, 7, 8} {
		for _, swapped := range []bool{false, true} {
			m, n := rows, n
			if swapped {
				m, n = n, m
			}
			o := newOperands(t, b, backend.BF16, backend.F32, m, n, k, false, true, 1)
			p := newProduct(o.out, o.x, o.y)
			want := o.naive(t, b, p)
			b.Statistics()
			b.MatMul(o.out, o.x, o.y, false)
			expectNear(t, fmt.Sprintf("[%d %d]·[%d %d]", m, k, k, n), downloadF32(b, o.out), want, 1e-5)
			for name, s := range b.Statistics() {
				kernelRows := map[string]int{"thin1_bf16": 1, "thin4_bf16": 4, "thin8_bf16": 8}[name]
				// A warp reads two lines of the weights and all rows, those that do not exist as the last one; rows come from a cache.
				need := int64(max(m, n)*k*2 + max(m, n)/2*kernelRows*k*2)
				if kernelRows == 0 || s.GlobalLoadBytes > need {
					t.Errorf("[%d %d]·[%d %d], %s: %d bytes loaded, weights and rows are %d", m, k, k, n, name, s.GlobalLoadBytes, need)
				}
			}
		}
	}
}

func TestThinProductsAcrossKReadTheWeightsOnce(t *testing.T) {
	b := openSimulator(t)
	for _, dtype := range []backend.DType{backend.BF16, backend.F32} {
		for _, shape := range [][3]int{{1, 512, 300}, {3, 264, 40}, {8, 128, 1031}, {264, 5, 200}, {512, 1, 128}} {
			m, n, k := shape[0], shape[1], shape[2]
			for _, xTransposed := range []bool{false, true} {
				o := newOperands(t, b, dtype, dtype, m, n, k, xTransposed || m > n, n < m && xTransposed, 1)
				p := o.product()
				want := o.naive(t, b, p)
				b.Statistics()
				b.multiply(&p)
				tolerance := 1e-5
				if dtype == backend.BF16 {
					tolerance = 0x1p-8
				}
				expectNear(t, fmt.Sprint(dtype, shape), downloadF32(b, o.out), want, tolerance)
				var s ptxsim.Stats
				for name, of := range b.Statistics() {
					if strings.Contains(name, "across") {
						s.Add(of)
					}
				}
				// Rows are read by each block; lines end within sectors of 32 bytes.
				columns := 512 / dtype.Size()
				need := int64(max(m, n)*k*dtype.Size() + (max(m, n)+columns-1)/columns*min(m, n)*k*32)
				if s.GlobalLoadBytes == 0 || s.GlobalLoadBytes > need*11/10 || s.SharedBankConflicts != 0 {
					t.Errorf("%v %v: %d bytes loaded, weights and rows are %d; %d accesses wait for a bank", dtype, shape, s.GlobalLoadBytes, need, s.SharedBankConflicts)
				}
			}
		}
	}
}

func TestMatricesThatShareTheRightOperandBecomeOne(t *testing.T) {
	b := openSimulator(t)
	for _, m := range []int{1, 5} {
		x := upload(t, b, backend.F32, make([]float32, 6*m*16), 2, 3, m, 16)
		y := upload(t, b, backend.F32, make([]float32, 16*8), 2, 3, 16, 8)
		y.Strides[0], y.Strides[1] = 0, 0
		out := upload(t, b, backend.F32, make([]float32, 6*m*8), 2, 3, m, 8)
		p := newProduct(out, x, y)
		if p.matrices != 1 || len(p.batch) != 0 || p.args.M != int32(6*m) || p.args.XStride != 16 || p.args.OutStride != 8 {
			t.Errorf("m = %d: %d matrices of %d rows, %d and %d elements apart", m, p.matrices, p.args.M, p.args.XStride, p.args.OutStride)
		}
	}
}

func TestTilingsCoverKAndDependOnShapesOnly(t *testing.T) {
	for _, c := range []struct {
		dtype             backend.DType
		m, n, k, matrices int
		want              tiling
	}{
		{backend.BF16, 2048, 3072, 1024, 1, tiling{largeTile, 1, 1024}},
		{backend.BF16, 1024, 1024, 2048, 1, tiling{smallTile, 1, 2048}},
		{backend.F16, 2048, 3072, 1024, 1, tiling{smallTile, 1, 1024}},
		{backend.BF16, 16, 1024, 3072, 1, tiling{smallTile, 12, 256}},
		{backend.F32, 64, 64, 1 << 20, 1, tiling{smallTile, 255, 4128}},
		{backend.BF16, 16, 16, 511, 1, tiling{smallTile, 1, 511}},
		{backend.BF16, 16, 16, 0, 1, tiling{smallTile, 1, 0}},
		{backend.BF16, 128, 64, 4096, 200, tiling{smallTile, 1, 4096}},
	} {
		got := tilingOf(c.dtype, c.m, c.n, c.k, c.matrices)
		if got != c.want {
			t.Errorf("%v [%d %d %d] × %d: got %+v, want %+v", c.dtype, c.m, c.n, c.k, c.matrices, got, c.want)
		}
		if got.slices > 1 && ((got.slices-1)*got.sliceK >= c.k || got.slices*got.sliceK < c.k) {
			t.Errorf("%v [%d %d %d]: %+v does not cover k with slices that each have some of it", c.dtype, c.m, c.n, c.k, got)
		}
	}
}
