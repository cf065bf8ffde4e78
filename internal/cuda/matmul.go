package cuda

import (
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
)

// MatMul multiplies on tensor cores (BF16, F16), with fused multiply-adds (F32) or one element a thread (F64).
func (b *Backend) MatMul(out, x, y *backend.View, accumulate bool) {
	p := newProduct(out, x, y)
	if accumulate {
		p.args.Flags |= productAccumulate
	}
	b.multiply(&p)
}

// MatMulAdd is MatMul with bias and residual added before the one rounding.
func (b *Backend) MatMulAdd(out, x, y, bias, residual *backend.View) {
	p := newProduct(out, x, y)
	if bias != nil {
		p.args.Bias = bias.Ptr
	}
	if residual != nil {
		p.args.Residual, p.args.ResidualStride = residual.Ptr, int64(residual.Strides[0])
	}
	b.multiply(&p)
}

// Flags of kernels/product.cuh.
const (
	productOutF32 = 1 << iota
	productAccumulate
	productVector
	productXAlongK
	productYAlongK
	productSwapped
)

// productArgs is struct Product of kernels/product.cuh.
type productArgs struct {
	Out, X, Y, Bias, Residual                                unsafe.Pointer
	OutStride, XStride, YStride, ResidualStride, SliceStride int64
	M, N, K, SliceK                                          int32
	Flags                                                    int32
	FirstMatrix                                              int32
	Batch                                                    batchArgs
}

// batchArgs is struct Batch of kernels/product.cuh.
type batchArgs struct {
	Shape     [4]int32
	X, Y, Out [4]int64
}

// A product is one call: the kernels' arguments, and the batch as axes of more than one matrix, the innermost first.
type product struct {
	args     productArgs
	dtype    backend.DType
	out      backend.DType
	batch    []batchAxis
	matrices int
}

// A batchAxis is an axis of a batch with its strides in elements.
type batchAxis struct{ n, x, y, out int }

func newProduct(out, x, y *backend.View) product {
	r := out.Rank
	m, n, k := out.Shape[r-2], out.Shape[r-1], x.Shape[r-1]
	p := product{dtype: x.DType, out: out.DType, matrices: 1}
	for axis := r - 3; axis >= 0; axis-- {
		if d := out.Shape[axis]; d != 1 {
			p.matrices *= d
			p.batch = append(p.batch, batchAxis{d, x.Strides[axis], y.Strides[axis], out.Strides[axis]})
		}
	}
	xAlongK, xStride := alongK(x.Strides[r-1], x.Strides[r-2], k)
	yAlongK, yStride := alongK(y.Strides[r-2], y.Strides[r-1], k)
	outStride := out.Strides[r-2]

	// Matrices of x that lie behind one another and share y are one matrix with more rows.
	for len(p.batch) > 0 {
		a := p.batch[0]
		if m == 1 {
			outStride = a.out
			if xAlongK {
				xStride = a.x
			}
		}
		if !xAlongK || a.y != 0 || a.x != m*xStride || a.out != m*outStride {
			break
		}
		m *= a.n
		p.matrices /= max(a.n, 1)
		p.batch = p.batch[1:]
	}

	p.args = productArgs{
		Out: out.Ptr, X: x.Ptr, Y: y.Ptr,
		OutStride: int64(outStride), XStride: int64(xStride), YStride: int64(yStride),
		M: int32(m), N: int32(n), K: int32(k),
	}
	if out.DType == backend.F32 {
		p.args.Flags |= productOutF32
	}
	if xAlongK {
		p.args.Flags |= productXAlongK
	}
	if yAlongK {
		p.args.Flags |= productYAlongK
	}
	return p
}

// alongK tells whether an operand is contiguous along k, and its stride across what it is contiguous along.
func alongK(kStride, otherStride, k int) (bool, int) {
	if kStride == 1 || k <= 1 && otherStride != 1 {
		return true, otherStride
	}
	return false, kStride
}

// A tiling is how a product is cut into blocks. It depends on shapes only, so that every card gives the same bits.
type tiling struct {
	rows   int // and columns of a tile
	slices int // of k, each summed by blocks of its own
	sliceK int
}

const (
	largeTile, smallTile = 128, 64
	enoughTiles          = 128 // keep any card busy
	leastSlice           = 256 // elements of k that are worth a block
)

func tilingOf(dtype backend.DType, m, n, k, matrices int) tiling {
	tiles := func(size int) int { return (m + size - 1) / size * ((n + size - 1) / size) * matrices }
	t := tiling{smallTile, 1, k}
	if dtype != backend.F16 && min(m, n) > smallTile && tiles(largeTile) >= enoughTiles {
		t.rows = largeTile
	}
	if wanted := min((2*enoughTiles-1)/tiles(t.rows), k/leastSlice); tiles(t.rows) < enoughTiles && wanted > 1 {
		t.sliceK = roundUp(k/wanted, 32)
		t.slices = (k + t.sliceK - 1) / t.sliceK
	}
	return t
}

func roundUp(n, multiple int) int { return (n + multiple - 1) / multiple * multiple }

// multiply issues the kernels of a product.
func (b *Backend) multiply(p *product) {
	a := &p.args
	if a.M == 0 || a.N == 0 || p.matrices == 0 {
		return
	}
	if p.vectors() {
		a.Flags |= productVector
	}
	if p.dtype == backend.F64 {
		b.multiplyNaive(p)
		return
	}
	if b.multiplyThin(p) {
		return
	}
	if p.dtype.Size() == 2 {
		defer b.alignOperand(p, &a.X, &a.XStride, int(a.M), a.Flags&productXAlongK != 0, func(x *batchAxis) *int { return &x.x })()
		defer b.alignOperand(p, &a.Y, &a.YStride, int(a.N), a.Flags&productYAlongK != 0, func(x *batchAxis) *int { return &x.y })()
	}
	t := tilingOf(p.dtype, int(a.M), int(a.N), int(a.K), p.matrices)
	b.inSlices(p, t.slices, t.sliceK, func(p *product) { b.multiplyTiles(p, t) })
}

// inSlices issues a product in slices of k, and a kernel that adds them up if there is more than one.
func (b *Backend) inSlices(p *product, slices, sliceK int, issue func(p *product)) {
	a := &p.args
	a.SliceK = int32(sliceK)
	if slices == 1 {
		issue(p)
		return
	}
	elements := p.matrices * int(a.M) * int(a.N)
	partial, done := b.scratch(4 * slices * elements)
	defer done()
	sums := *p
	sums.out = backend.F32
	sums.batch = append([]batchAxis(nil), p.batch...)
	matrix := int(a.M) * int(a.N)
	for i := range sums.batch {
		sums.batch[i].out = matrix
		matrix *= sums.batch[i].n
	}
	s := &sums.args
	s.Out, s.OutStride, s.SliceStride = partial, int64(a.N), int64(elements)
	s.Bias, s.Residual = nil, nil
	s.Flags = a.Flags&(productXAlongK|productYAlongK|productSwapped) | productOutF32
	if a.N%4 == 0 {
		s.Flags |= productVector
	}
	issue(&sums)

	a.X, a.SliceStride = partial, int64(elements)
	perThread := 1
	if a.Flags&productVector != 0 {
		perThread = 4
	}
	p.eachBatch(func(matrices int) {
		launch(b, b.function("gemm_other", "sum_slices_"+p.dtype.String()), dim3{(int(a.M)*int(a.N)/perThread + 255) / 256, 1, matrices}, 256, 0,
			&struct {
				Product productArgs
				Slices  int32
			}{*a, int32(slices)})
	})
}

// multiplyTiles issues the kernel of a tiling.
func (b *Backend) multiplyTiles(p *product, t tiling) {
	a := &p.args
	family, name, threads := "gemm", "gemm_large_", 256
	if t.rows == smallTile {
		name, threads = "gemm_small_", 128
	}
	switch p.dtype {
	case backend.F32:
		family, name = "gemm_f32", name+"f32"
		threads = t.rows * t.rows / 64
	case backend.F16:
		family = "gemm_f16"
		fallthrough
	default:
		name += transposed(a.Flags&productXAlongK == 0) + transposed(a.Flags&productYAlongK != 0) + "_" + p.dtype.String()
	}
	tiles := (int(a.M) + t.rows - 1) / t.rows * ((int(a.N) + t.rows - 1) / t.rows)
	p.eachBatch(func(matrices int) {
		launch(b, b.function(family, name), dim3{tiles, t.slices, matrices}, threads, 0, &struct{ Product productArgs }{*a})
	})
}

func transposed(yes bool) string {
	if yes {
		return "t"
	}
	return "n"
}

// multiplyNaive computes one element a thread.
func (b *Backend) multiplyNaive(p *product) {
	blocks := (int(p.args.M)*int(p.args.N) + 255) / 256
	p.eachBatch(func(matrices int) {
		launch(b, b.function("gemm_other", "naive_matmul_"+p.dtype.String()), dim3{blocks, 1, matrices}, 256, 0, &struct{ Product productArgs }{p.args})
	})
}

// eachBatch calls do with the arguments of so many matrices set, as many as the third axis of a grid can have.
func (p *product) eachBatch(do func(matrices int)) {
	const most = 65535
	p.args.Batch.Shape = [4]int32{1, 1, 1, 1}
	for i, axis := range p.batch {
		p.args.Batch.Shape[i] = int32(axis.n)
		p.args.Batch.X[i], p.args.Batch.Y[i], p.args.Batch.Out[i] = int64(axis.x), int64(axis.y), int64(axis.out)
	}
	for first := 0; first < p.matrices; first += most {
		p.args.FirstMatrix = int32(first)
		do(min(most, p.matrices-first))
	}
}

// vectors reports whether the result, and what is added to it, may be accessed four elements at a time.
func (p *product) vectors() bool {
	a := &p.args
	if a.N%4 != 0 || !alignedTo(a.Out, p.out, 4*p.out.Size(), between(int(a.OutStride), int(a.M))) {
		return false
	}
	for _, axis := range p.batch {
		if axis.out%4 != 0 {
			return false
		}
	}
	wide := 4 * p.dtype.Size()
	return alignedTo(a.Bias, p.dtype, wide) && alignedTo(a.Residual, p.dtype, wide, between(int(a.ResidualStride), int(a.M)))
}

// between is a stride, or 0 if there are no two elements that it lies between.
func between(stride, n int) int {
	if n <= 1 {
		return 0
	}
	return stride
}

// alignedTo reports whether an address and what lies strides elements on are multiples of so many bytes.
func alignedTo(p unsafe.Pointer, dtype backend.DType, bytes int, strides ...int) bool {
	ok := uintptr(p)%uintptr(bytes) == 0
	for _, s := range strides {
		ok = ok && s*dtype.Size()%bytes == 0
	}
	return ok
}

// alignOperand copies an operand of 16-bit elements whose lines do not begin at multiples of 16 bytes, which is what
// tensor cores load, to scratch memory. strideOf finds its stride of a batch's axis, size is its number of rows or
// columns. The result gives the memory back.
func (b *Backend) alignOperand(p *product, data *unsafe.Pointer, stride *int64, size int, alongK bool, strideOf func(*batchAxis) *int) (done func()) {
	lines, length := size, int(p.args.K)
	if !alongK {
		lines, length = length, lines
	}
	ok := alignedTo(*data, p.dtype, 16, between(int(*stride), lines))
	for i := range p.batch {
		ok = ok && *strideOf(&p.batch[i])%8 == 0
	}
	if ok || length == 0 {
		return func() {}
	}
	type arguments struct {
		Out, X             unsafe.Pointer
		OutStride, XStride int64
		Lines, Length      int32
		FirstMatrix        int32
		Batch              batchArgs
	}
	args := arguments{X: *data, XStride: *stride, Lines: int32(lines), Length: int32(length)}
	copies := product{matrices: 1}
	args.OutStride = int64(roundUp(length, 8))
	matrix := lines * int(args.OutStride)
	for i := range p.batch {
		if s := strideOf(&p.batch[i]); *s != 0 { // matrices that are repeated are copied once
			copies.batch = append(copies.batch, batchAxis{n: p.batch[i].n, x: *s, out: matrix * copies.matrices})
			*s = matrix * copies.matrices
			copies.matrices *= p.batch[i].n
		}
	}
	args.Out, done = b.scratch(2 * matrix * copies.matrices)
	copies.eachBatch(func(matrices int) {
		args.Batch = copies.args.Batch
		args.FirstMatrix = copies.args.FirstMatrix
		launch(b, b.function("gemm_other", "align_lines"), dim3{(lines*length + 255) / 256, 1, matrices}, 256, 0, &args)
	})
	*data, *stride = args.Out, args.OutStride
	return done
}
