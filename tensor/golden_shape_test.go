package tensor_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/hone-ml/hone/tensor"
	"github.com/hone-ml/hone/tensor/safetensors"
)

// A shapeGolden is a case of testdata/breadth_shape.safetensors: the op that it is of, what it is called there, its
// trainable inputs and its constants, and what is written here for what was written in PyTorch.
type shapeGolden struct {
	op, name, inputs, others string
	fn                       func(x []T) T
}

func shapeGoldens() []shapeGolden {
	pair := func(a, b int) [2]int { return [2]int{a, b} }
	mask := func(x T) T { return x.To(tensor.Bool) }
	reversed := func(join func(axis int, ts ...T) T, axis int, parts []T) T {
		parts = slices.Clone(parts)
		slices.Reverse(parts)
		return join(axis, parts...)
	}
	einsum := func(equation string) func(x []T) T { return func(x []T) T { return tensor.Einsum(equation, x...) } }
	matmul := func(x []T) T { return x[0].MatMul(x[1]) }
	return []shapeGolden{
		{"Conv1d", "conv1d", "x w b", "", func(x []T) T {
			return tensor.Conv1d(x[0], x[1], x[2], tensor.Conv1dOptions{Stride: 2, Padding: 1, Groups: 2})
		}},
		{"Conv1d", "conv1d_causal", "x w b", "", func(x []T) T {
			return tensor.Conv1d(x[0], x[1], x[2], tensor.Conv1dOptions{Causal: true, Dilation: 2})
		}},
		{"Conv1d", "conv1d_depthwise", "x w", "", func(x []T) T {
			return tensor.Conv1d(x[0], x[1], nil, tensor.Conv1dOptions{Causal: true, Groups: 5})
		}},
		{"Conv2d", "conv2d", "x w b", "", func(x []T) T {
			return tensor.Conv2d(x[0], x[1], x[2], tensor.Conv2dOptions{Padding: pair(1, 1)})
		}},
		{"Conv2d", "conv2d_strided", "x w", "", func(x []T) T {
			return tensor.Conv2d(x[0], x[1], nil, tensor.Conv2dOptions{Stride: pair(2, 1), Padding: pair(1, 2), Dilation: pair(1, 2), Groups: 2})
		}},
		{"Conv2d", "conv2d_depthwise", "x w b", "", func(x []T) T {
			return tensor.Conv2d(x[0], x[1], x[2], tensor.Conv2dOptions{Padding: pair(1, 1), Groups: 3})
		}},
		{"Conv2d", "conv2d_depthwise_strided", "x w", "", func(x []T) T {
			return tensor.Conv2d(x[0], x[1], nil, tensor.Conv2dOptions{Stride: pair(1, 2), Dilation: pair(2, 1), Groups: 3})
		}},
		{"MaxPool1d", "max_pool1d", "x", "", func(x []T) T { return tensor.MaxPool1d(x[0], 3, tensor.Pool1dOptions{Stride: 2, Padding: 1}) }},
		{"MaxPool2d", "max_pool2d", "x", "", func(x []T) T {
			return tensor.MaxPool2d(x[0], pair(3, 2), tensor.Pool2dOptions{Stride: pair(2, 1), Padding: pair(1, 0), Dilation: pair(1, 2)})
		}},
		{"MaxPool2d", "max_pool2d_ties", "x", "", func(x []T) T { return tensor.MaxPool2d(x[0], pair(2, 2), tensor.Pool2dOptions{}) }},
		{"AvgPool1d", "avg_pool1d", "x", "", func(x []T) T { return tensor.AvgPool1d(x[0], 3, tensor.Pool1dOptions{Stride: 2, Padding: 1}) }},
		{"AvgPool2d", "avg_pool2d", "x", "", func(x []T) T {
			return tensor.AvgPool2d(x[0], pair(3, 2), tensor.Pool2dOptions{Stride: pair(2, 1), Padding: pair(1, 0)})
		}},
		{"AvgPool2d", "avg_pool2d_exclude", "x", "", func(x []T) T {
			return tensor.AvgPool2d(x[0], pair(3, 3), tensor.Pool2dOptions{Stride: pair(2, 2), Padding: pair(1, 1), ExcludePadding: true})
		}},
		{"AdaptiveAvgPool1d", "adaptive_avg_pool1d", "x", "", func(x []T) T { return tensor.AdaptiveAvgPool1d(x[0], 4) }},
		{"AdaptiveAvgPool2d", "adaptive_avg_pool2d", "x", "", func(x []T) T { return tensor.AdaptiveAvgPool2d(x[0], pair(2, 3)) }},
		{"Unfold", "unfold", "x", "", func(x []T) T {
			return tensor.Unfold(x[0], pair(2, 3), tensor.UnfoldOptions{Dilation: pair(2, 1), Padding: pair(1, 0), Stride: pair(1, 2)})
		}},
		{"Fold", "fold", "x", "", func(x []T) T {
			return tensor.Fold(x[0], pair(4, 5), pair(2, 3), tensor.UnfoldOptions{Dilation: pair(2, 1), Padding: pair(1, 0), Stride: pair(1, 2)})
		}},

		{"Slice", "slice", "x", "", func(x []T) T { return x[0].Slice(1, 2, 5) }},
		{"SliceStep", "slice_step", "x", "", func(x []T) T { return x[0].SliceStep(1, 1, 8, 3) }},
		{"IndexSelect", "index_select", "x", "i", func(x []T) T { return x[0].IndexSelect(1, x[1]) }},
		{"GatherAlong", "gather_along", "x", "i", func(x []T) T { return x[0].GatherAlong(1, x[1]) }},
		{"Take", "take", "x", "i", func(x []T) T { return x[0].Take(x[1]) }},
		{"ScatterAdd", "scatter_add", "x src", "i", func(x []T) T { return x[0].ScatterAdd(0, x[2], x[1]) }},
		{"Scatter", "scatter", "x src", "i", func(x []T) T { return x[0].Scatter(1, x[2], x[1]) }},
		{"IndexAdd", "index_add", "x src", "i", func(x []T) T { return x[0].IndexAdd(1, x[2], x[1]) }},
		{"MaskedFill", "masked_fill", "x", "m", func(x []T) T { return x[0].MaskedFill(mask(x[1]), -2.5) }},
		{"MaskedSelect", "masked_select", "x", "m", func(x []T) T { return x[0].MaskedSelect(mask(x[1])) }},
		{"NonZero", "nonzero", "", "m", func(x []T) T { return x[0].NonZero() }},

		{"Permute", "permute", "x", "", func(x []T) T { return x[0].Permute(2, 0, 1) }},
		{"Movedim", "movedim", "x", "", func(x []T) T { return x[0].Movedim(0, -1) }},
		{"Unflatten", "unflatten", "x", "", func(x []T) T { return x[0].Unflatten(1, 2, -1) }},
		{"Expand", "expand", "x", "", func(x []T) T { return x[0].Expand(2, 3, 4) }},
		{"Diag", "diag_of_vector", "x", "", func(x []T) T { return x[0].Diag(-1) }},
		{"Diag", "diag_of_matrix", "x", "", func(x []T) T { return x[0].Diag(1) }},
		{"Diagonal", "diagonal", "x", "", func(x []T) T { return x[0].Diagonal(-1, 0, 2) }},
		{"Trace", "trace", "x", "", func(x []T) T { return x[0].Trace() }},
		{"Cat", "cat", "x z", "", func(x []T) T { return tensor.Cat(1, x[0], x[1], x[0]) }},
		{"Stack", "stack", "x z", "", func(x []T) T { return tensor.Stack(-1, x[0], x[1], x[0]) }},
		{"Split", "split", "x", "", func(x []T) T { return reversed(tensor.Cat, 1, x[0].Split(1, 1, 4, 2)) }},
		{"Chunk", "chunk", "x", "", func(x []T) T { return reversed(tensor.Cat, 1, x[0].Chunk(1, 3)) }},
		{"Unbind", "unbind", "x", "", func(x []T) T { return reversed(tensor.Stack, 0, x[0].Unbind(1)) }},
		{"Meshgrid", "meshgrid", "x z", "", func(x []T) T { return tensor.Stack(0, tensor.Meshgrid(x[0], x[1])...) }},
		{"Pad", "pad", "x", "", func(x []T) T { return x[0].Pad(-1.5, pair(0, 3), pair(2, 1)) }},
		{"PadReflect", "pad_reflect", "x", "", func(x []T) T { return x[0].PadReflect(pair(2, 3)) }},
		{"PadReplicate", "pad_replicate", "x", "", func(x []T) T { return x[0].PadReplicate(pair(2, 3)) }},
		{"PadCircular", "pad_circular", "x", "", func(x []T) T { return x[0].PadCircular(pair(2, 3)) }},
		{"Flip", "flip", "x", "", func(x []T) T { return x[0].Flip(0, 2) }},
		{"Roll", "roll", "x", "", func(x []T) T { return x[0].Roll(1, -2) }},
		{"Tile", "tile", "x", "", func(x []T) T { return x[0].Tile(2, 1, 3) }},
		{"RepeatInterleave", "repeat_interleave", "x", "", func(x []T) T { return x[0].RepeatInterleave(1, 3) }},

		{"MatMul", "matmul_vectors", "x z", "", matmul},
		{"MatMul", "matmul_matrix_vector", "x z", "", matmul},
		{"MatMul", "matmul_vector_matrix", "x z", "", matmul},
		{"MatMul", "matmul_batched", "x z", "", matmul},
		{"Dot", "dot", "x z", "", func(x []T) T { return x[0].Dot(x[1]) }},
		{"Outer", "outer", "x z", "", func(x []T) T { return x[0].Outer(x[1]) }},
		{"Einsum", "einsum_attention", "x z", "", einsum("bhqd,bhkd->bhqk")},
		{"Einsum", "einsum_heads", "x z", "", einsum("bqhd,bkhd->bhqk")},
		{"Einsum", "einsum_diagonal", "x", "", einsum("iji->ij")},
		{"Einsum", "einsum_trace", "x", "", einsum("ii")},
		{"Einsum", "einsum_implicit", "x z", "", einsum("ba,ca")},
		{"Einsum", "einsum_ellipsis", "x z", "", einsum("...ij,...jk->...ik")},
		{"Einsum", "einsum_three", "x z u", "", einsum("bn,anm,bm->ba")},
		{"Einsum", "einsum_outer", "x z u", "", einsum("i,j,k->kij")},
		{"Einsum", "einsum_sums", "x z", "", einsum("ijk,jl->l")},
	}
}

func openShapeGoldens(t *testing.T, d *tensor.Device) goldens {
	f, err := safetensors.Open("testdata/breadth_shape.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return goldens{f, d}
}

func TestOpsThatMoveElementsAndConvolutionsEqualPyTorchs(t *testing.T) {
	const tolerance = 1e-5
	for kind, d := range map[string]*tensor.Device{"fused": tensor.NewTestDevice(0), "composed": tensor.NewComposedDevice()} {
		g := openShapeGoldens(t, d)
		for _, c := range shapeGoldens() {
			t.Run(kind+"/"+c.op+"/"+c.name, func(t *testing.T) {
				var in []T
				for _, name := range strings.Fields(c.inputs) {
					x := g.get(t, c.name+"."+name)
					x.SetTrainable(true)
					in = append(in, x)
				}
				for _, name := range strings.Fields(c.others) {
					in = append(in, g.get(t, c.name+"."+name))
				}
				s := d.NewTape()
				defer s.Close()
				guests := make([]T, len(in))
				for i, x := range in {
					guests[i] = x.In(s)
				}
				y := c.fn(guests)
				want, weight := c.name+".y", T(nil)
				if _, isLoss := g.file.Info(c.name + ".loss"); isLoss {
					want = c.name + ".loss"
				} else if c.inputs != "" {
					weight = g.get(t, c.name+".dy")
				}
				w := g.get(t, want)
				near(t, "y", y.Float64s(), w.Float64s(), tolerance)
				if weight != nil && !slices.Equal(y.Shape(), w.Shape()) {
					t.Errorf("shape %v, want %v", y.Shape(), w.Shape())
				}
				if c.inputs == "" {
					return
				}
				if weight != nil {
					y = y.Mul(weight).Sum()
				}
				grads := tensor.NewGrads(named(in...), tensor.F32)
				y.Backward(grads)
				for i, name := range strings.Fields(c.inputs) {
					near(t, "d"+name, grads.Of(in[i]).Float64s(), g.get(t, c.name+".d"+name).Float64s(), tolerance)
				}
			})
		}
	}
}

func TestEveryShapeGoldenIsComparedAndIsOfAnOpThatIsThere(t *testing.T) {
	exported, seen := exportedOps(t), map[string]bool{}
	for _, c := range shapeGoldens() {
		seen[c.name] = true
		if !slices.Contains(exported, c.op) {
			t.Errorf("there is no op %s", c.op)
		}
	}
	for _, name := range openShapeGoldens(t, tensor.NewTestDevice(0)).file.Names() {
		if c, _, _ := strings.Cut(name, "."); !seen[c] {
			t.Error("nothing compares ", name)
			seen[c] = true
		}
	}
}
