package tensor

import (
	"slices"

	"github.com/hone-ml/hone/internal/backend"
)

// MatMul is the matrix product over the last two axes: [..., m, k] · [..., k, n] → [..., m, n]. The axes
// before them broadcast. A vector t is a row and a vector y a column, whose axis of length 1 the result lacks: two
// vectors give their dot product. The operands have one float dtype, or y is a quantised matrix [k, n], through
// which gradients flow to t; sums are kept in F32 (F64 for F64) and rounded once. A quantised y is fast as the
// transpose of one whose blocks lie along k. (torch.matmul.)
func (t *Tensor) MatMul(y *Tensor) *Tensor {
	s := scopeOfAny("MatMul", []*Tensor{t, y})
	x, y := t.In(s), y.In(s)
	if (x.view.Rank == 1 || y.view.Rank == 1) && x.view.Rank > 0 && y.view.Rank > 0 {
		return matmulVector(x, y)
	}
	checkMatMul("MatMul", x, y)
	if k, l := x.Dim(-1), y.Dim(-2); k != l {
		fail("MatMul", []*Tensor{x, y}, "the inner dimensions %d and %d differ", k, l)
	}
	var dims [MaxRank]int
	out := alloc(s, x.view.DType, append(broadcast(dims[:0], "MatMul", x, y, 2), x.Dim(-2), y.Dim(-1))...)
	multiply(out, x, y, false)
	if s.tape == nil {
		return out
	}
	ins := []*Tensor{x, y}
	return record1("MatMul", out, ins, ins, func(g *gradient) {
		dy := g.Output(0)
		if g.Needs(0) {
			g.addProduct(0, dy, g.Saved(1).T())
		}
		if g.Needs(1) {
			g.addProduct(1, g.Saved(0).T(), dy)
		}
	})
}

// matmulVector is MatMul where an operand is a vector.
func matmulVector(x, y *Tensor) *Tensor {
	left, right := x.view.Rank == 1, y.view.Rank == 1
	k := y.view.Shape[max(y.view.Rank-2, 0)]
	if !multipliable(x, y) {
		fail("MatMul", []*Tensor{x, y}, "both operands need one float dtype; only the right one may be quantised")
	}
	if x.Dim(-1) != k {
		fail("MatMul", []*Tensor{x, y}, "the inner dimensions %d and %d differ", x.Dim(-1), k)
	}
	if left {
		x = x.Unsqueeze(0)
	}
	if right {
		y = y.Unsqueeze(1)
	}
	out := x.MatMul(y)
	if left {
		out = out.Squeeze(-2)
	}
	if right {
		out = out.Squeeze(-1)
	}
	return out
}

// rowsOf is t as a matrix of rows of its last axis.
func rowsOf(t *Tensor) *Tensor {
	if t.view.Rank == 2 && t.view.RowsContiguous() {
		return &Tensor{view: t.view, dev: t.dev, scope: t.scope, mem: t.mem}
	}
	v := t.view
	if !v.Contiguous() {
		c := alloc(t.scope, v.DType, v.Dims()...)
		t.dev.backend.Copy(&c.view, &v)
		t = c
		v = c.view
	}
	last := v.Shape[v.Rank-1]
	rows := 1
	for _, d := range v.Shape[:v.Rank-1] {
		rows *= d
	}
	return &Tensor{view: backend.NewView(v.Ptr, v.DType, rows, last), dev: t.dev, scope: t.scope, mem: t.mem}
}

// transposed is t with its last two axes exchanged; nothing is recorded.
func transposed(t *Tensor) *Tensor {
	v, a, b := t.view, t.view.Rank-2, t.view.Rank-1
	v.Shape[a], v.Shape[b] = v.Shape[b], v.Shape[a]
	v.Strides[a], v.Strides[b] = v.Strides[b], v.Strides[a]
	return &Tensor{view: v, dev: t.dev, scope: t.scope, mem: t.mem}
}

// multiply sets out = x·y, or adds to it, bringing the operands into the form that backends take.
func multiply(out, x, y *Tensor, accumulate bool) {
	if y.view.DType.IsQuantized() {
		multiplyQuantized(out, x, y, accumulate)
		return
	}
	xv, yv := matrices(x, out, 0), matrices(y, out, 1)
	if mat := out.view.Rank; mat > 2 && yv.Strides[0] == 0 && y.view.Rank == 2 && x.view.Contiguous() && out.view.Contiguous() {
		// one right operand for the whole batch: a single product of all rows
		m := out.Len() / max(out.Dim(-1), 1)
		ov := backend.NewView(out.view.Ptr, out.view.DType, m, out.Dim(-1))
		rv := backend.NewView(xv.Ptr, xv.DType, m, x.Dim(-1))
		right := *yv
		for range mat - 2 {
			right = right.At(0)
		}
		out.dev.backend.MatMul(&ov, &rv, &right, accumulate)
		return
	}
	out.dev.backend.MatMul(&out.view, xv, yv, accumulate)
}

// matrices is the operand t of a product out: broadcast over out's leading axes, and copied if neither
// rows nor columns are contiguous. It is t's own view where that will do, or else a spare one of out's scope.
func matrices(t, out *Tensor, spare int) *backend.View {
	r := t.view.Rank
	rows, cols := t.view.Shape[r-2], t.view.Shape[r-1]
	v := &t.view
	if v.Strides[r-1] != 1 && v.Strides[r-2] != 1 && rows > 1 && cols > 1 {
		c := alloc(out.scope, v.DType, v.Dims()...)
		t.dev.backend.Copy(&c.view, v)
		v = &c.view
	}
	if r == out.view.Rank && slices.Equal(v.Shape[:r-2], out.view.Shape[:r-2]) {
		return v
	}
	var dims [MaxRank]int
	w := &out.scope.spare[spare]
	*w = expand(v, append(append(dims[:0], out.view.Shape[:out.view.Rank-2]...), rows, cols))
	return w
}

// addProduct adds x·y to the gradient of input i, summed over the axes along which that was broadcast.
func (g *gradient) addProduct(i int, x, y *Tensor) {
	in := g.node.inputs[i]
	if in.view.Rank == 2 && (x.view.Rank > 2 || y.view.Rank > 2) && i == 1 {
		// a matrix shared by a batch: one product over all rows
		rows := rowsOf(x.T())
		x, y = transposed(rows), rowsOf(y)
	}
	var dims [MaxRank]int
	if x.view.Rank == in.view.Rank && y.view.Rank == in.view.Rank {
		lead := broadcast(dims[:0], "MatMul", x, y, 2)
		if slices.Equal(lead, in.view.Shape[:in.view.Rank-2]) {
			dst, accumulate := g.Target(i)
			multiply(dst, x, y, accumulate)
			if !accumulate {
				g.Add(i, dst)
			}
			return
		}
	}
	dt := x.view.DType
	if g.isParameter(i) {
		dt = dt.Accumulator() // see addReduced
	}
	d := alloc(g.scope, dt, append(broadcast(dims[:0], "MatMul", x, y, 2), x.Dim(-2), y.Dim(-1))...)
	multiply(d, x, y, false)
	g.addReduced(i, d)
}

func checkMatMul(op string, x, y *Tensor) {
	if x.view.Rank < 2 || y.view.Rank < 2 {
		fail(op, []*Tensor{x, y}, "both operands need axes; MulScalar and Mul scale by a number")
	}
	if !multipliable(x, y) {
		fail(op, []*Tensor{x, y}, "both operands need one float dtype; only the right one may be quantised")
	}
	if y.view.DType.IsQuantized() && y.view.Rank != 2 {
		fail(op, []*Tensor{x, y}, "a quantised operand must be a matrix; see Index")
	}
}

// multipliable reports whether the dtypes of x and y go together in a product.
func multipliable(x, y *Tensor) bool {
	return x.view.DType.IsFloat() && (x.view.DType == y.view.DType || y.view.DType.IsQuantized())
}
