package tensor

import (
	"iter"
	"math"

	"github.com/hone-ml/hone/internal/backend"
)

const addOp = backend.Add

// Grads holds gradients of trainable tensors: one flat long-lived buffer with a view for each. It belongs
// to the caller, who may keep one per worker and sum them. It is for one goroutine at a time.
type Grads struct {
	flat   *Tensor
	params []*Tensor
	names  []string
	views  map[*Tensor]*Tensor
}

// NewGrads makes zeroed gradients for the trainable tensors among params, in that order, a tensor that
// occurs twice counted once. dt is F32 or F64; F32 serves parameters of every dtype, so that the sum of
// micro-batches does not depend on how they were cut. It panics if no tensor is trainable or if they lie
// on several devices.
func NewGrads(params iter.Seq2[string, *Tensor], dt DType) *Grads {
	if dt != F32 && dt != F64 {
		panic(&Error{Op: "NewGrads", Reason: "gradients are F32 or F64, not " + dt.String()})
	}
	g := &Grads{views: map[*Tensor]*Tensor{}}
	n := 0
	for name, p := range params {
		if p.trainable && g.views[p] == nil {
			if len(g.params) > 0 && p.dev != g.params[0].dev {
				fail("NewGrads", []*Tensor{p}, "%s lies on another device", name)
			}
			g.params = append(g.params, p)
			g.names = append(g.names, name)
			g.views[p] = p            // placeholder, below
			n += (p.Len() + 15) &^ 15 // each starts on a cache line
		}
	}
	if len(g.params) == 0 {
		panic(&Error{Op: "NewGrads", Reason: "no parameter is trainable; see SetTrainable"})
	}
	g.flat = Zeros(g.params[0].dev, dt, n)
	n = 0
	for _, p := range g.params {
		g.views[p] = g.flat.Slice(0, n, n+p.Len()).Reshape(p.view.Dims()...)
		n += (p.Len() + 15) &^ 15
	}
	return g
}

// Of is the gradient of p, a view of p's shape. It panics if p is not among the parameters.
func (g *Grads) Of(p *Tensor) *Tensor {
	if v := g.views[p]; v != nil {
		return v
	}
	fail("Grads.Of", []*Tensor{p}, "the tensor is not among the parameters of these gradients")
	return nil
}

// All iterates over names and gradients in the order of the parameters.
func (g *Grads) All() iter.Seq2[string, *Tensor] {
	return func(yield func(string, *Tensor) bool) {
		for i, p := range g.params {
			if !yield(g.names[i], g.views[p]) {
				return
			}
		}
	}
}

// Flat is the whole buffer, of rank 1; between gradients there may be padding, which is zero.
func (g *Grads) Flat() *Tensor { return g.flat }

// Has reports whether p is among the parameters.
func (g *Grads) Has(p *Tensor) bool { return g.has(p) }

func (g *Grads) has(p *Tensor) bool { return g.views[p] != nil }

// Zero sets all gradients to 0.
func (g *Grads) Zero() { g.flat.Fill(0) }

// Scale multiplies all gradients by s.
func (g *Grads) Scale(s float64) {
	g.flat.dev.backend.Scalar(backend.Mul, &g.flat.view, &g.flat.view, s)
	g.flat.mem.version++
}

// Norm is the Euclidean norm of all gradients together: the device sums the squares of chunks of 2²⁰
// elements, and these sums are added in F64.
func (g *Grads) Norm() float64 {
	const chunk = 1 << 20
	s := g.flat.dev.NewScope()
	defer s.Close()
	n, dt := g.flat.Len(), g.flat.view.DType
	squares, sums := alloc(s, dt, min(n, chunk)), alloc(s, dt, (n+chunk-1)/chunk)
	for i := range sums.Len() {
		x := g.flat.view.Slice(0, i*chunk, min((i+1)*chunk, n))
		y, sum := squares.view.Slice(0, 0, x.Shape[0]), sums.view.Slice(0, i, i+1)
		s.dev.backend.Unary(backend.Square, &y, &x)
		s.dev.backend.Reduce(backend.Sum, &sum, &y)
	}
	total := 0.0
	for _, v := range sums.Float64s() {
		total += v
	}
	return math.Sqrt(total)
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
	for _, s := range src {
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
	if d.view.DType != v.view.DType {
		d = d.To(v.view.DType)
	}
	g.flat.dev.backend.Binary(addOp, &v.view, &v.view, &d.view)
}
