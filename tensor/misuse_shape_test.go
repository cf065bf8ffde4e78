package tensor_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/hone-ml/hone/tensor"
)

func TestErrorsOfOpsThatMoveElementsSayWhatWasExpected(t *testing.T) {
	s := tensor.NewTestDevice(0).NewTape()
	defer s.Close()
	other := tensor.NewTestDevice(0).NewScope()
	defer other.Close()
	f := func(shape ...int) T { return tensor.Ones(s, tensor.F32, shape...) }
	h := func(shape ...int) T { return tensor.Ones(s, tensor.BF16, shape...) }
	i32 := func(data ...int32) T { return tensor.FromSlice(s, data) }
	bools := func(shape ...int) T { return tensor.Zeros(s, tensor.Bool, shape...) }
	foreign := tensor.Ones(other, tensor.F32, 3)
	w := func(before, after int) [2]int { return [2]int{before, after} }
	for _, c := range []struct {
		op   string
		fn   func()
		says []string
	}{
		{"Permute", func() { f(2, 3).Permute(0) }, []string{"f32[2 3]", "[0] must name each of the 2 axes once"}},
		{"Permute", func() { f(2, 3).Permute(0, -2) }, []string{"[0 -2] must name each"}},
		{"Permute", func() { f(2, 3).Permute(0, 2) }, []string{"axis 2 is not one of 2"}},
		{"Movedim", func() { f(2, 3).Movedim(0, 2) }, []string{"f32[2 3]", "axis 2 is not one of 2"}},
		{"SliceStep", func() { f(2, 5).SliceStep(1, 0, 6, 2) }, []string{"f32[2 5]", "[0, 6) is not within axis 1 of length 5"}},
		{"SliceStep", func() { f(2, 5).SliceStep(1, 4, 1, 1) }, []string{"[4, 1) is not within"}},
		{"SliceStep", func() { f(2, 5).SliceStep(1, 0, 5, -1) }, []string{"the step -1 must be at least 1; Flip"}},
		{"SliceStep", func() { f(2, 5).SliceStep(2, 0, 5, 1) }, []string{"axis 2"}},
		{"Unflatten", func() { f(2, 6).Unflatten(1, 4, 2) }, []string{"f32[2 6]", "axis 1 of length 6 cannot be cut into [4 2]"}},
		{"Unflatten", func() { f(2, 6).Unflatten(1, -1, 4) }, []string{"cannot be cut into [-1 4]"}},
		{"Unflatten", func() { f(2, 6).Unflatten(1, -1, -1) }, []string{"cannot be cut into [-1 -1]"}},
		{"Unflatten", func() { f(2, 0).Unflatten(1, -1, 0) }, []string{"cannot be cut into [-1 0]"}},
		{"Unflatten", func() { f(2, 6).Unflatten(1) }, []string{"cannot be cut into []"}},
		{"Unflatten", func() { f(2, 1).Unflatten(1, 1, 1, 1, 1, 1, 1) }, []string{"cannot be cut into [1 1 1 1 1 1]"}},
		{"Diagonal", func() { f(2, 3).Diagonal(0, 1, -1) }, []string{"f32[2 3]", "needs two axes, got 1 twice"}},
		{"Diagonal", func() { f(2, 3).Diagonal(math.MinInt, 0, 1) }, []string{"there is no diagonal"}},
		{"Diag", func() { f(2, 3, 4).Diag(0) }, []string{"f32[2 3 4]", "needs a vector or a matrix"}},
		{"Trace", func() { f(3).Trace() }, []string{"f32[3]", "needs a matrix"}},
		{"Stack", func() { tensor.Stack(0, f(2), f(3)) }, []string{"f32[2], f32[3]", "shapes and dtypes must be equal"}},
		{"Stack", func() { tensor.Stack(0, f(2), h(2)) }, []string{"f32[2], bf16[2]", "must be equal"}},
		{"Stack", func() { tensor.Stack(2, f(2)) }, []string{"cannot make a new axis 2"}},
		{"Stack", func() { tensor.Stack(0, f(3), foreign) }, []string{"two scopes"}},
		{"Stack", func() { tensor.Stack(0) }, []string{"In"}},
		{"Split", func() { f(2, 5).Split(1, 2, 2) }, []string{"f32[2 5]", "the lengths [2 2] do not add up to axis 1 of 5"}},
		{"Split", func() { f(2, 5).Split(1, 7, -2) }, []string{"[7 -2] do not add up"}},
		{"Chunk", func() { f(2, 5).Chunk(1, 0) }, []string{"f32[2 5]", "cannot be cut into 0 parts"}},
		{"Unbind", func() { f(2, 5).Unbind(2) }, []string{"axis 2 is not one of 2"}},
		{"Meshgrid", func() { tensor.Meshgrid(f(2), f(2, 3)) }, []string{"f32[2], f32[2 3]", "vectors"}},
		{"Flip", func() { f(2, 3).Flip(2) }, []string{"axis 2 is not one of 2"}},
		{"Flip", func() { f(2, 3).Flip(0, -2) }, []string{"f32[2 3]", "axis 0 is named twice in [0 -2]"}},
		{"Roll", func() { f(2, 3).Roll(3, 1) }, []string{"axis 3 is not one of 2"}},
		{"Tile", func() { f(2, 3).Tile(2, -1) }, []string{"f32[2 3]", "cannot be repeated [2 -1] times"}},
		{"Tile", func() { f(2).Tile(1, 1, 1, 1, 1, 1, 1) }, []string{"more than 6 axes"}},
		{"RepeatInterleave", func() { f(2).RepeatInterleave(0, -2) }, []string{"f32[2]", "cannot be repeated -2 times"}},
		{"Pad", func() { f(3).Pad(0, w(1, 1), w(1, 1)) }, []string{"f32[3]", "2 pairs of widths for 1 axes"}},
		{"Pad", func() { f(3).Pad(0, w(1, -1)) }, []string{"the widths [1 -1] must not be negative; Slice cuts off"}},
		{"PadReflect", func() { f(3).PadReflect(w(0, 3)) }, []string{"f32[3]", "a width of 3 is too much for axis 0 of length 3"}},
		{"PadCircular", func() { f(3).PadCircular(w(4, 0)) }, []string{"a width of 4 is too much"}},
		{"PadReplicate", func() { f(0).PadReplicate(w(1, 0)) }, []string{"f32[0]", "nothing to pad it with"}},
		{"IndexSelect", func() { f(2, 3).IndexSelect(1, f(2)) }, []string{"f32[2 3], f32[2]", "needs an I32 or I64 index with one axis"}},
		{"IndexSelect", func() { f(2, 3).IndexSelect(1, i32(0, 3)) }, []string{"index 3 at position 1 is not in [0, 3)"}},
		{"IndexSelect", func() { f(2, 3).IndexSelect(0, i32(0, 1).Reshape(1, 2)) }, []string{"one axis"}},
		{"Take", func() { f(2, 3).Take(i32(5, 6)) }, []string{"index 6 at position 1 is not in [0, 6)"}},
		{"Take", func() { f(2, 3).Take(f(1)) }, []string{"f32[2 3], f32[1]", "I32 or I64"}},
		{"GatherAlong", func() { f(2, 3).GatherAlong(1, i32(0, 1)) }, []string{"f32[2 3], i32[2]", "an I32 or I64 index"}},
		{"GatherAlong", func() { f(2, 3).GatherAlong(1, i32(0, 1, 2).Reshape(3, 1)) }, []string{"the index is longer than the tensor along axis 0: 3 > 2"}},
		{"GatherAlong", func() { f(2, 3).GatherAlong(1, i32(0, 1, 2, 7).Reshape(2, 2)) }, []string{"f32[2 3], i32[2 2]", "index 7 at position 3 is not in [0, 3)"}},
		{"GatherAlong", func() { f(2, 3).GatherAlong(0, i32(0, -1).Reshape(1, 2)) }, []string{"index -1 at position 1 is not in [0, 2)"}},
		{"ScatterAdd", func() { f(2, 3).ScatterAdd(1, i32(0, 1).Reshape(2, 1), f(2, 2)) }, []string{"f32[2 3], i32[2 1], f32[2 2]", "needs src of the index's shape"}},
		{"ScatterAdd", func() { f(2, 3).ScatterAdd(1, i32(0, 1).Reshape(2, 1), h(2, 1)) }, []string{"bf16[2 1]", "the tensor's dtype"}},
		{"ScatterAdd", func() { f(2, 3).ScatterAdd(1, i32(0, 4).Reshape(2, 1), f(2, 1)) }, []string{"index 4 at position 1 is not in [0, 3)"}},
		{"Scatter", func() { f(2, 3).Scatter(1, i32(0, -4).Reshape(2, 1), f(2, 1)) }, []string{"index -4 at position 1 is not in [0, 3)"}},
		{"Scatter", func() { f(2, 3).Scatter(2, i32(0, 4).Reshape(2, 1), f(2, 1)) }, []string{"axis 2"}},
		{"IndexAdd", func() { f(2, 3).IndexAdd(1, i32(0, 1), f(2, 3)) }, []string{"f32[2 3], i32[2], f32[2 3]", "needs src [2 2]"}},
		{"IndexAdd", func() { f(2, 3).IndexAdd(1, i32(0, 5), f(2, 2)) }, []string{"index 5 at position 1 is not in [0, 3)"}},
		{"MaskedFill", func() { f(2, 3).MaskedFill(f(2, 3), 0) }, []string{"f32[2 3], f32[2 3]", "needs a bool mask that broadcasts"}},
		{"MaskedFill", func() { f(3).MaskedFill(bools(2, 3), 0) }, []string{"f32[3], bool[2 3]", "broadcasts to the tensor's shape"}},
		{"MaskedSelect", func() { f(2, 3).MaskedSelect(bools(2)) }, []string{"f32[2 3], bool[2]", "needs a bool mask"}},
		{"NonZero", func() { tensor.Ones(tensor.CPU(), tensor.F32, 2).NonZero() }, []string{"every operand is long-lived"}},
		{"Dot", func() { f(2).Dot(f(3)) }, []string{"f32[2], f32[3]", "two vectors of one length"}},
		{"Dot", func() { i32(2).Dot(i32(3)) }, []string{"i32[1], i32[1]", "float dtype"}},
		{"Outer", func() { f(2).Outer(f(2, 3)) }, []string{"f32[2], f32[2 3]", "needs two vectors"}},
		{"MatMul", func() { f(3).MatMul(h(3)) }, []string{"f32[3], bf16[3]", "one float dtype"}},
	} {
		mustSay(t, fmt.Sprint(c.op, c.says), c.fn, append([]string{"tensor: " + c.op}, c.says...)...)
	}
}

func TestViewsOfATrainableTensorSayThatItsGradientWouldBeLost(t *testing.T) {
	p := param(tensor.CPU(), tensor.NewRand(1), tensor.F32, 2, 2)
	for op, fn := range map[string]func(){
		"Permute": func() { p.Permute(1, 0) }, "Movedim": func() { p.Movedim(0, 1) }, "SliceStep": func() { p.SliceStep(0, 0, 2, 2) },
		"Unflatten": func() { p.Unflatten(0, 2, 1) }, "Diagonal": func() { p.Diagonal(0, 0, 1) }, "Split": func() { p.Split(0, 1, 1) },
		"Chunk": func() { p.Chunk(0, 2) }, "Unbind": func() { p.Unbind(0) },
	} {
		mustSay(t, op, fn, "tensor: "+op, "bring it into a scope with In first")
	}
}

func TestNonZeroCountsNaN(t *testing.T) {
	s := tensor.CPU().NewScope()
	defer s.Close()
	x := tensor.FromSlice(s, []float32{0, float32(math.NaN()), float32(math.Copysign(0, -1)), 1})
	near(t, "places", x.NonZero().Float64s(), []float64{1, 3}, 0)
}

func TestIndicesBeyondInt32AreRefused(t *testing.T) {
	s := tensor.CPU().NewScope()
	defer s.Close()
	index := tensor.FromSlice(s, []int64{0, 1 << 32}, 1, 2)
	mustSay(t, "GatherAlong", func() { tensor.Ones(s, tensor.F32, 2, 2).GatherAlong(0, index) }, "index 4294967296 at position 1 is not in [0, 2)")
}

// FuzzSlice slices with any bounds and steps: what is refused is refused by an *Error, and what is accepted equals
// a loop.
func FuzzSlice(f *testing.F) {
	f.Add(uint8(5), 0, 5, 2)
	f.Add(uint8(5), -3, -1, 1)
	f.Add(uint8(0), 0, 0, 1)
	f.Add(uint8(3), math.MinInt, math.MaxInt, math.MaxInt)
	f.Add(uint8(7), 1, 7, math.MaxInt)
	f.Fuzz(func(t *testing.T, length uint8, lo, hi, step int) {
		s := tensor.CPU().NewScope()
		defer s.Close()
		n := int(length)
		x := tensor.Arange(s, tensor.F64, 0, float64(2*n), 1).Reshape(2, n)
		from, to := lo, hi
		if from < 0 {
			from += n
		}
		if to < 0 {
			to += n
		}
		valid := from >= 0 && from <= to && to <= n
		for _, c := range []struct {
			op    string
			valid bool
			step  int
			fn    func() T
		}{
			{"Slice", valid, 1, func() T { return x.Slice(1, lo, hi) }},
			{"SliceStep", valid && step > 0, step, func() T { return x.SliceStep(1, lo, hi, step) }},
		} {
			var got T
			err := tensor.Try(func() { got = c.fn() })
			if (err == nil) != c.valid {
				t.Fatalf("%s(1, %d, %d, %d) of length %d gave %v", c.op, lo, hi, step, n, err)
			}
			if err != nil {
				continue
			}
			var want []float64
			for row := range 2 {
				for i := from; i < to; i += c.step {
					want = append(want, float64(row*n+i))
					if c.step > n {
						break
					}
				}
			}
			near(t, c.op, got.Float64s(), want, 0)
		}
	})
}
