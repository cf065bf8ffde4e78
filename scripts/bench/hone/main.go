// Command hone measures what a user of the library calls, as scripts/bench/pytorch.py measures the same in
// PyTorch: one JSON object a line on standard output.
//
//	go run ./scripts/bench/hone matmul|step|attention|optimizer|decode|prefill|gpt [flags]
//
// The model is Qwen3-0.6B with random weights; that of gpt is a tiny GPT.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"time"

	"github.com/hone-ml/hone/models"
	"github.com/hone-ml/hone/models/qwen"
	"github.com/hone-ml/hone/tensor"
)

// options are the flags; each benchmark reads what concerns it.
type options struct {
	dtype     tensor.DType
	recompute string
	moments   string
	gradients tensor.DType
	tokens    int
	rows      int
	layers    int
	repeats   int
	trace     bool
}

var benchmarks = map[string]func(o options) error{
	"matmul": matmul, "step": step, "attention": attention, "optimizer": optimizer, "decode": decode, "prefill": prefill,
	"gpt": trainGPT,
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "hone:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 || benchmarks[args[0]] == nil {
		return errors.New("want one of matmul, step, attention, optimizer, decode, prefill, gpt")
	}
	fs := flag.NewFlagSet("hone", flag.ExitOnError)
	var o options
	dtype := fs.String("dtype", "f32", "f32 or bf16")
	fs.StringVar(&o.recompute, "recompute", "none", "none, selective or block")
	fs.StringVar(&o.moments, "moments", "f32", "f32, bf16 or 8bit")
	gradients := fs.String("gradients", "f32", "f32 or bf16")
	fs.IntVar(&o.tokens, "tokens", 1024, "length of a row")
	fs.IntVar(&o.rows, "rows", 1, "rows of a micro-batch")
	fs.IntVar(&o.layers, "layers", 28, "layers of the model")
	fs.IntVar(&o.repeats, "repeats", 3, "measurements, of which the median counts")
	fs.BoolVar(&o.trace, "trace", false, "show on standard error where the time of a step went")
	if err := fs.Parse(args[1:]); err != nil {
		return err
	}
	var err error
	for _, one := range []struct {
		flag, value string
		to          *tensor.DType
	}{{"dtype", *dtype, &o.dtype}, {"gradients", *gradients, &o.gradients}} {
		if *one.to, err = models.DTypeOf(map[string]string{"f32": "float32", "bf16": "bfloat16"}[one.value]); err != nil {
			return fmt.Errorf("-%s %s: want f32 or bf16", one.flag, one.value)
		}
	}
	return benchmarks[args[0]](o)
}

// record is one line of output.
type record map[string]any

func (o options) report(bench string, r record) {
	r["bench"], r["dtype"], r["path"] = bench, o.dtype.String(), tensor.CPU().KernelPath()
	line, err := json.Marshal(r)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(line))
}

// median is the median time of f in seconds, after one call that does not count.
func (o options) median(f func()) float64 {
	f()
	times := make([]float64, o.repeats)
	for i := range times {
		start := time.Now()
		f()
		times[i] = time.Since(start).Seconds()
	}
	return middle(times)
}

func middle(x []float64) float64 {
	slices.Sort(x)
	return (x[(len(x)-1)/2] + x[len(x)/2]) / 2
}

// matmul is forward x·wᵀ, dX = dy·w and dW = dyᵀ·x of the linear layers of a step.
func matmul(o options) error {
	dev, r := tensor.CPU(), tensor.NewRand(1)
	const rows = 1024
	for _, p := range []struct {
		name string
		k, n int
	}{{"q", 1024, 2048}, {"o", 2048, 1024}, {"up", 1024, 3072}, {"down", 3072, 1024}, {"head", 1024, 151936}} {
		x, w, dy := tensor.Randn(dev, o.dtype, r, 1, rows, p.k), tensor.Randn(dev, o.dtype, r, 1, p.n, p.k), tensor.Randn(dev, o.dtype, r, 1, rows, p.n)
		s := dev.NewScope()
		for _, c := range []struct {
			kind string
			f    func()
		}{
			{"forward", func() { tensor.Linear(x.In(s), w, nil) }},
			{"dX", func() { dy.In(s).MatMul(w) }},
			{"dW", func() { dy.In(s).T().MatMul(x) }},
		} {
			seconds := o.median(func() { c.f(); s.Reset() })
			o.report("matmul", record{"shape": p.name + " " + c.kind, "gflops": 2 * float64(rows*p.n*p.k) / seconds / 1e9})
		}
		s.Close()
		for _, t := range []*tensor.Tensor{x, w, dy} {
			t.Free()
		}
	}
	return nil
}

// newModel is Qwen3-0.6B with random weights.
func (o options) newModel() (*qwen.Model, error) {
	c := qwen.Config{VocabSize: 151936, HiddenSize: 1024, IntermediateSize: 3072, NumHiddenLayers: o.layers, NumAttentionHeads: 16,
		NumKeyValueHeads: 8, HeadDim: 128, MaxPositionEmbeddings: 40960, RMSNormEps: 1e-6, RopeTheta: 1e6, TieWordEmbeddings: true,
		DType: map[tensor.DType]string{tensor.F32: "float32", tensor.BF16: "bfloat16"}[o.dtype]}
	m, err := qwen.New(c, tensor.CPU())
	if err != nil {
		return nil, err
	}
	m.Init(tensor.NewRand(1))
	return m, nil
}

// ids are pseudo-random tokens.
func ids(n int) []int32 {
	x := make([]int32, n)
	for i := range x {
		x[i] = int32(uint32(i) * 2654435761 % 151936)
	}
	return x
}

// step is a full training step: forward, backward, clipping, AdamW.
func step(o options) (err error) {
	m, err := o.newModel()
	if err != nil {
		return err
	}
	if err := setRecompute(m, o.recompute); err != nil {
		return err
	}
	opt, err := newAdamW(m, o.moments)
	if err != nil {
		return err
	}
	grads := tensor.NewGrads(m.Parameters(), o.gradients)
	tape := tensor.CPU().NewTape()
	defer tape.Close()
	x := ids(o.rows*o.tokens + 1)
	var total, compute, update []float64
	var loss float64
	for i := range o.repeats + 1 {
		if i == o.repeats && o.trace {
			defer showTrace(tensor.CPU().StartTrace(io.Discard), &err)
		}
		start := time.Now()
		b := models.Batch{IDs: tensor.FromSlice(tape, x[:len(x)-1], o.rows, o.tokens)}
		targets := tensor.FromSlice(tape, x[1:], o.rows, o.tokens)
		l := tensor.LinearCrossEntropy(m.Hidden(b, nil), m.Head(), targets,
			tensor.CrossEntropyOptions{KeepLogits: m.Recompute() == tensor.RecomputeNone})
		l.Backward(grads)
		loss = l.Item()
		half := time.Now()
		grads.Clip(1)
		if err := opt.Step(grads); err != nil {
			return err
		}
		grads.Zero()
		tape.Reset()
		end := time.Now()
		if i > 0 { // the first touches memory for the first time
			total = append(total, end.Sub(start).Seconds())
			compute = append(compute, half.Sub(start).Seconds())
			update = append(update, end.Sub(half).Seconds())
		}
	}
	seconds := middle(total)
	tokens := float64(o.rows * o.tokens)
	// Forward and backward of the matrices, and of causal attention with its scores and weighted sums.
	matrices := float64(o.layers*(1024*(2048+1024+1024)+2048*1024+3*1024*3072) + 151936*1024)
	flops := 6*tokens*matrices + 3.5*float64(o.layers)*float64(o.rows)*2*float64(o.tokens)*float64(o.tokens)*16*128
	o.report("step", record{"mode": "hone", "recompute": o.recompute, "moments": o.moments, "gradients": o.gradients.String(), "tokens": o.tokens, "rows": o.rows, "layers": o.layers,
		"tokens_per_second": tokens / seconds, "seconds": seconds, "forward_backward": middle(compute), "optimizer": middle(update),
		"peak_rss": peakRSS(), "gflops": flops / seconds / 1e9, "loss": loss})
	return nil
}

// showTrace ends a trace and shows it on standard error.
func showTrace(t *tensor.Trace, err *error) {
	*err = errors.Join(*err, t.Stop())
	fmt.Fprint(os.Stderr, t)
}

// attention is causal attention of one sequence, forward and backward.
func attention(o options) error {
	const heads, kvHeads, headDim = 16, 8, 128
	dev, r := tensor.CPU(), tensor.NewRand(1)
	q, k, v, dy := tensor.Randn(dev, o.dtype, r, 1, 1, o.tokens, heads, headDim), tensor.Randn(dev, o.dtype, r, 1, 1, o.tokens, kvHeads, headDim),
		tensor.Randn(dev, o.dtype, r, 1, 1, o.tokens, kvHeads, headDim), tensor.Randn(dev, o.dtype, r, 1, 1, o.tokens, heads, headDim)
	for _, p := range []*tensor.Tensor{q, k, v} {
		p.SetTrainable(true)
	}
	opts := tensor.AttentionOptions{Causal: true, Scale: 1 / math.Sqrt(headDim)}
	s := dev.NewScope()
	defer s.Close()
	forward := o.median(func() { tensor.Attention(q.In(s), k.In(s), v.In(s), opts); s.Reset() })
	flops := 2 * float64(o.tokens) * float64(o.tokens) * heads * headDim // causal: half of 4·T²·H·D
	o.report("attention", record{"shape": fmt.Sprint("forward ", o.tokens), "gflops": flops / forward / 1e9})
	params := func(yield func(string, *tensor.Tensor) bool) {
		_ = yield("q", q) && yield("k", k) && yield("v", v)
	}
	grads := tensor.NewGrads(params, tensor.F32)
	tape := dev.NewTape()
	defer tape.Close()
	both := o.median(func() {
		tensor.Attention(q.In(tape), k.In(tape), v.In(tape), opts).Mul(dy).Sum().Backward(grads)
		tape.Reset()
	})
	o.report("attention", record{"shape": fmt.Sprint("forward and backward ", o.tokens), "gflops": 3.5 * flops / both / 1e9})
	return nil
}

// optimizer is the sweep of AdamW over all parameters of the model.
func optimizer(o options) error {
	m, err := o.newModel()
	if err != nil {
		return err
	}
	opt, err := newAdamW(m, o.moments)
	if err != nil {
		return err
	}
	grads := tensor.NewGrads(m.Parameters(), o.gradients)
	grads.Flat().FillRandn(tensor.NewRand(2), 0, 1e-3)
	seconds := o.median(func() { err = errors.Join(err, opt.Step(grads)) })
	n, bytes := 0, 0
	for _, p := range m.Parameters() {
		n += p.Len()
		bytes += p.Len() * (o.gradients.Size() + 2*p.DType().Size()) // the gradient is read, the parameter read and written
	}
	for _, t := range opt.State() {
		bytes += 2 * t.Len() * t.DType().Size()
	}
	o.report("optimizer", record{"moments": o.moments, "seconds": seconds, "parameters": n, "bytes": bytes, "gb_per_second": float64(bytes) / seconds / 1e9})
	return err
}

// decode is greedy generation of single tokens behind a short prompt.
func decode(o options) error {
	m, err := o.newModel()
	if err != nil {
		return err
	}
	const prompt, tokens = 16, 32
	bytes := 0
	for _, p := range m.Parameters() {
		bytes += p.Len() * p.DType().Size()
	}
	var seconds []float64
	for range o.repeats {
		n, start := 0, time.Time{}
		for _, err := range models.GenerateTokens(context.Background(), m, [][]int32{ids(prompt)}, models.Options{MaxTokens: tokens + 1, Stop: []int32{}}) {
			if err != nil {
				return err
			}
			if n++; n == 1 {
				start = time.Now() // the prompt is done
			}
		}
		seconds = append(seconds, time.Since(start).Seconds()/float64(n-1))
	}
	s := middle(seconds)
	o.report("decode", record{"tokens_per_second": 1 / s, "bytes": bytes, "gb_per_second": float64(bytes) / s / 1e9})
	return nil
}

// prefill is the pass over a prompt up to the logits of its last token.
func prefill(o options) error {
	m, err := o.newModel()
	if err != nil {
		return err
	}
	x := ids(o.tokens)
	seconds := o.median(func() {
		for _, e := range models.GenerateTokens(context.Background(), m, [][]int32{x}, models.Options{MaxTokens: 1, Stop: []int32{}}) {
			err = errors.Join(err, e)
		}
	})
	layers := float64(o.layers * (1024*(2048+1024+1024) + 2048*1024 + 3*1024*3072))
	flops := 2*float64(o.tokens)*layers + 2*151936*1024 + 2*float64(o.layers)*float64(o.tokens)*float64(o.tokens)*16*128
	o.report("prefill", record{"tokens": o.tokens, "seconds": seconds, "tokens_per_second": float64(o.tokens) / seconds, "gflops": flops / seconds / 1e9})
	return err
}
