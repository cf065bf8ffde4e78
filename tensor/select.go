package tensor

import (
	"math"

	"github.com/hone-ml/hone/internal/backend"
)

// IndexSelect is the elements of t along an axis that index [k], I32 or I64, names: that axis of the result has
// length k. An index outside the axis panics; gradients of an element taken more than once are added in the order
// of index. (torch.index_select. Gather takes an index of any shape along the first axis.)
func (t *Tensor) IndexSelect(axis int, index *Tensor) *Tensor {
	ins := []*Tensor{t, index}
	s := scopeOf("IndexSelect", ins)
	axis = t.axis("IndexSelect", axis)
	checkIndex("IndexSelect", ins, 1)
	return t.In(s).selectIndex("IndexSelect", axis, index)
}

func (t *Tensor) selectIndex(op string, axis int, index *Tensor) *Tensor {
	if axis == 0 {
		return t.gather(op, index)
	}
	return t.Movedim(axis, 0).gather(op, index).Movedim(0, axis)
}

// Take is the elements of t, as if it had one axis, that index, I32 or I64 of any shape, names: it has the shape of
// index. (torch.take, but that negative indices panic.)
func (t *Tensor) Take(index *Tensor) *Tensor {
	ins := []*Tensor{t, index}
	s := scopeOf("Take", ins)
	checkIndex("Take", ins, -1)
	return t.In(s).Reshape(-1).gather("Take", index)
}

// GatherAlong takes, for each element of index, the element of t in the same place, but along the axis, where
// index says: out[i, j] = t[i, index[i, j]] for axis 1. index is I32 or I64 of t's rank, no longer than t along the
// other axes, and the result has its shape. An index outside the axis panics. (torch.gather. Gather takes whole
// rows.)
func (t *Tensor) GatherAlong(axis int, index *Tensor) *Tensor {
	ins := []*Tensor{t, index}
	s := scopeOf("GatherAlong", ins)
	axis = t.checkAlong("GatherAlong", axis, ins)
	ins = bring(s, ins)
	flat := t.places("GatherAlong", ins, axis)
	out := alloc(s, t.view.DType, flat.Len())
	x := ins[0].detached().Contiguous().Reshape(-1)
	placed("GatherAlong", ins, axis, func() { s.dev.backend.Gather(&out.view, &x.view, &flat.view) })
	return record1("GatherAlong", out.Reshape(index.view.Dims()...), ins, []*Tensor{flat}, func(g *gradient) {
		if !g.Needs(0) {
			return
		}
		dx, accumulate := g.Sink(0)
		if !accumulate {
			dx.Fill(0)
		}
		to, dy := dx.view.Flat(), g.Output(0).Contiguous().view.Flat()
		g.scope.dev.backend.ScatterAdd(&to, &g.Saved(0).view, &dy)
		if !accumulate {
			g.Add(0, dx)
		}
	})
}

// ScatterAdd is t with each element of src added where index says: for axis 1, t[i, index[i, j]] += src[i, j].
// index is I32 or I64 of t's rank, no longer than t along the other axes; src has its shape and t's dtype. An
// element that is hit more than once gets all, in row-major order, rounded once, so the result is the same on any
// number of processors. An index outside the axis panics. (torch.scatter_add.)
func (t *Tensor) ScatterAdd(axis int, index, src *Tensor) *Tensor {
	ins := []*Tensor{t, index, src}
	s := scopeOf("ScatterAdd", ins)
	axis = t.checkAlong("ScatterAdd", axis, ins)
	if t.view.DType == Bool {
		fail("ScatterAdd", ins, "needs a dtype of numbers")
	}
	ins = bring(s, ins)
	flat := t.places("ScatterAdd", ins, axis)
	out := alloc(s, t.view.DType, t.view.Dims()...)
	s.dev.backend.Copy(&out.view, &t.view)
	to, from := out.view.Flat(), ins[2].detached().Contiguous().view.Flat()
	placed("ScatterAdd", ins, axis, func() { s.dev.backend.ScatterAdd(&to, &flat.view, &from) })
	return record1("ScatterAdd", out, ins, []*Tensor{flat}, func(g *gradient) {
		g.Add(0, g.Output(0))
		if g.Needs(2) {
			d := g.New(2)
			to, dy := d.view.Flat(), g.Output(0).Contiguous().view.Flat()
			g.scope.dev.backend.Gather(&to, &dy, &g.Saved(0).view)
			g.Add(2, d)
		}
	})
}

// Scatter is t with each element of src put where index says: for axis 1, t[i, index[i, j]] = src[i, j]. Shapes and
// dtypes are as in ScatterAdd. Where an element is hit more than once the last one in row-major order stays, and
// it alone gets a gradient. The host looks at index, so it waits for the device. (torch.scatter.)
func (t *Tensor) Scatter(axis int, index, src *Tensor) *Tensor {
	ins := []*Tensor{t, index, src}
	s := scopeOf("Scatter", ins)
	axis = t.checkAlong("Scatter", axis, ins)
	ins = bring(s, ins)
	t, src = ins[0], ins[2]
	last := make([]int32, t.Len()) // the element of src that each of t becomes
	hit := make([]bool, t.Len())
	for p, to := range ToSlice[int32](t.places("Scatter", ins, axis)) {
		if to < 0 {
			badIndex("Scatter", ins, axis, p)
		}
		last[to], hit[to] = int32(p), true
	}
	if src.Len() == 0 {
		return Where(FromSlice(s, hit, t.view.Dims()...), t, t)
	}
	return Where(FromSlice(s, hit, t.view.Dims()...), src.Reshape(-1).gather("Scatter", FromSlice(s, last, t.view.Dims()...)), t)
}

// IndexAdd is t with src added along an axis where index [k], I32 or I64, says: for axis 0, t[index[i]] += src[i].
// src has t's dtype and shape, but for length k along the axis. Repeated indices add up in their order; one
// outside the axis panics. (torch.index_add.)
func (t *Tensor) IndexAdd(axis int, index, src *Tensor) *Tensor {
	ins := []*Tensor{t, index, src}
	s := scopeOf("IndexAdd", ins)
	axis = t.axis("IndexAdd", axis)
	checkIndex("IndexAdd", ins, 1)
	want := t.Shape()
	want[axis] = index.Len()
	if !src.hasShape(want...) || src.view.DType != t.view.DType || t.view.DType == Bool {
		fail("IndexAdd", ins, "needs src %v of the same dtype of numbers", want)
	}
	ins = bring(s, ins)
	flat := ins[1].detached().Contiguous()
	out := alloc(s, t.view.DType, t.view.Dims()...)
	s.dev.backend.Copy(&out.view, &t.view)
	to, from := movedFirst(out.view, axis), movedFirst(src.view, axis)
	indexed("IndexAdd", ins, 0, func() { s.dev.backend.ScatterAdd(&to, &flat.view, &from) })
	return record1("IndexAdd", out, ins, []*Tensor{flat}, func(g *gradient) {
		g.Add(0, g.Output(0))
		if g.Needs(2) {
			d := g.New(2)
			to, from := movedFirst(d.view, axis), movedFirst(g.Output(0).view, axis)
			g.scope.dev.backend.Gather(&to, &from, &g.Saved(0).view)
			g.Add(2, d)
		}
	})
}

// movedFirst is v with an axis in front of the others.
func movedFirst(v backend.View, axis int) backend.View {
	return permuted(v, behind(v.Rank, func(a int) bool { return a != axis })...)
}

// checkIndex checks that the second of ins is an index of some rank, -1 for any.
func checkIndex(op string, ins []*Tensor, rank int) {
	index := ins[1]
	if index.view.DType != I32 && index.view.DType != I64 || rank >= 0 && index.view.Rank != rank {
		what := "an I32 or I64 index"
		if rank == 1 {
			what = "an I32 or I64 index with one axis"
		}
		fail(op, ins, "needs %s", what)
	}
}

// checkAlong checks the operands t, index and, if there is one, src of an op that looks up elements along an axis.
func (t *Tensor) checkAlong(op string, axis int, ins []*Tensor) int {
	axis = t.axis(op, axis)
	checkIndex(op, ins, t.view.Rank)
	index := ins[1]
	for a, n := range index.view.Dims() {
		if a != axis && n > t.view.Shape[a] {
			fail(op, ins, "the index is longer than the tensor along axis %d: %d > %d", a, n, t.view.Shape[a])
		}
	}
	if len(ins) > 2 && (!sameDims(index, ins[2]) || ins[2].view.DType != t.view.DType) {
		fail(op, ins, "needs src of the index's shape and of the tensor's dtype")
	}
	if t.Len() > math.MaxInt32 {
		fail(op, ins, "has more elements than an I32 can count")
	}
	return axis
}

// places is where in t, row by row, the elements of an index along an axis lie, I32; -1 where the index is wrong.
func (t *Tensor) places(op string, ins []*Tensor, axis int) *Tensor {
	index, s := ins[1], ins[1].scope
	out := alloc(s, I32, index.Len())
	if out.Len() == 0 {
		return out
	}
	rows := backend.NewView(nil, I32, t.view.Dims()...)
	temporary(s.dev, s, func(s *Scope) {
		i := index.detached().rebased(s)
		valid := i.GeScalar(0).And(i.GeScalar(float64(t.view.Shape[axis])).Not())
		at := i.To(I32).MulScalar(float64(rows.Strides[axis]))
		for a, n := range index.view.Dims() {
			if step := rows.Strides[a]; a != axis && n > 1 {
				shape := make([]int, index.view.Rank)
				for k := range shape {
					shape[k] = 1
				}
				shape[a] = n
				at = at.Add(Arange(s, I32, 0, float64(n*step), float64(step)).Reshape(shape...))
			}
		}
		at = Where(valid, at, Full(s, I32, -1)).Reshape(-1)
		s.dev.backend.Copy(&out.view, &at.view)
	})
	return out
}

// placed runs a kernel on what places gave, and makes its complaint an *Error about the index that it stands for.
func placed(op string, ins []*Tensor, axis int, kernel func()) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case *backend.IndexError:
			badIndex(op, ins, axis, p.Position)
		default:
			panic(p)
		}
	}()
	kernel()
}

func badIndex(op string, ins []*Tensor, axis, position int) {
	fail(op, ins, "index %.0f at position %d is not in [0, %d)", ins[1].Float64s()[position], position, ins[0].view.Shape[axis])
}
