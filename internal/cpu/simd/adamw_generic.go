package simd

import (
	"math"

	"github.com/hone-ml/hone/internal/backend"
)

// adamWGeneric is AdamW in plain Go: the reference, and what handles the elements that fill no vector.
func adamWGeneric(s AdamWState, c *[adamWConstants]float32, h *AdamWHyper) {
	var block [2][backend.QuantBlock]float32
	for lo := 0; lo < s.Len(); lo += backend.QuantBlock {
		b := s.Slice(lo, min(lo+backend.QuantBlock, s.Len()))
		m, v := b.moments(&block)
		for i := range m {
			w := b.weight(i)
			grad := b.grad(i)*c[gradScale] + c[l2]*w
			m[i] = c[beta1]*m[i] + c[rest1]*grad
			v[i] = c[beta2]*v[i] + c[rest2]*grad*grad
			b.setWeight(i, w*c[decay]-c[step]*m[i]/(float32(math.Sqrt(float64(v[i]*c[c2])))+c[eps]))
		}
		b.setMoments(m, v, h)
	}
}

// moments are those of at most a block of elements: the state itself, or unpacked into scratch.
func (s *AdamWState) moments(scratch *[2][backend.QuantBlock]float32) (m, v []float32) {
	if s.M != nil {
		return s.M, s.V
	}
	n := s.Len()
	m, v = scratch[0][:n], scratch[1][:n]
	for i := range n {
		if s.M16 != nil {
			m[i], v[i] = widen(s.M16[i]), widen(s.V16[i])
		} else {
			m[i], v[i] = backend.DequantizeSigned(s.M8[i], s.MScale[0]), backend.DequantizeUnsigned(s.V8[i], s.VScale[0])
		}
	}
	return m, v
}

// setMoments packs what moments gave.
func (s *AdamWState) setMoments(m, v []float32, h *AdamWHyper) {
	switch {
	case s.M16 != nil:
		for i := range m {
			noise := backend.AdamWNoise(h.Stream, h.Step, s.First+i)
			s.M16[i], s.V16[i] = backend.StochasticBF16(m[i], uint16(noise)), backend.StochasticBF16(v[i], uint16(noise>>16))
		}
	case s.M8 != nil:
		s.MScale[0], s.VScale[0] = backend.QuantizeSigned(s.M8, m), backend.QuantizeUnsigned(s.V8, v)
	}
}

func (s *AdamWState) grad(i int) float32 {
	if s.Grad16 != nil {
		return widen(s.Grad16[i])
	}
	return s.Grad[i]
}

func (s *AdamWState) weight(i int) float32 {
	if s.Remainder != nil {
		return backend.JoinMaster(s.Param[i], s.Remainder[i])
	}
	return s.Master[i]
}

func (s *AdamWState) setWeight(i int, w float32) {
	if s.Remainder != nil {
		s.Param[i], s.Remainder[i] = backend.SplitMaster(w)
		return
	}
	s.Master[i] = w
	if s.Param != nil {
		s.Param[i] = BF16(w)
	}
}
