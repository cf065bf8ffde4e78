package tensor

// MaskedFill is t with value where mask, a Bool that broadcasts to t's shape, is true. (torch.masked_fill.)
func (t *Tensor) MaskedFill(mask *Tensor, value float64) *Tensor {
	s := t.masked("MaskedFill", mask)
	return Where(mask, Full(s, t.view.DType, value), t)
}

// MaskedSelect is the elements of t where mask, a Bool that broadcasts to t's shape, is true, in row-major order:
// [k]. The length depends on the values, so it waits for the device. (torch.masked_select.)
func (t *Tensor) MaskedSelect(mask *Tensor) *Tensor {
	s := t.masked("MaskedSelect", mask)
	var at []int32
	for i, b := range ToSlice[bool](mask.In(s).detached().Expand(t.view.Dims()...)) {
		if b {
			at = append(at, int32(i))
		}
	}
	return t.In(s).Reshape(-1).gather("MaskedSelect", FromSlice(s, at, len(at)))
}

// masked checks a mask of t and gives their scope.
func (t *Tensor) masked(op string, mask *Tensor) *Scope {
	ins := []*Tensor{t, mask}
	s := scopeOf(op, ins)
	if mask.view.DType != Bool || mask.view.Rank > t.view.Rank || !expands(mask.view.Dims(), t.view.Dims()) {
		fail(op, ins, "needs a bool mask that broadcasts to the tensor's shape")
	}
	return s
}

// NonZero is the places of the elements that are not 0, in row-major order: I64 [k, rank], a row of coordinates for
// each. NaN is not 0. k depends on the values, so it waits for the device. (torch.nonzero.)
func (t *Tensor) NonZero() *Tensor {
	s := scopeOf("NonZero", []*Tensor{t})
	var found []int64
	rows, rank := 0, t.view.Rank
	for i, b := range ToSlice[bool](t.detached().To(Bool)) {
		if !b {
			continue
		}
		rows++
		found = append(found, make([]int64, rank)...)
		for a, rest := rank-1, i; a >= 0; a-- {
			found[len(found)-rank+a] = int64(rest % t.view.Shape[a])
			rest /= t.view.Shape[a]
		}
	}
	return FromSlice(s, found, rows, rank)
}
