package nn

import (
	"math"

	"github.com/hone-ml/hone/tensor"
)

// TruncNormal draws from the normal distribution with mean 0 and a std, cut to [−bound, bound]: what falls
// outside is drawn anew, in effect. The values come from uniform ones by the inverse of the distribution
// function, in F64. (torch.nn.init.trunc_normal_, whose default bound is 2.)
func TruncNormal(std, bound float64) Init {
	return func(p *tensor.Tensor, r *tensor.Rand) {
		if !(std > 0) || !(bound > 0) {
			fail("nn.TruncNormal", []*tensor.Tensor{p}, "std %g and bound %g must be positive", std, bound)
		}
		inside := math.Erf(bound / (std * math.Sqrt2))
		transform(p, tensor.Uniform(p.Device(), tensor.F64, r, -inside, inside, p.Len()), func(u []float64) {
			for i, v := range u {
				u[i] = max(-bound, min(bound, std*math.Sqrt2*math.Erfinv(v)))
			}
		})
	}
}

// transform fills p with F64 numbers, which it frees, after fn has changed them.
func transform(p, numbers *tensor.Tensor, fn func(x []float64)) {
	x := numbers.Float64s()
	fn(x)
	tensor.CopyFromSlice(numbers, x)
	p.CopyFrom(numbers.Reshape(p.Shape()...))
	numbers.Free()
}
