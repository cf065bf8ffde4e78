package tensor

import "github.com/hone-ml/hone/internal/backend"

// CrossEntropyOptions are the parts of a cross-entropy loss that are not its main tensors.
type CrossEntropyOptions struct {
	// IgnoreIndex is the target of rows that count for nothing; 0 stands for PyTorch's -100.
	IgnoreIndex int
	// Smoothing ε makes the target (1−ε)·onehot + ε/V. (Szegedy et al., 2016.)
	Smoothing float64
	// Divisor divides the sum of the rows' losses; 0 stands for the number of rows that count, which
	// makes the loss their mean. With accumulation over micro-batches, give the count of all rows of the
	// window that count.
	Divisor float64
	// RowWeights multiplies each row's loss; nil stands for ones. Shape as targets, F32.
	RowWeights *Tensor
}

// keepLogits is the most elements of logits that are kept for backward rather than computed again;
// chunkLogits bounds those that exist at one time when they are not. Tests make them small.
var (
	keepLogits  = 1 << 23
	chunkLogits = 1 << 25
)

// CrossEntropy is the mean of −log softmax(logits)[target] over the rows that count: logits [..., V] of a
// float dtype, targets [...] I32, a scalar F32 (F64 for F64). It panics if every target is ignored and
// no divisor is given, or if a target is outside [0, V).
func CrossEntropy(logits, targets *Tensor, o CrossEntropyOptions) *Tensor {
	ins := []*Tensor{logits, targets}
	s := scopeOf("CrossEntropy", ins)
	if logits.view.Rank == 0 || !logits.view.DType.IsFloat() {
		fail("CrossEntropy", ins, "needs logits [..., V] of a float dtype")
	}
	c := newCrossEntropy("CrossEntropy", s, logits, targets, o)
	x := logits.In(s)
	fused, ok := backend.Fused[backend.CrossEntropyer](s.dev.backend)
	if !ok {
		return c.composed(x)
	}
	rows := rowsOf(x)
	loss, lse := alloc(s, c.acc, c.n), alloc(s, c.acc, c.n)
	indexed("CrossEntropy", ins, 0, func() {
		fused.CrossEntropy(&loss.view, &lse.view, &rows.view, &c.targets.view, c.args)
	})
	return record1("CrossEntropy", c.total(loss), []*Tensor{x}, []*Tensor{rows, lse, c.targets, c.weights}, func(g *gradient) {
		rows, lse := g.Saved(0), g.Saved(1)
		scale := c.scale(g.Output(0), g.Saved(3))
		d := alloc(g.scope, rows.view.DType, rows.view.Dims()...)
		fused.CrossEntropyBackward(&d.view, &rows.view, &lse.view, &g.Saved(2).view, &scale.view, c.args)
		g.Add(0, d.Reshape(g.node.inputs[0].view.Dims()...))
	})
}

// LinearCrossEntropy is CrossEntropy of the logits hidden·weightᵀ, of which only a chunk of rows exists at
// a time: hidden [..., H] and weight [V, H] of one float dtype, targets [...] I32, a scalar F32 (F64 for
// F64). The logits are kept in F32. It panics as CrossEntropy does. (Liger Kernel, Hsu et al., 2024.)
func LinearCrossEntropy(hidden, weight, targets *Tensor, o CrossEntropyOptions) *Tensor {
	ins := []*Tensor{hidden, weight, targets}
	s := scopeOf("LinearCrossEntropy", ins)
	if hidden.view.Rank == 0 || weight.view.Rank != 2 || hidden.Dim(-1) != weight.Dim(1) ||
		hidden.view.DType != weight.view.DType || !hidden.view.DType.IsFloat() {
		fail("LinearCrossEntropy", ins, "needs hidden [..., H] and weight [V, H] of one float dtype")
	}
	c := newCrossEntropy("LinearCrossEntropy", s, hidden, targets, o)
	h, w := hidden.In(s), weight.In(s)
	if w.view.Strides[0] != 1 && w.view.Strides[1] != 1 {
		w = w.Contiguous()
	}
	fused, ok := backend.Fused[backend.CrossEntropyer](s.dev.backend)
	if !ok {
		return c.composed(Linear(h, w, nil).To(c.acc))
	}
	rows := rowsOf(h)
	vocab := w.Dim(0)
	loss, lse := alloc(s, c.acc, c.n), alloc(s, c.acc, c.n)
	var kept *Tensor
	if s.tape != nil && c.n*vocab <= keepLogits {
		kept = alloc(s, c.acc, c.n, vocab)
	}
	c.chunks(s, vocab, kept, func(lo, hi int, logits *Tensor) {
		x, t, l, e := rows.view.Slice(0, lo, hi), c.targets.view.Slice(0, lo, hi), loss.view.Slice(0, lo, hi), lse.view.Slice(0, lo, hi)
		s.dev.backend.MatMul(&logits.view, &x, &transposed(w).view, false)
		indexed("LinearCrossEntropy", ins, lo, func() { fused.CrossEntropy(&l, &e, &logits.view, &t, c.args) })
	})
	return record1("LinearCrossEntropy", c.total(loss), []*Tensor{h, w}, []*Tensor{rows, w, lse, c.targets, c.weights, kept}, func(g *gradient) {
		rows, w, lse, targets := g.Saved(0), g.Saved(1), g.Saved(2), g.Saved(3)
		kept := g.Saved(5)
		scale := c.scale(g.Output(0), g.Saved(4))
		b := g.scope.dev.backend
		var dh, dw *Tensor
		if g.Needs(0) {
			dh = alloc(g.scope, rows.view.DType, rows.view.Dims()...)
		}
		accumulate := false
		if g.Needs(1) {
			dw, accumulate = g.Sink(1)
		}
		first := !accumulate
		c.chunks(g.scope, w.Dim(0), kept, func(lo, hi int, logits *Tensor) {
			x, t, e, sc := rows.view.Slice(0, lo, hi), targets.view.Slice(0, lo, hi), lse.view.Slice(0, lo, hi), scale.view.Slice(0, lo, hi)
			if kept == nil {
				b.MatMul(&logits.view, &x, &transposed(w).view, false)
			}
			d := logits
			if w.view.DType == BF16 {
				d = logits.alias(narrowed(&logits.view)) // the products to come read half as much
			}
			fused.CrossEntropyBackward(&d.view, &logits.view, &e, &t, &sc, c.args)
			if d.view.DType != w.view.DType {
				d = alloc(g.scope, w.view.DType, logits.view.Dims()...)
				b.Copy(&d.view, &logits.view)
			}
			if dh != nil {
				out := dh.view.Slice(0, lo, hi)
				b.MatMul(&out, &d.view, &w.view, false)
			}
			if dw != nil {
				b.MatMul(&dw.view, &transposed(d).view, &x, !first)
				first = false
			}
			if d.mem != logits.mem {
				g.scope.sweepLast(d)
			}
		})
		if dh != nil {
			g.Add(0, dh.Reshape(g.node.inputs[0].view.Dims()...))
		}
		if dw != nil && !accumulate {
			g.Add(1, dw)
		}
	})
}

// narrowed is a matrix of BF16 in the memory of one of F32: each row begins where it did.
func narrowed(v *backend.View) backend.View {
	n := *v
	n.DType, n.Strides[0] = BF16, 2*v.Strides[0]
	return n
}

// crossEntropy is what the two losses share.
type crossEntropy struct {
	n       int
	acc     DType
	args    backend.CrossEntropyArgs
	divisor float64
	targets *Tensor // [n]
	weights *Tensor // [n], or nil
}

func newCrossEntropy(op string, s *Scope, rows, targets *Tensor, o CrossEntropyOptions) *crossEntropy {
	n := rows.Len() / max(rows.Dim(-1), 1)
	if targets.view.DType != I32 || targets.Len() != n {
		fail(op, []*Tensor{rows, targets}, "needs an I32 target for each of the %d rows", n)
	}
	c := &crossEntropy{n: n, acc: rows.view.DType.Accumulator(), divisor: o.Divisor}
	c.args = backend.CrossEntropyArgs{IgnoreIndex: o.IgnoreIndex, Smoothing: o.Smoothing}
	if o.IgnoreIndex == 0 {
		c.args.IgnoreIndex = -100
	}
	c.targets = targets.In(s).detached().Contiguous().Reshape(n)
	if o.RowWeights != nil {
		if o.RowWeights.Len() != n {
			fail(op, []*Tensor{rows, targets, o.RowWeights}, "needs a weight for each of the %d rows", n)
		}
		c.weights = o.RowWeights.In(s).detached().To(c.acc).Contiguous().Reshape(n)
	}
	if c.divisor == 0 {
		for _, t := range ToSlice[int32](targets) {
			if int(t) != c.args.IgnoreIndex {
				c.divisor++
			}
		}
		if c.divisor == 0 {
			fail(op, []*Tensor{rows, targets}, "every target is ignored (%d): nothing to learn from", c.args.IgnoreIndex)
		}
	}
	return c
}

// total is the sum of the rows' losses by weight, divided.
func (c *crossEntropy) total(loss *Tensor) *Tensor {
	if c.weights != nil {
		loss = loss.Mul(c.weights)
	}
	return loss.Sum().MulScalar(1 / c.divisor)
}

// scale is the factor of each row's gradient: dy [] times its weight, divided.
func (c *crossEntropy) scale(dy, weights *Tensor) *Tensor {
	s := dy.To(c.acc).MulScalar(1 / c.divisor)
	if weights != nil {
		return s.Mul(weights)
	}
	return s.Expand(c.n).Contiguous()
}

// chunks runs fn over the rows with room for their logits: kept's own rows, or one buffer used again.
func (c *crossEntropy) chunks(s *Scope, vocab int, kept *Tensor, fn func(lo, hi int, logits *Tensor)) {
	if kept != nil {
		fn(0, c.n, kept)
		return
	}
	step := min(max(chunkLogits/max(vocab, 1), 1), max(c.n, 1))
	buffer := alloc(s, c.acc, step, vocab)
	for lo := 0; lo < c.n; lo += step {
		hi := min(lo+step, c.n)
		fn(lo, hi, buffer.alias(buffer.view.Slice(0, 0, hi-lo)))
	}
	s.sweepLast(buffer)
}

// sweepLast frees t's memory, the newest of the scope, before the scope ends.
func (s *Scope) sweepLast(t *Tensor) {
	last := len(s.storages) - 1
	if last >= 0 && s.storages[last] == t.mem && t.mem.uses == 0 && t.mem.refs == 0 {
		s.storages = s.storages[:last]
		s.release(t.mem)
	}
}

// composed is the loss of logits of dtype acc, made of primitive ops.
func (c *crossEntropy) composed(logits *Tensor) *Tensor {
	s, vocab := logits.scope, logits.Dim(-1)
	for i, t := range ToSlice[int32](c.targets) {
		if int(t) != c.args.IgnoreIndex && (t < 0 || int(t) >= vocab) {
			fail("CrossEntropy", []*Tensor{logits, c.targets}, "index %d at position %d is not in [0, %d)", t, i, vocab)
		}
	}
	logp := logits.Reshape(c.n, vocab).To(c.acc).LogSoftmax()
	column := Arange(s, I32, 0, float64(vocab), 1).Reshape(1, vocab)
	hit := column.Eq(c.targets.Reshape(c.n, 1)).To(c.acc)
	nll := logp.Mul(hit).Sum(-1).Neg()
	if e := c.args.Smoothing; e > 0 {
		nll = nll.MulScalar(1 - e).Sub(logp.Mean(-1).MulScalar(e))
	}
	counts := c.targets.EqScalar(float64(c.args.IgnoreIndex)).Not().To(c.acc)
	return c.total(nll.Mul(counts))
}
