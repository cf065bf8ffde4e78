package tensor_test

import (
	"maps"

	"github.com/hone-ml/hone/tensor"
)

// Those of docs/types.md that move elements, and products.
func init() {
	i := func(x T, index ...int32) T { return tensor.FromSlice(x.Scope(), index) }
	image := func(x T) T { return x.Reshape(1, 1, 2, 2) }
	pair := [2]int{1, 1}
	maps.Copy(typedOps, map[string]func(x T) T{
		"Permute":           func(x T) T { return x.Permute(1, 0) },
		"Movedim":           func(x T) T { return x.Movedim(1, 0) },
		"SliceStep":         func(x T) T { return x.SliceStep(0, 0, 2, 2) },
		"Unflatten":         func(x T) T { return x.Unflatten(0, 2, 1) },
		"Diagonal":          func(x T) T { return x.Diagonal(0, 0, 1) },
		"Diag":              func(x T) T { return x.Index(0).Diag(1) },
		"Stack":             func(x T) T { return tensor.Stack(0, x, x) },
		"Split":             func(x T) T { return x.Split(0, 1, 1)[1] },
		"Chunk":             func(x T) T { return x.Chunk(1, 2)[1] },
		"Unbind":            func(x T) T { return x.Unbind(1)[1] },
		"Meshgrid":          func(x T) T { return tensor.Meshgrid(x.Index(0), x.Index(1))[0] },
		"Flip":              func(x T) T { return x.Flip() },
		"Roll":              func(x T) T { return x.Roll(0, 1) },
		"Tile":              func(x T) T { return x.Tile(2) },
		"RepeatInterleave":  func(x T) T { return x.RepeatInterleave(0, 2) },
		"Pad":               func(x T) T { return x.Pad(0, pair) },
		"PadReflect":        func(x T) T { return x.PadReflect(pair) },
		"PadReplicate":      func(x T) T { return x.PadReplicate(pair) },
		"PadCircular":       func(x T) T { return x.PadCircular(pair) },
		"IndexSelect":       func(x T) T { return x.IndexSelect(1, i(x, 1, 0, 1)) },
		"GatherAlong":       func(x T) T { return x.GatherAlong(1, i(x, 1, 0).Reshape(2, 1)) },
		"Take":              func(x T) T { return x.Take(i(x, 3)) },
		"Scatter":           func(x T) T { return x.Scatter(1, i(x, 1, 0).Reshape(2, 1), x.Slice(1, 0, 1)) },
		"ScatterAdd":        func(x T) T { return x.ScatterAdd(1, i(x, 1, 0).Reshape(2, 1), x.Slice(1, 0, 1)) },
		"IndexAdd":          func(x T) T { return x.IndexAdd(0, i(x, 1, 1), x) },
		"MaskedFill":        func(x T) T { return x.MaskedFill(tensor.Ones(x.Scope(), tensor.Bool, 2), 0) },
		"MaskedSelect":      func(x T) T { return x.MaskedSelect(tensor.Ones(x.Scope(), tensor.Bool, 2)) },
		"NonZero":           T.NonZero,
		"Trace":             T.Trace,
		"Outer":             func(x T) T { return x.Index(0).Outer(x.Index(1)) },
		"Dot":               func(x T) T { return x.Index(0).Dot(x.Index(1)) },
		"Einsum":            func(x T) T { return tensor.Einsum("ij,jk->ik", x, x) },
		"Conv1d":            func(x T) T { return tensor.Conv1d(x.Unsqueeze(0), x.Unsqueeze(0), nil, tensor.Conv1dOptions{}) },
		"Conv2d":            func(x T) T { return tensor.Conv2d(image(x), image(x), nil, tensor.Conv2dOptions{}) },
		"MaxPool1d":         func(x T) T { return tensor.MaxPool1d(x.Unsqueeze(0), 2, tensor.Pool1dOptions{}) },
		"MaxPool2d":         func(x T) T { return tensor.MaxPool2d(image(x), [2]int{2, 2}, tensor.Pool2dOptions{}) },
		"AvgPool1d":         func(x T) T { return tensor.AvgPool1d(x.Unsqueeze(0), 2, tensor.Pool1dOptions{}) },
		"AvgPool2d":         func(x T) T { return tensor.AvgPool2d(image(x), [2]int{2, 2}, tensor.Pool2dOptions{}) },
		"AdaptiveAvgPool1d": func(x T) T { return tensor.AdaptiveAvgPool1d(x.Unsqueeze(0), 1) },
		"AdaptiveAvgPool2d": func(x T) T { return tensor.AdaptiveAvgPool2d(image(x), pair) },
		"Unfold":            func(x T) T { return tensor.Unfold(image(x), pair, tensor.UnfoldOptions{}) },
		"Fold":              func(x T) T { return tensor.Fold(x.Reshape(1, 1, 4), [2]int{2, 2}, pair, tensor.UnfoldOptions{}) },
	})
}
