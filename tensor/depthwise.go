package tensor

import "github.com/hone-ml/hone/internal/backend"

// A depthwise convolution as a matrix product would have matrices of one row. The kernel for it works in the
// accumulator's dtype.

func (c *convolution) depthwise(fused backend.DepthwiseConvolver, out, x, weight, bias *Tensor) {
	b, acc := out.dev.backend, out.view.DType.Accumulator()
	temporary(out.dev, out.scope, func(s *Scope) {
		y := out.view
		if acc != y.DType {
			y = alloc(s, acc, y.Dims()...).view
		}
		images, kernels := contiguousIn(s, &x.view, acc), contiguousIn(s, &weight.view, acc)
		fused.Depthwise(&y, &images, &kernels, c.Window)
		results := asImages(&y)
		if bias != nil {
			wide := contiguousIn(s, &bias.view, acc)
			each := backend.View{Ptr: wide.Ptr, DType: acc, Rank: 4, Shape: results.Shape, Strides: [MaxRank]int{0, 1}}
			b.Binary(backend.Add, &results, &results, &each)
		}
		if y.Ptr != out.view.Ptr {
			b.Copy(&out.view, &y)
		}
	})
}

func (c *convolution) depthwiseBackward(fused backend.DepthwiseConvolver, g *gradient) {
	x, weight, acc := g.Saved(0), g.Saved(1), g.Output(0).view.DType.Accumulator()
	var dx, dw *Tensor
	var dxView, dwView *backend.View
	if g.Needs(0) {
		dx = alloc(g.scope, acc, x.view.Dims()...)
		dxView = &dx.view
	}
	if g.Needs(1) {
		dw = Zeros(g.scope, acc, weight.view.Dims()...)
		dwView = &dw.view
	}
	if dx != nil || dw != nil {
		temporary(g.scope.dev, g.scope, func(s *Scope) {
			dy, images, kernels := contiguousIn(s, &g.Output(0).view, acc), contiguousIn(s, &x.view, acc), contiguousIn(s, &weight.view, acc)
			fused.DepthwiseBackward(dxView, dwView, &dy, &images, &kernels, c.Window)
		})
	}
	if dx != nil {
		g.Add(0, dx)
	}
	if dw != nil {
		g.Add(1, dw)
	}
	c.biasGradient(g, acc)
}

// contiguousIn is v itself, or a copy in s, if it is not contiguous or of another dtype.
func contiguousIn(s *Scope, v *backend.View, dt DType) backend.View {
	if v.DType == dt && v.Contiguous() {
		return *v
	}
	c := alloc(s, dt, v.Dims()...)
	s.dev.backend.Copy(&c.view, v)
	return c.view
}
