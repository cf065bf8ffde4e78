package cuda

import (
	"strings"

	"github.com/hone-ml/hone/internal/backend"
)

// A factored is one product of an exercise.
type factored struct {
	m, n, k int
	batch   []int
	shared  bool // the first axis of the batch has one y
	with    addends
	wide    bool // the result is F32, not the operands' dtype
	odd     bool // the result lies where vectors cannot be
	slices  int  // of k, where the exercise says how it is cut
}

// addends are what goes into a result beside the product.
type addends int

const (
	nothing addends = iota
	before          // what is there
	bias
	residual
	both
)

// operand draws matrices of lines that begin at multiples of 16 bytes, and offset elements on; transposed says that
// columns are contiguous, not rows.
func (r *rig) operand(dt backend.DType, offset int, transposed bool, batch []int, rows, cols int) *backend.View {
	lines, length := rows, cols
	if transposed {
		lines, length = length, lines
	}
	shape := append(append([]int{}, batch...), lines, roundUp(length, 16/dt.Size()))
	v := *r.in(dt, offset, shape...)
	last := v.Rank - 1
	v = v.Slice(last, 0, length)
	if transposed {
		v.Shape[last], v.Shape[last-1] = v.Shape[last-1], v.Shape[last]
		v.Strides[last], v.Strides[last-1] = v.Strides[last-1], v.Strides[last]
	}
	return &v
}

// multiply draws a product and computes it: on the CPU as a whole, on a card by issue.
func (r *rig) multiply(dt backend.DType, offset int, xTransposed, yTransposed bool, c factored, issue func(b *Backend, p *product)) {
	to, place := dt, 0
	if c.wide {
		to = backend.F32
	}
	pitch := roundUp(c.n, 4) + 4
	if c.odd {
		place, pitch = 1, c.n+c.n%2+1
	}
	x, y := r.operand(dt, offset, xTransposed, c.batch, c.m, c.k), r.operand(dt, offset, yTransposed, c.batch, c.k, c.n)
	if c.shared {
		y.Strides[0] = 0
	}
	out := *r.keep(r.in(to, place, append(append([]int{}, c.batch...), c.m, pitch)...), place)
	out = out.Slice(out.Rank-1, 0, c.n)
	var b, more *backend.View
	if c.with == bias || c.with == both {
		b = r.in(dt, place, c.n)
	}
	if c.with == residual || c.with == both {
		v := r.in(dt, place, c.m, pitch).Slice(1, 0, c.n)
		more = &v
	}
	card, ok := r.b.(*Backend)
	switch {
	case ok:
		p := newProduct(&out, x, y)
		if c.with == before {
			p.args.Flags |= productAccumulate
		}
		if b != nil {
			p.args.Bias = b.Ptr
		}
		if more != nil {
			p.args.Residual, p.args.ResidualStride = more.Ptr, int64(more.Strides[0])
		}
		if p.vectors() {
			p.args.Flags |= productVector
		}
		issue(card, &p)
	case b != nil || more != nil:
		r.b.MatMulAdd(&out, x, y, b, more)
	default:
		r.b.MatMul(&out, x, y, c.with == before)
	}
}

// tiledExercise is for kernels that compute tiles: whole ones, ends of them on either side, more steps of k than stages,
// and all that can be added to a product.
func tiledExercise(kernel string) exercise {
	dt, size := variantOf(kernel).dtype, smallTile
	if strings.Contains(kernel, "_large") {
		size = largeTile
	}
	lies, offset, step := []string{"nn", "nt", "tn", "tt"}, 1, 8
	if dt != backend.F32 {
		lies, offset, step = []string{kernel[len("gemm_large_"):][:2]}, 0, 32
	}
	return func(r *rig) {
		for i, lie := range lies {
			cases := []factored{
				{m: size, n: size, k: 6*step + 8, with: before, wide: true},
				{m: size + 13, n: size + 20, k: step + 5, with: both},
				{m: size - 9, n: size - 3, k: step - 3, with: bias, odd: true},
			}
			if i == 0 { // the rest is the same however operands lie
				cases = append(cases, []factored{
					{m: size + 1, n: 5, k: 2 * step, with: residual, odd: true},
					{m: 13, n: 12, k: 3, with: before},
					{m: 13, n: 12, k: 3, with: before, wide: true},
					{m: 3, n: 4, k: 5, batch: []int{2, 1, 3, 2}, wide: true, shared: true},
					{m: 3, n: 5, k: 3, with: before, wide: true},
					{m: 5, n: 3, k: 0, with: bias},
					{m: 2, n: 3, k: 3, with: before},
					{m: 33, n: 12, k: 3*step + 3, slices: 2},
					{m: 8*size + 1, n: size + 1, k: 1, wide: true},
				}...)
			}
			if dt == backend.F32 { // ends of operands in each of the pieces that a thread copies
				for c := range 8 {
					cases = append(cases, factored{m: c*size/8 + 3, n: c*size/8 + 5, k: c + 1})
				}
			}
			for _, c := range cases {
				r.multiply(dt, offset, lie[0] == 't', lie[1] == 't', c, func(b *Backend, p *product) {
					t := tiling{size, max(1, c.slices), c.k}
					if t.slices > 1 {
						t.sliceK = roundUp(ceilDiv(c.k, t.slices), step)
					}
					b.inSlices(p, t.slices, t.sliceK, func(p *product) { b.multiplyTiles(p, t) })
				})
				r.settle()
			}
		}
	}
}

// thinExercise is for kernels of few rows or columns.
func thinExercise(kernel string) exercise {
	dt, rows := variantOf(kernel).dtype, []int{1}
	switch {
	case strings.HasPrefix(kernel, "thin4"):
		rows = []int{4, 2, 3}
	case strings.HasPrefix(kernel, "thin8"):
		rows = []int{8, 5, 6, 7}
	}
	vector := 16 / dt.Size()
	return func(r *rig) {
		for i, few := range rows {
			if strings.Contains(kernel, "_across") {
				for j, c := range []factored{
					{m: few, n: 33 * vector, k: 45, with: both},
					{m: few, n: 2 * vector, k: 130, with: before, wide: true},
					{m: few, n: 3 * vector, k: 141, slices: 2},
					{m: 8 + vector, n: few, k: 5, with: bias},
					{m: 8 + 2*vector, n: few, k: 13, with: residual, odd: true},
					{m: few, n: 2 * vector, k: 10, batch: []int{2, 3}, with: before, odd: true},
					{m: 8 + vector, n: few, k: 0},
				} {
					swapped := c.n < c.m
					r.multiply(dt, 0, swapped || j%2 == 1, swapped && j%2 == 1, c, func(b *Backend, p *product) {
						t, ok := newThin(p)
						if !ok || !t.across {
							panic("not a thin product across k")
						}
						slices := max(1, c.slices)
						b.multiplyThinAcross(t, slices, ceilDiv(c.k, slices))
					})
					r.settle()
					if i > 0 && j == 3 {
						break
					}
				}
				continue
			}
			for j, c := range []factored{
				{m: few, n: 9, k: 32*vector*7 + 3*vector + vector - 1, with: both},
				{m: few, n: 10, k: 128*vector + 32, with: before, wide: true},
				{m: 19, n: few, k: 45, with: bias},
				{m: 18, n: few, k: 64*vector + 5, with: residual, odd: true},
				{m: few, n: 17, k: vector - 1, with: before, odd: true},
				{m: few, n: 20, k: 33 * vector, batch: []int{2, 3}, wide: true},
				{m: 18, n: few, k: 0},
			} {
				r.multiply(dt, 0, false, true, c, func(b *Backend, p *product) {
					if t, ok := newThin(p); ok && !t.across {
						b.multiplyThinAlong(t)
						return
					}
					panic("not a thin product along k")
				})
				r.settle()
				if i > 0 && j == 2 {
					break
				}
			}
		}
	}
}

// otherProductExercise is for what products need beside their tiles.
func otherProductExercise(kernel string) exercise {
	dt := variantOf(kernel).dtype
	cases := []factored{
		{m: 19, n: 23, k: 9, with: both, odd: true},
		{m: 5, n: 12, k: 9, with: both},
		{m: 5, n: 7, k: 9, with: before, wide: true, odd: true},
		{m: 5, n: 8, k: 9, with: before, wide: true},
		{m: 5, n: 8, k: 9, with: before},
		{m: 5, n: 7, k: 9, with: before, odd: true},
		{m: 5, n: 7, k: 9, with: bias, odd: true},
		{m: 5, n: 8, k: 9, with: residual},
		{m: 3, n: 3, k: 1, odd: true},
	}
	batches := []factored{{m: 3, n: 5, k: 4, batch: []int{2, 1, 3, 2}, wide: true, shared: true}, {m: 3, n: 8, k: 4, batch: []int{2, 3}}}
	return func(r *rig) {
		switch {
		case kernel == "align_lines":
			for _, dt := range []backend.DType{backend.BF16, backend.F16} {
				for i := range 4 {
					c := factored{m: 9 + i, n: 17, k: 31, batch: []int{3, 2}[:i%3], shared: i == 2}
					r.multiply(dt, 1, i&1 != 0, i&2 != 0, c, (*Backend).multiply)
					r.settle()
				}
			}
		case strings.HasPrefix(kernel, "sum_slices"):
			vectors, elements := []int{5, 8, 2, 3}, []int{9, 2, 12, 16} // loops are unrolled
			for _, c := range append(cases, batches...) {
				slices := &vectors
				if c.n%4 != 0 {
					slices = &elements
				}
				c.slices = (*slices)[0]
				*slices = append((*slices)[1:], c.slices)
				c.k = 8 * c.slices
				r.multiply(dt, 0, false, false, c, func(b *Backend, p *product) {
					b.inSlices(p, c.slices, 8, func(p *product) { b.multiplyTiles(p, tiling{smallTile, c.slices, 8}) })
				})
				r.settle()
			}
		default:
			for i, c := range append(cases, batches...) {
				r.multiply(dt, 1, i&1 != 0, i&2 != 0, c, (*Backend).multiplyNaive)
				r.settle()
			}
		}
	}
}
