package tensor

// moved is t with the axes for which last is true behind the others, each group in its order.
func (t *Tensor) moved(op string, last func(axis int) bool) *Tensor {
	return t.permute(op, behind(t.view.Rank, last))
}

// movedBack undoes moved.
func (t *Tensor) movedBack(op string, last func(axis int) bool) *Tensor {
	return t.permute(op, inverse(behind(t.view.Rank, last)))
}

// behind is the order of axes in which those for which last is true come behind the others.
func behind(rank int, last func(axis int) bool) []int {
	order := make([]int, 0, MaxRank)
	for _, group := range []bool{false, true} {
		for axis := range rank {
			if last(axis) == group {
				order = append(order, axis)
			}
		}
	}
	return order
}

// inverse is the order that undoes another.
func inverse(order []int) []int {
	back := make([]int, len(order))
	for i, a := range order {
		back[a] = i
	}
	return back
}
