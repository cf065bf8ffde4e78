package tensor_test

import (
	"math"
	"strings"
	"testing"

	"github.com/hone-ml/hone/tensor"
)

func TestStringAlignsColumnsAndShowsNoMoreDigitsThanNeeded(t *testing.T) {
	s := tensor.CPU().NewScope()
	defer s.Close()
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, c := range []struct {
		x    T
		want string
	}{
		{tensor.Scalar(s, float32(0.6931472)), "f32[] 0.6931"},
		{tensor.Scalar(s, int64(math.MaxInt64)), "i64[] 9223372036854775807"},
		{tensor.FromSlice(s, []float32{1, 2, 3}), "f32[3] [1 2 3]"},
		{tensor.FromSlice(s, []float32{}), "f32[0] []"},
		{tensor.FromSlice(s, []float32{0.25, -1, 10}), "f32[3] [0.25 -1 10]"},
		{tensor.FromSlice(s, []float32{1.0 / 3, 1}), "f32[2] [0.3333 1]"},
		{tensor.FromSlice(s, []float32{1e-5, 1}), "f32[2] [1e-05 1]"},
		{tensor.FromSlice(s, []float32{1.25e9, 0}), "f32[2] [1.25e+09 0]"},
		{tensor.FromSlice(s, []float32{nan, inf, -inf, 0.5}), "f32[4] [NaN Inf -Inf 0.5]"},
		{tensor.FromSlice(s, []int32{-5, 1_000_000_000}), "i32[2] [-5 1000000000]"},
		{tensor.FromSlice(s, []uint8{0, 255}), "u8[2] [0 255]"},
		{tensor.FromSlice(s, []bool{true, false}), "bool[2] [true false]"},
		{tensor.FromSlice(s, []float32{1, 2}).To(tensor.BF16), "bf16[2] [1 2]"},
		{tensor.FromSlice(s, []float32{0.25, -1, 10, 0}, 2, 2), "f32[2 2]\n[[ 0.25 -1.00]\n [10.00  0.00]]"},
		{tensor.FromSlice(s, []float32{1.0 / 3, 1}, 2, 1), "f32[2 1]\n[[0.3333]\n [1.0000]]"},
		{tensor.FromSlice(s, []float32{1.25e9, 0}, 1, 2), "f32[1 2]\n[[1.25e+09 0.00e+00]]"},
		{tensor.FromSlice(s, []float32{1e-5, 1}, 1, 2), "f32[1 2]\n[[1e-05 1e+00]]"},
		{tensor.FromSlice(s, []float32{nan, inf, -inf, 0.5}, 2, 2), "f32[2 2]\n[[ NaN  Inf]\n [-Inf  0.5]]"},
		{tensor.FromSlice(s, []float32{1, -20, 3, 4}, 2, 2), "f32[2 2]\n[[  1 -20]\n [  3   4]]"},
		{tensor.FromSlice(s, []float32{1, 2, 3, 4}, 2, 2).T(), "f32[2 2]\n[[1 3]\n [2 4]]"},
		{tensor.Zeros(s, tensor.F32, 2, 0), "f32[2 0]\n[[]\n []]"},
		{tensor.Zeros(s, tensor.F32, 0, 2), "f32[0 2]\n[]"},
		{tensor.Arange(s, tensor.I32, 0, 8, 1).Reshape(2, 2, 2), "i32[2 2 2]\n[[[0 1]\n  [2 3]]\n\n [[4 5]\n  [6 7]]]"},
		{tensor.Arange(s, tensor.I32, 0, 1001, 1), "i32[1001] [0 1 2 … 998 999 1000]"},
		{tensor.Arange(s, tensor.I64, 0, 1e6, 1), "i64[1000000] [0 1 2 … 999997 999998 999999]"},
		{tensor.Arange(s, tensor.I32, 100, 140, 1), "i32[40]\n[100 101 102 103 104 105 106 107 108 109 110 111 112 113 114 115 116 117 118 119\n" +
			" 120 121 122 123 124 125 126 127 128 129 130 131 132 133 134 135 136 137 138 139]"},
		{tensor.Arange(s, tensor.F32, 0, 4096, 1).Reshape(512, 8), "f32[512 8]\n" +
			"[[   0    1    2 …    5    6    7]\n [   8    9   10 …   13   14   15]\n [  16   17   18 …   21   22   23]\n …\n" +
			" [4072 4073 4074 … 4077 4078 4079]\n [4080 4081 4082 … 4085 4086 4087]\n [4088 4089 4090 … 4093 4094 4095]]"},
	} {
		if got := c.x.String(); got != c.want {
			t.Errorf("got\n%s\nwant\n%s", got, c.want)
		}
	}
}

func TestStringOfAQuantisedTensorShowsItsValues(t *testing.T) {
	s := tensor.CPU().NewScope()
	defer s.Close()
	w := tensor.Ones(s, tensor.F32, 64, 32).To(tensor.Q8_0)
	for _, x := range []T{w, w.T()} {
		if got := x.String(); !strings.HasPrefix(got, "q8_0[") || !strings.Contains(got, "\n[[0.9999 0.9999 0.9999 … 0.9999") || strings.Count(got, " … 0.9999 0.9999 0.9999]") != 6 {
			t.Errorf("got\n%s", got)
		}
	}
}

func TestStringOfAHugeTensorReadsWhatItShowsOnly(t *testing.T) {
	d := tensor.NewTestDevice(64 << 20)
	s := d.NewScope()
	defer s.Close()
	x := tensor.Zeros(s, tensor.F32, 1).Expand(1<<16, 2, 2, 2, 1<<20, 1<<20) // a copy would take 2⁶¹ bytes
	if got := x.String(); len(got) > 4000 || strings.Count(got, "…") < 3 {
		t.Errorf("%d bytes:\n%.2000s", len(got), got)
	}
}

func TestStringOfAClosedTensorSaysSo(t *testing.T) {
	s := tensor.CPU().NewScope()
	x := tensor.Zeros(s, tensor.F32, 2)
	s.Close()
	if got := x.String(); got != "f32[2] (closed)" {
		t.Error(got)
	}
}
