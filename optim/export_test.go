package optim

import "github.com/hone-ml/hone/tensor"

// ComposedStep is Muon's Step on a device without a kernel for it.
func ComposedStep(o *Muon, g *tensor.Grads) {
	for i := range o.sets {
		s := &o.sets[i]
		scope := s.hyper.Device().NewScope()
		s.take(g, scope)
		o.composed(s, scope, g.Factor())
		scope.Close()
	}
}
