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

// Constant sets every element to value: Constant(0) for biases, Constant(1) for the weights of norms.
func Constant(value float64) Init {
	return func(p *tensor.Tensor, _ *tensor.Rand) { p.Fill(value) }
}

// FanIn draws a weight from the normal distribution with std gain/√in, which keeps the variance of what it
// is multiplied with; in is that of Fans, of a vector its length. (LeCun et al., "Efficient BackProp",
// 1998.)
func FanIn(gain float64) Init {
	return func(p *tensor.Tensor, r *tensor.Rand) { p.FillRandn(r, 0, gain/math.Sqrt(fanIn(p))) }
}

// TorchLinear draws as torch.nn.Linear and the convolutions do by default: uniform with bound 1/√in, for a
// weight; in is that of Fans, of a vector its length.
func TorchLinear() Init {
	return func(p *tensor.Tensor, r *tensor.Rand) {
		b := 1 / math.Sqrt(fanIn(p))
		p.FillUniform(r, -b, b)
	}
}
