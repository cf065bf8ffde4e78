package tensor_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/hone-ml/hone/tensor"
	"github.com/x448/float16"
)

func roundTrip[E tensor.Element](t *testing.T, d *tensor.Device, data ...E) {
	t.Helper()
	s := d.NewScope()
	defer s.Close()
	for _, p := range []tensor.Place{s, d} {
		x := tensor.FromSlice(p, data, len(data), 1)
		if x.DType() != tensor.DTypeOf[E]() || !slices.Equal(tensor.ToSlice[E](x), data) {
			t.Errorf("%v came back as %v", data, x)
		}
		again := tensor.FromBytes(p, x.DType(), x.Bytes(), len(data))
		if !slices.Equal(tensor.ToSlice[E](again), data) {
			t.Errorf("%v came back from bytes as %v", data, again)
		}
		for i, v := range again.Float64s() {
			if got := tensor.Scalar(s, data[i]).Item(); got != v {
				t.Errorf("Item is %v, want %v", got, v)
			}
		}
		var file bytes.Buffer
		if n, err := x.WriteTo(&file); err != nil || n != int64(file.Len()) || !bytes.Equal(file.Bytes(), x.Bytes()) {
			t.Errorf("WriteTo wrote %d bytes (%v) of %d", n, err, len(x.Bytes()))
		}
		blank := tensor.Empty(p, x.DType(), len(data))
		tensor.CopyFromSlice(blank, data)
		same(t, "CopyFromSlice", blank, again)
		wide := tensor.Empty(p, tensor.F64, len(data))
		tensor.CopyFromBytes(wide, x.DType(), x.Bytes())
		near(t, "CopyFromBytes", wide.Float64s(), again.Float64s(), 0)
		tensor.CopyFromBytes(blank, x.DType(), again.Bytes())
		same(t, "CopyFromBytes", blank, again)
	}
}

func TestElementsComeBackAsTheyWere(t *testing.T) {
	d := tensor.NewTestDevice(0)
	roundTrip(t, d, float32(1.5), -2, 1e30)
	roundTrip(t, d, 1.5, -2, 1e300)
	roundTrip(t, d, tensor.ToBFloat16(1.5), tensor.ToBFloat16(-3))
	roundTrip(t, d, float16.Fromfloat32(1.5), float16.Fromfloat32(-3))
	roundTrip(t, d, int32(1), -1<<31)
	roundTrip(t, d, int64(1), -1<<53)
	roundTrip(t, d, uint8(0), 255)
	roundTrip(t, d, true, false, true)
	roundTrip[float32](t, d)
}

func TestNewTensorsHaveTheirValues(t *testing.T) {
	d := tensor.NewTestDevice(0)
	s := d.NewScope()
	defer s.Close()
	for _, dt := range []tensor.DType{tensor.F32, tensor.F64, tensor.BF16, tensor.F16, tensor.I32, tensor.I64, tensor.U8} {
		near(t, "Zeros", tensor.Zeros(s, dt, 2).Float64s(), []float64{0, 0}, 0)
		near(t, "Ones", tensor.Ones(s, dt, 1, 2).Float64s(), []float64{1, 1}, 0)
		near(t, "Full", tensor.Full(d, dt, 3, 2).Float64s(), []float64{3, 3}, 0)
		near(t, "Arange", tensor.Arange(s, dt, 1, 8, 3).Float64s(), []float64{1, 4, 7}, 0)
	}
	near(t, "a falling Arange", tensor.Arange(s, tensor.F32, 1, 0, -0.5).Float64s(), []float64{1, 0.5}, 0)
	if n := tensor.Arange(s, tensor.F32, 1, 1, 1).Len(); n != 0 {
		t.Errorf("an empty range has %d elements", n)
	}
	if x := tensor.Scalar(s, 2.5); x.Rank() != 0 || x.Item() != 2.5 {
		t.Errorf("Scalar is %s", x)
	}
}

func TestCopyFromConvertsAndCrossesPlaces(t *testing.T) {
	d := tensor.NewTestDevice(0)
	s := d.NewScope()
	defer s.Close()
	x := tensor.Arange(s, tensor.F32, 0, 6, 1).Reshape(2, 3)
	w := tensor.Zeros(d, tensor.BF16, 3, 2)
	w.CopyFrom(x.T())
	near(t, "transposed, to BF16", w.Float64s(), []float64{0, 3, 1, 4, 2, 5}, 0)
	mustSay(t, "too few bytes", func() { tensor.CopyFromBytes(w, tensor.F32, make([]byte, 8)) }, "CopyFromBytes", "bf16[3 2]", "8 bytes")
	w.Slice(0, 1, 2).Fill(9)
	near(t, "Fill of a slice", w.Float64s(), []float64{0, 3, 9, 9, 2, 5}, 0)
}

func TestAFailingWriterIsTheErrorOfWriteTo(t *testing.T) {
	x := tensor.Ones(tensor.NewTestDevice(0), tensor.F32, 2, 3)
	for _, x := range []T{x, x.T()} {
		if _, err := x.WriteTo(full{}); !errors.Is(err, errFull) {
			t.Errorf("got %v", err)
		}
	}
}

var errFull = errors.New("full")

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestWriteToPiecesALargeTensor(t *testing.T) {
	x := tensor.Randn(tensor.NewTestDevice(0), tensor.F32, tensor.NewRand(1), 1, 3<<20) // 12 MiB, in pieces of 4
	var file bytes.Buffer
	if n, err := x.WriteTo(&file); err != nil || n != 12<<20 || !bytes.Equal(file.Bytes(), x.Bytes()) {
		t.Errorf("wrote %d bytes, %v", n, err)
	}
}

func TestADeviceDescribesItself(t *testing.T) {
	d := tensor.CPU()
	if d != tensor.CPU() || tensor.Devices()[0] != d {
		t.Error("there are two CPUs")
	}
	if d.Name() != "cpu" || d.KernelPath() == "" || !strings.Contains(d.String(), d.KernelPath()) || !strings.Contains(d.String(), d.Model()) {
		t.Errorf("the device is %s", d)
	}
	if m := d.Memory(); m.Limit <= 0 {
		t.Errorf("the CPU's limit is %d", m.Limit)
	}
	if _, err := tensor.CUDA(0); err == nil || !strings.Contains(err.Error(), "cuda:0") {
		t.Errorf("CUDA(0) gives %v", err)
	}
}
