package optim

import (
	"fmt"
	"iter"
	"math"

	"github.com/hone-ml/hone/tensor"
)

// MuonConfig holds the constants of Muon. Zero fields stand for the defaults.
type MuonConfig struct {
	Momentum float64 // 0.95, Nesterov's
	Steps    int     // 5 Newton–Schulz iterations
}

// Muon orthogonalises the momentum of each matrix by Newton–Schulz iteration before it steps along it
// (Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024). It is for matrices
// only; embeddings, heads and vectors belong to AdamW. An update is scaled by √max(1, rows/cols), weight
// decay is decoupled. Matrices of one shape are iterated as one batch.
type Muon struct {
	config MuonConfig
	sets   []muonSet
	factor float64
	steps  int
}

// muonSet is the matrices of one group and one shape.
type muonSet struct {
	lr, weightDecay float64
	params          []*tensor.Tensor // [rows, cols]
	masters         []*tensor.Tensor // F32
	names           []string
	momentum        *tensor.Tensor // F32 [n, rows, cols]
}

// NewMuon makes the state for the groups' matrices. It panics if a parameter has not two axes, is not
// trainable or occurs twice, or if a constant is out of range.
func NewMuon(groups []Group, c MuonConfig) *Muon {
	check("NewMuon", groups)
	if c.Momentum == 0 {
		c.Momentum = 0.95
	}
	if c.Steps == 0 {
		c.Steps = 5
	}
	if !(c.Momentum > 0 && c.Momentum < 1) || c.Steps < 0 {
		panic(fmt.Sprintf("optim: NewMuon: momentum is %g, want 0 to 1; steps are %d", c.Momentum, c.Steps))
	}
	o := &Muon{config: c, factor: 1}
	for i, g := range groups {
		byShape := map[[2]int]int{}
		for j, p := range g.Params {
			if p.Rank() != 2 {
				panic(fmt.Sprintf("optim: NewMuon: parameter %d of group %d, %v%v, is not a matrix", j, i, p.DType(), p.Shape()))
			}
			shape := [2]int(p.Shape())
			k, ok := byShape[shape]
			if !ok {
				k = len(o.sets)
				byShape[shape] = k
				o.sets = append(o.sets, muonSet{lr: g.LR, weightDecay: g.WeightDecay})
			}
			set := &o.sets[k]
			master := p
			if p.DType() != tensor.F32 {
				master = tensor.Empty(p.Device(), tensor.F32, p.Shape()...)
				master.CopyFrom(p)
			}
			set.params = append(set.params, p)
			set.masters = append(set.masters, master)
			set.names = append(set.names, fmt.Sprintf("%d.%d.", i, j))
		}
	}
	for i := range o.sets {
		s := &o.sets[i]
		shape := s.params[0].Shape()
		s.momentum = tensor.Zeros(s.params[0].Device(), tensor.F32, len(s.params), shape[0], shape[1])
	}
	return o
}

// Step makes one step with the gradients of g, which must hold all or none of the matrices of a shape.
func (o *Muon) Step(g *tensor.Grads) error {
	if err := o.ready(g); err != nil {
		return err
	}
	o.steps++
	for i := range o.sets {
		if g.Has(o.sets[i].params[0]) {
			o.step(&o.sets[i], g)
		}
	}
	return nil
}

func (o *Muon) ready(g *tensor.Grads) error {
	for _, s := range o.sets {
		n := 0
		for _, p := range s.params {
			if g.Has(p) {
				n++
			}
		}
		if n != 0 && n != len(s.params) {
			return fmt.Errorf("optim: Muon: %d of %d matrices of shape %v have gradients; give frozen ones a group of their own", n, len(s.params), s.params[0].Shape())
		}
		if lr := s.lr * o.factor; math.IsNaN(lr) || math.IsInf(lr, 0) {
			return fmt.Errorf("optim: Muon: the learning rate of matrices of shape %v is %g", s.params[0].Shape(), lr)
		}
	}
	return nil
}

func (o *Muon) step(s *muonSet, g *tensor.Grads) {
	scope := s.momentum.Device().NewScope()
	defer scope.Close()
	shape := s.params[0].Shape()
	grad := tensor.Empty(scope, tensor.F32, len(s.params), shape[0], shape[1])
	for i, p := range s.params {
		grad.Index(i).CopyFrom(g.Unscaled(p).In(scope).MulScalar(g.Factor()))
	}
	m := s.momentum.In(scope).MulScalar(o.config.Momentum).Add(grad)
	s.momentum.CopyFrom(m)
	u := NewtonSchulz(grad.Add(m.MulScalar(o.config.Momentum)), o.config.Steps)
	lr := s.lr * o.factor
	scale := math.Sqrt(math.Max(1, float64(shape[0])/float64(shape[1])))
	u = u.MulScalar(-lr * scale)
	for i, w := range s.masters {
		w.CopyFrom(w.In(scope).Detach().MulScalar(1 - lr*s.weightDecay).Add(u.Index(i)))
		if w != s.params[i] {
			s.params[i].CopyFrom(w)
		}
	}
}

// NewtonSchulz makes each matrix of x [..., rows, cols] nearly orthogonal: its singular values come near
// 1 by iterating the quintic 3.4445·σ − 4.7750·σ³ + 2.0315·σ⁵ from x/‖x‖. Five steps are usual.
func NewtonSchulz(x *tensor.Tensor, steps int) *tensor.Tensor {
	tall := x.Dim(-2) > x.Dim(-1)
	if tall {
		x = x.T()
	}
	norm := x.Square().SumKeep(-1, -2).Sqrt().AddScalar(1e-7)
	x = x.Div(norm)
	// With A = x·xᵀ the step is x ← (3.4445·I + A·(2.0315·A − 4.7750·I))·x: everything but the outer
	// products happens on the smaller square.
	n := x.Dim(-2)
	identity := make([]float32, n*n)
	for i := range n {
		identity[i*n+i] = 1
	}
	eye := tensor.FromSlice(x.Scope(), identity, n, n).To(x.DType())
	inner, outer := eye.MulScalar(-4.7750), eye.MulScalar(3.4445)
	for range steps {
		a := x.MatMul(x.T())
		x = a.MatMul(a.MulScalar(2.0315).Add(inner)).Add(outer).MatMul(x)
	}
	if tall {
		x = x.T()
	}
	return x
}

// String names the optimizer.
func (o *Muon) String() string { return fmt.Sprintf("Muon with %s moments", MomentsF32) }

// SetFactor multiplies all learning rates from the next step on.
func (o *Muon) SetFactor(f float64) { o.factor = f }

// Steps is the number of steps made.
func (o *Muon) Steps() int { return o.steps }

// SetSteps restores the number of steps made.
func (o *Muon) SetSteps(n int) { o.steps = n }

// State is the momentum and, where there is one, the master of each matrix, named by group and index:
// "0.3.momentum".
func (o *Muon) State() iter.Seq2[string, *tensor.Tensor] {
	return func(yield func(string, *tensor.Tensor) bool) {
		for _, s := range o.sets {
			for i, name := range s.names {
				if !yield(name+"momentum", s.momentum.Index(i)) {
					return
				}
				if s.masters[i] != s.params[i] && !yield(name+"master", s.masters[i]) {
					return
				}
			}
		}
	}
}

// Sync derives BF16 and F16 parameters from their masters.
func (o *Muon) Sync() {
	for _, s := range o.sets {
		for i, w := range s.masters {
			if w != s.params[i] {
				s.params[i].CopyFrom(w)
			}
		}
	}
}
