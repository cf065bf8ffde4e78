package nn

import (
	"math"

	"github.com/hone-ml/hone/tensor"
)

// RecurrentConfig is the shape of an RNN, LSTM or GRU.
type RecurrentConfig struct {
	Input, Hidden int
	Layers        int     // 0 means 1; each reads what the one below gives
	Bidirectional bool    // a second pass from the end to the start in each layer, with weights of its own
	NoBias        bool    // without biases
	Dropout       float64 // of what a layer gives the next one, where the scope trains
}

// Recurrent is what RNN, LSTM and GRU have in common: the weights of each layer and direction, by PyTorch's
// names and in its order of gates, so that its checkpoints can be loaded. G is the number of gates: 1, 4
// (input, forget, cell, output) and 3 (reset, update, new).
type Recurrent struct {
	WeightIH []*tensor.Tensor `param:"weight_ih_l#"` // [G·hidden, input], above the first layer [G·hidden, directions·hidden]
	WeightHH []*tensor.Tensor `param:"weight_hh_l#"` // [G·hidden, hidden]
	BiasIH   []*tensor.Tensor `param:"bias_ih_l#"`   // [G·hidden], or nil
	BiasHH   []*tensor.Tensor `param:"bias_hh_l#"`   // [G·hidden], or nil

	// The weights of the backward direction; empty unless bidirectional.
	ReverseIH     []*tensor.Tensor `param:"weight_ih_l#_reverse"`
	ReverseHH     []*tensor.Tensor `param:"weight_hh_l#_reverse"`
	ReverseBiasIH []*tensor.Tensor `param:"bias_ih_l#_reverse"`
	ReverseBiasHH []*tensor.Tensor `param:"bias_hh_l#_reverse"`

	Dropout float64
}

// newRecurrent allocates the weights of a network of cells.
func newRecurrent(op string, p tensor.Place, dt tensor.DType, gates int, c RecurrentConfig) Recurrent {
	layers := max(c.Layers, 1)
	positive(op, "Input", c.Input, "Hidden", c.Hidden, "Layers", layers)
	r := Recurrent{Dropout: c.Dropout}
	in, directions := c.Input, 1
	if c.Bidirectional {
		directions = 2
	}
	for range layers {
		add := func(ih, hh, bih, bhh *[]*tensor.Tensor) {
			*ih = append(*ih, newParameter(p, dt, gates*c.Hidden, in))
			*hh = append(*hh, newParameter(p, dt, gates*c.Hidden, c.Hidden))
			if !c.NoBias {
				*bih = append(*bih, newParameter(p, dt, gates*c.Hidden))
				*bhh = append(*bhh, newParameter(p, dt, gates*c.Hidden))
			}
		}
		add(&r.WeightIH, &r.WeightHH, &r.BiasIH, &r.BiasHH)
		if c.Bidirectional {
			add(&r.ReverseIH, &r.ReverseHH, &r.ReverseBiasIH, &r.ReverseBiasHH)
		}
		in = directions * c.Hidden
	}
	return r
}

// ResetParameters draws all weights and biases uniformly with bound 1/√hidden, as PyTorch does.
func (r *Recurrent) ResetParameters(rand *tensor.Rand) {
	for _, p := range Parameters(r) {
		Uniform(1/math.Sqrt(float64(r.WeightHH[0].Dim(1))))(p, rand)
	}
}

// passWeights are the weights of one pass over time; the biases may be nil.
type passWeights struct{ ih, hh, bih, bhh *tensor.Tensor }

// passes are those of a layer: forwards and, if bidirectional, backwards.
func (r *Recurrent) passes(layer int) []passWeights {
	pick := func(ts []*tensor.Tensor) *tensor.Tensor {
		if len(ts) == 0 {
			return nil
		}
		return ts[layer]
	}
	all := []passWeights{{r.WeightIH[layer], r.WeightHH[layer], pick(r.BiasIH), pick(r.BiasHH)}}
	if len(r.ReverseIH) > 0 {
		all = append(all, passWeights{r.ReverseIH[layer], r.ReverseHH[layer], pick(r.ReverseBiasIH), pick(r.ReverseBiasHH)})
	}
	return all
}

// run sends x [B, T, input] through all layers of cells from the initial states, each [layers·directions,
// B, hidden] or nil for zeros, and gives what the last layer gives, [B, T, directions·hidden], and the
// final states.
func (r *Recurrent) run(op string, c cell, x *tensor.Tensor, initial ...*tensor.Tensor) (y *tensor.Tensor, final []*tensor.Tensor) {
	s := scopeOf(op, x)
	layers, hidden := len(r.WeightIH), r.WeightHH[0].Dim(1)
	if x.Rank() != 3 || x.Dim(2) != r.WeightIH[0].Dim(1) || x.DType() != r.WeightIH[0].DType() {
		fail(op, []*tensor.Tensor{x, r.WeightIH[0]}, "needs x [B, T, %d] of the weights' dtype", r.WeightIH[0].Dim(1))
	}
	dt, acc, directions := x.DType(), accumulator(x), len(r.passes(0))
	shape := []int{layers * directions, x.Dim(0), hidden}
	for i, h := range initial {
		if h == nil {
			initial[i] = tensor.Zeros(s, acc, shape...)
			continue
		}
		if h.Rank() != 3 || h.Dim(0) != shape[0] || h.Dim(1) != shape[1] || h.Dim(2) != shape[2] || !h.DType().IsFloat() {
			fail(op, []*tensor.Tensor{x, h}, "needs an initial state %v of a float dtype, or nil", shape)
		}
		initial[i] = h.In(s).To(acc)
	}
	last := make([][]*tensor.Tensor, len(initial))
	y = x.Transpose(0, 1) // steps first: what a step reads then lies together
	for layer := range layers {
		if layer > 0 {
			y = Dropout{r.Dropout}.Forward(y)
		}
		var outs []*tensor.Tensor
		for direction, w := range r.passes(layer) {
			p := pass{cell: c, reverse: direction == 1}
			var start []*tensor.Tensor
			for _, h := range initial {
				start = append(start, h.Index(layer*directions+direction))
			}
			hs, end := p.run(op, y, w, start)
			outs = append(outs, hs.To(dt))
			for i, h := range end {
				last[i] = append(last[i], h.Unsqueeze(0))
			}
		}
		if y = outs[0]; len(outs) > 1 {
			y = tensor.Cat(2, outs...)
		}
	}
	for _, hs := range last {
		final = append(final, tensor.Cat(0, hs...).To(dt))
	}
	return y.Transpose(0, 1), final
}
