package simd

import (
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
)

// AdamWHyper are the numbers of one step of AdamW, as backend.AdamWer documents them.
type AdamWHyper struct {
	LR, WeightDecay   float32
	L2                float32 // times the weight is added to the gradient; 0 with packed moments
	C1, C2            float32 // bias corrections 1/(1−β1ᵗ) and 1/(1−β2ᵗ)
	GradScale         float32 // multiplies the gradient first
	Beta1, Beta2, Eps float64
	Step              uint32 // of random bits: the step, and which parameter
	Stream            uint64
}

// AdamWState is elements of a parameter and of what AdamW keeps of it, as backend.AdamWState documents it.
type AdamWState struct {
	Master    []float32 // nil with Remainder
	Param     []uint16  // bfloat16, or nil
	Remainder []uint16

	M, V           []float32 // or
	M16, V16       []uint16  // bfloat16, or
	M8, V8         []uint8   // codes, with a scale for each block
	MScale, VScale []float32

	Grad   []float32 // or
	Grad16 []uint16  // bfloat16

	// First is the index of the first element in its parameter, a multiple of backend.QuantBlock.
	First int
}

// Len is the number of elements.
func (s *AdamWState) Len() int { return max(len(s.Grad), len(s.Grad16)) }

// Slice is the elements [lo, hi), where lo is a multiple of backend.QuantBlock.
func (s *AdamWState) Slice(lo, hi int) AdamWState {
	firstBlock, lastBlock := lo/backend.QuantBlock, (hi+backend.QuantBlock-1)/backend.QuantBlock
	return AdamWState{
		Master: part(s.Master, lo, hi), Param: part(s.Param, lo, hi), Remainder: part(s.Remainder, lo, hi),
		M: part(s.M, lo, hi), V: part(s.V, lo, hi), M16: part(s.M16, lo, hi), V16: part(s.V16, lo, hi),
		M8: part(s.M8, lo, hi), V8: part(s.V8, lo, hi),
		MScale: part(s.MScale, firstBlock, lastBlock), VScale: part(s.VScale, firstBlock, lastBlock),
		Grad: part(s.Grad, lo, hi), Grad16: part(s.Grad16, lo, hi), First: s.First + lo,
	}
}

func part[T any](x []T, lo, hi int) []T {
	if x == nil {
		return nil
	}
	return x[lo:hi]
}

// The forms of weights, moments and gradients, in the order of the tables of kernels.
const (
	masterWeights = iota
	roundedWeights
	splitWeights
	weightForms
)

const (
	moments32 = iota
	moments16
	moments8
	momentForms
)

const (
	grads32 = iota
	grads16
	gradForms
)

// adamWKernel makes a step over args.n elements, a multiple of the form's granule. Its argument is an
// adamWArgs, which the generator of assembly cannot name.
type adamWKernel func(args *byte)

// adamWKernels has a kernel for each form of the state, or none.
type adamWKernels [weightForms][momentForms][gradForms]adamWKernel

// adamWGranule divides the number of elements that kernels work on. The rest is left to plain Go.
var adamWGranule = [momentForms]int{32, 32, backend.QuantBlock}

// adamWBlock is the most that a kernel sees at a time; see block.
const adamWBlock = 1 << 14

// adamWArgs is the argument of the kernels, which know it by the offsets of its fields.
type adamWArgs struct {
	n              int
	master         *float32
	param          *uint16
	remainder      *uint16
	m, v           unsafe.Pointer
	grad           unsafe.Pointer
	constants      *[adamWConstants][16]float32
	mScale, vScale *float32
	tables         unsafe.Pointer                  // an *adamWNoise for moments16, &dynamicMaps for moments8
	scratch        *[2][backend.QuantBlock]float32 // for moments8
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
	l2                    // times the weight is added to it
	adamWConstants        // how many there are
)

func (h *AdamWHyper) constants() [adamWConstants]float32 {
	return [adamWConstants]float32{
		decay: float32(1 - float64(h.LR)*float64(h.WeightDecay)),
		beta1: float32(h.Beta1), rest1: float32(1 - h.Beta1),
		beta2: float32(h.Beta2), rest2: float32(1 - h.Beta2),
		c2: h.C2, eps: float32(h.Eps),
		step:      float32(float64(h.LR) * float64(h.C1)),
		gradScale: h.GradScale,
		l2:        h.L2,
	}
}

// adamWNoise is what kernels need for backend.AdamWNoise, spread over lanes of 64 bits: the keys of each
// round, the step, the blocks of the first 32 elements and how many blocks 32 elements take.
type adamWNoise struct {
	keys             [10][2][8]uint64
	step, block, all [8]uint64
}

func newAdamWNoise(h *AdamWHyper) *adamWNoise {
	n := &adamWNoise{}
	for lane := range 8 {
		k0, k1 := uint32(h.Stream), uint32(h.Stream>>32)
		for round := range n.keys {
			n.keys[round][0][lane], n.keys[round][1][lane] = uint64(k0), uint64(k1)
			k0 += 0x9E3779B9
			k1 += 0xBB67AE85
		}
		n.step[lane], n.all[lane] = uint64(h.Step), 8
	}
	return n
}

// from prepares for elements from i on.
func (n *adamWNoise) from(i int) {
	for lane := range n.block {
		n.block[lane] = uint64(i/32*8 + lane)
	}
}

// The rows of dynamicMaps.
const (
	mapBias = iota
	mapSlope
	mapShift
	mapMiddle // thresholds as a search for the decade needs them: the middle one,
	mapOuter  // those in the middle of either half,
	mapInner  // and all
	mapRise
	mapBase
	mapLast
	mapRows
)

// dynamicMaps are backend.Signed and backend.Unsigned for vectors of 16 elements.
var dynamicMaps = [2][mapRows][16]float32{spreadMap(backend.Signed), spreadMap(backend.Unsigned)}

func spreadMap(m *backend.DynamicMap) (rows [mapRows][16]float32) {
	for lane := range 16 {
		i := lane % 8
		rows[mapBias][lane] = m.Bias
		rows[mapSlope][lane], rows[mapShift][lane] = m.Slope[i], m.Shift[i]
		rows[mapMiddle][lane] = m.Thresholds[3]
		rows[mapOuter][lane] = m.Thresholds[min(i+1, 6)]
		rows[mapInner][lane] = m.Thresholds[min(i, 6)]
		rows[mapRise][lane], rows[mapBase][lane], rows[mapLast][lane] = m.Rise[i], m.Base[i], m.Last[i]
	}
	return rows
}

// AdamW does one step over the state in one sweep over memory, with g the gradient times its scale, plus L2·w:
//
//	w ← w·(1 − lr·wd);  m ← β1·m + (1−β1)·g;  v ← β2·v + (1−β2)·g²
//	w ← w − lr·(m·c1) / (√(v·c2) + ε)
func AdamW(s AdamWState, h AdamWHyper) {
	n := s.Len()
	c := h.constants()
	weights, moments, grads := s.forms()
	done, whole := 0, n&^(adamWGranule[moments]-1)
	if kernel := k.adamW[weights][moments][grads]; kernel != nil && whole > 0 {
		var constants [adamWConstants][16]float32
		for i := range constants {
			for lane := range constants[i] {
				constants[i][lane] = c[i]
			}
		}
		var noise *adamWNoise
		var scratch [2][backend.QuantBlock]float32
		if moments == moments16 {
			noise = newAdamWNoise(&h)
		}
		for ; done < whole; done += adamWBlock {
			args := s.args(done)
			args.n, args.constants, args.scratch = min(adamWBlock, whole-done), &constants, &scratch
			switch moments {
			case moments16:
				noise.from(s.First + done)
				args.tables = unsafe.Pointer(noise)
			case moments8:
				args.tables = unsafe.Pointer(&dynamicMaps)
			}
			kernel((*byte)(unsafe.Pointer(&args)))
		}
		done = whole
	}
	if done < n {
		adamWGeneric(s.Slice(done, n), &c, &h)
	}
}

// forms checks the lengths and says which kernel serves the state.
func (s *AdamWState) forms() (weights, moments, grads int) {
	n := s.Len()
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
	switch {
	case s.M8 != nil:
		moments = moments8
		blocks := (n + backend.QuantBlock - 1) / backend.QuantBlock
		cut(s.M8, n)
		cut(s.V8, n)
		cut(s.MScale, blocks)
		cut(s.VScale, blocks)
	case s.M16 != nil:
		moments = moments16
		cut(s.M16, n)
		cut(s.V16, n)
	default:
		cut(s.M, n)
		cut(s.V, n)
	}
	if s.Grad16 != nil {
		grads = grads16
	}
	return weights, moments, grads
}

// args points to the elements from i on.
func (s *AdamWState) args(i int) adamWArgs {
	a := adamWArgs{master: at(s.Master, i), param: at(s.Param, i), remainder: at(s.Remainder, i)}
	switch {
	case s.M8 != nil:
		a.m, a.v = unsafe.Pointer(at(s.M8, i)), unsafe.Pointer(at(s.V8, i))
		a.mScale, a.vScale = at(s.MScale, i/backend.QuantBlock), at(s.VScale, i/backend.QuantBlock)
	case s.M16 != nil:
		a.m, a.v = unsafe.Pointer(at(s.M16, i)), unsafe.Pointer(at(s.V16, i))
	default:
		a.m, a.v = unsafe.Pointer(at(s.M, i)), unsafe.Pointer(at(s.V, i))
	}
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
