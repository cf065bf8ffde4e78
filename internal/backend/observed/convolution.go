package observed

import "github.com/hone-ml/hone/internal/backend"

// Moving patches computes nothing, but for the sums of Fold; a tap of a depthwise kernel is a product and a sum.

func (b *Backend) Unfold(columns, images *backend.View, w backend.Window) {
	b.run("Unfold", 0, views{columns}, views{images}, func() { fused[backend.Unfolder](b).Unfold(columns, images, w) })
}

func (b *Backend) Fold(images, columns *backend.View, w backend.Window) {
	b.run("Fold", elements(columns), views{images}, views{columns}, func() { fused[backend.Unfolder](b).Fold(images, columns, w) })
}

func (b *Backend) Depthwise(out, x, weight *backend.View, w backend.Window) {
	b.run("Depthwise", 2*float64(w.Taps())*elements(out), views{out}, views{x, weight},
		func() { fused[backend.DepthwiseConvolver](b).Depthwise(out, x, weight, w) })
}

func (b *Backend) DepthwiseBackward(dx, dw, dy, x, weight *backend.View, w backend.Window) {
	out := present(dx, dw)
	b.run("DepthwiseBackward", 2*float64(w.Taps()*len(out))*elements(dy), out, views{dy, x, weight},
		func() { fused[backend.DepthwiseConvolver](b).DepthwiseBackward(dx, dw, dy, x, weight, w) })
}

func (b *Backend) MaxPool(out, index, x *backend.View, w backend.Window) {
	b.run("MaxPool", float64(w.Taps())*elements(out), views{out, index}, views{x}, func() { fused[backend.MaxPooler](b).MaxPool(out, index, x, w) })
}

func (b *Backend) MaxPoolBackward(dx, dy, index *backend.View) {
	b.run("MaxPoolBackward", elements(dy), views{dx}, views{dy, index}, func() { fused[backend.MaxPooler](b).MaxPoolBackward(dx, dy, index) })
}
