package tensor_test

import (
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/hone-ml/hone/tensor"
)

func TestRunningOutOfMemoryIsAnErrorThatTouchesNothing(t *testing.T) {
	const budget = 4 << 20
	d := tensor.NewTestDevice(budget)
	m := tinyModel(d, tensor.F32)
	g := tensor.NewGrads(named(m.params()...), tensor.F32)
	weights := m.params()[2].Bytes()
	s := d.NewTape()
	defer s.Close()
	for _, wrap := range []func(tensor.BlockFunc, ...T) []T{direct, tensor.Block, tensor.Selective, tensor.Checkpoint} {
		m.wrap = wrap
		err := tensor.Try(func() { m.loss(s, 64, 100, 0, 0).Backward(g) })
		var oom *tensor.OOMError
		if !errors.As(err, &oom) {
			t.Fatalf("a step beyond the budget gave %v", err)
		}
		if oom.Budget != budget || oom.InUse > budget || oom.InUse+oom.Requested <= budget || oom.Device != "cpu" {
			t.Errorf("the error is %+v", oom)
		}
		if text := err.Error(); !strings.Contains(text, "out of memory on cpu") || !strings.Contains(text, "of 4.0 MiB in use") {
			t.Errorf("the error says %q", text)
		}
		if r := d.Memory().Reserved; r > budget {
			t.Errorf("%d bytes are reserved, of %d", r, budget)
		}
		if string(weights) != string(m.params()[2].Bytes()) {
			t.Error("a parameter changed")
		}
		s.Reset()
		g.Zero()
		if err := tensor.Try(func() { m.loss(s, 1, 5, 0, 0).Backward(g) }); err != nil {
			t.Errorf("a smaller step afterwards: %v", err)
		}
		s.Reset()
	}
	if err := tensor.Try(func() { tensor.Zeros(d, tensor.F32, 1<<40) }); !errors.As(err, new(*tensor.OOMError)) {
		t.Errorf("4 TiB gave %v", err)
	}
	d.SetMemoryLimit(0)
	if err := tensor.Try(func() { m.loss(s, 64, 100, 0, 0) }); err != nil {
		t.Errorf("without a limit: %v", err)
	}
}

func TestRunningOutOfMemoryInBackwardIsAnErrorToo(t *testing.T) {
	for _, wrap := range []func(tensor.BlockFunc, ...T) []T{direct, tensor.Block, tensor.Selective, tensor.Checkpoint} {
		d := tensor.NewTestDevice(0)
		m := tinyModel(d, tensor.F32)
		m.wrap = wrap
		g, fresh := tensor.NewGrads(named(m.params()...), tensor.F32), tensor.NewGrads(named(m.params()...), tensor.F32)
		s := d.NewTape()
		loss := m.loss(s, 8, 50, 0, 0)
		d.SetMemoryLimit(1) // nothing more
		for size := 1 << 20; size > 0; {
			if tensor.Try(func() { tensor.Empty(s, tensor.U8, size) }) != nil {
				size /= 2
			}
		}
		if err := tensor.Try(func() { loss.Backward(g) }); !errors.As(err, new(*tensor.OOMError)) {
			t.Fatalf("Backward without memory gave %v", err)
		}
		d.SetMemoryLimit(0)
		g.Zero()
		s.Reset()
		m.loss(s, 2, 9, 0, 0).Backward(g)
		s.Close()
		other := d.NewTape()
		m.loss(other, 2, 9, 0, 0).Backward(fresh)
		other.Close()
		same(t, "the gradients of a smaller step afterwards", g.Flat(), fresh.Flat())
	}
}

func TestMemoryOfClosedScopesServesWhenTheBudgetIsShort(t *testing.T) {
	d := tensor.NewTestDevice(8 << 20)
	for _, size := range []int{5 << 20, 6 << 20, 7 << 20} { // slabs of sizes that do not fit each other
		s := d.NewScope()
		if err := tensor.Try(func() { tensor.Zeros(s, tensor.U8, size) }); err != nil {
			t.Error(err)
		}
		s.Close()
	}
	if d.Memory().Reserved == 0 {
		t.Error("nothing is cached")
	}
	if d.TrimCache(); d.Memory().Reserved != 0 {
		t.Errorf("%d bytes are reserved after TrimCache", d.Memory().Reserved)
	}
	if p := d.Memory().Peak; p > 8<<20 || p < 7<<20 {
		t.Errorf("the peak is %d", p)
	}
}

func TestWhatTheSystemRefusesIsAnErrorWithoutALimit(t *testing.T) {
	d := tensor.NewTestDevice(0)
	for _, p := range []tensor.Place{d, d.NewScope()} {
		var oom *tensor.OOMError
		if err := tensor.Try(func() { tensor.Empty(p, tensor.U8, 1<<54) }); !errors.As(err, &oom) || oom.Unwrap() == nil {
			t.Errorf("16 PiB gave %v", err)
		}
		mustSay(t, "an exabyte", func() { tensor.Empty(p, tensor.U8, 1<<60) }, "more elements")
	}
}

func TestLongLivedTensorsAreFreedWhenNobodyRefersToThem(t *testing.T) {
	d := tensor.NewTestDevice(0)
	kept := tensor.Ones(d, tensor.F32, 1000).Slice(0, 10, 20) // a view keeps the whole
	for range 50 {
		tensor.Ones(d, tensor.F32, 10000)
	}
	if long := d.Memory().Long; long < 4000 {
		t.Fatalf("%d bytes are long-lived", long)
	}
	want := (4000 + 63) &^ 63
	deadline := time.Now().Add(10 * time.Second)
	for d.Memory().Long != want && time.Now().Before(deadline) {
		runtime.GC()
		time.Sleep(time.Millisecond)
	}
	if long := d.Memory().Long; long != want {
		t.Errorf("%d bytes are long-lived, want the %d of the one that is in use", long, want)
	}
	near(t, "what is in use", kept.Float64s(), []float64{1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, 0)
}

func TestFreeGivesMemoryBackAtOnce(t *testing.T) {
	d := tensor.NewTestDevice(0)
	x := tensor.Ones(d, tensor.F32, 1000)
	x.Free()
	if long := d.Memory().Long; long != 0 {
		t.Errorf("%d bytes are long-lived after Free", long)
	}
}

func TestAScopeKeepsItsLongLivedGuests(t *testing.T) {
	d := tensor.NewTestDevice(0)
	s := d.NewScope()
	defer s.Close()
	func() { tensor.Ones(d, tensor.F32, 1000).In(s) }()
	for range 3 {
		runtime.GC()
		time.Sleep(2 * time.Millisecond)
	}
	if d.Memory().Long == 0 {
		t.Error("a guest of an open scope was freed")
	}
	runtime.KeepAlive(s)
}

func TestManyStepsTakeNoMoreMemoryThanOne(t *testing.T) {
	d := tensor.NewTestDevice(0)
	m := tinyModel(d, tensor.F32)
	for _, l := range m.layers {
		l.dropout = 0.1
	}
	m.wrap = tensor.Checkpoint
	g := tensor.NewGrads(named(m.params()...), tensor.F32)
	tape := d.NewTape()
	defer tape.Close()
	var reserved, long int
	var heap runtime.MemStats
	var heapThen uint64
	for step := range 300 {
		loss := m.loss(tape, 1+step%3, 4+step%5, step, 0)
		loss.Backward(g)
		if norm := g.Clip(1); norm != norm {
			t.Fatalf("step %d: the gradients are NaN: freed memory is in use", step)
		}
		for _, p := range m.params() { // plain SGD
			s := d.NewScope()
			p.CopyFrom(p.Detach().In(s).Sub(g.Of(p).In(s).MulScalar(0.01)))
			s.Close()
		}
		g.Zero()
		tape.Reset()
		switch memory := d.Memory(); {
		case step == 30:
			reserved, long = memory.Reserved, memory.Long
			runtime.GC()
			runtime.ReadMemStats(&heap)
			heapThen = heap.HeapAlloc
		case step > 30 && (memory.Reserved != reserved || memory.Long != long):
			t.Fatalf("step %d: %d bytes are reserved and %d long-lived, after step 30 it was %d and %d", step, memory.Reserved, memory.Long, reserved, long)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&heap)
	if heap.HeapAlloc > heapThen+1<<20 {
		t.Errorf("the Go heap grew from %d to %d bytes", heapThen, heap.HeapAlloc)
	}
}

func TestNothingUsesFreedMemory(t *testing.T) {
	// A device without poison computes what one with it does, to the bit.
	for _, dt := range []tensor.DType{tensor.F32, tensor.BF16, tensor.F64} {
		for _, wrap := range []func(tensor.BlockFunc, ...T) []T{direct, tensor.Block, tensor.Selective, tensor.Checkpoint} {
			for _, device := range []func() *tensor.Device{func() *tensor.Device { return tensor.NewTestDevice(0) }, tensor.NewComposedDevice} {
				var losses [2]float64
				var grads [2]T
				for i, poison := range []bool{false, true} {
					d := device()
					d.Poison(poison)
					m := tinyModel(d, dt)
					m.wrap = wrap
					loss, g, _ := m.train(d)
					losses[i], grads[i] = loss, g.Flat()
				}
				if losses[0] != losses[1] || losses[1] != losses[1] {
					t.Errorf("%s: the losses are %v", dt, losses)
				}
				same(t, dt.String(), grads[1], grads[0])
			}
		}
	}
}

func TestADryDeviceTellsTheMemoryOfAStepAndTakesNone(t *testing.T) {
	step := func(d *tensor.Device) (long, most int) {
		m := tinyModel(d, tensor.F32)
		g := tensor.NewGrads(named(m.params()...), tensor.F32)
		s := d.NewTape()
		defer s.Close()
		d.ResetPeak()
		m.wrap = direct
		m.loss(s, 8, 10, 0, 0).Backward(g)
		return d.Memory().Long, d.Memory().MaxInUse
	}
	real := tensor.NewTestDevice(64 << 20)
	long, most := step(real)
	dry := real.Dry()
	if l, m := step(dry); l != long || m != most {
		t.Errorf("a dry step takes %d bytes for long and %d at most, a real one %d and %d", l, m, long, most)
	}
	real.ResetPeak()
	if m := real.Memory(); m.MaxInUse != m.InUse || m.InUse >= most {
		t.Errorf("after ResetPeak: %+v", m)
	}
}

func TestContiguousSaysWhetherElementsLieInOrder(t *testing.T) {
	x := tensor.Zeros(tensor.CPU(), tensor.F32, 3, 4)
	for what, test := range map[string]struct {
		x    T
		want bool
	}{
		"new": {x, true}, "transposed": {x.T(), false}, "rows": {x.Slice(0, 1, 3), true}, "columns": {x.Slice(1, 1, 3), false},
		"a row": {x.Index(2), true}, "a repeated row": {x.Index(0).Expand(2, 4), false},
	} {
		if got := test.x.IsContiguous(); got != test.want {
			t.Errorf("%s: %v", what, got)
		}
	}
}
