package nn_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/hone-ml/hone/nn"
	"github.com/hone-ml/hone/tensor"
)

func recurrentCases() []layerCase {
	d, f32 := tensor.CPU(), tensor.F32
	stacked := nn.RecurrentConfig{Input: 4, Hidden: 6, Layers: 2}
	plain := nn.RecurrentConfig{Input: 4, Hidden: 6, NoBias: true}
	both := nn.RecurrentConfig{Input: 4, Hidden: 3, Layers: 2, Bidirectional: true}
	var cases []layerCase
	add := func(name string, module nn.Layer, inputs string, run func(x []T) []T) {
		cases = append(cases, layerCase{name: name, module: module, inputs: inputs, forward: run}, of(name+"_zero", module))
	}
	for _, c := range []struct {
		suffix string
		config nn.RecurrentConfig
	}{{"", stacked}, {"_plain", plain}, {"_both", both}} {
		if c.suffix != "_plain" {
			rnn := nn.NewRNN(d, f32, c.config)
			add("rnn"+c.suffix, rnn, "x h", func(x []T) []T { y, h := rnn.Run(x[0], x[1]); return []T{y, h} })
		}
		gru := nn.NewGRU(d, f32, c.config)
		add("gru"+c.suffix, gru, "x h", func(x []T) []T { y, h := gru.Run(x[0], x[1]); return []T{y, h} })
		lstm := nn.NewLSTM(d, f32, c.config)
		add("lstm"+c.suffix, lstm, "x h c", func(x []T) []T { y, h, c := lstm.Run(x[0], x[1], x[2]); return []T{y, h, c} })
	}
	relu := nn.NewRNN(d, f32, plain)
	relu.ReLU = true
	add("rnn_relu", relu, "x h", func(x []T) []T { y, h := relu.Run(x[0], x[1]); return []T{y, h} })
	return cases
}

func TestRecurrentNetworksEqualPyTorchs(t *testing.T) {
	g := openGoldens(t, "recurrent.safetensors")
	for _, c := range recurrentCases() {
		t.Run(c.name, func(t *testing.T) { c.compare(t, g) })
	}
	g.allRead(t)
}

// joined is tensors of any shape as one, for a gradient check of several results.
func joined(ts ...T) T {
	var flat []T
	for _, t := range ts {
		flat = append(flat, t.Flatten())
	}
	return tensor.Cat(0, flat...)
}

func TestRecurrentNetworksHaveTheRightGradients(t *testing.T) {
	d, f64 := tensor.CPU(), tensor.F64
	r := tensor.NewRand(12)
	for _, size := range []struct{ batch, steps int }{{2, 3}, {1, 1}, {3, 2}, {0, 2}, {2, 0}} {
		for name, c := range map[string]nn.RecurrentConfig{
			"plain":  {Input: 2, Hidden: 3, NoBias: true},
			"deep":   {Input: 2, Hidden: 2, Layers: 2},
			"both":   {Input: 1, Hidden: 2, Layers: 2, Bidirectional: true, Dropout: 0.4},
			"narrow": {Input: 3, Hidden: 1, Bidirectional: true},
		} {
			t.Run(fmt.Sprint(name, size), func(t *testing.T) {
				states := max(c.Layers, 1)
				if c.Bidirectional {
					states *= 2
				}
				x, h, cell := randn(r, size.batch, size.steps, c.Input), randn(r, states, size.batch, c.Hidden), randn(r, states, size.batch, c.Hidden)
				rnn, gru, lstm := nn.NewRNN(d, f64, c), nn.NewGRU(d, f64, c), nn.NewLSTM(d, f64, c)
				checkGradients(t, rnn, func(x ...T) T { y, h := rnn.Run(x[0], x[1]); return joined(y, h) }, x, h)
				checkGradients(t, rnn, func(x ...T) T { return rnn.Forward(x[0]) }, x)
				checkGradients(t, gru, func(x ...T) T { y, h := gru.Run(x[0], x[1]); return joined(y, h) }, x, h)
				checkGradients(t, gru, func(x ...T) T { _, h := gru.Run(x[0], nil); return h }, x)
				checkGradients(t, lstm, func(x ...T) T { y, h, c := lstm.Run(x[0], x[1], x[2]); return joined(y, h, c) }, x, h, cell)
				checkGradients(t, lstm, func(x ...T) T { _, _, c := lstm.Run(x[0], nil, nil); return c }, x)
			})
		}
	}
}

func TestASequenceInPiecesEqualsTheWhole(t *testing.T) {
	d := tensor.CPU()
	r := tensor.NewRand(13)
	c := nn.RecurrentConfig{Input: 3, Hidden: 4, Layers: 2}
	lstm, gru := nn.NewLSTM(d, tensor.F32, c), nn.NewGRU(d, tensor.F32, c)
	nn.Initialize(lstm, r)
	nn.Initialize(gru, r)
	for _, s := range []*tensor.Scope{d.NewScope(), d.NewTape()} {
		x := tensor.Randn(s, tensor.F32, r, 1, 2, 7, 3)
		whole, h, cell := lstm.Run(x, nil, nil)
		first, h1, c1 := lstm.Run(x.Slice(1, 0, 3), nil, nil)
		rest, h2, c2 := lstm.Run(x.Slice(1, 3, 7), h1, c1)
		near(t, "lstm", tensor.Cat(1, first, rest).Float64s(), whole.Float64s(), 1e-6)
		near(t, "its state", joined(h2, c2).Float64s(), joined(h, cell).Float64s(), 1e-6)
		all, g := gru.Run(x, nil)
		begin, g1 := gru.Run(x.Slice(1, 0, 5), nil)
		end, g2 := gru.Run(x.Slice(1, 5, 7), g1)
		near(t, "gru", tensor.Cat(1, begin, end).Float64s(), all.Float64s(), 1e-6)
		near(t, "its state", g2.Float64s(), g.Float64s(), 1e-6)
		s.Close()
	}
}

func TestRecurrentNetworksOfBF16ComputeInF32(t *testing.T) {
	d := tensor.CPU()
	c := nn.RecurrentConfig{Input: 3, Hidden: 8}
	narrow, wide := nn.NewLSTM(d, tensor.BF16, c), nn.NewLSTM(d, tensor.F32, c)
	nn.Initialize(narrow, tensor.NewRand(1))
	for name, p := range nn.Parameters(wide) {
		for n, q := range nn.Parameters(narrow) {
			if n == name {
				p.CopyFrom(q)
			}
		}
	}
	grads := tensor.NewGrads(nn.Parameters(narrow), tensor.F32)
	s := d.NewTape()
	defer s.Close()
	x := tensor.Randn(s, tensor.BF16, tensor.NewRand(2), 1, 4, 20, 3)
	y, h, cell := narrow.Run(x, nil, nil)
	if y.DType() != tensor.BF16 || h.DType() != tensor.BF16 || cell.DType() != tensor.BF16 {
		t.Errorf("dtypes %v, %v, %v", y.DType(), h.DType(), cell.DType())
	}
	near(t, "against F32", y.Float64s(), wide.Forward(x.To(tensor.F32)).Float64s(), 0.01)
	y.To(tensor.F32).Sum().Backward(grads)
	if grads.Norm() == 0 {
		t.Error("no gradients")
	}
}

func TestRecurrentNetworksHaveTheNamesOfPyTorch(t *testing.T) {
	l := nn.NewLSTM(tensor.CPU(), tensor.F32, nn.RecurrentConfig{Input: 3, Hidden: 2, Layers: 2, Bidirectional: true})
	got := namesOf(nn.Parameters(l))
	want := []string{"weight_ih_l0", "weight_ih_l1", "weight_hh_l0", "weight_hh_l1", "bias_ih_l0", "bias_ih_l1", "bias_hh_l0", "bias_hh_l1",
		"weight_ih_l0_reverse", "weight_ih_l1_reverse", "weight_hh_l0_reverse", "weight_hh_l1_reverse",
		"bias_ih_l0_reverse", "bias_ih_l1_reverse", "bias_hh_l0_reverse", "bias_hh_l1_reverse"}
	if !slices.Equal(got, want) {
		t.Errorf("names %q", got)
	}
	nn.Initialize(l, tensor.NewRand(1))
	if _, std, largest := moments(l.ReverseHH[1]); std == 0 || largest > 0.7072 {
		t.Errorf("initial values up to %g", largest)
	}
}

func TestRecurrentNetworksKeepOnlyTheirStatesInInference(t *testing.T) {
	d := tensor.CPU()
	l := nn.NewLSTM(d, tensor.F32, nn.RecurrentConfig{Input: 8, Hidden: 64})
	nn.Initialize(l, tensor.NewRand(1))
	s := d.NewScope()
	defer s.Close()
	l.Forward(tensor.Zeros(s, tensor.F32, 4, 1000, 8))
	vector := 4 * 1000 * 64 * 4 // bytes of one for each step
	// what the input gives to four gates, h and c; and what a few steps leave behind until they are freed together
	if limit := vector*(4+2) + 3<<20; s.Peak() > limit {
		t.Errorf("the peak is %d bytes, more than %d", s.Peak(), limit)
	}
}

func TestRecurrentNetworksDoNotDependOnHowManyStepsAreComputedTogether(t *testing.T) {
	d, f32 := tensor.CPU(), tensor.F32
	c := nn.RecurrentConfig{Input: 3, Hidden: 4, Layers: 2, Bidirectional: true}
	for name, l := range map[string]nn.Layer{"rnn": nn.NewRNN(d, f32, c), "gru": nn.NewGRU(d, f32, c), "lstm": nn.NewLSTM(d, f32, c)} {
		nn.Initialize(l, tensor.NewRand(1))
		x := tensor.Randn(d, f32, tensor.NewRand(2), 1, 2, 7, 3)
		x.SetTrainable(true)
		run := func(steps int) (y, gradients []float64) {
			nn.WithStepsTogether(steps*2*4, func() {
				grads := tensor.NewGrads(together(nn.Parameters(l), numbered(x)), f32)
				s := d.NewTape()
				defer s.Close()
				out := l.Forward(x.In(s))
				y = out.Float64s()
				out.Square().Sum().Backward(grads)
				gradients = grads.Flat().Float64s()
			})
			return y, gradients
		}
		y, gradients := run(64)
		for _, n := range []int{1, 2, 3, 7} {
			if y2, g2 := run(n); !slices.Equal(y, y2) || !slices.Equal(gradients, g2) {
				t.Errorf("%s, %d steps together: other bits", name, n)
			}
		}
	}
}

func TestRecurrentNetworksSayWhatTheyWant(t *testing.T) {
	d, f32 := tensor.CPU(), tensor.F32
	s := d.NewScope()
	defer s.Close()
	c := nn.RecurrentConfig{Input: 3, Hidden: 2, Layers: 2}
	l := nn.NewLSTM(d, f32, c)
	x := tensor.Zeros(s, f32, 4, 5, 3)
	mustSay(t, "hidden", func() { nn.NewGRU(d, f32, nn.RecurrentConfig{Input: 3}) }, "nn.NewGRU", "Hidden is 0; it must be positive")
	mustSay(t, "rank", func() { l.Forward(tensor.Zeros(s, f32, 5, 3)) }, "nn.LSTM f32[5 3], f32[8 3]", "needs x [B, T, 3]")
	mustSay(t, "width", func() { nn.NewRNN(d, f32, c).Forward(tensor.Zeros(s, f32, 4, 5, 2)) }, "nn.RNN f32[4 5 2]", "needs x [B, T, 3]")
	mustSay(t, "dtype", func() { l.Forward(tensor.Zeros(s, tensor.BF16, 4, 5, 3)) }, "nn.LSTM bf16[4 5 3]", "of the weights' dtype")
	mustSay(t, "state", func() { l.Run(x, tensor.Zeros(s, f32, 1, 4, 2), nil) }, "nn.LSTM f32[4 5 3], f32[1 4 2]", "needs an initial state [2 4 2]")
	mustSay(t, "long-lived", func() { l.Forward(tensor.Zeros(d, f32, 4, 5, 3)) }, "nn.LSTM", "with In")
}
