package nn_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/hone-ml/hone/nn"
	"github.com/hone-ml/hone/tensor"
	"github.com/hone-ml/hone/tensor/gradcheck"
)

// reduced is a case of a loss with each of the three reductions.
func reduced(name, inputs string, loss func(x []T, r ...nn.Reduction) T) layerCase {
	return layerCase{name: name, inputs: inputs, forward: func(x []T) []T {
		return []T{loss(x), loss(x, nn.Sum), loss(x, nn.PerElement)}
	}}
}

// entropy is a case of a cross-entropy with its mean and by rows.
func entropy(name string, weighted bool, o tensor.CrossEntropyOptions, loss func(x, targets T, o tensor.CrossEntropyOptions) T) layerCase {
	return layerCase{name: name, inputs: "logits targets !weight", forward: func(x []T) []T {
		mean, rows := o, o
		if weighted {
			mean.ClassWeights, rows.ClassWeights = x[2], x[2]
		}
		rows.PerRow = true
		return []T{loss(x[0], x[1], mean), loss(x[0], x[1], rows)}
	}}
}

func lossCases() []layerCase {
	cases := []layerCase{
		reduced("mse", "y target", func(x []T, r ...nn.Reduction) T { return nn.MSE(x[0], x[1], r...) }),
		reduced("l1", "y target", func(x []T, r ...nn.Reduction) T { return nn.L1(x[0], x[1], r...) }),
		reduced("huber", "y target", func(x []T, r ...nn.Reduction) T { return nn.Huber(x[0], x[1], 0.7, r...) }),
		reduced("smooth_l1", "y target", func(x []T, r ...nn.Reduction) T { return nn.SmoothL1(x[0], x[1], 0.7, r...) }),
		reduced("bce", "logits target", func(x []T, r ...nn.Reduction) T { return nn.BCEWithLogits(x[0], x[1], nil, r...) }),
		reduced("bce_weighted", "logits target !weight", func(x []T, r ...nn.Reduction) T { return nn.BCEWithLogits(x[0], x[1], x[2], r...) }),
		reduced("kl_div", "logq !p", func(x []T, r ...nn.Reduction) T { return nn.KLDiv(x[0], x[1], r...) }),
		reduced("kl_div_log", "logq logp", func(x []T, r ...nn.Reduction) T { return nn.KLDivLog(x[0], x[1], r...) }),
		{name: "cosine_similarity", inputs: "x y", forward: func(x []T) []T { return []T{nn.CosineSimilarity(x[0], x[1])} }},
		reduced("cosine_embedding", "x y labels", func(x []T, r ...nn.Reduction) T { return nn.CosineEmbedding(x[0], x[1], x[2], 0.1, r...) }),
	}
	linear := func(x, targets T, o tensor.CrossEntropyOptions) T { // with a head that is the identity
		n := x.Dim(-1)
		eye := make([]float32, n*n)
		for i := range n {
			eye[i*n+i] = 1
		}
		return tensor.LinearCrossEntropy(x, tensor.FromSlice(x.Scope(), eye, n, n), targets, o)
	}
	for _, weighted := range []bool{false, true} {
		suffix := ""
		if weighted {
			suffix = "_weighted"
		}
		for _, loss := range []func(x, targets T, o tensor.CrossEntropyOptions) T{tensor.CrossEntropy, linear} {
			cases = append(cases,
				entropy("cross_entropy_plain"+suffix, weighted, tensor.CrossEntropyOptions{}, loss),
				entropy("cross_entropy_smoothed"+suffix, weighted, tensor.CrossEntropyOptions{Smoothing: 0.2}, loss))
		}
		cases = append(cases, entropy("nll"+suffix, weighted, tensor.CrossEntropyOptions{}, tensor.NLL))
	}
	return cases
}

func TestLossesEqualPyTorchs(t *testing.T) {
	g := openGoldens(t, "losses.safetensors")
	for _, c := range lossCases() {
		t.Run(c.name, func(t *testing.T) { c.compare(t, g) })
	}
	g.allRead(t)
}

// shares is a long-lived trainable F64 tensor of numbers between 0 and 1.
func shares(r *tensor.Rand, shape ...int) T {
	x := tensor.Uniform(tensor.CPU(), tensor.F64, r, 0.1, 0.9, shape...)
	x.SetTrainable(true)
	return x
}

func TestLossesHaveTheRightGradients(t *testing.T) {
	r := tensor.NewRand(9)
	for _, shape := range [][]int{{4}, {3, 2}, {2, 1, 3}, {1}, {0, 3}} {
		a, b, p, w := randn(r, shape...), randn(r, shape...), shares(r, shape...), shares(r, shape[len(shape)-1])
		rows := 1
		for _, d := range shape[:len(shape)-1] {
			rows *= d
		}
		labels := make([]int32, rows)
		for i := range labels {
			labels[i] = int32(1 - i%2*2)
		}
		l := tensor.FromSlice(tensor.CPU(), labels, shape[:len(shape)-1]...)
		if len(shape) == 1 {
			l = tensor.Scalar(tensor.CPU(), labels[0])
		}
		for name, fn := range map[string]struct {
			loss func(r ...nn.Reduction) gradcheck.Func
			in   []T
		}{
			"mse": {func(r ...nn.Reduction) gradcheck.Func { return func(x ...T) T { return nn.MSE(x[0], x[1], r...) } }, []T{a, b}},
			"l1":  {func(r ...nn.Reduction) gradcheck.Func { return func(x ...T) T { return nn.L1(x[0], x[1], r...) } }, []T{a, b}},
			"huber": {func(r ...nn.Reduction) gradcheck.Func {
				return func(x ...T) T { return nn.Huber(x[0], x[1], 0.6, r...) }
			}, []T{a, b}},
			"smooth l1": {func(r ...nn.Reduction) gradcheck.Func {
				return func(x ...T) T { return nn.SmoothL1(x[0], x[1], 0.6, r...) }
			}, []T{a, b}},
			"bce": {func(r ...nn.Reduction) gradcheck.Func {
				return func(x ...T) T { return nn.BCEWithLogits(x[0], x[1], nil, r...) }
			}, []T{a, p}},
			"bce, weighted": {func(r ...nn.Reduction) gradcheck.Func {
				return func(x ...T) T { return nn.BCEWithLogits(x[0], x[1], x[2], r...) }
			}, []T{a, p, w}},
			"kl":         {func(r ...nn.Reduction) gradcheck.Func { return func(x ...T) T { return nn.KLDiv(x[0], x[1], r...) } }, []T{a, p}},
			"kl of logs": {func(r ...nn.Reduction) gradcheck.Func { return func(x ...T) T { return nn.KLDivLog(x[0], x[1], r...) } }, []T{a, b}},
			"cosine":     {func(...nn.Reduction) gradcheck.Func { return func(x ...T) T { return nn.CosineSimilarity(x[0], x[1]) } }, []T{a, b}},
			"cosine embedding": {func(r ...nn.Reduction) gradcheck.Func {
				return func(x ...T) T { return nn.CosineEmbedding(x[0], x[1], x[2], 0.3, r...) }
			}, []T{a, b, l}},
		} {
			t.Run(fmt.Sprint(name, shape), func(t *testing.T) {
				for _, r := range [][]nn.Reduction{{nn.Sum}, {nn.PerElement}, {}} {
					if len(r) == 0 && a.Len() == 0 {
						continue // the mean of nothing
					}
					if err := gradcheck.Verify(fn.loss(r...), fn.in...); err != nil {
						t.Errorf("reduction %v: %v", r, err)
					}
				}
			})
		}
	}
}

func TestCrossEntropiesByClassAndByRowHaveTheRightGradients(t *testing.T) {
	d := tensor.CPU()
	r := tensor.NewRand(10)
	for _, shape := range [][]int{{3, 4}, {2, 2, 3}, {1, 1}, {0, 2}} {
		x := randn(r, shape...)
		vocab := shape[len(shape)-1]
		ids := make([]int32, x.Len()/vocab)
		for i := range ids {
			ids[i] = int32(i % vocab)
		}
		if len(ids) > 2 {
			ids[1] = -100
		}
		targets := tensor.FromSlice(d, ids, shape[:len(shape)-1]...)
		classes := tensor.Uniform(d, tensor.F64, r, 0.5, 2, vocab)
		rows := tensor.Uniform(d, tensor.F32, r, 0.5, 2, shape[:len(shape)-1]...)
		for name, o := range map[string]tensor.CrossEntropyOptions{
			"classes":           {ClassWeights: classes, Divisor: 3},
			"classes, smoothed": {ClassWeights: classes, Smoothing: 0.1, Divisor: 3},
			"all weights, rows": {ClassWeights: classes, RowWeights: rows, PerRow: true},
			"rows":              {PerRow: true},
			"rows, smoothed":    {PerRow: true, Smoothing: 0.3, ClassWeights: classes},
		} {
			head := randn(r, vocab, vocab)
			for op, fn := range map[string]gradcheck.Func{
				"CrossEntropy":       func(x ...T) T { return tensor.CrossEntropy(x[0], x[1], o) },
				"NLL":                func(x ...T) T { return tensor.NLL(x[0], x[1], o) },
				"LinearCrossEntropy": func(x ...T) T { return tensor.LinearCrossEntropy(x[0], x[2], x[1], o) },
			} {
				if err := gradcheck.Verify(fn, x, targets, head); err != nil {
					t.Errorf("%s %v, %s: %v", op, shape, name, err)
				}
			}
		}
	}
}

func TestLossesAreFiniteWhereFormulasAreNot(t *testing.T) {
	d := tensor.CPU()
	x := tensor.FromSlice(d, []float32{-200, 200, 0})
	x.SetTrainable(true)
	grads := tensor.NewGrads(numbered(x), tensor.F32)
	s := d.NewTape()
	defer s.Close()
	loss := nn.BCEWithLogits(x.In(s), tensor.FromSlice(s, []bool{true, false, true}), nil, nn.PerElement)
	near(t, "loss of sure and wrong logits", loss.Float64s(), []float64{200, 200, math.Ln2}, 1e-6)
	loss.Sum().Backward(grads)
	near(t, "their gradient", grads.Of(x).Float64s(), []float64{-1, 1, -0.5}, 1e-6)

	z := tensor.Zeros(d, tensor.F32, 2, 3)
	z.SetTrainable(true)
	grads = tensor.NewGrads(numbered(z), tensor.F32)
	cos := nn.CosineSimilarity(z.In(s), tensor.Ones(s, tensor.F32, 2, 3))
	cos.Sum().Backward(grads)
	for _, v := range append(cos.Float64s(), grads.Of(z).Float64s()...) {
		if v != v || math.IsInf(v, 0) {
			t.Errorf("the cosine of zeros is %v, its gradient %v", cos, grads.Of(z))
		}
	}
	impossible := tensor.FromSlice(s, []float64{math.Log(0.5), math.Inf(-1), math.Log(0.5)}, 1, 3)
	if v := tensor.NLL(impossible, tensor.FromSlice(s, []int32{2}), tensor.CrossEntropyOptions{}).Item(); math.Abs(v-math.Ln2) > 1e-12 {
		t.Errorf("beside an impossible class the loss is %g", v)
	}
}

func TestLossesOfLowPrecisionAreInF32(t *testing.T) {
	s := tensor.CPU().NewScope()
	defer s.Close()
	y, target := tensor.Full(s, tensor.BF16, 1, 300), tensor.Full(s, tensor.I32, 3, 300)
	if loss := nn.MSE(y, target, nn.Sum); loss.DType() != tensor.F32 || loss.Item() != 1200 {
		t.Errorf("the loss is %v", loss)
	}
}

func TestLossesSayWhatTheyWant(t *testing.T) {
	d, f32 := tensor.CPU(), tensor.F32
	s := d.NewTape()
	defer s.Close()
	z := func(shape ...int) T { return tensor.Zeros(s, f32, shape...) }
	same := "of a float dtype and a target of the same shape"
	mustSay(t, "mse", func() { nn.MSE(z(3), z(3, 1)) }, "nn.MSE f32[3], f32[3 1]", same)
	mustSay(t, "mse of integers", func() { nn.MSE(tensor.Zeros(s, tensor.I32, 3), z(3)) }, "nn.MSE i32[3], f32[3]", same)
	mustSay(t, "mse of long-lived", func() { nn.MSE(tensor.Zeros(d, f32, 3), tensor.Zeros(d, f32, 3)) }, "nn.MSE", "both are long-lived")
	mustSay(t, "l1", func() { nn.L1(z(3), z(4)) }, "nn.L1 f32[3], f32[4]", same)
	mustSay(t, "two reductions", func() { nn.L1(z(3), z(3), nn.Sum, nn.Mean) }, "nn.L1", "give one of Mean, Sum and PerElement")
	mustSay(t, "an unknown reduction", func() { nn.KLDiv(z(3), z(3), 7) }, "nn.KLDiv", "reductions [7]")
	mustSay(t, "huber", func() { nn.Huber(z(3), z(3), 0) }, "nn.Huber f32[3], f32[3]", "0", "must be positive")
	mustSay(t, "smooth l1", func() { nn.SmoothL1(z(3), z(3), -1) }, "nn.SmoothL1", "must be positive")
	mustSay(t, "bce", func() { nn.BCEWithLogits(z(3), z(3), z(2, 3)) }, "nn.BCEWithLogits f32[3], f32[3], f32[2 3]", "broadcast to the logits")
	mustSay(t, "kl", func() { nn.KLDiv(z(), z()) }, "nn.KLDiv f32[], f32[]", "needs distributions [..., V]")
	mustSay(t, "kl of logs", func() { nn.KLDivLog(z(2, 3), z(3)) }, "nn.KLDivLog f32[2 3], f32[3]", same)
	mustSay(t, "cosine", func() { nn.CosineSimilarity(z(), z()) }, "nn.CosineSimilarity", "needs vectors")
	mustSay(t, "cosine embedding", func() { nn.CosineEmbedding(z(2, 3), z(2, 3), z(3), 0) }, "nn.CosineEmbedding f32[2 3], f32[2 3], f32[3]", "a label for each of the vectors [2]")
	ids := tensor.FromSlice(s, []int32{0, 5})
	mustSay(t, "class weights", func() { tensor.CrossEntropy(z(2, 3), ids, tensor.CrossEntropyOptions{ClassWeights: z(2)}) }, "CrossEntropy f32[2 3], i32[2], f32[2]", "class weights [3]")
	mustSay(t, "class weights, target", func() { tensor.CrossEntropy(z(2, 3), ids, tensor.CrossEntropyOptions{ClassWeights: z(3)}) }, "index 5 at position 1 is not in [0, 3)")
	mustSay(t, "class weights of zero", func() { tensor.NLL(z(1, 3), ids.Slice(0, 0, 1), tensor.CrossEntropyOptions{ClassWeights: z(3)}) }, "NLL f32[1 3], i32[1]", "or of weight 0")
	mustSay(t, "nll, target", func() { tensor.NLL(z(2, 3), ids, tensor.CrossEntropyOptions{}) }, "NLL f32[2 3], i32[2]", "index 5 at position 1")
	mustSay(t, "nll, rank", func() { tensor.NLL(z(), ids, tensor.CrossEntropyOptions{}) }, "NLL f32[]", "[..., V]")
}
