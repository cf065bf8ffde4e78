package tensor

// moved is t with the axes for which last is true behind the others, each group in its order.
func (t *Tensor) moved(op string, last func(axis int) bool) *Tensor {
	var order [MaxRank]int
	n := 0
	for _, behind := range []bool{false, true} {
		for axis := range t.view.Rank {
			if last(axis) == behind {
				order[n] = axis
				n++
			}
		}
	}
	v := t.view
	for i, axis := range order[:n] {
		v.Shape[i], v.Strides[i] = t.view.Shape[axis], t.view.Strides[axis]
	}
	return t.derive(op, t.alias(v), func(g *gradient) {
		g.Add(0, g.Output(0).movedBack(last))
	})
}

// movedBack undoes moved, on a tensor that is not recorded.
func (t *Tensor) movedBack(last func(axis int) bool) *Tensor {
	v := t.view
	n := 0
	for _, behind := range []bool{false, true} {
		for axis := range t.view.Rank {
			if last(axis) == behind {
				v.Shape[axis], v.Strides[axis] = t.view.Shape[n], t.view.Strides[n]
				n++
			}
		}
	}
	return t.alias(v)
}
