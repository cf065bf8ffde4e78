package tensor

import (
	"iter"
	"math"

	"github.com/hone-ml/hone/internal/backend"
)

const addOp = backend.Add

// Grads holds gradients of trainable tensors: one flat long-lived buffer with a view for each. It belongs
// to the caller, who may keep one per worker and sum them. It is for one goroutine at a time.
//
// Scale and Clip cost no pass over memory as long as nobody has asked for a view: they leave a factor,
// which an optimizer takes with the gradients; see Unscaled. Neither does Zero: what comes first overwrites
// what was there.
type Grads struct {
	flat   *Tensor
	params []*Tensor
	names  []string
	views  map[*Tensor]*Tensor
	factor float64          // what the buffer is still to be multiplied by
	shown  bool             // views have been given away, which must hold the gradients themselves
	blank  map[*Tensor]bool // parameters whose gradients are zero whatever the buffer holds
}

// NewGrads makes zeroed gradients for the trainable tensors among params, in that order, a tensor that
// occurs twice counted once. dt is F32, which serves parameters of every dtype, so that the sum of
// micro-batches does not depend on how they were cut; F64; or BF16, in which every sum is rounded. It
// panics if no tensor is trainable or if they lie on several devices.
func NewGrads(params iter.Seq2[string, *Tensor], dt DType) *Grads {
	if dt != F32 && dt != F64 && dt != BF16 {
		panic(&Error{Op: "NewGrads", Reason: "gradients are F32, F64 or BF16, not " + dt.String()})
	}
	g := &Grads{views: map[*Tensor]*Tensor{}, blank: map[*Tensor]bool{}, factor: 1}
	n, line := 0, max(16, 64/dt.Size())
	padded := func(p *Tensor) int { return (p.Len() + line - 1) / line * line } // each starts on a cache line
	for name, p := range params {
		if p.trainable && g.views[p] == nil {
			if len(g.params) > 0 && p.dev != g.params[0].dev {
				fail("NewGrads", []*Tensor{p}, "%s lies on another device", name)
			}
			g.params = append(g.params, p)
			g.names = append(g.names, name)
			g.views[p] = p // placeholder, below
			n += padded(p)
		}
	}
	if len(g.params) == 0 {
		panic(&Error{Op: "NewGrads", Reason: "no parameter is trainable; see SetTrainable"})
	}
	g.flat = Zeros(g.params[0].dev, dt, n)
	n = 0
	for _, p := range g.params {
		g.views[p] = g.flat.Slice(0, n, n+p.Len()).Reshape(p.view.Dims()...)
		n += padded(p)
	}
	return g
}

// Of is the gradient of p, a view of p's shape. It panics if p is not among the parameters.
func (g *Grads) Of(p *Tensor) *Tensor {
	v := g.of(p)
	g.show()
	return v
}

func (g *Grads) of(p *Tensor) *Tensor {
	if v := g.views[p]; v != nil {
		return v
	}
	fail("Grads.Of", []*Tensor{p}, "the tensor is not among the parameters of these gradients")
	return nil
}

// Unscaled is the gradient of p before what Scale and Clip have left to do: what Of gives is Factor times
// this. It is for optimizers, which multiply on the way; the view must not be kept.
func (g *Grads) Unscaled(p *Tensor) *Tensor {
	g.fill(p)
	return g.of(p)
}

// Factor is what Scale and Clip have left to multiply by; see Unscaled.
func (g *Grads) Factor() float64 { return g.factor }

// All iterates over names and gradients in the order of the parameters.
func (g *Grads) All() iter.Seq2[string, *Tensor] {
	g.show()
	return func(yield func(string, *Tensor) bool) {
		for i, p := range g.params {
			if !yield(g.names[i], g.views[p]) {
				return
			}
		}
	}
}

// Flat is the whole buffer, of rank 1; between gradients there may be padding, which is zero.
func (g *Grads) Flat() *Tensor {
	g.show()
	return g.flat
}

// Device is where the gradients lie.
func (g *Grads) Device() *Device { return g.flat.dev }

// Free gives the memory back. Nothing may be asked of the gradients then.
func (g *Grads) Free() { g.flat.Free() }

// Has reports whether p is among the parameters.
func (g *Grads) Has(p *Tensor) bool { return g.has(p) }

func (g *Grads) has(p *Tensor) bool { return g.views[p] != nil }

// Zero sets all gradients to 0.
func (g *Grads) Zero() {
	g.factor = 1
	if g.shown {
		g.flat.Fill(0)
		return
	}
	for _, p := range g.params {
		g.blank[p] = true
	}
}

// fill writes the zeros of p's gradient if it is blank.
func (g *Grads) fill(p *Tensor) {
	if g.blank[p] {
		delete(g.blank, p)
		g.views[p].Fill(0)
	}
}

// fillAll writes the zeros of all blank gradients.
func (g *Grads) fillAll() {
	for _, p := range g.params {
		g.fill(p)
	}
}

// Scale multiplies all gradients by s.
func (g *Grads) Scale(s float64) {
	g.factor *= s
	if g.shown {
		g.multiply()
	}
}

// multiply does what Scale has left.
func (g *Grads) multiply() {
	if g.factor != 1 {
		g.fillAll()
		g.flat.dev.backend.Scalar(backend.Mul, &g.flat.view, &g.flat.view, g.factor)
		g.flat.mem.version++
		g.factor = 1
	}
}

// settle does what Scale and Zero have left.
func (g *Grads) settle() {
	g.fillAll()
	g.multiply()
}

// show prepares for views that others keep.
func (g *Grads) show() {
	g.settle()
	g.shown = true
}

// normChunk is how many elements share an F32 sum of squares.
const normChunk = 1 << 16

// Norm is the Euclidean norm of all gradients together: the device sums the squares of chunks of 2¹⁶
// elements, and these sums are added in F64.
func (g *Grads) Norm() float64 {
	g.fillAll()
	s := g.flat.dev.NewScope()
	defer s.Close()
	n, dt := g.flat.Len(), g.flat.view.DType.Accumulator()
	sums := alloc(s, dt, (n+normChunk-1)/normChunk)
	if fused, ok := backend.Fused[backend.SquareSummer](s.dev.backend); ok {
		fused.SumSquares(&sums.view, &g.flat.view, normChunk)
	} else {
		squares := alloc(s, dt, min(n, normChunk))
		for i := range sums.Len() {
			x := g.flat.view.Slice(0, i*normChunk, min((i+1)*normChunk, n))
			y, sum := squares.view.Slice(0, 0, x.Shape[0]), sums.view.Slice(0, i, i+1)
			s.dev.backend.Copy(&y, &x)
			s.dev.backend.Unary(backend.Square, &y, &y)
			s.dev.backend.Reduce(backend.Sum, &sum, &y)
		}
	}
	total := 0.0
	for _, v := range sums.Float64s() {
		total += v
	}
	return math.Sqrt(total) * math.Abs(g.factor)
}

// Clip scales all gradients by limit/(norm + 1e-6) if that is below 1, as torch.nn.utils.clip_grad_norm_
// does, and returns the norm before.
func (g *Grads) Clip(limit float64) float64 {
	norm := g.Norm()
	if c := limit / (norm + 1e-6); c < 1 {
		g.Scale(c)
	}
	return norm
}

// SumGrads adds src to dst, one after the other: the order is the sum's definition. All were made for the
// same parameters.
func SumGrads(dst *Grads, src ...*Grads) {
	dst.settle()
	for _, s := range src {
		s.settle()
		if s.flat.Len() != dst.flat.Len() || s.flat.DType() != dst.flat.DType() {
			fail("SumGrads", []*Tensor{dst.flat, s.flat}, "the gradients belong to different parameters")
		}
		dst.flat.dev.backend.Binary(addOp, &dst.flat.view, &dst.flat.view, &s.flat.view)
	}
	dst.flat.mem.version++
}

// add adds d, of p's shape, to p's gradient, converting the dtype.
func (g *Grads) add(s *Scope, p, d *Tensor) {
	v := g.views[p]
	d = d.In(s)
	if g.blank[p] {
		delete(g.blank, p)
		g.flat.dev.backend.Copy(&v.view, &d.view)
		return
	}
	if d.view.DType != v.view.DType {
		d = d.To(v.view.DType)
	}
	g.flat.dev.backend.Binary(addOp, &v.view, &v.view, &d.view)
}
