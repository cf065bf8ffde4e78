package nn

import "github.com/hone-ml/hone/tensor"

// Conv1d slides kernels over signals, see tensor.Conv1d. With Options.Causal no output sees later inputs;
// with as many groups as channels it is depthwise. (torch.nn.Conv1d.)
type Conv1d struct {
	Weight  *tensor.Tensor `param:"weight"` // [out, in/groups, kernel]
	Bias    *tensor.Tensor `param:"bias"`   // [out], or nil
	Options tensor.Conv1dOptions
}

// NewConv1d is a Conv1d whose parameters have no values yet. It panics unless the groups divide in and out.
func NewConv1d(p tensor.Place, dt tensor.DType, in, out, kernel int, bias bool, o tensor.Conv1dOptions) *Conv1d {
	positive("nn.NewConv1d", "in", in, "out", out, "kernel", kernel)
	c := &Conv1d{Weight: newParameter(p, dt, out, perGroup("nn.NewConv1d", in, out, o.Groups), kernel), Options: o}
	if bias {
		c.Bias = newParameter(p, dt, out)
	}
	return c
}

// Forward maps [N, in, L] to [N, out, L'], see tensor.Conv1d for L'.
func (c *Conv1d) Forward(x *tensor.Tensor) *tensor.Tensor {
	return tensor.Conv1d(x, c.Weight, c.Bias, c.Options)
}

// ResetParameters draws the weight and the bias uniformly with bound 1/√fan-in, as torch.nn.Conv1d does.
func (c *Conv1d) ResetParameters(r *tensor.Rand) { resetWeight(c.Weight, c.Bias, r) }

// Conv2d slides kernels over images, see tensor.Conv2d. (torch.nn.Conv2d.)
type Conv2d struct {
	Weight  *tensor.Tensor `param:"weight"` // [out, in/groups, kernel rows, kernel columns]
	Bias    *tensor.Tensor `param:"bias"`   // [out], or nil
	Options tensor.Conv2dOptions
}

// NewConv2d is a Conv2d whose parameters have no values yet; kernel is rows and columns. It panics unless
// the groups divide in and out.
func NewConv2d(p tensor.Place, dt tensor.DType, in, out int, kernel [2]int, bias bool, o tensor.Conv2dOptions) *Conv2d {
	positive("nn.NewConv2d", "in", in, "out", out, "kernel rows", kernel[0], "kernel columns", kernel[1])
	c := &Conv2d{Weight: newParameter(p, dt, out, perGroup("nn.NewConv2d", in, out, o.Groups), kernel[0], kernel[1]), Options: o}
	if bias {
		c.Bias = newParameter(p, dt, out)
	}
	return c
}

// Forward maps [N, in, H, W] to [N, out, H', W'], see tensor.Conv2d for H' and W'.
func (c *Conv2d) Forward(x *tensor.Tensor) *tensor.Tensor {
	return tensor.Conv2d(x, c.Weight, c.Bias, c.Options)
}

// ResetParameters draws the weight and the bias uniformly with bound 1/√fan-in, as torch.nn.Conv2d does.
func (c *Conv2d) ResetParameters(r *tensor.Rand) { resetWeight(c.Weight, c.Bias, r) }

// perGroup is the number of input channels of a group; 0 groups are one.
func perGroup(op string, in, out, groups int) int {
	groups = max(groups, 1)
	if in%groups != 0 || out%groups != 0 {
		fail(op, nil, "%d and %d channels do not divide into %d groups", in, out, groups)
	}
	return in / groups
}

// MaxPool2d is tensor.MaxPool2d as a layer: [N, C, H, W] → [N, C, H', W']. For other pools take a Func.
// (torch.nn.MaxPool2d.)
type MaxPool2d struct {
	Kernel  [2]int
	Options tensor.Pool2dOptions // the zero value moves by the kernel
}

// Forward is the maximum of each window.
func (p MaxPool2d) Forward(x *tensor.Tensor) *tensor.Tensor {
	return tensor.MaxPool2d(x, p.Kernel, p.Options)
}

// AvgPool2d is tensor.AvgPool2d as a layer: [N, C, H, W] → [N, C, H', W']. (torch.nn.AvgPool2d.)
type AvgPool2d struct {
	Kernel  [2]int
	Options tensor.Pool2dOptions // the zero value moves by the kernel
}

// Forward is the mean of each window.
func (p AvgPool2d) Forward(x *tensor.Tensor) *tensor.Tensor {
	return tensor.AvgPool2d(x, p.Kernel, p.Options)
}
