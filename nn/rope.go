package nn

import "github.com/hone-ml/hone/tensor"

// RoPE is rotary position embedding: it rotates pairs of a head's dimensions, element i with element i +
// D/2, by angles that grow with the position, so that products of queries and keys depend on their
// distance. A model with many layers makes the tables once, with tensor.RoPETable, and gives them to
// tensor.RoPE. (Su et al., "RoFormer", 2021; the layout of Llama and Qwen.)
type RoPE struct {
	Theta float64 // the base of the wavelengths; 0 means 10,000
}

// Forward rotates x [B, T, H, D], D even, of a float dtype, whose rows stand at positions 0 to T−1.
func (r RoPE) Forward(x *tensor.Tensor) *tensor.Tensor { return r.From(x, 0) }

// From is Forward with rows at positions start to start+T−1.
func (r RoPE) From(x *tensor.Tensor, start int) *tensor.Tensor {
	s := scopeOf("nn.RoPE", x)
	if x.Rank() != 4 {
		fail("nn.RoPE", []*tensor.Tensor{x}, "needs x [B, T, H, D]")
	}
	return r.At(x, positions(s, x.Dim(0), x.Dim(1), start))
}

// At rotates x [..., H, D] whose rows stand at positions [...], I32 or I64.
func (r RoPE) At(x, positions *tensor.Tensor) *tensor.Tensor {
	if x.Rank() < 2 || x.Dim(-1)%2 != 0 {
		fail("nn.RoPE", []*tensor.Tensor{x, positions}, "needs x [..., H, D] with D even")
	}
	cos, sin := r.tables(positions, x.Dim(-1))
	return tensor.RoPE(x, cos, sin)
}

func (r RoPE) tables(positions *tensor.Tensor, headDim int) (cos, sin *tensor.Tensor) {
	theta := r.Theta
	if theta == 0 {
		theta = 1e4
	}
	return tensor.RoPETable(positions, headDim, theta)
}

// positions are those of batch rows of so many places each, [batch, length] I32.
func positions(s *tensor.Scope, batch, length, start int) *tensor.Tensor {
	return tensor.Arange(s, tensor.I32, float64(start), float64(start+length), 1).Expand(batch, length)
}
