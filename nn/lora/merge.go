package lora

import (
	"fmt"
	"math"

	"github.com/hone-ml/hone/nn"
	"github.com/hone-ml/hone/tensor"
)

// Merge makes the adapters part of the weights, W + scale·B·A, computed in F32 or F64 and rounded to W's dtype, and
// puts plain linear layers in their places again; parameters stay frozen. outputs computes in s what must not change
// by that, such as the logits of some tokens; it is called before and after. It is an error, and the adapters are as
// they were, if what it gives changes by more than the rounding of weights explains (‖after − before‖ is at most
// 1e-9·‖before‖ in F64, 1e-4 in F32, 0.01 in F16 and 0.05 in BF16), if a weight is quantised, or if memory is wanting.
func (a *Adapter) Merge(outputs func(s *tensor.Scope) *tensor.Tensor) error {
	tolerance := 0.0
	for _, l := range a.layers {
		dt := l.layer.Base.Weight.DType()
		if !dt.IsFloat() {
			return fmt.Errorf("lora: %s.weight is %s, into which nothing can be merged: load the base in a float dtype", l.name, dt)
		}
		tolerance = max(tolerance, roundings[dt])
	}
	var err error
	if tryErr := tensor.Try(func() { err = a.merge(outputs, tolerance) }); tryErr != nil {
		return fmt.Errorf("lora: merging: %w", tryErr)
	}
	return err
}

// roundings are what merging may change, by the dtype of the weights: that of F16 and BF16 is some units in the
// last place, which all layers add up.
var roundings = map[tensor.DType]float64{tensor.F64: 1e-9, tensor.F32: 1e-4, tensor.F16: 0.01, tensor.BF16: 0.05}

func (a *Adapter) merge(outputs func(s *tensor.Scope) *tensor.Tensor, tolerance float64) error {
	s := a.layers[0].layer.A.Device().NewScope()
	defer s.Close()
	before := outputs(s).Float64s()
	s.Reset()
	merged := map[nn.Layer]nn.Layer{}
	for _, l := range a.layers {
		merged[l.layer] = l.layer.merged(s)
		s.Reset()
	}
	a.swap(merged)
	after, err := values(outputs, s)
	if err == nil {
		if off := apart(after, before); !(off <= tolerance) {
			err = fmt.Errorf("lora: the merged outputs differ from the adapter's by %.2g of their size, more than the %g that rounding explains", off, tolerance)
		}
	}
	if err != nil {
		back := map[nn.Layer]nn.Layer{}
		for from, to := range merged {
			back[to] = from
		}
		a.swap(back)
	}
	return err
}

// values are those of outputs, or why there are none.
func values(outputs func(s *tensor.Scope) *tensor.Tensor, s *tensor.Scope) (x []float64, err error) {
	err = tensor.Try(func() { x = outputs(s).Float64s() })
	return x, err
}

// merged is the layer without an adapter that computes the same.
func (l *Linear) merged(s *tensor.Scope) *nn.Linear {
	w := l.Base.Weight
	sum := tensor.Empty(w.Device(), w.DType(), w.Shape()...)
	delta := l.B.In(s).MatMul(l.A.In(s)).MulScalar(l.Scale)
	sum.CopyFrom(w.In(s).To(delta.DType()).Add(delta))
	return &nn.Linear{Weight: sum, Bias: l.Base.Bias}
}

// swap puts layers in the places of others.
func (a *Adapter) swap(with map[nn.Layer]nn.Layer) {
	nn.Replace(a.module, func(_ string, l nn.Layer) (nn.Layer, bool) {
		switch l.(type) {
		case *Linear, *nn.Linear: // others may be no keys of a map
			to, ok := with[l]
			return to, ok
		}
		return nil, false
	})
}

// apart is ‖a − b‖ / ‖b‖.
func apart(a, b []float64) float64 {
	diff, size := 0.0, 0.0
	for i := range b {
		diff += (a[i] - b[i]) * (a[i] - b[i])
		size += b[i] * b[i]
	}
	return math.Sqrt(diff / max(size, 1e-300))
}
