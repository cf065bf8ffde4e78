package simd

import (
	"math"

	"github.com/hone-ml/hone/internal/backend"
)

// adamWGeneric is AdamW in plain Go: the reference, and what handles the elements that fill no vector.
func adamWGeneric(s AdamWState, c *[adamWConstants]float32) {
	for i := range s.Len() {
		grad := s.grad(i) * c[gradScale]
		s.M[i] = c[beta1]*s.M[i] + c[rest1]*grad
		s.V[i] = c[beta2]*s.V[i] + c[rest2]*grad*grad
		s.setWeight(i, s.weight(i)*c[decay]-c[step]*s.M[i]/(float32(math.Sqrt(float64(s.V[i]*c[c2])))+c[eps]))
	}
}

func (s *AdamWState) grad(i int) float32 {
	if s.Grad16 != nil {
		return math.Float32frombits(uint32(s.Grad16[i]) << 16)
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
