package nn_test

import (
	"slices"
	"testing"

	"github.com/hone-ml/hone/nn"
	"github.com/hone-ml/hone/tensor"
)

func TestLayersTakeInputsWhoseElementsAreScattered(t *testing.T) {
	d, f64 := tensor.CPU(), tensor.F64
	r := tensor.NewRand(20)
	recurrent := nn.RecurrentConfig{Input: 4, Hidden: 2, Bidirectional: true}
	for name, c := range map[string]struct {
		layer nn.Layer
		shape []int // of the input with its first and last axes exchanged, and one element too many on the axis between
	}{
		"linear":     {nn.NewLinear(d, f64, 4, 3, true), []int{4, 4, 2}},
		"layer norm": {nn.NewLayerNorm(d, f64, 4, 1e-2), []int{4, 4, 2}},
		"rms norm":   {nn.NewRMSNorm(d, f64, 4, 1e-2), []int{4, 4, 2}},
		"group norm": {nn.NewGroupNorm(d, f64, 2, 4, 1e-2), []int{2, 5, 3}},
		"batch norm": {nn.NewBatchNorm(d, f64, 4, 1e-2), []int{2, 5, 3}},
		"gelu":       {nn.GELU{}, []int{2, 3, 2}},
		"dropout":    {nn.Dropout{P: 0.3}, []int{2, 3, 2}},
		"flatten":    {nn.Flatten{}, []int{2, 3, 2}},
		"mlp":        {nn.NewMLP(d, f64, nn.Tanh{}, 4, 3, 2), []int{4, 3, 2}},
		"gated mlp":  {nn.NewGatedMLP(d, f64, 4, 3), []int{4, 3, 2}},
		"conv1d":     {nn.NewConv1d(d, f64, 3, 2, 2, true, tensor.Conv1dOptions{Causal: true}), []int{4, 4, 2}},
		"attention":  {nn.NewMultiHeadAttention(d, f64, nn.AttentionConfig{Width: 4, Heads: 2, Causal: true, RoPE: &nn.RoPE{}}), []int{4, 4, 2}},
		"rnn":        {nn.NewRNN(d, f64, recurrent), []int{4, 4, 2}},
		"gru":        {nn.NewGRU(d, f64, recurrent), []int{4, 4, 2}},
		"lstm":       {nn.NewLSTM(d, f64, recurrent), []int{4, 4, 2}},
	} {
		t.Run(name, func(t *testing.T) {
			scattered := func(x T) T { return x.Transpose(0, 2).Slice(1, 1, c.shape[1]) }
			x := randn(r, c.shape...)
			checkGradients(t, c.layer, func(x ...T) T { return c.layer.Forward(scattered(x[0])) }, x)
			s := d.NewScope()
			defer s.Close()
			y := scattered(x.In(s))
			if y.IsContiguous() {
				t.Fatal("the input is contiguous")
			}
			want := c.layer.Forward(y.Contiguous()).Float64s()
			if got := c.layer.Forward(y).Float64s(); !slices.Equal(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

// Every way to run a layer gives the same bits as running it plainly.
func TestLayersInBlocksAndCheckpointsHaveTheSameGradients(t *testing.T) {
	d, f32 := tensor.CPU(), tensor.F32
	recurrent := nn.RecurrentConfig{Input: 4, Hidden: 4, Layers: 2, Dropout: 0.5, Bidirectional: true}
	for name, layer := range map[string]nn.Layer{
		"rnn":        nn.NewRNN(d, f32, recurrent),
		"gru":        nn.NewGRU(d, f32, recurrent),
		"lstm":       nn.NewLSTM(d, f32, recurrent),
		"attention":  nn.NewMultiHeadAttention(d, f32, nn.AttentionConfig{Width: 4, Heads: 2, KVHeads: 1, Causal: true, RoPE: &nn.RoPE{}}),
		"batch norm": nn.NewBatchNorm(d, f32, 5, 1e-5),
		"group norm": nn.NewGroupNorm(d, f32, 1, 5, 1e-5),
		"mlp":        nn.Sequential{nn.NewMLP(d, f32, nn.GELU{}, 4, 8, 4), nn.Dropout{P: 0.2}},
	} {
		t.Run(name, func(t *testing.T) {
			nn.Initialize(layer, tensor.NewRand(1))
			x := tensor.Randn(d, f32, tensor.NewRand(2), 1, 3, 5, 4)
			x.SetTrainable(true)
			grads := tensor.NewGrads(together(nn.Parameters(layer), numbered(x)), f32)
			run := func(wrap func(fn tensor.BlockFunc, in ...T) []T) []float64 {
				grads.Zero()
				s := d.NewTape()
				defer s.Close()
				y := wrap(func(x ...T) []T { return []T{layer.Forward(x[0])} }, x.In(s).MulScalar(1))[0]
				y.Square().Sum().Backward(grads)
				return grads.Flat().Float64s()
			}
			want := run(func(fn tensor.BlockFunc, in ...T) []T { return fn(in...) })
			for way, wrap := range map[string]func(fn tensor.BlockFunc, in ...T) []T{
				"Block": tensor.Block, "Checkpoint": tensor.Checkpoint, "Selective": tensor.Selective,
			} {
				if got := run(wrap); !slices.Equal(got, want) {
					t.Errorf("in %s the gradients differ", way)
				}
			}
		})
	}
}
