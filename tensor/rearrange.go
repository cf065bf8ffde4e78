package tensor

import (
	"math"
	"slices"
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
)

// Flip turns axes round, all of them if none is given. It copies. (torch.flip.)
func (t *Tensor) Flip(axes ...int) *Tensor {
	s := scopeOf("Flip", []*Tensor{t})
	var turn [MaxRank]bool
	for _, a := range axes {
		a := t.axis("Flip", a)
		if turn[a] {
			fail("Flip", []*Tensor{t}, "axis %d is named twice in %v", a, axes)
		}
		turn[a] = true
	}
	if len(axes) == 0 {
		turn = [MaxRank]bool{true, true, true, true, true, true}
	}
	out := cheaply(alloc(s, t.view.DType, t.view.Dims()...), []*Tensor{t}, func(out *Tensor, in []*Tensor) {
		v := in[0].view
		if v.Len() == 0 {
			return
		}
		for a, n := range v.Dims() {
			if turn[a] {
				v.Ptr = unsafe.Add(v.Ptr, (n-1)*v.Strides[a]*v.DType.Size())
				v.Strides[a] = -v.Strides[a]
			}
		}
		out.dev.backend.Copy(&out.view, &v)
	})
	return record1("Flip", out, []*Tensor{t}, nil, func(g *gradient) { g.Add(0, g.Output(0).Flip(axes...)) })
}

// Roll moves the elements along an axis by shift places, toward the end if it is positive; what leaves at one end
// comes in at the other. (torch.roll.)
func (t *Tensor) Roll(axis, shift int) *Tensor {
	s := scopeOf("Roll", []*Tensor{t})
	axis = t.axis("Roll", axis)
	n := t.view.Shape[axis]
	if n > 0 {
		shift = (shift%n + n) % n
	}
	out := cheaply(alloc(s, t.view.DType, t.view.Dims()...), []*Tensor{t}, func(out *Tensor, in []*Tensor) {
		if n == 0 {
			return
		}
		move := func(from, to, count int) {
			dst, src := out.view.Slice(axis, to, to+count), in[0].view.Slice(axis, from, from+count)
			out.dev.backend.Copy(&dst, &src)
		}
		move(0, shift, n-shift)
		move(n-shift, 0, shift)
	})
	return record1("Roll", out, []*Tensor{t}, nil, func(g *gradient) { g.Add(0, g.Output(0).Roll(axis, -shift)) })
}

// Tile repeats t along each axis as often as times says; the counts are aligned at the last axis, and axes are
// added in front if there are more counts than axes. (torch.tile, and torch.Tensor.repeat.)
func (t *Tensor) Tile(times ...int) *Tensor {
	s := scopeOf("Tile", []*Tensor{t})
	if len(times) > MaxRank {
		fail("Tile", []*Tensor{t}, "%v would make more than %d axes", times, MaxRank)
	}
	out := t.In(s)
	for out.view.Rank < len(times) {
		out = out.Unsqueeze(0)
	}
	for i, n := range times {
		if n < 0 || n > largestStep {
			fail("Tile", []*Tensor{t}, "cannot be repeated %v times", times)
		}
		if n != 1 {
			out = out.repeat(out.view.Rank-len(times)+i, n, false)
		}
	}
	return out
}

// RepeatInterleave repeats every element along an axis n times, one copy behind the other.
// (torch.repeat_interleave with a number.)
func (t *Tensor) RepeatInterleave(axis, n int) *Tensor {
	s := scopeOf("RepeatInterleave", []*Tensor{t})
	axis = t.axis("RepeatInterleave", axis)
	if n < 0 || n > largestStep {
		fail("RepeatInterleave", []*Tensor{t}, "cannot be repeated %d times", n)
	}
	return t.In(s).repeat(axis, n, true)
}

// repeat repeats an axis n times, as a whole or each of its elements. A stride of 0 does it, on an axis of its own.
func (t *Tensor) repeat(axis, n int, each bool) *Tensor {
	shape := t.Shape()
	outer, length, inner := shapeLen(shape[:axis]), shape[axis], shapeLen(shape[axis+1:])
	shape[axis] *= n
	before, between := length, 1
	if !each {
		before, between = 1, length
	}
	return t.Reshape(outer*before, 1, between*inner).Expand(outer*before, n, between*inner).Contiguous().Reshape(shape...)
}

// Pad puts value around t: widths are, for the last len(widths) axes in their order, how many elements come in
// front and behind. Padding the rows of an image [..., H, W] by 1 and its columns by 2 is
// x.Pad(0, [2]int{1, 1}, [2]int{2, 2}). (torch.nn.functional.pad, which lists axes from the last.)
func (t *Tensor) Pad(value float64, widths ...[2]int) *Tensor {
	s := scopeOf("Pad", []*Tensor{t})
	shape, first := t.padded("Pad", widths, math.MaxInt)
	out := alloc(s, t.view.DType, shape...)
	inside := func(v backend.View) backend.View {
		for i, w := range widths {
			v = v.Slice(first+i, w[0], v.Shape[first+i]-w[1])
		}
		return v
	}
	out.Fill(value)
	v := inside(out.view)
	s.dev.backend.Copy(&v, &t.view)
	return record1("Pad", out, []*Tensor{t}, nil, func(g *gradient) {
		dy := g.Output(0)
		g.Add(0, dy.alias(inside(dy.view)))
	})
}

// PadReflect is Pad with the elements next to the edge, mirrored at it: 2 1 | 0 1 2. Widths are less than the axis.
// (torch.nn.functional.pad with mode="reflect".)
func (t *Tensor) PadReflect(widths ...[2]int) *Tensor {
	return t.padFrom("PadReflect", widths, 1, func(i, n int) int {
		if i < 0 {
			return -i
		}
		return 2*(n-1) - i
	})
}

// PadReplicate is Pad with the element at the edge: 0 0 | 0 1 2. (torch.nn.functional.pad with mode="replicate".)
func (t *Tensor) PadReplicate(widths ...[2]int) *Tensor {
	return t.padFrom("PadReplicate", widths, -1, func(i, n int) int {
		if i < 0 {
			return 0
		}
		return n - 1
	})
}

// PadCircular is Pad with the elements from the other end: 1 2 | 0 1 2. Widths are at most the axis.
// (torch.nn.functional.pad with mode="circular".)
func (t *Tensor) PadCircular(widths ...[2]int) *Tensor {
	return t.padFrom("PadCircular", widths, 0, func(i, n int) int { return (i + n) % n })
}

// padFrom pads with elements of t: what lies at i outside an axis of n is element outside(i, n). short is by how
// much a width must be less than the axis, -1 if it may be any.
func (t *Tensor) padFrom(op string, widths [][2]int, short int, outside func(i, n int) int) *Tensor {
	s := scopeOf(op, []*Tensor{t})
	_, first := t.padded(op, widths, short)
	out := t.In(s)
	for k, w := range widths {
		axis := first + k
		n := out.view.Shape[axis]
		if n == 0 && w != [2]int{} {
			fail(op, []*Tensor{t}, "axis %d is empty: there is nothing to pad it with", axis)
		}
		if w == [2]int{} {
			continue
		}
		from := make([]int32, 0, n+w[0]+w[1])
		for i := -w[0]; i < n+w[1]; i++ {
			at := i
			if i < 0 || i >= n {
				at = outside(i, n)
			}
			from = append(from, int32(at))
		}
		out = out.selectIndex(op, axis, FromSlice(s, from))
	}
	return out
}

// padded is t's shape with widths around its last axes, and the first of these.
func (t *Tensor) padded(op string, widths [][2]int, short int) (shape []int, first int) {
	shape = t.Shape()
	first = len(shape) - len(widths)
	if first < 0 {
		fail(op, []*Tensor{t}, "%d pairs of widths for %d axes", len(widths), len(shape))
	}
	for i, w := range widths {
		n := shape[first+i]
		if min(w[0], w[1]) < 0 || max(w[0], w[1]) > largestStep {
			fail(op, []*Tensor{t}, "the widths %v must not be negative; Slice cuts off", w)
		}
		if widest := max(w[0], w[1]); short >= 0 && short < math.MaxInt && widest > max(n-short, 0) {
			fail(op, []*Tensor{t}, "a width of %d is too much for axis %d of length %d", widest, first+i, n)
		}
		shape[first+i] += w[0] + w[1]
	}
	return slices.Clip(shape), first
}
