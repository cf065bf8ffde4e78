package tensor

// Tril is the lower triangle of the matrices in the last two axes: the elements [..., i, j] with
// j ≤ i + diagonal, and 0 (false) elsewhere. A diagonal of 0 is the main one, positive ones lie above it. t has
// any dtype and at least two axes.
func (t *Tensor) Tril(diagonal int) *Tensor {
	return t.triangle("Tril", func(row, col *Tensor) *Tensor { return col.Le(row.AddScalar(float64(diagonal))) })
}

// Triu is the upper triangle of the matrices in the last two axes: the elements [..., i, j] with
// j ≥ i + diagonal, and 0 (false) elsewhere; see Tril.
func (t *Tensor) Triu(diagonal int) *Tensor {
	return t.triangle("Triu", func(row, col *Tensor) *Tensor { return col.Ge(row.AddScalar(float64(diagonal))) })
}

// triangle keeps the elements for whose row, I64 [R, 1], and column, I64 [1, C], inside is true.
func (t *Tensor) triangle(op string, inside func(row, col *Tensor) *Tensor) *Tensor {
	s := scopeOf(op, []*Tensor{t})
	if t.view.Rank < 2 {
		fail(op, []*Tensor{t}, "at least two axes are needed")
	}
	row := Arange(s, I64, 0, float64(t.Dim(-2)), 1).Unsqueeze(1)
	col := Arange(s, I64, 0, float64(t.Dim(-1)), 1).Unsqueeze(0)
	return Where(inside(row, col), t, Zeros(s, t.view.DType))
}
