package cuda

import (
	"slices"

	"github.com/hone-ml/hone/internal/backend"
)

const thinRows = 8 // of the smaller operand of a thin product

// multiplyThin multiplies few rows, or by few columns, if the lines of the larger operand are aligned to 16 bytes (and,
// where they lie across k, multiples of them long); it reports whether it did.
func (b *Backend) multiplyThin(p *product) bool {
	if min(p.args.M, p.args.N) > thinRows || p.dtype == backend.F16 {
		return false
	}
	q := *p
	if q.args.N < q.args.M {
		q.swap()
	}
	a := &q.args
	rows, cols := int(a.M), int(a.N)
	if a.Flags&productSwapped != 0 {
		rows, cols = cols, rows
	}
	across := a.Flags&productYAlongK == 0
	lines := cols
	if across {
		lines = int(a.K)
	}
	if !alignedTo(a.Y, q.dtype, 16, between(int(a.YStride), lines)) {
		return false
	}
	if across && cols*q.dtype.Size()%16 != 0 {
		return false
	}
	if !across && (a.Flags&productXAlongK == 0 || !alignedTo(a.X, q.dtype, 16, between(int(a.XStride), rows))) {
		return false
	}
	for _, axis := range q.batch {
		if !alignedTo(nil, q.dtype, 16, axis.y) || !across && !alignedTo(nil, q.dtype, 16, axis.x) {
			return false
		}
	}
	name := "thin8_"
	switch {
	case rows == 1:
		name = "thin1_"
	case rows <= 4:
		name = "thin4_"
	}
	if !across {
		const columnsOfBlock = 8
		q.eachBatch(func(matrices int) {
			launch(b, b.function("thin", name+q.dtype.String()), dim3{(cols + columnsOfBlock - 1) / columnsOfBlock, 1, matrices}, 128, 0,
				&struct{ Product productArgs }{q.args})
		})
		return true
	}
	columnsOfBlock := 32 * 16 / q.dtype.Size()
	blocks := (cols + columnsOfBlock - 1) / columnsOfBlock
	parts, sliceK := thinSlices(blocks*q.matrices, int(a.K))
	b.inSlices(&q, parts, sliceK, func(q *product) {
		q.eachBatch(func(matrices int) {
			launch(b, b.function("thin_across", name+"across_"+q.dtype.String()), dim3{blocks, parts, matrices}, 128, 0,
				&struct{ Product productArgs }{q.args})
		})
	})
	return true
}

// thinSlices cuts k so that so many blocks become enough to keep any card busy, but each still has 64 elements of k.
func thinSlices(blocks, k int) (parts, sliceK int) {
	wanted := min((2*enoughTiles+blocks-1)/blocks, k/64)
	if wanted <= 1 {
		return 1, k
	}
	sliceK = roundUp((k+wanted-1)/wanted, 16)
	return (k + sliceK - 1) / sliceK, sliceK
}

// swap exchanges the operands: what is computed is yᵀ·xᵀ, and kernels write it transposed.
func (p *product) swap() {
	a := &p.args
	a.X, a.Y, a.XStride, a.YStride = a.Y, a.X, a.YStride, a.XStride
	flags := a.Flags &^ (productXAlongK | productYAlongK)
	if a.Flags&productXAlongK != 0 {
		flags |= productYAlongK
	}
	if a.Flags&productYAlongK != 0 {
		flags |= productXAlongK
	}
	a.Flags = flags | productSwapped
	p.batch = slices.Clone(p.batch)
	for i := range p.batch {
		p.batch[i].x, p.batch[i].y = p.batch[i].y, p.batch[i].x
	}
}
