package cuda

import (
	"slices"

	"github.com/hone-ml/hone/internal/backend"
)

const thinRows = 8 // of the smaller operand of a thin product

// multiplyThin multiplies few rows, or by few columns, if the lines of the larger operand are aligned to 16 bytes (and,
// where they lie across k, multiples of them long); it reports whether it did.
func (b *Backend) multiplyThin(p *product) bool {
	t, ok := newThin(p)
	switch {
	case !ok:
		return false
	case t.across:
		parts, sliceK := thinSlices(t.blocksAcross()*t.matrices, int(t.args.K))
		b.multiplyThinAcross(t, parts, sliceK)
	default:
		b.multiplyThinAlong(t)
	}
	return true
}

// A thin is a product whose x has few rows: operands may have been exchanged.
type thin struct {
	product
	rows, cols int  // of x, of y
	across     bool // the lines of y lie across k
}

// newThin reports whether a product is one that the kernels can do.
func newThin(p *product) (*thin, bool) {
	if min(p.args.M, p.args.N) > thinRows || p.dtype == backend.F16 {
		return nil, false
	}
	t := &thin{product: *p}
	if t.args.N < t.args.M {
		t.swap()
	}
	a := &t.args
	t.rows, t.cols = int(a.M), int(a.N)
	if a.Flags&productSwapped != 0 {
		t.rows, t.cols = t.cols, t.rows
	}
	t.across = a.Flags&productYAlongK == 0
	lines := t.cols
	if t.across {
		lines = int(a.K)
	}
	if !alignedTo(a.Y, t.dtype, 16, between(int(a.YStride), lines)) {
		return nil, false
	}
	if t.across && t.cols*t.dtype.Size()%16 != 0 {
		return nil, false
	}
	if !t.across && (a.Flags&productXAlongK == 0 || !alignedTo(a.X, t.dtype, 16, between(int(a.XStride), t.rows))) {
		return nil, false
	}
	for _, axis := range t.batch {
		if !alignedTo(nil, t.dtype, 16, axis.y) || !t.across && !alignedTo(nil, t.dtype, 16, axis.x) {
			return nil, false
		}
	}
	return t, true
}

// kernel is the beginning of the name of what computes so many rows.
func (t *thin) kernel() string {
	switch {
	case t.rows == 1:
		return "thin1_"
	case t.rows <= 4:
		return "thin4_"
	}
	return "thin8_"
}

func (b *Backend) multiplyThinAlong(t *thin) {
	const columnsOfBlock = 8
	t.eachBatch(func(matrices int) {
		launch(b, b.function("thin", t.kernel()+t.dtype.String()), dim3{(t.cols + columnsOfBlock - 1) / columnsOfBlock, 1, matrices}, 128, 0,
			&struct{ Product productArgs }{t.args})
	})
}

// blocksAcross is how many blocks share the columns.
func (t *thin) blocksAcross() int { return ceilDiv(t.cols, 32*16/t.dtype.Size()) }

func (b *Backend) multiplyThinAcross(t *thin, parts, sliceK int) {
	b.inSlices(&t.product, parts, sliceK, func(q *product) {
		q.eachBatch(func(matrices int) {
			launch(b, b.function("thin_across", t.kernel()+"across_"+q.dtype.String()), dim3{t.blocksAcross(), parts, matrices}, 128, 0,
				&struct{ Product productArgs }{q.args})
		})
	})
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
