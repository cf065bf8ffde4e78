package tensor_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/hone-ml/hone/tensor"
)

var quantized = []tensor.DType{tensor.Q8_0, tensor.Q4_0}

// onEachQuantizing runs fn on a CPU, and on one without kernels of its own.
func onEachQuantizing(t *testing.T, fn func(t *testing.T, d *tensor.Device)) {
	t.Run("fused", func(t *testing.T) { fn(t, tensor.NewTestDevice(0)) })
	t.Run("composed", func(t *testing.T) { fn(t, tensor.NewComposedDevice()) })
}

// weights are long-lived random numbers in blocks, and the values that these hold.
func weights(d *tensor.Device, dt tensor.DType, seed uint64, shape ...int) (blocks, values T) {
	s := d.NewScope()
	defer s.Close()
	blocks = s.Keep(tensor.Randn(s, tensor.F32, tensor.NewRand(seed), 1, shape...).To(dt))
	return blocks, s.Keep(blocks.In(s).To(tensor.F32))
}

func TestQuantizedTensorsHoldWhatTheirBlocksHold(t *testing.T) {
	onEachQuantizing(t, func(t *testing.T, d *tensor.Device) {
		s := d.NewScope()
		defer s.Close()
		for dt, size := range map[tensor.DType]int{tensor.Q8_0: 34, tensor.Q4_0: 18} {
			x := tensor.Randn(s, tensor.F32, tensor.NewRand(1), 1, 3, 96)
			before := s.InUse()
			q := x.To(dt)
			if grown := s.InUse() - before; grown < 9*size || grown > 9*size+64 {
				t.Errorf("%v: 9 blocks take %d bytes, want %d", dt, grown, 9*size)
			}
			if q.DType() != dt || q.Len() != 288 || fmt.Sprint(q.Shape()) != "[3 96]" || len(q.Bytes()) != 9*size {
				t.Errorf("%v: got %v%v of %d elements in %d bytes", dt, q.DType(), q.Shape(), q.Len(), len(q.Bytes()))
			}
			values := q.To(tensor.F32)
			off := 0.0
			for i, v := range values.Float64s() {
				off = max(off, math.Abs(v-x.Float64s()[i]))
			}
			if limit := map[tensor.DType]float64{tensor.Q8_0: 0.02, tensor.Q4_0: 0.6}[dt]; off == 0 || off > limit {
				t.Errorf("%v: weights are off by up to %v, allowed %v", dt, off, limit)
			}
			near(t, "ToSlice", q.Float64s(), values.Float64s(), 0)
			near(t, "F64", q.To(tensor.F64).Float64s(), values.Float64s(), 0)
			near(t, "BF16", q.To(tensor.BF16).Float64s(), values.To(tensor.BF16).Float64s(), 0)
			near(t, "F16", q.To(tensor.F16).Float64s(), values.To(tensor.F16).Float64s(), 0)
			near(t, "transposed", q.T().To(tensor.F32).Float64s(), values.T().Float64s(), 0)
			near(t, "from F64", x.To(tensor.F64).To(dt).Float64s(), values.Float64s(), 0)
			near(t, "from columns", x.T().Contiguous().T().To(dt).Float64s(), values.Float64s(), 0)
			near(t, "from bytes", tensor.FromBytes(s, dt, q.Bytes(), 3, 96).Float64s(), values.Float64s(), 0)
			near(t, "a row", q.Index(1).Float64s(), values.Index(1).Float64s(), 0)
			near(t, "kept", s.Keep(q).Float64s(), values.Float64s(), 0)
			var b strings.Builder
			if n, err := q.WriteTo(&b); err != nil || b.String() != string(q.Bytes()) {
				t.Errorf("%v: WriteTo wrote %d bytes, %v", dt, n, err)
			}
			long := tensor.Empty(d, dt, 3, 96)
			tensor.CopyFromBytes(long, tensor.F32, x.Bytes())
			near(t, "copied from F32", long.Float64s(), values.Float64s(), 0)
			long.CopyFrom(q)
			near(t, "copied from blocks", long.Float64s(), values.Float64s(), 0)
			if !strings.HasPrefix(q.String(), dt.String()+"[3 96]\n[[") || !strings.HasPrefix(q.T().String(), dt.String()+"[96 3]\n[[") {
				t.Errorf("String is %s", q)
			}
		}
	})
}

func TestProductsWithQuantizedWeightsAreThoseWithTheirValues(t *testing.T) {
	onEachQuantizing(t, func(t *testing.T, d *tensor.Device) {
		for _, dt := range quantized {
			w, values := weights(d, dt, 2, 45, 64)        // [out, in]
			wide, wideValues := weights(d, dt, 3, 64, 96) // [in, out]
			for _, x := range []tensor.DType{tensor.F32, tensor.BF16, tensor.F16, tensor.F64} {
				for _, rows := range []int{1, 5, 8, 9, 40} {
					func() {
						s := d.NewScope()
						defer s.Close()
						in := tensor.Randn(s, x, tensor.NewRand(4), 1, rows, 64)
						bias := tensor.Randn(s, x, tensor.NewRand(5), 1, 45)
						tolerance := map[tensor.DType]float64{tensor.F32: 1e-6, tensor.F64: 1e-12, tensor.BF16: 1.0 / 64, tensor.F16: 1.0 / 512}[x]
						label := fmt.Sprintf("%v %v %d ", dt, x, rows)
						wx, ww := values.In(s).To(x), wideValues.In(s).To(x)
						near(t, label+"Linear", tensor.Linear(in, w, bias).Float64s(), tensor.Linear(in, wx, bias).Float64s(), tolerance)
						near(t, label+"MatMul", in.MatMul(w.T()).Float64s(), in.MatMul(wx.T()).Float64s(), tolerance)
						near(t, label+"MatMul by columns", in.MatMul(wide).Float64s(), in.MatMul(ww).Float64s(), tolerance)
						batch := in.Reshape(1, rows, 64).Expand(2, rows, 64)
						near(t, label+"a batch", batch.MatMul(w.T()).Float64s(), batch.MatMul(wx.T()).Float64s(), tolerance)
						near(t, label+"a view", in.T().Contiguous().T().MatMul(w.T()).Float64s(), in.MatMul(wx.T()).Float64s(), tolerance)
					}()
				}
			}
		}
	})
}

func TestGradientsFlowThroughQuantizedWeights(t *testing.T) {
	onEachQuantizing(t, func(t *testing.T, d *tensor.Device) {
		for _, dt := range quantized {
			w, values := weights(d, dt, 6, 45, 64)
			x := param(d, tensor.NewRand(7), tensor.F32, 11, 64)
			gradient := func(w T, product func(x, w T) T) []float64 {
				s := d.NewTape()
				defer s.Close()
				g := tensor.NewGrads(named(x), tensor.F32)
				product(x.In(s), w).Square().Sum().Backward(g)
				return g.Of(x).Float64s()
			}
			for name, product := range map[string]func(x, w T) T{
				"Linear":  func(x, w T) T { return tensor.Linear(x, w, nil) },
				"MatMul":  func(x, w T) T { return x.MatMul(w.T()) },
				"columns": func(x, w T) T { return x.Slice(1, 0, 45).MatMul(w) },
			} {
				near(t, fmt.Sprint(dt, name), gradient(w, product), gradient(values, product), 1e-5)
			}
		}
	})
}

func TestMemoryOfConvertedWeightsIsFreeAgain(t *testing.T) {
	onEachQuantizing(t, func(t *testing.T, d *tensor.Device) {
		w, _ := weights(d, tensor.Q8_0, 8, 256, 256)
		s := d.NewTape()
		defer s.Close()
		x := param(d, tensor.NewRand(9), tensor.F32, 40, 256)
		h := x.In(s)
		for range 4 {
			h = tensor.Linear(h, w, nil)
		}
		if most := 5 * 40 * 256 * 4; s.InUse() > most {
			t.Errorf("%d bytes live after four products, want %d at most", s.InUse(), most)
		}
	})
}

func TestQuantizedTensorsAreRefusedWithTheReason(t *testing.T) {
	d := tensor.NewTestDevice(0)
	s := d.NewScope()
	defer s.Close()
	q := tensor.Ones(s, tensor.F32, 64, 32).To(tensor.Q8_0)
	long := s.Keep(q)
	f := func(shape ...int) T { return tensor.Ones(s, tensor.F32, shape...) }
	ids := tensor.FromSlice(s, []int32{1})
	for op, fn := range map[string]func(){
		"Add":                func() { q.Add(q) },
		"MulScalar":          func() { q.MulScalar(2) },
		"Sum":                func() { q.Sum() },
		"Neg":                func() { q.Neg() },
		"Eq":                 func() { q.Eq(q) },
		"Softmax":            func() { q.Softmax() },
		"RMSNorm":            func() { tensor.RMSNorm(f(2, 32), q.Index(0), 1) },
		"Gather":             func() { q.Gather(ids) },
		"Cat":                func() { tensor.Cat(0, q, q) },
		"LinearCrossEntropy": func() { tensor.LinearCrossEntropy(f(1, 32), q, ids, tensor.CrossEntropyOptions{}) },
		"Reshape":            func() { q.Reshape(32, 64) },
		"Expand":             func() { q.Expand(2, 64, 32) },
		"Unsqueeze":          func() { q.Unsqueeze(0) },
		"Slice":              func() { q.Slice(1, 0, 16) },
		"Contiguous":         func() { q.T().Contiguous() },
		"Fill":               func() { long.Fill(1) },
		"Full":               func() { tensor.Zeros(s, tensor.Q8_0, 64, 32) },
	} {
		mustSay(t, op, fn, "tensor: "+op, "q8_0[", "weight of Linear")
	}
	for name, c := range map[string]struct {
		fn   func()
		says []string
	}{
		"an embedding":                 {func() { tensor.Embedding(q, ids) }, []string{"q8_0[64 32]", "weight of Linear"}},
		"a last axis of 33":            {func() { f(2, 33).To(tensor.Q4_0) }, []string{"q4_0[2 33]", "multiple of the 32 elements"}},
		"no axis":                      {func() { tensor.Empty(s, tensor.Q4_0) }, []string{"q4_0[]", "multiple of the 32 elements"}},
		"too few bytes":                {func() { tensor.FromBytes(s, tensor.Q4_0, make([]byte, 32), 32) }, []string{"q4_0[32]", "18 bytes", "32"}},
		"integers":                     {func() { ids.Expand(32).To(tensor.Q8_0) }, []string{"To", "i32[32]", "floats"}},
		"to integers":                  {func() { q.To(tensor.I32) }, []string{"To", "q8_0[64 32]", "floats"}},
		"another block format":         {func() { q.To(tensor.Q4_0) }, []string{"To", "q8_0[64 32]", "floats"}},
		"bytes of a transpose":         {func() { q.T().Bytes() }, []string{"Bytes", "q8_0[32 64]", "transposed"}},
		"a trainable one":              {func() { long.SetTrainable(true) }, []string{"SetTrainable", "float"}},
		"a left operand":               {func() { q.MatMul(f(32, 2)) }, []string{"MatMul", "q8_0[64 32]", "only the right one"}},
		"a left operand of its kind":   {func() { q.MatMul(q.T()) }, []string{"MatMul", "q8_0[64 32]", "only the right one"}},
		"x of Linear":                  {func() { tensor.Linear(q, q, nil) }, []string{"Linear", "one float dtype"}},
		"a batch of weights":           {func() { f(2, 64).MatMul(f(2, 64, 32).To(tensor.Q8_0)) }, []string{"MatMul", "must be a matrix"}},
		"a bias of another dtype":      {func() { tensor.Linear(f(2, 32), q, tensor.Ones(s, tensor.BF16, 64)) }, []string{"bias [out] of the same dtype"}},
		"inner dimensions that differ": {func() { f(2, 33).MatMul(q.T()) }, []string{"33 and 32 differ"}},
		"random numbers":               {func() { long.FillRandn(tensor.NewRand(1), 0, 1) }, []string{"FillRandn", "float dtype"}},
	} {
		mustSay(t, name, c.fn, c.says...)
	}
}
