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
	// ClassWeights, [V] of a float dtype, multiplies each row's loss by the weight of its target, and makes the
	// default divisor the sum of these weights. Smoothing spreads its part by the weight of each class. Nil stands
	// for ones. No gradient flows to it. (The weight of torch.nn.CrossEntropyLoss.)
	ClassWeights *Tensor
	// PerRow leaves the losses of the rows as they are, in the shape of the targets, those that do not count
	// zero. Divisor is not used.
	PerRow bool
	// KeepLogits has LinearCrossEntropy keep all logits for backward, in F32, rather than compute them again:
	// a quarter of the head's products less, for 4·n·V bytes. The gradients are the same to the bit.
	KeepLogits bool
}

// keepLogits is the most elements of logits that are kept for backward without being asked to;
// partLogits bounds those that are computed at a time. Tests make them small.
var (
	keepLogits = 1 << 23
	partLogits = 1 << 24
)

// CrossEntropy is the mean of −log softmax(logits)[target] over the rows that count: logits [..., V] of a
// float dtype, targets [...] I32, a scalar F32 (F64 for F64), or with o.PerRow [...]. It panics if every target is ignored and
// no divisor is given, or if a target is outside [0, V).
func CrossEntropy(logits, targets *Tensor, o CrossEntropyOptions) *Tensor {
	ins := []*Tensor{logits, targets}
	s := scopeOf("CrossEntropy", ins)
	if logits.view.Rank == 0 || !logits.view.DType.IsFloat() {
		fail("CrossEntropy", ins, "needs logits [..., V] of a float dtype")
	}
	c := newCrossEntropy("CrossEntropy", s, logits, targets, logits.Dim(-1), o)
	x := logits.In(s)
	fused, ok := backend.Fused[backend.CrossEntropyer](s.dev.backend)
	if !ok || c.classes != nil {
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

// LinearCrossEntropy is CrossEntropy of the logits hidden·weightᵀ, of which only those of a part of the
// vocabulary exist at a time, unless o.KeepLogits: hidden [..., H] and weight [V, H] of one float dtype,
// targets [...] I32, a scalar F32 (F64 for F64). The logits are in F32. It panics as CrossEntropy does.
//
// The parts are columns rather than rows, as in Cut Cross-Entropy (Wijmans et al., 2025): each row of the
// gradient of weight is then complete, and written once.
func LinearCrossEntropy(hidden, weight, targets *Tensor, o CrossEntropyOptions) *Tensor {
	ins := []*Tensor{hidden, weight, targets}
	s := scopeOf("LinearCrossEntropy", ins)
	if hidden.view.Rank == 0 || weight.view.Rank != 2 || hidden.Dim(-1) != weight.Dim(1) ||
		hidden.view.DType != weight.view.DType || !hidden.view.DType.IsFloat() {
		fail("LinearCrossEntropy", ins, "needs hidden [..., H] and weight [V, H] of one float dtype")
	}
	c := newCrossEntropy("LinearCrossEntropy", s, hidden, targets, weight.Dim(0), o)
	h, w := hidden.In(s), weight.In(s)
	if w.view.Strides[0] != 1 && w.view.Strides[1] != 1 {
		w = w.Contiguous()
	}
	fused, ok := backend.Fused[backend.CrossEntropyer](s.dev.backend)
	if !ok || c.classes != nil {
		return c.composed(Linear(h, w, nil).To(c.acc))
	}
	rows := rowsOf(h)
	vocab := w.Dim(0)
	loss, lse := alloc(s, c.acc, c.n), alloc(s, c.acc, c.n)
	var kept *Tensor
	if s.tape != nil && (o.KeepLogits || c.n*vocab <= keepLogits) {
		kept = alloc(s, c.acc, c.n, vocab)
	}
	state := alloc(s, c.acc, c.n, backend.CrossEntropyState)
	c.parts(s, vocab, kept, func(lo, hi int, logits *Tensor) {
		part := w.view.Slice(0, lo, hi)
		s.dev.backend.MatMul(&logits.view, &rows.view, flipped(&part), false)
		args, l, e := c.args, (*backend.View)(nil), (*backend.View)(nil)
		args.First, args.Classes = lo, vocab
		if hi == vocab {
			l, e = &loss.view, &lse.view
		}
		indexed("LinearCrossEntropy", ins, 0, func() { fused.CrossEntropyPart(l, e, &state.view, &logits.view, &c.targets.view, args) })
	})
	return record1("LinearCrossEntropy", c.total(loss), []*Tensor{h, w}, []*Tensor{rows, w, lse, c.targets, c.weights, kept}, func(g *gradient) {
		rows, w, lse, targets, kept := g.Saved(0), g.Saved(1), g.Saved(2), g.Saved(3), g.Saved(5)
		scale := c.scale(g.Output(0), g.Saved(4))
		b := g.scope.dev.backend
		var dh, dw *Tensor
		if g.Needs(0) {
			dh = alloc(g.scope, c.acc, rows.view.Dims()...)
		}
		accumulate := false
		if g.Needs(1) {
			dw, accumulate = g.Target(1)
		}
		vocab := w.Dim(0)
		c.parts(g.scope, vocab, kept, func(lo, hi int, logits *Tensor) {
			part := w.view.Slice(0, lo, hi)
			if kept == nil {
				b.MatMul(&logits.view, &rows.view, flipped(&part), false)
			}
			d := logits
			if w.view.DType == BF16 {
				d = logits.alias(narrowed(&logits.view)) // the products to come read half as much
			}
			args := c.args
			args.First, args.Classes = lo, vocab
			fused.CrossEntropyBackward(&d.view, &logits.view, &lse.view, &targets.view, &scale.view, args)
			if d.view.DType != w.view.DType {
				d = alloc(g.scope, w.view.DType, logits.view.Dims()...)
				b.Copy(&d.view, &logits.view)
			}
			if dh != nil {
				b.MatMul(&dh.view, &d.view, &part, lo > 0)
			}
			if dw != nil {
				out := dw.view.Slice(0, lo, hi)
				b.MatMul(&out, flipped(&d.view), &rows.view, accumulate)
			}
			if d.mem != logits.mem {
				g.scope.sweepLast(d)
			}
		})
		if dh != nil {
			if vocab == 0 {
				dh.Fill(0)
			}
			g.Add(0, dh.Reshape(g.node.inputs[0].view.Dims()...))
		}
		if dw != nil && !accumulate {
			g.Add(1, dw)
		}
	})
}

// flipped is the transpose of a matrix.
func flipped(v *backend.View) *backend.View {
	t := *v
	t.Shape[0], t.Shape[1] = v.Shape[1], v.Shape[0]
	t.Strides[0], t.Strides[1] = v.Strides[1], v.Strides[0]
	return &t
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
	shape   []int // of the losses of the rows
	acc     DType
	args    backend.CrossEntropyArgs
	divisor float64
	perRow  bool
	targets *Tensor // [n]
	weights *Tensor // [n], or nil
	classes *Tensor // [V], or nil: weights of classes that no weights of rows stand for
}

func newCrossEntropy(op string, s *Scope, rows, targets *Tensor, vocab int, o CrossEntropyOptions) *crossEntropy {
	n := rows.Len() / max(rows.Dim(-1), 1)
	if targets.view.DType != I32 || targets.Len() != n {
		fail(op, []*Tensor{rows, targets}, "needs an I32 target for each of the %d rows", n)
	}
	c := &crossEntropy{n: n, shape: targets.Shape(), acc: rows.view.DType.Accumulator(), divisor: o.Divisor, perRow: o.PerRow}
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
	count := 0.0
	if o.ClassWeights != nil {
		count = c.weighClasses(op, s, rows, vocab, o.ClassWeights)
	} else if c.divisor == 0 && !c.perRow {
		count = c.count()
	}
	switch {
	case c.perRow:
		c.divisor = 1
	case c.divisor == 0:
		if c.divisor = count; count == 0 {
			fail(op, []*Tensor{rows, targets}, "every target is ignored (%d) or of weight 0: nothing to learn from", c.args.IgnoreIndex)
		}
	}
	return c
}

// count is the number of rows that count.
func (c *crossEntropy) count() (n float64) {
	for _, t := range ToSlice[int32](c.targets) {
		if int(t) != c.args.IgnoreIndex {
			n++
		}
	}
	return n
}

// weighClasses takes in the weights of classes, and gives the sum of those of the targets that count.
func (c *crossEntropy) weighClasses(op string, s *Scope, rows *Tensor, vocab int, classes *Tensor) (sum float64) {
	if !classes.hasShape(vocab) || !classes.view.DType.IsFloat() {
		fail(op, []*Tensor{rows, c.targets, classes}, "needs class weights [%d] of a float dtype", vocab)
	}
	each := make([]float64, c.n)
	values := classes.Float64s()
	for i, t := range ToSlice[int32](c.targets) {
		if int(t) == c.args.IgnoreIndex {
			continue
		}
		if t < 0 || int(t) >= vocab {
			fail(op, []*Tensor{rows, c.targets}, "index %d at position %d is not in [0, %d)", t, i, vocab)
		}
		each[i] = values[t]
		sum += each[i]
	}
	if c.args.Smoothing > 0 {
		c.classes = classes.In(s).detached().To(c.acc)
		return sum
	}
	weights := FromSlice(s, each).To(c.acc)
	if c.weights != nil {
		weights = weights.Mul(c.weights)
	}
	c.weights = weights
	return sum
}

// total is the sum of the rows' losses by weight, divided; or these losses themselves.
func (c *crossEntropy) total(loss *Tensor) *Tensor {
	if c.weights != nil {
		loss = loss.Mul(c.weights)
	}
	if c.perRow {
		return loss.Reshape(c.shape...)
	}
	return loss.Sum().MulScalar(1 / c.divisor)
}

// scale is the factor of each row's gradient: dy [], or that of the row, times its weight, divided.
func (c *crossEntropy) scale(dy, weights *Tensor) *Tensor {
	s := dy.To(c.acc).MulScalar(1 / c.divisor)
	if c.perRow {
		s = s.Reshape(c.n)
	}
	if weights != nil {
		return s.Mul(weights)
	}
	return s.Expand(c.n).Contiguous()
}

// parts runs fn over the columns, a part at a time, with room for their logits [n, hi−lo]: kept's own, or
// one buffer used again.
func (c *crossEntropy) parts(s *Scope, vocab int, kept *Tensor, fn func(lo, hi int, logits *Tensor)) {
	width := partWidth(c.n, vocab)
	if kept != nil {
		for lo := 0; lo < vocab; lo += width {
			hi := min(lo+width, vocab)
			fn(lo, hi, kept.alias(kept.view.Slice(1, lo, hi)))
		}
		return
	}
	buffer := alloc(s, c.acc, c.n, width)
	for lo := 0; lo < vocab; lo += width {
		hi := min(lo+width, vocab)
		fn(lo, hi, buffer.alias(buffer.view.Slice(1, 0, hi-lo)))
	}
	s.sweepLast(buffer)
}

// partWidth is how many columns of the logits exist at a time: parts of like width, an odd number of
// vectors wide, because rows whose distance is a power of two share cache lines.
func partWidth(n, vocab int) int {
	const vector = 64
	count := (n*vocab + partLogits - 1) / partLogits
	if count <= 1 {
		return vocab
	}
	vectors := ((vocab+count-1)/count + vector - 1) / vector
	return min(vocab, max(1, vectors|1)*vector)
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
	c.checkTargets("CrossEntropy", logits)
	return c.ofLogs(logits.Reshape(c.n, logits.Dim(-1)).To(c.acc).LogSoftmax())
}

// checkTargets panics about a target outside of the classes.
func (c *crossEntropy) checkTargets(op string, logits *Tensor) {
	vocab := logits.Dim(-1)
	for i, t := range ToSlice[int32](c.targets) {
		if int(t) != c.args.IgnoreIndex && (t < 0 || int(t) >= vocab) {
			fail(op, []*Tensor{logits, c.targets}, "index %d at position %d is not in [0, %d)", t, i, vocab)
		}
	}
}

// ofLogs is the loss of log-probabilities [n, V].
func (c *crossEntropy) ofLogs(logp *Tensor) *Tensor {
	s, vocab := logp.scope, logp.Dim(-1)
	if c.classes != nil {
		logp = logp.Mul(c.classes)
	}
	column := Arange(s, I32, 0, float64(vocab), 1).Reshape(1, vocab)
	hit := column.Eq(c.targets.Reshape(c.n, 1))
	nll := Where(hit, logp, Zeros(s, c.acc)).Sum(-1).Neg() // another class may be impossible: 0·∞ is no number
	if e := c.args.Smoothing; e > 0 {
		nll = nll.MulScalar(1 - e).Sub(logp.Mean(-1).MulScalar(e))
	}
	counts := c.targets.EqScalar(float64(c.args.IgnoreIndex)).Not().To(c.acc)
	return c.total(nll.Mul(counts))
}
