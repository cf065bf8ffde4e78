package tensor_test

import (
	"math"
	"testing"

	"github.com/hone-ml/hone/tensor"
	"github.com/x448/float16"
)

func TestBFloat16RoundsToNearestEven(t *testing.T) {
	for _, c := range []struct {
		in   float32
		want uint16
	}{
		{1, 0x3f80}, {-2, 0xc000}, {0, 0}, {float32(math.Copysign(0, -1)), 0x8000},
		{math.Float32frombits(0x3f808000), 0x3f80}, // a tie, to even
		{math.Float32frombits(0x3f818000), 0x3f82}, // a tie, to even
		{math.Float32frombits(0x3f808001), 0x3f81},
		{float32(math.Inf(1)), 0x7f80}, {math.MaxFloat32, 0x7f80},
	} {
		if got := tensor.ToBFloat16(c.in); got != tensor.BFloat16(c.want) {
			t.Errorf("%v is %#04x, want %#04x", c.in, got, c.want)
		}
	}
	for _, bits := range []uint32{0x7f800001, 0x7fffffff, 0xffc00000} {
		if f := tensor.ToBFloat16(math.Float32frombits(bits)).Float32(); f == f {
			t.Errorf("NaN %#x became %v", bits, f)
		}
	}
	if f := tensor.BFloat16(0x4049).Float32(); f != 3.140625 {
		t.Errorf("0x4049 is %v", f)
	}
}

func TestToConvertsBetweenAllDTypes(t *testing.T) {
	s := tensor.NewTestDevice(0).NewScope()
	defer s.Close()
	from := []float64{0, 1, 2.75, 100.5, 200}
	want := map[tensor.DType][]float64{
		tensor.F64: from, tensor.F32: from, tensor.F16: from, tensor.BF16: {0, 1, 2.75, 100.5, 200},
		tensor.I32: {0, 1, 2, 100, 200}, tensor.I64: {0, 1, 2, 100, 200}, tensor.U8: {0, 1, 2, 100, 200}, tensor.Bool: {0, 1, 1, 1, 1},
	}
	x := tensor.FromSlice(s, from)
	for dt, w := range want {
		y := x.To(dt)
		if y.DType() != dt {
			t.Errorf("To(%s) is %s", dt, y.DType())
		}
		near(t, dt.String(), y.Float64s(), w, 0)
		for dt2 := range want {
			w2 := w
			if dt2 == tensor.Bool {
				w2 = want[tensor.Bool]
			} else if !dt2.IsFloat() && dt.IsFloat() {
				w2 = want[dt2]
			}
			near(t, dt.String()+" to "+dt2.String(), y.To(dt2).Float64s(), w2, 0)
		}
	}
	if x.To(tensor.F64) != x {
		t.Error("a conversion to the same dtype is not the tensor itself")
	}
	near(t, "negative to integer", tensor.FromSlice(s, []float64{-1.75}).To(tensor.I32).Float64s(), []float64{-1}, 0)
}

func TestGradientsFlowThroughConversions(t *testing.T) {
	d := tensor.NewTestDevice(0)
	s := d.NewTape()
	defer s.Close()
	w := param(d, tensor.NewRand(1), tensor.F32, 4)
	g := tensor.NewGrads(named(w), tensor.F32)
	w.In(s).To(tensor.F64).MulScalar(3).To(tensor.BF16).To(tensor.F16).Sum().Backward(g)
	near(t, "gradient", g.Of(w).Float64s(), []float64{3, 3, 3, 3}, 0)
	if y := w.In(s).To(tensor.I32).To(tensor.F32).Sum(); tensor.Try(func() { y.Backward(g) }) == nil {
		t.Error("a gradient flowed through integers")
	}
}

func TestDTypeOfNamesEveryElement(t *testing.T) {
	for got, want := range map[tensor.DType]tensor.DType{
		tensor.DTypeOf[float32](): tensor.F32, tensor.DTypeOf[float64](): tensor.F64, tensor.DTypeOf[tensor.BFloat16](): tensor.BF16,
		tensor.DTypeOf[float16.Float16](): tensor.F16, tensor.DTypeOf[int32](): tensor.I32, tensor.DTypeOf[int64](): tensor.I64,
		tensor.DTypeOf[uint8](): tensor.U8, tensor.DTypeOf[bool](): tensor.Bool,
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestTheMeanOfF16DoesNotOverflow(t *testing.T) {
	s := tensor.NewTestDevice(0).NewScope()
	defer s.Close()
	if m := tensor.Full(s, tensor.F16, 60000, 100).Mean().Item(); m != 60000 {
		t.Errorf("the mean of 60000 is %v", m)
	}
}
