package nn_test

import (
	"fmt"

	"github.com/hone-ml/hone/nn"
	"github.com/hone-ml/hone/tensor"
)

func ExampleLSTM() {
	dev := tensor.CPU()
	lstm := nn.NewLSTM(dev, tensor.F32, nn.RecurrentConfig{Input: 8, Hidden: 16, Layers: 2})
	nn.Initialize(lstm, tensor.NewRand(1))

	s := dev.NewScope()
	defer s.Close()
	x := tensor.Randn(s, tensor.F32, tensor.NewRand(2), 1, 4, 10, 8) // 4 sequences of 10 steps
	y, h, c := lstm.Run(x, nil, nil)                                 // from states of zeros
	fmt.Println(y.Shape(), h.Shape(), c.Shape())
	y, _, _ = lstm.Run(x, h, c) // goes on where the first ended
	fmt.Println(y.Shape())
	// Output:
	// [4 10 16] [2 4 16] [2 4 16]
	// [4 10 16]
}

func ExampleGRU() {
	dev := tensor.CPU()
	gru := nn.NewGRU(dev, tensor.F32, nn.RecurrentConfig{Input: 3, Hidden: 5, Bidirectional: true})
	nn.Initialize(gru, tensor.NewRand(1))
	s := dev.NewScope()
	defer s.Close()
	fmt.Println(gru.Forward(tensor.Zeros(s, tensor.F32, 2, 7, 3)).Shape())
	for name, p := range nn.Parameters(gru) {
		fmt.Println(name, p.Shape())
	}
	// Output:
	// [2 7 10]
	// weight_ih_l0 [15 3]
	// weight_hh_l0 [15 5]
	// bias_ih_l0 [15]
	// bias_hh_l0 [15]
	// weight_ih_l0_reverse [15 3]
	// weight_hh_l0_reverse [15 5]
	// bias_ih_l0_reverse [15]
	// bias_hh_l0_reverse [15]
}

func ExampleRNN() {
	dev := tensor.CPU()
	rnn := nn.NewRNN(dev, tensor.F32, nn.RecurrentConfig{Input: 1, Hidden: 1, NoBias: true})
	rnn.ReLU = true
	rnn.WeightIH[0].Fill(1)
	rnn.WeightHH[0].Fill(1) // h' = relu(x + h): a running sum
	s := dev.NewScope()
	defer s.Close()
	y, h := rnn.Run(tensor.FromSlice(s, []float32{1, 2, 3, -4}, 1, 4, 1), nil)
	fmt.Println(y.Flatten(), h.Flatten())
	// Output: f32[4] [1 3 6 2] f32[1] [2]
}

func ExampleMultiHeadAttention() {
	dev := tensor.CPU()
	attention := nn.NewMultiHeadAttention(dev, tensor.F32, nn.AttentionConfig{
		Width: 64, Heads: 8, KVHeads: 2, Causal: true, RoPE: &nn.RoPE{Theta: 1e4},
	})
	block := nn.Sequential{ // a layer of a transformer
		nn.Residual{Layer: nn.Sequential{nn.NewRMSNorm(dev, tensor.F32, 64, 1e-6), attention}},
		nn.Residual{Layer: nn.Sequential{nn.NewRMSNorm(dev, tensor.F32, 64, 1e-6), nn.NewGatedMLP(dev, tensor.F32, 64, 160)}},
	}
	nn.Initialize(block, tensor.NewRand(1))
	s := dev.NewScope()
	defer s.Close()
	fmt.Println(block.Forward(tensor.Zeros(s, tensor.F32, 2, 10, 64)).Shape(), nn.Count(nn.Parameters(block)))
	// Output: [2 10 64] 41088
}

func ExampleKVCache() {
	dev := tensor.CPU()
	attention := nn.NewMultiHeadAttention(dev, tensor.F32, nn.AttentionConfig{Width: 16, Heads: 2, Causal: true})
	nn.Initialize(attention, tensor.NewRand(1))
	cache := attention.NewCache(dev, tensor.F32, 1, 100)
	defer cache.Free()

	s := dev.NewScope()
	defer s.Close()
	prompt := tensor.Zeros(s, tensor.F32, 1, 5, 16)
	attention.CachedForward(prompt, cache)
	for range 3 { // one position at a time
		s.Reset()
		next := tensor.Zeros(s, tensor.F32, 1, 1, 16)
		fmt.Println(attention.CachedForward(next, cache).Shape(), cache.Len())
	}
	// Output:
	// [1 1 16] 6
	// [1 1 16] 7
	// [1 1 16] 8
}

func ExampleRoPE() {
	s := tensor.CPU().NewScope()
	defer s.Close()
	x := tensor.FromSlice(s, []float32{1, 0, 1, 0}, 1, 2, 1, 2) // two positions of a head of two
	fmt.Println(nn.RoPE{}.Forward(x))
	// Output:
	// f32[1 2 1 2]
	// [[[[1.0000 0.0000]]
	//
	//   [[0.5403 0.8415]]]]
}
