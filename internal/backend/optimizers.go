package backend

// Optimizers other than AdamW and Muon. Each kernel is one step over a parameter, in as few sweeps over
// memory as its rule allows. hyper is a vector of F32 in device memory, because it changes from step to
// step; grad is contiguous, of the parameter's length, F32 or BF16.

// WeightState is the F32 weights of a parameter, contiguous, in one of the forms of AdamWState: Master, of
// which Param, when not nil, receives the weights converted; or Param, BF16, with Remainder.
type WeightState struct {
	Param, Master, Remainder *View
}

// MomentumState is weights and the one moment that SGD and Lion keep of their gradients: F32, or BF16,
// rounded to nearest.
type MomentumState struct {
	WeightState
	M *View // may be nil for SGD
}

// SGDer makes a step of stochastic gradient descent with PyTorch's semantics. With g the gradient times its
// scale, plus wd·w:
//
//	m ← μ·m + c·g;  u = m, or g + μ·m with Nesterov, or g without M;  w ← w − lr·u
//
// hyper is F32[SGDHyper] = lr, wd, gradient scale, c.
type SGDer interface {
	SGD(s MomentumState, grad, hyper *View, a SGDArgs)
}

// SGDHyper is the length of SGD's vector of numbers.
const SGDHyper = 4

// SGDArgs are the constants of SGD.
type SGDArgs struct {
	Momentum float64
	Nesterov bool
}

// Lioner makes a step of Lion (Chen et al., "Symbolic Discovery of Optimization Algorithms", 2023). With g
// the gradient times its scale:
//
//	w ← w·(1 − lr·wd) − lr·sign(β1·m + (1−β1)·g);  m ← β2·m + (1−β2)·g
//
// hyper is F32[LionHyper] = lr, wd, gradient scale.
type Lioner interface {
	Lion(s MomentumState, grad, hyper *View, a LionArgs)
}

// LionHyper is the length of Lion's vector of numbers.
const LionHyper = 3

// LionArgs are the constants of Lion.
type LionArgs struct{ Beta1, Beta2 float64 }

// AdafactorState is weights and what Adafactor keeps of them. Of a parameter [..., R, C] these are the mean
// squares of its gradients' rows, Row[..., R], and columns, Col[..., C]; of a vector the squares themselves,
// V. All are F32.
type AdafactorState struct {
	WeightState
	Row, Col, V *View
}

// Adafactorer makes a step of Adafactor (Shazeer and Stern, "Adafactor: Adaptive Learning Rates with Sublinear
// Memory Cost", 2018) with the semantics of torch.optim.Adafactor. With g the gradient times its scale, and
// rms the root of the mean square:
//
//	row ← row + q·(mean of g² over columns − row);  col ← col + q·(mean of g² over rows − col)
//	v = row·colᵀ / max(mean(row), ε1), or v ← v + q·(g² − v) of a vector
//	u = g/√max(v, ε1²)
//	w ← w·(1 − lr·wd) − ρ·max(ε2, rms(w))/max(1, rms(u)/d)·u
//
// w in rms(w) being the weights before the step. The parameter is not empty; grad has its shape. hyper is F32[AdafactorHyper] = lr, wd, gradient scale, ρ, q.
type Adafactorer interface {
	Adafactor(s AdafactorState, grad, hyper *View, a AdafactorArgs)
}

// AdafactorHyper is the length of Adafactor's vector of numbers.
const AdafactorHyper = 5

// AdafactorArgs are the constants of Adafactor.
type AdafactorArgs struct{ Eps1, Eps2, D float64 }
