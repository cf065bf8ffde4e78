package tensor_test

import (
	"fmt"
	"testing"

	"github.com/hone-ml/hone/tensor"
)

func TestErrorsNameTheOpAndTheShapes(t *testing.T) {
	d := tensor.NewTestDevice(0)
	s := d.NewTape()
	defer s.Close()
	f := func(shape ...int) T { return tensor.Ones(s, tensor.F32, shape...) }
	i32 := func(data ...int32) T { return tensor.FromSlice(s, data) }
	b := func(shape ...int) T { return tensor.Zeros(s, tensor.Bool, shape...) }
	h := func(shape ...int) T { return tensor.Ones(s, tensor.BF16, shape...) }
	o := tensor.AttentionOptions{}
	ce := tensor.CrossEntropyOptions{}
	for _, c := range []struct {
		op   string
		fn   func()
		says []string
	}{
		{"Add", func() { f(2, 3).Add(f(4, 3)) }, []string{"f32[2 3]", "f32[4 3]", "2 and 4 differ"}},
		{"Mul", func() { f(2).Mul(h(2)) }, []string{"f32[2]", "bf16[2]", "convert one with To"}},
		{"Sub", func() { b(2).Sub(b(2)) }, []string{"bool[2]", "not defined for bool"}},
		{"Div", func() { f(3).Div(f(2)) }, []string{"[3]", "[2]"}},
		{"Maximum", func() { f(3).Maximum(f(2)) }, []string{"[3]", "[2]"}},
		{"Minimum", func() { f(3).Minimum(f(2)) }, []string{"[3]", "[2]"}},
		{"And", func() { f(2).And(f(2)) }, []string{"f32[2]", "not defined for f32"}},
		{"Or", func() { b(2).Or(b(3)) }, []string{"[2]", "[3]"}},
		{"Eq", func() { f(2).Eq(f(3)) }, []string{"[2]", "[3]"}},
		{"Where", func() { tensor.Where(f(2), f(2), f(2)) }, []string{"f32[2]", "bool"}},
		{"Where", func() { tensor.Where(b(2), f(2), f(3)) }, []string{"[3]"}},
		{"AddScalar", func() { b(2).AddScalar(1) }, []string{"bool[2]"}},
		{"PowScalar", func() { i32(2).PowScalar(2) }, []string{"i32[1]", "float"}},
		{"DivScalar", func() { i32(2).DivScalar(0.5) }, []string{"i32[1]", "divided by 0.5"}},
		{"Exp", func() { i32(1, 2).Exp() }, []string{"i32[2]", "float"}},
		{"Not", func() { f(2).Not() }, []string{"f32[2]"}},
		{"Neg", func() { b(2).Neg() }, []string{"bool[2]"}},
		{"Reshape", func() { f(2, 3).Reshape(4) }, []string{"f32[2 3]", "6 elements", "[4]"}},
		{"Reshape", func() { f(2, 3).Reshape(-1, -1) }, []string{"[-1 -1]"}},
		{"Reshape", func() { f(2, 3).Reshape(4, -1) }, []string{"[4 -1]"}},
		{"Reshape", func() { f(0, 3).Reshape(0, -1) }, []string{"f32[0 3]", "any number"}},
		{"Reshape", func() { f(1).Reshape(1, 1, 1, 1, 1, 1, 1) }, []string{"[1 1 1 1 1 1 1]"}},
		{"Transpose", func() { f(2, 3).Transpose(0, 2) }, []string{"f32[2 3]", "axis 2"}},
		{"Slice", func() { f(2, 3).Slice(1, 2, 4) }, []string{"f32[2 3]", "[2, 4)", "length 3"}},
		{"Slice", func() { f(2, 3).Slice(1, 2, 1) }, []string{"[2, 1)"}},
		{"Slice", func() { f(2, 3).Slice(-3, 0, 1) }, []string{"axis -3"}},
		{"Index", func() { f(2, 3).Index(2) }, []string{"f32[2 3]", "2 elements"}},
		{"Index", func() { f(2, 3).Index(-3) }, []string{"-3"}},
		{"Squeeze", func() { f(2, 3).Squeeze(0) }, []string{"f32[2 3]", "length 2"}},
		{"Unsqueeze", func() { f(2, 3).Unsqueeze(3) }, []string{"f32[2 3]", "3"}},
		{"Expand", func() { f(2, 3).Expand(2, 2, 4) }, []string{"f32[2 3]", "[2 2 4]"}},
		{"Expand", func() { f(1).Expand(-1) }, []string{"[-1]"}},
		{"Expand", func() { f(1).Expand(-1, 1) }, []string{"[-1 1]"}},
		{"Cat", func() { tensor.Cat(0, f(2, 3), f(2, 4)) }, []string{"[2 3]", "[2 4]", "axis 0"}},
		{"Cat", func() { tensor.Cat(0, f(2), h(2)) }, []string{"f32[2]", "bf16[2]"}},
		{"Cat", func() { tensor.Cat(0) }, []string{"In"}},
		{"Sum", func() { f(2, 3).Sum(2) }, []string{"f32[2 3]", "axis 2"}},
		{"Sum", func() { b(2).Sum() }, []string{"bool[2]", "To"}},
		{"Mean", func() { i32(1).Mean() }, []string{"i32[1]", "float"}},
		{"Max", func() { f(2).Max(1) }, []string{"axis 1"}},
		{"ArgMax", func() { f(2, 0).ArgMax() }, []string{"f32[2 0]"}},
		{"Gather", func() { f(3, 2).Gather(f(2)) }, []string{"f32[3 2]", "f32[2]", "I32"}},
		{"Gather", func() { f(3, 2).Gather(i32(0, 1, 3)) }, []string{"f32[3 2]", "index 3 at position 2", "[0, 3)"}},
		{"Gather", func() { f(3, 2).Gather(i32(-1)) }, []string{"index -1 at position 0"}},
		{"Embedding", func() { tensor.Embedding(f(3), i32(1)) }, []string{"f32[3]", "two axes"}},
		{"MatMul", func() { f(2, 3).MatMul(f(2, 3)) }, []string{"f32[2 3], f32[2 3]", "3 and 2 differ"}},
		{"MatMul", func() { f(3).MatMul(f(2, 3)) }, []string{"f32[3], f32[2 3]", "3 and 2 differ"}},
		{"MatMul", func() { f().MatMul(f(3, 2)) }, []string{"f32[], f32[3 2]", "need axes"}},
		{"MatMul", func() { f(2, 2).MatMul(h(2, 2)) }, []string{"bf16[2 2]", "one float dtype"}},
		{"MatMul", func() { f(2, 2, 2).MatMul(f(3, 2, 2)) }, []string{"2 and 3 differ"}},
		{"Linear", func() { tensor.Linear(f(2, 3), f(4, 2), nil) }, []string{"f32[2 3]", "f32[4 2]", "[out, in]"}},
		{"Linear", func() { tensor.Linear(f(2, 3), f(4, 3), f(3)) }, []string{"f32[3]", "bias [out]"}},
		{"LinearAdd", func() { tensor.LinearAdd(f(2, 3), f(2, 3), f(4, 3), nil) }, []string{"f32[2 3]", "f32[4 3]", "residual [..., out]"}},
		{"LinearAdd", func() { tensor.LinearAdd(h(2, 4), f(2, 3), f(4, 3), nil) }, []string{"bf16[2 4]", "residual [..., out]"}},
		{"Softmax", func() { f().Softmax() }, []string{"f32[]", "axis"}},
		{"LogSoftmax", func() { i32(1).LogSoftmax() }, []string{"i32[1]", "float"}},
		{"SwiGLU", func() { tensor.SwiGLU(f(2, 3), f(3, 2)) }, []string{"[2 3]", "[3 2]"}},
		{"RMSNorm", func() { tensor.RMSNorm(f(2, 3), f(2), 1) }, []string{"[2 3]", "[2]", "w [D]"}},
		{"RoPE", func() { tensor.RoPE(f(2, 1, 3), f(2, 1), f(2, 1)) }, []string{"[2 1 3]", "even"}},
		{"RoPE", func() { tensor.RoPE(f(2, 1, 4), f(3, 2), f(3, 2)) }, []string{"[2 1 4]", "[3 2]"}},
		{"RoPETable", func() { tensor.RoPETable(f(2), 4, 1e4) }, []string{"f32[2]", "I32"}},
		{"RoPETable", func() { tensor.RoPETable(i32(2), 3, 1e4) }, []string{"even head dimension"}},
		{"Attention", func() { tensor.Attention(f(1, 2, 3, 4), f(1, 2, 2, 4), f(1, 2, 2, 4), o) }, []string{"[1 2 3 4]", "[1 2 2 4]", "multiple of KV"}},
		{"Attention", func() { tensor.Attention(f(2, 2, 2, 4), f(1, 2, 2, 4), f(1, 2, 2, 4), o) }, []string{"batch of 2, k of 1"}},
		{"Attention", func() {
			tensor.Attention(f(1, 2, 1, 1), f(1, 2, 1, 1), f(1, 2, 1, 1), tensor.AttentionOptions{SeqStarts: []int32{1}})
		}, []string{"SeqStarts [1]"}},
		{"Attention", func() {
			tensor.Attention(f(1, 2, 1, 1), f(1, 3, 1, 1), f(1, 3, 1, 1), tensor.AttentionOptions{SeqStarts: []int32{0}})
		}, []string{"as many keys as queries"}},
		{"Attention", func() {
			tensor.Attention(f(1, 2, 1, 1), f(1, 2, 1, 1), f(1, 2, 1, 1), tensor.AttentionOptions{Segments: []tensor.Segment{{Q1: 3}}})
		}, []string{"segment 0", "Q1:3"}},
		{"Attention", func() {
			tensor.Attention(f(1, 2, 1, 1), f(1, 2, 1, 1), f(1, 2, 1, 1), tensor.AttentionOptions{Segments: []tensor.Segment{{}}, SeqStarts: []int32{0}})
		}, []string{"exclude"}},
		{"CrossEntropy", func() { tensor.CrossEntropy(f(2, 3), i32(0, 3), ce) }, []string{"f32[2 3]", "index 3 at position 1", "[0, 3)"}},
		{"CrossEntropy", func() { tensor.CrossEntropy(f(2, 3), i32(0), ce) }, []string{"f32[2 3]", "i32[1]", "2 rows"}},
		{"CrossEntropy", func() { tensor.CrossEntropy(f(2, 3), i32(-100, -100), ce) }, []string{"every target is ignored"}},
		{"CrossEntropy", func() { tensor.CrossEntropy(f(2, 3), i32(0, 1), tensor.CrossEntropyOptions{RowWeights: f(3)}) }, []string{"f32[3]", "2 rows"}},
		{"LinearCrossEntropy", func() { tensor.LinearCrossEntropy(f(2, 3), f(5, 4), i32(0, 1), ce) }, []string{"[2 3]", "[5 4]", "weight [V, H]"}},
		{"Dropout", func() { tensor.Dropout(f(2), 1) }, []string{"f32[2]", "probability 1"}},
		{"Item", func() { f(2).Item() }, []string{"f32[2]", "2 elements"}},
		{"Dim", func() { f(2).Dim(1) }, []string{"f32[2]", "axis 1"}},
		{"ToSlice", func() { tensor.ToSlice[int32](f(2)) }, []string{"f32[2]", "i32"}},
		{"FromSlice", func() { tensor.FromSlice(s, []int32{1, 2}, 3) }, []string{"i32[3]", "3 elements, the slice 2"}},
		{"FromSlice", func() { tensor.FromSlice(s, []int32{1, 2}, 1<<40, 1<<10) }, []string{"the slice 2"}},
		{"FromBytes", func() { tensor.FromBytes(s, tensor.F32, make([]byte, 7), 2) }, []string{"f32[2]", "8 bytes", "7"}},
		{"CopyFrom", func() { f(2).CopyFrom(f(3)) }, []string{"[2]", "[3]"}},
		{"CopyFromSlice", func() { tensor.CopyFromSlice(f(2), []float32{1}) }, []string{"[2]"}},
		{"CopyFromSlice", func() { tensor.CopyFromSlice(f(2, 3).T(), make([]float32, 6)) }, []string{"contiguous"}},
		{"Arange", func() { tensor.Arange(s, tensor.F32, 0, 1, -1) }, []string{"does not lead"}},
		{"Arange", func() { tensor.Arange(s, tensor.F32, 0, 1, 0) }, []string{"does not lead"}},
		{"Randn", func() { tensor.Randn(s, tensor.I32, tensor.NewRand(1), 1, 2) }, []string{"i32[2]", "float"}},
		{"alloc", func() { tensor.Zeros(s, tensor.F32, 2, -1) }, []string{"f32[2 -1]", "negative"}},
		{"alloc", func() { tensor.Zeros(s, tensor.F32, 1<<32, 1<<32) }, []string{"more elements"}},
		{"alloc", func() { tensor.Zeros(s, tensor.F32, 1, 1, 1, 1, 1, 1, 1) }, []string{"6 axes"}},
	} {
		mustSay(t, fmt.Sprint(c.op, c.says), c.fn, append([]string{"tensor: " + c.op}, c.says...)...)
	}
}

func TestTheComposedTwinsCheckTargetsToo(t *testing.T) {
	s := tensor.NewComposedDevice().NewScope()
	defer s.Close()
	mustSay(t, "CrossEntropy", func() {
		tensor.CrossEntropy(tensor.Ones(s, tensor.F32, 2, 3), tensor.FromSlice(s, []int32{0, 3}), tensor.CrossEntropyOptions{})
	}, "CrossEntropy", "index 3 at position 1")
}

func TestPositionsOfBadTargetsCountFromTheFirstRow(t *testing.T) {
	s := tensor.NewTestDevice(0).NewScope()
	defer s.Close()
	tensor.WithLogitChunks(0, 6, func() { // chunks of two rows
		mustSay(t, "LinearCrossEntropy", func() {
			tensor.LinearCrossEntropy(tensor.Ones(s, tensor.F32, 5, 2), tensor.Ones(s, tensor.F32, 3, 2),
				tensor.FromSlice(s, []int32{0, 1, 2, 7, 0}), tensor.CrossEntropyOptions{})
		}, "LinearCrossEntropy", "index 7 at position 3")
	})
}

func TestTryLetsOtherPanicsThrough(t *testing.T) {
	defer func() {
		if p := recover(); p != "mine" {
			t.Errorf("recovered %v", p)
		}
	}()
	err := tensor.Try(func() { panic("mine") })
	t.Errorf("Try gave %v", err)
}

func TestTryGivesNilWithoutAPanic(t *testing.T) {
	if err := tensor.Try(func() {}); err != nil {
		t.Error(err)
	}
}
