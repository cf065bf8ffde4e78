package nn_test

import (
	"testing"

	"github.com/hone-ml/hone/nn"
	"github.com/hone-ml/hone/tensor"
)

// benchStep measures a training step of a layer, forward and backward, and its forward pass alone.
func benchStep(b *testing.B, l nn.Layer, shape ...int) {
	d := tensor.CPU()
	d.Poison(false) // as in use
	defer d.Poison(true)
	r := tensor.NewRand(1)
	nn.Initialize(l, r)
	x := tensor.Randn(d, tensor.F32, r, 1, shape...)
	b.Run("step", func(b *testing.B) {
		grads := tensor.NewGrads(nn.Parameters(l), tensor.F32)
		s := d.NewTape()
		defer s.Close()
		for b.Loop() {
			l.Forward(x.In(s)).Square().Mean().Backward(grads)
			grads.Zero()
			s.Reset()
		}
	})
	b.Run("forward", func(b *testing.B) {
		s := d.NewScope()
		defer s.Close()
		for b.Loop() {
			l.Forward(x.In(s))
			s.Reset()
		}
	})
}

func BenchmarkLSTM(b *testing.B) {
	benchStep(b, nn.NewLSTM(tensor.CPU(), tensor.F32, nn.RecurrentConfig{Input: 128, Hidden: 256}), 32, 64, 128)
}

func BenchmarkLSTMSmall(b *testing.B) {
	benchStep(b, nn.NewLSTM(tensor.CPU(), tensor.F32, nn.RecurrentConfig{Input: 32, Hidden: 64}), 8, 64, 32)
}

func BenchmarkGRU(b *testing.B) {
	benchStep(b, nn.NewGRU(tensor.CPU(), tensor.F32, nn.RecurrentConfig{Input: 128, Hidden: 256}), 32, 64, 128)
}

func BenchmarkBatchNorm(b *testing.B) {
	benchStep(b, nn.NewBatchNorm(tensor.CPU(), tensor.F32, 64, 1e-5), 32, 64, 28, 28)
}

func BenchmarkGroupNorm(b *testing.B) {
	benchStep(b, nn.NewGroupNorm(tensor.CPU(), tensor.F32, 8, 64, 1e-5), 32, 64, 28, 28)
}
