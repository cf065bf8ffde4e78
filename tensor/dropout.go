package tensor

// Dropout zeroes elements with probability p and scales the others by 1/(1−p); the mask is drawn from the
// scope's Rand. It panics if p is not in [0, 1). A p of 0 gives x itself. (Srivastava et al., 2014.)
func Dropout(x *Tensor, p float64) *Tensor {
	s := scopeOf("Dropout", []*Tensor{x})
	if !(p >= 0 && p < 1) {
		fail("Dropout", []*Tensor{x}, "the probability %g is not in [0, 1)", p)
	}
	if p == 0 {
		return x
	}
	mask := Uniform(s, F32, s.rand, 0, 1, x.view.Dims()...).GeScalar(p).To(x.view.DType)
	return x.Mul(mask.MulScalar(1 / (1 - p)))
}
