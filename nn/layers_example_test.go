package nn_test

import (
	"fmt"

	"github.com/hone-ml/hone/nn"
	"github.com/hone-ml/hone/tensor"
)

func ExampleLayerNorm() {
	dev := tensor.CPU()
	s := dev.NewScope()
	defer s.Close()
	x := tensor.FromSlice(s, []float32{1, 2, 3, 4}, 1, 4)
	for _, norm := range []nn.Layer{
		nn.NewLayerNorm(dev, tensor.F32, 4, 1e-5),    // centred, over the last axis
		nn.NewRMSNorm(dev, tensor.F32, 4, 1e-5),      // not centred
		nn.NewGroupNorm(dev, tensor.F32, 2, 4, 1e-5), // groups of two channels
	} {
		nn.Initialize(norm, tensor.NewRand(1))
		fmt.Printf("%.3f\n", norm.Forward(x).Float64s())
	}
	// Output:
	// [-1.342 -0.447 0.447 1.342]
	// [0.365 0.730 1.095 1.461]
	// [-1.000 1.000 -1.000 1.000]
}

func ExampleFunc() {
	s := tensor.CPU().NewScope()
	defer s.Close()
	net := nn.Sequential{
		nn.Func((*tensor.Tensor).Abs),
		nn.Func(func(x *tensor.Tensor) *tensor.Tensor { return x.MulScalar(10) }),
		nn.Tanh{}, nn.Sigmoid{},
	}
	fmt.Println(net.Forward(tensor.FromSlice(s, []float32{-1, 0, 1})))
	// Output: f32[3] [0.7311 0.5 0.7311]
}

func ExampleGatedMLP() {
	dev := tensor.CPU()
	mlp := nn.NewGatedMLP(dev, tensor.F32, 64, 172)
	for name, p := range nn.Parameters(mlp) {
		fmt.Println(name, p.Shape())
	}
	// Output:
	// gate_proj.weight [172 64]
	// up_proj.weight [172 64]
	// down_proj.weight [64 172]
}

func ExampleMultiHeadAttention_CrossForward() {
	dev := tensor.CPU()
	attention := nn.NewMultiHeadAttention(dev, tensor.F32, nn.AttentionConfig{Width: 32, Heads: 4, KVWidth: 20})
	nn.Initialize(attention, tensor.NewRand(1))
	s := dev.NewScope()
	defer s.Close()
	decoder, encoder := tensor.Zeros(s, tensor.F32, 2, 3, 32), tensor.Zeros(s, tensor.F32, 2, 9, 20)
	fmt.Println(attention.CrossForward(decoder, encoder).Shape())
	// Output: [2 3 32]
}

func ExampleMultiHeadAttention_PaddedForward() {
	dev := tensor.CPU()
	attention := nn.NewMultiHeadAttention(dev, tensor.F32, nn.AttentionConfig{Width: 32, Heads: 4})
	nn.Initialize(attention, tensor.NewRand(1))
	s := dev.NewScope()
	defer s.Close()
	x := tensor.Ones(s, tensor.F32, 2, 6, 32) // two sentences of six and of four tokens
	y := attention.PaddedForward(x, []int{6, 4})
	fmt.Println(y.Shape(), y.Index(1).Slice(0, 4, 6).Abs().Sum().Item())
	// Output: [2 6 32] 0
}

func ExampleRoPE_From() {
	s := tensor.CPU().NewScope()
	defer s.Close()
	rope := nn.RoPE{Theta: 1e4}
	q := tensor.Ones(s, tensor.F32, 1, 1, 1, 4)
	alike := rope.From(q, 7).Mul(rope.From(q, 5)).Sum() // a query at 7, a key at 5
	fmt.Println(alike, rope.From(q, 102).Mul(rope.From(q, 100)).Sum())
	// Output: f32[] 1.167 f32[] 1.167
}

func ExampleKVCache_Truncate() {
	dev := tensor.CPU()
	cache := nn.NewKVCache(dev, tensor.F32, 1, 8, 2, 4)
	defer cache.Free()
	s := dev.NewScope()
	defer s.Close()
	q, kv := tensor.Ones(s, tensor.F32, 1, 5, 4, 4), tensor.Ones(s, tensor.F32, 1, 5, 2, 4)
	fmt.Println(cache.Attention(q, kv, kv).Shape(), cache.Len())
	cache.Truncate(2) // goes back to where the sequence was two positions long
	fmt.Println(cache.Len())
	// Output:
	// [1 5 4 4] 5
	// 2
}

func ExampleCosineEmbedding() {
	s := tensor.CPU().NewScope()
	defer s.Close()
	x := tensor.FromSlice(s, []float32{1, 0, 1, 0}, 2, 2)
	y := tensor.FromSlice(s, []float32{3, 4, 3, 4}, 2, 2)
	labels := tensor.FromSlice(s, []int32{1, -1}) // alike, and not alike
	fmt.Println(nn.CosineEmbedding(x, y, labels, 0.5, nn.PerElement))
	// Output: f32[2] [0.4 0.1]
}

func ExampleReduction() {
	s := tensor.CPU().NewScope()
	defer s.Close()
	y, target := tensor.FromSlice(s, []float32{0, 0, 4}), tensor.Zeros(s, tensor.F32, 3)
	mask := tensor.FromSlice(s, []float32{1, 1, 0})
	each := nn.SmoothL1(y, target, 1, nn.PerElement)
	fmt.Println(nn.SmoothL1(y, target, 1), nn.SmoothL1(y, target, 1, nn.Sum), each.Mul(mask).Sum())
	// Output: f32[] 1.167 f32[] 3.5 f32[] 0
}

func ExampleKLDivLog() {
	s := tensor.CPU().NewScope()
	defer s.Close()
	student := tensor.FromSlice(s, []float32{3, 1, 2}, 1, 3).LogSoftmax()
	fmt.Println(nn.KLDivLog(student, student))
	// Output: f32[] 0
}
