package optim_test

import (
	"fmt"
	"testing"

	"github.com/hone-ml/hone/optim"
	"github.com/hone-ml/hone/tensor"
)

// BenchmarkAdamW is a step over 201 M parameters, far more than caches hold. GB/s counts every byte that
// must be read or written, but for the scales of blocks.
func BenchmarkAdamW(b *testing.B) {
	for _, c := range []struct {
		name   string
		params tensor.DType
		grads  tensor.DType
		config optim.AdamWConfig
		bytes  int // of a parameter, its gradient and its state
	}{
		{"f32/moments=f32", tensor.F32, tensor.F32, optim.AdamWConfig{}, 2*(4+4+4) + 4},
		{"f32/moments=bf16", tensor.F32, tensor.F32, optim.AdamWConfig{Moments: optim.MomentsBF16}, 2*(4+2+2) + 4},
		{"f32/moments=8bit", tensor.F32, tensor.F32, optim.AdamWConfig{Moments: optim.Moments8Bit}, 2*(4+1+1) + 4},
		{"bf16+master/moments=f32", tensor.BF16, tensor.F32, optim.AdamWConfig{Weights: optim.WeightsMaster}, 2*(4+4+4) + 2 + 4},
		{"bf16/moments=f32", tensor.BF16, tensor.F32, optim.AdamWConfig{}, 2*(4+4+4) + 4},
		{"bf16/moments=bf16", tensor.BF16, tensor.F32, optim.AdamWConfig{Moments: optim.MomentsBF16}, 2*(4+2+2) + 4},
		{"bf16/moments=8bit", tensor.BF16, tensor.F32, optim.AdamWConfig{Moments: optim.Moments8Bit}, 2*(4+1+1) + 4},
		{"bf16/moments=f32/grads=bf16", tensor.BF16, tensor.BF16, optim.AdamWConfig{}, 2*(4+4+4) + 2},
		{"bf16/moments=8bit/grads=bf16", tensor.BF16, tensor.BF16, optim.AdamWConfig{Moments: optim.Moments8Bit}, 2*(4+1+1) + 2},
	} {
		b.Run(c.name, func(b *testing.B) {
			benchmarkSweep(b, c.params, c.grads, c.bytes, func(g []optim.Group) optim.Optimizer { return optim.NewAdamW(g, c.config) })
		})
	}
}

// benchmarkSweep makes steps over 201 M parameters.
func benchmarkSweep(b *testing.B, dt, gradType tensor.DType, bytes int, optimizer func([]optim.Group) optim.Optimizer) {
	const matrices, rows, columns = 48, 2048, 2048
	var params []*tensor.Tensor
	for range matrices {
		p := tensor.Full(tensor.CPU(), dt, 0.02, rows, columns)
		p.SetTrainable(true)
		params = append(params, p)
	}
	o := optimizer([]optim.Group{{Params: params, LR: 1e-5, WeightDecay: 0.01}})
	grads := tensor.NewGrads(named(params...), gradType)
	defer func() {
		grads.Free()
		for _, t := range o.State() {
			t.Free()
		}
		for _, p := range params {
			p.Free()
		}
		tensor.CPU().TrimCache()
	}()
	for _, p := range params {
		grads.Unscaled(p).Fill(0.01)
	}
	for b.Loop() {
		if err := o.Step(grads); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(bytes)*matrices*rows*columns*float64(b.N)/b.Elapsed().Seconds()/1e9, "GB/s")
}

// BenchmarkOptimizers is the same of optimizers that keep one moment or less, and of Adam. GB/s counts what
// the rule must read and write: Adafactor's reads gradients three times, weights twice.
func BenchmarkOptimizers(b *testing.B) {
	for _, c := range []struct {
		name      string
		optimizer func(g []optim.Group) optim.Optimizer
		bytes     int // of a parameter, its gradient and its state
	}{
		{"SGD", func(g []optim.Group) optim.Optimizer { return optim.NewSGD(g, optim.SGDConfig{}) }, 2*4 + 4},
		{"SGD/momentum=f32", func(g []optim.Group) optim.Optimizer { return optim.NewSGD(g, optim.SGDConfig{Momentum: 0.9}) }, 2*(4+4) + 4},
		{"Lion/momentum=f32", func(g []optim.Group) optim.Optimizer { return optim.NewLion(g, optim.LionConfig{}) }, 2*(4+4) + 4},
		{"Lion/momentum=bf16", func(g []optim.Group) optim.Optimizer {
			return optim.NewLion(g, optim.LionConfig{Moments: optim.MomentsBF16})
		}, 2*(4+2) + 4},
		{"Adam/moments=f32", func(g []optim.Group) optim.Optimizer { return optim.NewAdam(g, optim.AdamConfig{}) }, 2*(4+4+4) + 4},
		{"Adafactor", func(g []optim.Group) optim.Optimizer { return optim.NewAdafactor(g, optim.AdafactorConfig{}) }, 3*4 + 3*4},
	} {
		for _, dt := range []tensor.DType{tensor.F32, tensor.BF16} {
			b.Run(fmt.Sprintf("%s/%s", c.name, dt), func(b *testing.B) { benchmarkSweep(b, dt, tensor.F32, c.bytes, c.optimizer) })
		}
	}
}

// BenchmarkMuon is a step over the matrices of the text2sql demo, 0.8 M parameters.
func BenchmarkMuon(b *testing.B) {
	var params []*tensor.Tensor
	for range 4 { // layers: q, k, v, o, gate, up, down
		for _, shape := range [][]int{{128, 128}, {64, 128}, {64, 128}, {128, 128}, {384, 128}, {384, 128}, {128, 384}} {
			params = append(params, drawn(tensor.F32, uint64(len(params)), shape...))
		}
	}
	o := optim.NewMuon([]optim.Group{{Params: params, LR: 0.03, WeightDecay: 0.05}}, optim.MuonConfig{})
	grads := tensor.NewGrads(named(params...), tensor.F32)
	for i, p := range params {
		grads.Unscaled(p).FillRandn(tensor.NewRand(uint64(i)), 0, 1)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := o.Step(grads); err != nil {
			b.Fatal(err)
		}
	}
}
