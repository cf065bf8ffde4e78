package tensor

// Gather is the elements of t along its first axis that index names: t [n, ...] and index [...] of I32 or
// I64 give [index's axes..., t's other axes...]. Embeddings are gathered rows of a weight. An index
// outside [0, n) panics. In backward the rows are added in the order of index.
func (t *Tensor) Gather(index *Tensor) *Tensor { return t.gather("Gather", index) }

func (t *Tensor) gather(op string, index *Tensor) *Tensor {
	ins := []*Tensor{t, index}
	s := scopeOf(op, ins)
	if t.view.Rank == 0 || index.view.DType != I32 && index.view.DType != I64 {
		fail(op, ins, "needs a first axis to choose from and an I32 or I64 index")
	}
	if index.view.Rank+t.view.Rank-1 > MaxRank {
		fail(op, ins, "the result would have more than %d axes", MaxRank)
	}
	ins = bring(s, ins)
	x, flat := ins[0], ins[1].detached().Contiguous().Reshape(-1)
	shape := append(index.Shape(), t.view.Shape[1:t.view.Rank]...)
	rows := append([]int{flat.Len()}, t.view.Shape[1:t.view.Rank]...)
	out := alloc(s, t.view.DType, rows...)
	indexed(op, ins, 0, func() { s.dev.backend.Gather(&out.view, &x.view, &flat.view) })
	result := out.Reshape(shape...)
	return record1(op, result, ins, []*Tensor{flat}, func(g *gradient) {
		if !g.Needs(0) {
			return
		}
		dy := g.Output(0).Contiguous().Reshape(rows...)
		dx, accumulate := g.Sink(0)
		if !accumulate {
			dx.Fill(0)
		}
		g.scope.dev.backend.ScatterAdd(&dx.view, &g.Saved(0).view, &dy.view)
		if !accumulate {
			g.Add(0, dx)
		}
	})
}

// Embedding is the rows of weight [V, H] that ids [...] name: [..., H].
func Embedding(weight, ids *Tensor) *Tensor {
	if weight.view.Rank != 2 {
		fail("Embedding", []*Tensor{weight, ids}, "the weight has two axes")
	}
	return weight.Gather(ids)
}
