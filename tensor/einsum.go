package tensor

import (
	"slices"
	"strings"
)

// Einsum multiplies operands and sums the products, over axes that equation names by letters:
//
//	Einsum("bhqd,bhkd->bhqk", q, k)  // scores of attention: batches and heads stay, d is summed over
//	Einsum("ij->ji", x)              // the transpose
//	Einsum("ii->i", x)               // the diagonal
//	Einsum("...i,i->...", x, w)      // products with a vector, whatever axes come before
//
// Each operand has a letter for each of its axes; "..." stands for any that are left, which broadcast, aligned at
// the last. A letter stands for one length everywhere, and twice in an operand for a diagonal. Letters that are
// not behind "->" are summed over; without "->" the result has the letters that occur once, in alphabetical order,
// behind those of "...". Spaces count for nothing. Operands have one dtype, a float one where a product is summed.
//
// Operands are multiplied from left to right, each pair by one MatMul; what only one of the two has and nothing
// later needs is summed before. No intermediate result may have more than MaxRank axes. (torch.einsum.)
func Einsum(equation string, operands ...*Tensor) *Tensor {
	s := scopeOf("Einsum", operands)
	e := parseEinsum(equation, operands)
	ins := bring(s, operands)
	acc := e.canonical(ins[0], e.operands[0])
	for i, t := range ins[1:] {
		var later [][]label
		later = append(later, e.operands[i+2:]...)
		needed := func(l label) bool {
			return slices.Contains(e.result, l) || slices.ContainsFunc(later, func(ls []label) bool { return slices.Contains(ls, l) })
		}
		acc = e.multiply(acc, e.canonical(t, e.operands[i+1]), needed)
	}
	acc = acc.sumOut(func(l label) bool { return slices.Contains(e.result, l) })
	order := make([]int, len(e.result))
	for i, l := range e.result {
		order[i] = slices.Index(acc.labels, l)
	}
	if !slices.IsSorted(order) {
		return acc.t.Permute(order...)
	}
	return acc.t
}

// A label names an axis: a letter, or −k for the k-th axis from the end that "..." stands for.
type label int

// einsum is an equation that fits its operands.
type einsum struct {
	equation string
	ins      []*Tensor
	operands [][]label // of the axes of each operand
	result   []label
	lengths  map[label]int
}

func (e *einsum) fail(format string, args ...any) {
	fail("Einsum", e.ins, "%q: "+format, append([]any{e.equation}, args...)...)
}

func parseEinsum(equation string, ins []*Tensor) *einsum {
	e := &einsum{equation: equation, ins: ins, lengths: map[label]int{}}
	for _, t := range ins {
		if t.view.DType != ins[0].view.DType || t.view.DType == Bool {
			e.fail("the operands need one dtype of numbers")
		}
	}
	left, right, explicit := strings.Cut(strings.ReplaceAll(equation, " ", ""), "->")
	terms := strings.Split(left, ",")
	if len(terms) != len(ins) {
		e.fail("describes %d operands, there are %d", len(terms), len(ins))
	}
	dots := 0 // the most axes that "..." stands for
	for i, term := range terms {
		labels := e.parseTerm(term, ins[i].view.Rank)
		for axis, l := range labels {
			e.bind(l, i, axis)
			dots = max(dots, -int(l))
		}
		e.operands = append(e.operands, labels)
	}
	if explicit {
		e.result = e.parseResult(right, dots)
	} else {
		e.result = e.implicitResult(dots)
	}
	if len(e.result) > MaxRank {
		e.fail("the result would have %d axes, at most %d are possible", len(e.result), MaxRank)
	}
	return e
}

// parseTerm is the labels of an operand of some rank.
func (e *einsum) parseTerm(term string, rank int) []label {
	before, after, ellipsis := strings.Cut(term, "...")
	labels := e.letters(before)
	hidden := rank - len(before) - len(after)
	if hidden < 0 || hidden > 0 && !ellipsis {
		e.fail("%q names %d axes of an operand that has %d", term, len(before)+len(after), rank)
	}
	for k := hidden; k > 0; k-- {
		labels = append(labels, label(-k))
	}
	return append(labels, e.letters(after)...)
}

// letters is the labels of a run of letters.
func (e *einsum) letters(run string) []label {
	labels := make([]label, 0, len(run))
	for _, r := range run {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') {
			e.fail("%q is not a letter, and neither one \"...\", \",\" nor \"->\"", r)
		}
		labels = append(labels, label(r))
	}
	return labels
}

// bind notes the length of an axis of operand i.
func (e *einsum) bind(l label, i, axis int) {
	n := e.ins[i].view.Shape[axis]
	have, known := e.lengths[l]
	switch {
	case !known || have == n || l < 0 && have == 1:
		e.lengths[l] = n
	case l < 0 && n != 1:
		e.fail("the axes of \"...\" do not broadcast: %d and %d differ and neither is 1", have, n)
	case l > 0:
		e.fail("the axis %q has length %d, and %d in operand %d", rune(l), have, n, i)
	}
}

// parseResult is the labels of the result where the equation has them.
func (e *einsum) parseResult(term string, dots int) []label {
	before, after, ellipsis := strings.Cut(term, "...")
	labels := e.letters(before)
	if ellipsis {
		for k := dots; k > 0; k-- {
			labels = append(labels, label(-k))
		}
	} else if dots > 0 {
		e.fail("the result lacks the \"...\" of the operands; Sum can fold its axes")
	}
	labels = append(labels, e.letters(after)...)
	for i, l := range labels {
		if _, known := e.lengths[l]; !known {
			e.fail("no operand has the axis %q of the result", rune(l))
		}
		if slices.Contains(labels[:i], l) {
			e.fail("the result has the axis %q twice", rune(l))
		}
	}
	return labels
}

// implicitResult is the labels of the result where the equation has none: letters that occur once.
func (e *einsum) implicitResult(dots int) []label {
	count := map[label]int{}
	for _, labels := range e.operands {
		for _, l := range labels {
			count[l]++
		}
	}
	var labels []label
	for l, n := range count {
		if l < 0 || n == 1 {
			labels = append(labels, l)
		}
	}
	slices.Sort(labels) // −2, −1, A, …, z
	return labels
}

// A labelled tensor has a label for each axis, none twice.
type labelled struct {
	t      *Tensor
	labels []label
}

// canonical is an operand with diagonals for repeated letters, and without axes that broadcast.
func (e *einsum) canonical(t *Tensor, labels []label) labelled {
	x := labelled{t, slices.Clone(labels)}
	for i := 0; i < len(x.labels); i++ {
		l := x.labels[i]
		if j := i + 1 + slices.Index(x.labels[i+1:], l); j > i {
			x.t = x.t.Diagonal(0, i, j).Movedim(-1, i)
			x.labels = slices.Delete(x.labels, j, j+1)
			i--
			continue
		}
		if l < 0 && x.t.view.Shape[i] == 1 && e.lengths[l] != 1 {
			x.t = x.t.Squeeze(i)
			x.labels = slices.Delete(x.labels, i, i+1)
			i--
		}
	}
	return x
}

// sumOut sums over the axes that are not needed.
func (x labelled) sumOut(needed func(l label) bool) labelled {
	var axes []int
	var labels []label
	for i, l := range x.labels {
		if needed(l) {
			labels = append(labels, l)
		} else {
			axes = append(axes, i)
		}
	}
	if len(axes) == 0 {
		return x
	}
	return labelled{x.t.Sum(axes...), labels}
}

// multiply is the product of x and y, summed over what is in both and not needed.
func (e *einsum) multiply(x, y labelled, needed func(l label) bool) labelled {
	in := func(z labelled) func(l label) bool {
		return func(l label) bool { return slices.Contains(z.labels, l) }
	}
	inX, inY := in(x), in(y)
	x = x.sumOut(func(l label) bool { return needed(l) || inY(l) })
	y = y.sumOut(func(l label) bool { return needed(l) || inX(l) })
	var batch, rows, cols, inner []label
	for _, l := range x.labels {
		switch {
		case !inY(l):
			rows = append(rows, l)
		case needed(l):
			batch = append(batch, l)
		default:
			inner = append(inner, l)
		}
	}
	for _, l := range y.labels {
		if !inX(l) {
			cols = append(cols, l)
		}
	}
	out := slices.Concat(batch, rows, cols)
	if len(out) > MaxRank || len(batch)+2 > MaxRank {
		e.fail("an intermediate result would have more than %d axes; multiply in another order", MaxRank)
	}
	if len(inner) == 0 { // nothing to sum: broadcasting does it
		left, right := x.inOrder(out), y.inOrder(out)
		return labelled{left.Mul(right), out}
	}
	if !x.t.view.DType.IsFloat() {
		e.fail("products are summed in a float dtype only; convert with To")
	}
	left, right := x.asMatrix(batch, rows, inner), y.asMatrix(batch, cols, inner)
	shape := make([]int, len(out))
	for i, l := range out {
		shape[i] = e.lengths[l]
	}
	return labelled{left.MatMul(right.T()).Reshape(shape...), out}
}

// inOrder is x with its axes as in labels, and axes of length 1 for those that it lacks.
func (x labelled) inOrder(labels []label) *Tensor {
	var order []int
	for _, l := range labels {
		if i := slices.Index(x.labels, l); i >= 0 {
			order = append(order, i)
		}
	}
	t := x.t
	if !slices.IsSorted(order) {
		t = t.Permute(order...)
	}
	for i, l := range labels {
		if !slices.Contains(x.labels, l) {
			t = t.Unsqueeze(i)
		}
	}
	return t
}

// asMatrix is x as [batch..., rows, inner], where rows and inner may each be several axes, or no row.
func (x labelled) asMatrix(batch, rows, inner []label) *Tensor {
	upright, flat := slices.Concat(batch, rows, inner), slices.Concat(batch, inner, rows)
	shape := make([]int, len(batch)+2)
	for i := range shape {
		shape[i] = 1
	}
	put := func(i int, labels []label) {
		for _, l := range labels {
			shape[i] *= x.t.view.Shape[slices.Index(x.labels, l)]
		}
	}
	for i := range batch {
		put(i, batch[i:i+1])
	}
	r, k := len(batch), len(batch)+1
	put(r, rows)
	put(k, inner)
	t := x.inOrder(upright)
	if len(rows) == 1 && len(inner) == 1 {
		return t
	}
	if lying := x.inOrder(flat); lying.IsContiguous() && !t.IsContiguous() {
		shape[r], shape[k] = shape[k], shape[r]
		return lying.Reshape(shape...).T()
	}
	return t.Reshape(shape...)
}
