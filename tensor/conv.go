package tensor

import "github.com/hone-ml/hone/internal/backend"

// Conv1dOptions are the options of Conv1d. The zero value is stride 1, no padding, dilation 1, one group.
type Conv1dOptions struct {
	Stride   int  // 0 means 1
	Padding  int  // zeros in front and behind
	Causal   bool // instead of Padding: as many zeros in front as keep element t from seeing later ones
	Dilation int  // distance of the kernel's elements; 0 means 1
	Groups   int  // 0 means 1
}

// Conv2dOptions are the options of Conv2d: each pair is for rows and columns. The zero value is stride 1, no
// padding, dilation 1, one group.
type Conv2dOptions struct {
	Stride   [2]int // 0 means 1
	Padding  [2]int // zeros on both sides
	Dilation [2]int // distance of the kernel's elements; 0 means 1
	Groups   int    // 0 means 1
}

// Conv1d slides kernels over signals: x [N, C, L], weight [O, C/groups, K] and bias [O], which may be nil, of one
// float dtype → [N, O, L'], where L' = (L + 2·padding − dilation·(K−1) − 1)/stride + 1. As in every network, and
// in torch.nn.functional.conv1d, the kernel is not turned round. With Causal and stride 1, L' is L. With as many
// groups as channels it is depthwise. Sums are kept in F32 (F64 for F64) and rounded once.
func Conv1d(x, weight, bias *Tensor, o Conv1dOptions) *Tensor {
	ins := []*Tensor{x, weight, bias}
	scopeOf("Conv1d", ins)
	checkConv("Conv1d", ins, 3, "x [N, C, L] and weight [O, C/groups, K]")
	w := backend.Window{Kernel: [2]int{1, weight.Dim(2)}, Stride: [2]int{1, o.Stride}, Dilation: [2]int{1, o.Dilation}, Size: [2]int{1, x.Dim(2)}}
	w.Before[1], w.After[1] = o.Padding, o.Padding
	if o.Causal {
		if o.Padding != 0 {
			fail("Conv1d", ins, "Causal decides the padding: leave Padding %d out", o.Padding)
		}
		w.Before[1] = (w.Kernel[1] - 1) * max(o.Dilation, 1)
	}
	return convolve("Conv1d", ins, w, o.Groups)
}

// Conv2d slides kernels over images: x [N, C, H, W], weight [O, C/groups, KH, KW] and bias [O], which may be nil,
// of one float dtype → [N, O, H', W'], where H' = (H + 2·padding − dilation·(KH−1) − 1)/stride + 1 and W' the same.
// It is torch.nn.functional.conv2d: the kernel is not turned round. With as many groups as channels it is
// depthwise. Sums are kept in F32 (F64 for F64) and rounded once.
func Conv2d(x, weight, bias *Tensor, o Conv2dOptions) *Tensor {
	ins := []*Tensor{x, weight, bias}
	scopeOf("Conv2d", ins)
	checkConv("Conv2d", ins, 4, "x [N, C, H, W] and weight [O, C/groups, KH, KW]")
	return convolve("Conv2d", ins, backend.Window{
		Kernel: [2]int{weight.Dim(2), weight.Dim(3)}, Stride: o.Stride, Dilation: o.Dilation,
		Before: o.Padding, After: o.Padding, Size: [2]int{x.Dim(2), x.Dim(3)},
	}, o.Groups)
}

func checkConv(op string, ins []*Tensor, rank int, want string) {
	x, w, bias := ins[0], ins[1], ins[2]
	dt := x.view.DType
	if x.view.Rank != rank || w.view.Rank != rank || !dt.IsFloat() || w.view.DType != dt {
		fail(op, ins, "needs %s of one float dtype", want)
	}
	if bias != nil && (!bias.hasShape(w.Dim(0)) || bias.view.DType != dt) {
		fail(op, ins, "needs bias [O] of the same dtype, or nil")
	}
}

// A convolution is a matrix product (Chellapilla, Puri and Simard 2006): the patches that the kernel sees, as
// columns of a matrix, times the kernels as rows of another. The patches of a few images exist at a time, and
// backward makes them again rather than keep them.
type convolution struct {
	window
	n, groups int
	in, out   int // channels of a group
	step      int // images at a time
}

// partPatches is about how many elements patches have at a time: few enough to stay in a cache, many enough that
// the products are worth dividing.
var partPatches = 1 << 20

func convolve(op string, ins []*Tensor, w backend.Window, groups int) *Tensor {
	if groups == 0 {
		groups = 1
	}
	x, weight := ins[0], ins[1]
	channels, outs := x.Dim(1), weight.Dim(0)
	if groups < 0 || outs%groups != 0 || channels%groups != 0 || channels/groups != weight.Dim(1) {
		fail(op, ins, "%d channels in %d groups need a weight [O, C/groups, ...] with O a multiple of the groups", channels, groups)
	}
	c := &convolution{window: newWindow(op, ins, w), n: x.Dim(0), groups: groups, in: channels / groups, out: outs / groups}
	parts := max(1, (c.n*channels*c.Taps()*c.Places()+partPatches-1)/partPatches)
	c.step = max(1, (c.n+parts-1)/parts)

	s := scopeOf(op, ins)
	ins = bring(s, ins)
	x, weight = ins[0], ins[1].detached().Contiguous()
	shape := []int{c.n, outs, c.Result[0], c.Result[1]}
	if x.view.Rank == 3 {
		shape = []int{c.n, outs, c.Result[1]}
	}
	out := alloc(s, x.view.DType, shape...)
	if fused, ok := backend.Fused[backend.DepthwiseConvolver](s.dev.backend); ok && c.in == 1 && c.out == 1 {
		c.depthwise(fused, out, x, weight, ins[2])
		return record1(op, out, ins, []*Tensor{x, weight}, func(g *gradient) { c.depthwiseBackward(fused, g) })
	}
	c.forward(out, x, weight, ins[2])
	return record1(op, out, ins, []*Tensor{x, weight}, c.backward)
}

// matrixOf is weights [O, C/groups, kernel...] as a matrix for each group.
func (c *convolution) matrixOf(w *backend.View) backend.View {
	return backend.NewView(w.Ptr, w.DType, c.groups, c.out, c.in*c.Taps())
}

// matrices are the patches of images [n, C, H, W]: a matrix [in·taps, n·places] for each group.
func (c *convolution) matrices(s *Scope, images *backend.View) backend.View {
	cols := c.columns(s, images)
	return backend.NewView(cols.Ptr, cols.DType, c.groups, c.in*c.Taps(), images.Shape[0]*c.Places())
}

// channelsFirst is images [n, C, H, W] as a view [C, n, H, W].
func channelsFirst(v backend.View) backend.View { return permuted(v, 1, 0, 2, 3) }

// eachPart calls fn for the images in parts, with room for what it makes of them.
func (c *convolution) eachPart(s *Scope, fn func(s *Scope, lo, hi int)) {
	for lo := 0; lo < c.n; lo += c.step {
		temporary(s.dev, s, func(s *Scope) { fn(s, lo, min(lo+c.step, c.n)) })
	}
}

func (c *convolution) forward(out, x, weight, bias *Tensor) {
	b, dt := out.dev.backend, out.view.DType
	kernels, images, results := c.matrixOf(&weight.view), asImages(&x.view), asImages(&out.view)
	var each backend.View // the bias as [O, n, H', W']
	if bias != nil {
		wide := bias.detached().To(dt.Accumulator())
		each = backend.View{Ptr: wide.view.Ptr, DType: wide.view.DType, Rank: 4, Strides: [MaxRank]int{wide.view.Strides[0]}}
	}
	c.eachPart(out.scope, func(s *Scope, lo, hi int) {
		part := images.Slice(0, lo, hi)
		cols := c.matrices(s, &part)
		y := alloc(s, dt.Accumulator(), c.groups*c.out, hi-lo, c.Result[0], c.Result[1])
		product := backend.NewView(y.view.Ptr, y.view.DType, c.groups, c.out, (hi-lo)*c.Places())
		b.MatMul(&product, &kernels, &cols, false)
		to := channelsFirst(results.Slice(0, lo, hi))
		if bias == nil {
			b.Copy(&to, &y.view)
			return
		}
		each.Shape = y.view.Shape
		if y.view.DType == dt {
			b.Binary(backend.Add, &to, &y.view, &each)
			return
		}
		b.Binary(backend.Add, &y.view, &y.view, &each)
		b.Copy(&to, &y.view)
	})
}

func (c *convolution) backward(g *gradient) {
	x, weight, dy := g.Saved(0), g.Saved(1), g.Output(0)
	images, kernels, results := asImages(&x.view), c.matrixOf(&weight.view), asImages(&dy.view)
	acc := dy.view.DType.Accumulator()
	var dx, dw *Tensor
	var accumulate bool
	if g.Needs(0) {
		dx = g.New(0)
	}
	if g.Needs(1) {
		if dw, accumulate = g.Sink(1); !accumulate {
			dw = Zeros(g.scope, acc, weight.view.Dims()...)
		}
	}
	if dx != nil || dw != nil {
		c.eachPart(g.scope, func(s *Scope, lo, hi int) {
			from := channelsFirst(results.Slice(0, lo, hi))
			rows := alloc(s, dy.view.DType, from.Dims()...)
			s.dev.backend.Copy(&rows.view, &from)
			d := backend.NewView(rows.view.Ptr, rows.view.DType, c.groups, c.out, (hi-lo)*c.Places())
			if dw != nil {
				part, to := images.Slice(0, lo, hi), c.matrixOf(&dw.view)
				cols := permuted(c.matrices(s, &part), 0, 2, 1)
				s.dev.backend.MatMul(&to, &d, &cols, true)
			}
			if dx != nil {
				all := asImages(&dx.view)
				to := all.Slice(0, lo, hi)
				c.imagesGradient(s, &to, permuted(kernels, 0, 2, 1), &d, acc)
			}
		})
	}
	if dx != nil {
		g.Add(0, dx)
	}
	if dw != nil && !accumulate {
		g.Add(1, dw)
	}
	c.biasGradient(g, acc)
}

// biasGradient sums over images and places, in the accumulator's dtype, as addReduced does.
func (c *convolution) biasGradient(g *gradient, acc DType) {
	if !g.Needs(2) {
		return
	}
	sum := alloc(g.scope, acc, 1, c.groups*c.out, 1, 1)
	wide := g.Output(0).detached().To(acc).view
	wide = asImages(&wide)
	g.scope.dev.backend.Reduce(backend.Sum, &sum.view, &wide)
	g.Add(2, sum.Reshape(c.groups*c.out))
}

// imagesGradient sets to [n, C, H, W] to the gradient of images from that of their results d [groups, out,
// n·places]: columns of the transposed kernels' product, added up where their patches overlap.
func (c *convolution) imagesGradient(s *Scope, to *backend.View, kernels backend.View, d *backend.View, acc DType) {
	cols := alloc(s, acc, c.groups, c.in*c.Taps(), d.Shape[2])
	s.dev.backend.MatMul(&cols.view, &kernels, d, false)
	columns := backend.NewView(cols.view.Ptr, acc, c.groups*c.in, c.Taps(), to.Shape[0], c.Places())
	c.sum(s, to, &columns)
}
