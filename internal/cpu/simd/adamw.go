package simd

import "unsafe"

// AdamWHyper are the numbers of one step of AdamW, as backend.AdamWer documents them.
type AdamWHyper struct {
	LR, WeightDecay   float32
	C1, C2            float32 // bias corrections 1/(1−β1ᵗ) and 1/(1−β2ᵗ)
	GradScale         float32 // multiplies the gradient first
	Beta1, Beta2, Eps float64
}

// AdamWState is elements of a parameter and of what AdamW keeps of it, as backend.AdamWState documents it.
type AdamWState struct {
	Master    []float32 // nil with Remainder
	Param     []uint16  // bfloat16, or nil
	Remainder []uint16
	M, V      []float32
	Grad      []float32 // or
	Grad16    []uint16  // bfloat16
}

// Len is the number of elements.
func (s *AdamWState) Len() int { return len(s.M) }

// Slice is the elements [lo, hi).
func (s *AdamWState) Slice(lo, hi int) AdamWState {
	return AdamWState{
		Master: part(s.Master, lo, hi), Param: part(s.Param, lo, hi), Remainder: part(s.Remainder, lo, hi),
		M: s.M[lo:hi], V: part(s.V, lo, hi), Grad: part(s.Grad, lo, hi), Grad16: part(s.Grad16, lo, hi),
	}
}

func part[T any](x []T, lo, hi int) []T {
	if x == nil {
		return nil
	}
	return x[lo:hi]
}

// The forms of weights and of gradients, in the order of the tables of kernels.
const (
	masterWeights = iota
	roundedWeights
	splitWeights
	weightForms
)

const (
	grads32 = iota
	grads16
	gradForms
)

// adamWKernel makes a step over args.n elements, a multiple of adamWGranule. Its argument is an adamWArgs,
// which the generator of assembly cannot name.
type adamWKernel func(args *byte)

// adamWKernels has a kernel for each form of the state, or none.
type adamWKernels [weightForms][gradForms]adamWKernel

const (
	// adamWGranule divides the number of elements that kernels work on. The rest is left to plain Go.
	adamWGranule = 32
	// adamWBlock is the most that a kernel sees at a time; see block.
	adamWBlock = 1 << 14
)

// adamWArgs is the argument of the kernels, which know it by the offsets of its fields.
type adamWArgs struct {
	n         int
	master    *float32
	param     *uint16
	remainder *uint16
	m, v      *float32
	grad      unsafe.Pointer
	constants *[adamWConstants][16]float32
}

// The constants of the loop over the parameters, in the order in which kernels find them.
const (
	decay          = iota // 1 − lr·wd
	beta1                 // β1
	rest1                 // 1 − β1
	beta2                 // β2
	rest2                 // 1 − β2
	c2                    // 1/(1−β2ᵗ)
	eps                   // ε
	step                  // lr/(1−β1ᵗ)
	gradScale             // multiplies the gradient
	adamWConstants        // how many there are
)

func (h AdamWHyper) constants() [adamWConstants]float32 {
	return [adamWConstants]float32{
		decay: float32(1 - float64(h.LR)*float64(h.WeightDecay)),
		beta1: float32(h.Beta1), rest1: float32(1 - h.Beta1),
		beta2: float32(h.Beta2), rest2: float32(1 - h.Beta2),
		c2: h.C2, eps: float32(h.Eps),
		step:      float32(float64(h.LR) * float64(h.C1)),
		gradScale: h.GradScale,
	}
}

// AdamW does one step over the state in one sweep over memory, with g the gradient times its scale:
//
//	w ← w·(1 − lr·wd);  m ← β1·m + (1−β1)·g;  v ← β2·v + (1−β2)·g²
//	w ← w − lr·(m·c1) / (√(v·c2) + ε)
func AdamW(s AdamWState, h AdamWHyper) {
	n := s.Len()
	c := h.constants()
	weights, grads := s.forms()
	done := 0
	if kernel := k.adamW[weights][grads]; kernel != nil && n >= adamWGranule {
		var spread [adamWConstants][16]float32
		for i := range spread {
			for lane := range spread[i] {
				spread[i][lane] = c[i]
			}
		}
		for whole := n &^ (adamWGranule - 1); done < whole; {
			count := min(adamWBlock, whole-done)
			args := s.args(done)
			args.n, args.constants = count, &spread
			kernel((*byte)(unsafe.Pointer(&args)))
			done += count
		}
	}
	if done < n {
		adamWGeneric(s.Slice(done, n), &c)
	}
}

// forms checks the lengths and says which kernel serves the state.
func (s *AdamWState) forms() (weights, grads int) {
	n := s.Len()
	cut(s.V, n)
	switch {
	case s.Remainder != nil:
		weights = splitWeights
		cut(s.Param, n)
		cut(s.Remainder, n)
	case s.Param != nil:
		weights = roundedWeights
		cut(s.Param, n)
		cut(s.Master, n)
	default:
		cut(s.Master, n)
	}
	if s.Grad16 != nil {
		grads = grads16
		cut(s.Grad16, n)
	} else {
		cut(s.Grad, n)
	}
	return weights, grads
}

// args points to the elements from i on.
func (s *AdamWState) args(i int) adamWArgs {
	a := adamWArgs{master: at(s.Master, i), param: at(s.Param, i), remainder: at(s.Remainder, i), m: at(s.M, i), v: at(s.V, i)}
	if s.Grad16 != nil {
		a.grad = unsafe.Pointer(at(s.Grad16, i))
	} else {
		a.grad = unsafe.Pointer(at(s.Grad, i))
	}
	return a
}

func at[T any](x []T, i int) *T {
	if x == nil {
		return nil
	}
	return &x[i]
}
