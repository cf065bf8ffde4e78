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

	// Moments says how the momentum is kept: MomentsF32, or MomentsBF16, rounded to nearest.
	Moments Moments
}

// Muon orthogonalises the momentum of each matrix by Newton–Schulz iteration before it steps along it
// (Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024). It is for matrices
// only; embeddings, heads and vectors belong to AdamW. An update is scaled by √max(1, rows/cols), weight
// decay is decoupled. Parameters that are not F32 have F32 masters.
type Muon struct {
	config MuonConfig
	sets   []muonSet
	factor float64
	steps  int
}

// muonSet is the matrices of one group and one shape.
type muonSet struct {
	lr, weightDecay float64
	names           []string
	states          []tensor.MuonState // of matrices [rows, cols]; Grad is set for a step
	hyper           *tensor.Tensor     // see tensor.MuonStep
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
	c.Moments.checkMomentum("NewMuon")
	momentum := tensor.F32
	if c.Moments == MomentsBF16 {
		momentum = tensor.BF16
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
				o.sets = append(o.sets, muonSet{lr: g.LR, weightDecay: g.WeightDecay, hyper: tensor.Zeros(p.Device(), tensor.F32, tensor.MuonHyper)})
			}
			set := &o.sets[k]
			master := p
			if p.DType() != tensor.F32 {
				master = tensor.Empty(p.Device(), tensor.F32, p.Shape()...)
				master.CopyFrom(p)
			}
			set.states = append(set.states, tensor.MuonState{Param: p, Master: master, Momentum: tensor.Zeros(p.Device(), momentum, p.Shape()...)})
			set.names = append(set.names, fmt.Sprintf("%d.%d.", i, j))
		}
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
		if g.Has(o.sets[i].states[0].Param) {
			o.step(&o.sets[i], g)
		}
	}
	return nil
}

func (o *Muon) ready(g *tensor.Grads) error {
	for _, s := range o.sets {
		n := 0
		for _, m := range s.states {
			if g.Has(m.Param) {
				n++
			}
		}
		shape := s.states[0].Param.Shape()
		if n != 0 && n != len(s.states) {
			return fmt.Errorf("optim: Muon: %d of %d matrices of shape %v have gradients; give frozen ones a group of their own", n, len(s.states), shape)
		}
		if lr := s.lr * o.factor; math.IsNaN(lr) || math.IsInf(lr, 0) {
			return fmt.Errorf("optim: Muon: the learning rate of matrices of shape %v is %g", shape, lr)
		}
	}
	return nil
}

func (o *Muon) step(s *muonSet, g *tensor.Grads) {
	scope := s.hyper.Device().NewScope()
	defer scope.Close()
	s.take(g, scope)
	lr := s.lr * o.factor
	tensor.CopyFromSlice(s.hyper, []float32{float32(lr), float32(s.weightDecay), float32(g.Factor())})
	if !tensor.MuonStep(s.states, s.hyper, tensor.MuonConstants{Momentum: o.config.Momentum, Steps: o.config.Steps}) {
		o.composed(s, scope, g.Factor())
	}
}

// take notes the gradients of a step.
func (s *muonSet) take(g *tensor.Grads, scope *tensor.Scope) {
	for i := range s.states {
		m := &s.states[i]
		if m.Grad = g.Unscaled(m.Param); m.Grad.DType() == tensor.F64 {
			m.Grad = m.Grad.In(scope).To(tensor.F32)
		}
	}
}

// composed is tensor.MuonStep made of other ops. Matrices of one shape are iterated as one batch.
func (o *Muon) composed(s *muonSet, scope *tensor.Scope, gradScale float64) {
	shape := s.states[0].Param.Shape()
	x := tensor.Empty(scope, tensor.F32, len(s.states), shape[0], shape[1])
	for i, m := range s.states {
		grad := m.Grad.In(scope).To(tensor.F32).MulScalar(gradScale)
		momentum := m.Momentum.In(scope).To(tensor.F32).MulScalar(o.config.Momentum).Add(grad)
		m.Momentum.CopyFrom(momentum)
		x.Index(i).CopyFrom(grad.Add(momentum.MulScalar(o.config.Momentum)))
	}
	lr := s.lr * o.factor
	u := NewtonSchulz(x, o.config.Steps).MulScalar(-lr * math.Sqrt(math.Max(1, float64(shape[0])/float64(shape[1]))))
	for i, m := range s.states {
		m.Master.CopyFrom(m.Master.In(scope).Detach().MulScalar(1 - lr*s.weightDecay).Add(u.Index(i)))
		if m.Master != m.Param {
			m.Param.CopyFrom(m.Master)
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
	eye := tensor.Eye(x.Scope(), x.DType(), n)
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

// String names the optimizer and the choice on which its state depends: "Muon with f32 moments".
func (o *Muon) String() string { return fmt.Sprintf("Muon with %s moments", o.config.Moments) }

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
			for i, m := range s.states {
				if !yield(s.names[i]+"momentum", m.Momentum) {
					return
				}
				if m.Master != m.Param && !yield(s.names[i]+"master", m.Master) {
					return
				}
			}
		}
	}
}

// Sync derives BF16 and F16 parameters from their masters.
func (o *Muon) Sync() {
	for _, s := range o.sets {
		for _, m := range s.states {
			if m.Master != m.Param {
				m.Param.CopyFrom(m.Master)
			}
		}
	}
}
