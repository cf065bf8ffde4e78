package nn

import (
	"math"

	"github.com/hone-ml/hone/tensor"
)

// An Init gives a parameter its first values.
type Init func(p *tensor.Tensor, r *tensor.Rand)

// Normal draws from the normal distribution with mean 0. Hugging Face models use a std of 0.02.
func Normal(std float64) Init {
	return func(p *tensor.Tensor, r *tensor.Rand) { p.FillRandn(r, 0, std) }
}

// Uniform draws from [−bound, bound).
func Uniform(bound float64) Init {
	return func(p *tensor.Tensor, r *tensor.Rand) { p.FillUniform(r, -bound, bound) }
}

// Constant sets every element to value.
func Constant(value float64) Init {
	return func(p *tensor.Tensor, _ *tensor.Rand) { p.Fill(value) }
}

// FanIn draws a weight [out, in] from the normal distribution with std gain/√in, which keeps the variance
// of what it is multiplied with. (LeCun et al., "Efficient BackProp", 1998.)
func FanIn(gain float64) Init {
	return func(p *tensor.Tensor, r *tensor.Rand) { p.FillRandn(r, 0, gain/math.Sqrt(float64(p.Dim(-1)))) }
}

// TorchLinear draws as torch.nn.Linear does by default: uniform with bound 1/√in for a weight [out, in].
func TorchLinear() Init {
	return func(p *tensor.Tensor, r *tensor.Rand) {
		b := 1 / math.Sqrt(float64(p.Dim(-1)))
		p.FillUniform(r, -b, b)
	}
}
