package cuda

import "github.com/hone-ml/hone/internal/backend"

// SwiGLU sets out = silu(gate)·up.
func (b *Backend) SwiGLU(out, gate, up *backend.View) {
	b.swiGLU("forward", []*backend.View{out, gate, up}, func(f *function, grid dim3, block int, s rowSet, d, blocksPerRow uint32) {
		launch(b, f, grid, block, 0, &struct {
			Out, Gate, Up      rowView
			N, D, BlocksPerRow uint32
		}{s.views[0], s.views[1], s.views[2], uint32(s.n), d, blocksPerRow})
	})
}

// SwiGLUBackward sets dgate = dy·up·silu'(gate) and dup = dy·silu(gate).
func (b *Backend) SwiGLUBackward(dgate, dup, dy, gate, up *backend.View) {
	if dgate == nil && dup == nil {
		return
	}
	b.swiGLU("backward", []*backend.View{dgate, dup, dy, gate, up}, func(f *function, grid dim3, block int, s rowSet, d, blocksPerRow uint32) {
		launch(b, f, grid, block, 0, &struct {
			Dgate, Dup, Dy, Gate, Up rowView
			N, D, BlocksPerRow       uint32
		}{s.views[0], s.views[1], s.views[2], s.views[3], s.views[4], uint32(s.n), d, blocksPerRow})
	})
}

// swiGLU issues a kernel over matrices of one shape, of which the last one is not nil. Those without gaps are one row.
func (b *Backend) swiGLU(direction string, views []*backend.View, issue func(f *function, grid dim3, block int, s rowSet, d, blocksPerRow uint32)) {
	last := views[len(views)-1]
	d, dt := last.Shape[1], last.DType
	if last.Len() == 0 {
		return
	}
	name, elements := "any_", 1
	if per := 16 / dt.Size(); fast(dt) && d%per == 0 && alignedRows(views...) {
		name, elements = "", per
	}
	if whole := flattened(views); whole != nil {
		views, d = whole, last.Len()
	}
	eachRowSet(views, func(s rowSet) {
		threads := ceilDiv(d, elements)
		block := min(roundUp(threads, 32), 256)
		blocksPerRow := ceilDiv(threads, block)
		issue(b.function("swiglu", "swiglu_"+direction+"_"+name+dt.String()), dim3{s.n * blocksPerRow, 1, 1}, block, s, uint32(d), uint32(blocksPerRow))
	})
}

// flattened is the same memory as views of one row each, nil if a view that is not nil has gaps or too many elements for
// kernels to count.
func flattened(views []*backend.View) []*backend.View {
	flat := make([]*backend.View, len(views))
	for i, v := range views {
		if v == nil {
			continue
		}
		if !v.Contiguous() || v.Len() > maxElements {
			return nil
		}
		f := v.Flat()
		flat[i] = &f
	}
	return flat
}
