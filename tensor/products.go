package tensor

// Dot is the dot product Σ t·y of two vectors of one length and float dtype: a tensor of rank 0. (torch.dot.)
func (t *Tensor) Dot(y *Tensor) *Tensor {
	ins := []*Tensor{t, y}
	scopeOf("Dot", ins)
	if t.view.Rank != 1 || y.view.Rank != 1 || !sameDims(t, y) || !multipliable(t, y) {
		fail("Dot", ins, "needs two vectors of one length and one float dtype")
	}
	return t.MatMul(y)
}

// Outer is the products of every element of the vector t [m] with every one of y [n], of one dtype: [m, n].
// (torch.outer.)
func (t *Tensor) Outer(y *Tensor) *Tensor {
	ins := []*Tensor{t, y}
	s := scopeOf("Outer", ins)
	if t.view.Rank != 1 || y.view.Rank != 1 || t.view.DType != y.view.DType || t.view.DType == Bool {
		fail("Outer", ins, "needs two vectors of one dtype of numbers")
	}
	ins = bring(s, ins)
	return ins[0].Unsqueeze(1).Mul(ins[1].Unsqueeze(0))
}
