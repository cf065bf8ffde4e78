package nn

import (
	"math"

	"github.com/hone-ml/hone/tensor"
)

// A FanMode says what an initialiser keeps: the variance of activations on the way forward, or that of
// gradients on the way back.
type FanMode uint8

const (
	FanInMode  FanMode = iota // divides by the number of inputs of an output
	FanOutMode                // divides by the number of outputs of an input
)

// The gains of nonlinearities: what restores the variance that they take away, as torch.nn.init.calculate_gain
// has them. Of the linear layer, the convolutions and the sigmoid it is 1.
const (
	GainLinear = 1.0
	GainReLU   = math.Sqrt2
	GainTanh   = 5.0 / 3
	GainSELU   = 0.75
)

// GainLeakyReLU is that of the leaky ReLU with a slope below zero.
func GainLeakyReLU(slope float64) float64 { return math.Sqrt(2 / (1 + slope*slope)) }

// Fans are the inputs of each output and the outputs of each input of a weight [out, in, kernel...]: in and out
// times the size of the kernel, as PyTorch counts them. It panics if the weight has less than two axes.
func Fans(p *tensor.Tensor) (in, out int) {
	if p.Rank() < 2 {
		fail("nn.Fans", []*tensor.Tensor{p}, "only a weight [out, in, ...] has fans; draw a vector otherwise")
	}
	kernel := 1
	for _, d := range p.Shape()[2:] {
		kernel *= d
	}
	return p.Dim(1) * kernel, p.Dim(0) * kernel
}

// fanIn is the number of inputs of a weight, or the length of a vector; at least 1.
func fanIn(p *tensor.Tensor) float64 {
	if p.Rank() == 1 {
		return float64(max(p.Len(), 1))
	}
	in, _ := Fans(p)
	return float64(max(in, 1))
}

// XavierUniform draws a weight from [−b, b) with b = gain·√(6/(in+out)). (Glorot and Bengio, "Understanding the
// difficulty of training deep feedforward neural networks", 2010; torch.nn.init.xavier_uniform_.)
func XavierUniform(gain float64) Init {
	return func(p *tensor.Tensor, r *tensor.Rand) {
		b := math.Sqrt(3) * xavierStd(p, gain)
		p.FillUniform(r, -b, b)
	}
}

// XavierNormal draws a weight from the normal distribution with std gain·√(2/(in+out)).
// (torch.nn.init.xavier_normal_.)
func XavierNormal(gain float64) Init {
	return func(p *tensor.Tensor, r *tensor.Rand) { p.FillRandn(r, 0, xavierStd(p, gain)) }
}

func xavierStd(p *tensor.Tensor, gain float64) float64 {
	in, out := Fans(p)
	return gain * math.Sqrt(2/float64(max(in+out, 1)))
}

// KaimingUniform draws a weight from [−b, b) with b = gain·√(3/fan), where mode chooses the fan. (He et al.,
// "Delving Deep into Rectifiers", 2015; torch.nn.init.kaiming_uniform_.)
func KaimingUniform(gain float64, mode FanMode) Init {
	return func(p *tensor.Tensor, r *tensor.Rand) {
		b := math.Sqrt(3) * kaimingStd(p, gain, mode)
		p.FillUniform(r, -b, b)
	}
}

// KaimingNormal draws a weight from the normal distribution with std gain/√fan, where mode chooses the fan.
// (torch.nn.init.kaiming_normal_.)
func KaimingNormal(gain float64, mode FanMode) Init {
	return func(p *tensor.Tensor, r *tensor.Rand) { p.FillRandn(r, 0, kaimingStd(p, gain, mode)) }
}

func kaimingStd(p *tensor.Tensor, gain float64, mode FanMode) float64 {
	fan, out := Fans(p)
	if mode == FanOutMode {
		fan = out
	}
	return gain / math.Sqrt(float64(max(fan, 1)))
}
