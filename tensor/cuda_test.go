package tensor_test

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/hone-ml/hone/tensor"
)

// simulated is a simulated GPU on which reading freed memory is an error.
func simulated(t *testing.T) *tensor.Device {
	t.Helper()
	d, err := tensor.CUDASim()
	if err != nil {
		t.Fatal(err)
	}
	d.Poison(true)
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return d
}

func TestTheSimulatedGPUDescribesItself(t *testing.T) {
	d := simulated(t)
	if d.Name() != "cuda-sim" || d.KernelPath() != "sm_80" || !strings.Contains(d.Driver(), "compute capability 8.0") || d.Memory().Total < 1<<30 {
		t.Errorf("%v, driver %q, %d bytes", d, d.Driver(), d.Memory().Total)
	}
	if cpu := tensor.CPU(); cpu.Driver() != "" || cpu.Memory().Total == 0 {
		t.Errorf("the CPU has the driver %q and %d bytes", cpu.Driver(), cpu.Memory().Total)
	}
}

func TestDevicesHaveNames(t *testing.T) {
	if d, err := tensor.OpenDevice("cpu"); err != nil || d != tensor.CPU() {
		t.Errorf("cpu is %v, %v", d, err)
	}
	d, err := tensor.OpenDevice("cuda-sim")
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil || d.Name() != "cuda-sim" {
		t.Errorf("cuda-sim is %v, %v", d, err)
	}
	for _, name := range []string{"", "gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:70000"} {
		if _, err := tensor.OpenDevice(name); err == nil || !strings.Contains(err.Error(), "names are cpu, cuda") {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{"cuda:9999"} {
		if _, err := tensor.OpenDevice(name); err == nil || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// onBoth computes on the CPU and on the simulated GPU.
func onBoth(t *testing.T, f func(s *tensor.Scope) []float64) (cpu, gpu []float64) {
	t.Helper()
	s := tensor.CPU().NewScope()
	defer s.Close()
	g := simulated(t).NewScope()
	defer g.Close()
	return f(s), f(g)
}

func TestRandomNumbersAreThoseOfTheCPU(t *testing.T) {
	cpu, gpu := onBoth(t, func(s *tensor.Scope) []float64 {
		return tensor.Uniform(s, tensor.F32, tensor.NewRand(7), 0, 1, 1001).Float64s()
	})
	if !slices.Equal(cpu, gpu) {
		t.Error("uniform numbers differ")
	}
	cpu, gpu = onBoth(t, func(s *tensor.Scope) []float64 {
		return tensor.Randn(s, tensor.F32, tensor.NewRand(7), 1, 1001).Float64s()
	})
	for i := range cpu {
		if ulp := math.Abs(cpu[i]) * 0x1p-23; math.Abs(cpu[i]-gpu[i]) > 4*ulp {
			t.Fatalf("number %d is %v on the CPU, %v on the GPU", i, cpu[i], gpu[i])
		}
	}
}

func TestAnIndexOutOfRangeIsAnErrorWhenTheGPUIsWaitedFor(t *testing.T) {
	d := simulated(t)
	s := d.NewScope()
	defer s.Close()
	look := func() *tensor.Tensor {
		return tensor.Arange(s, tensor.F32, 0, 12, 1).Reshape(4, 3).IndexSelect(0, tensor.FromSlice(s, []int32{1, 4}))
	}
	for name, wait := range map[string]func(x *tensor.Tensor) error{
		"Sync":    func(x *tensor.Tensor) error { return d.Sync() },
		"ToSlice": func(x *tensor.Tensor) error { return tensor.Try(func() { x.Float64s() }) },
	} {
		var misuse *tensor.Error
		if err := wait(look()); !errors.As(err, &misuse) || !strings.Contains(err.Error(), "index 4 at position 1 is not in [0, 4)") {
			t.Errorf("%s: %v", name, err)
		}
		if err := d.Sync(); err != nil {
			t.Errorf("after %s: %v", name, err)
		}
	}
}

func TestIntegersDividedByZeroAreAnErrorWhenTheGPUIsWaitedFor(t *testing.T) {
	d := simulated(t)
	s := d.NewScope()
	defer s.Close()
	tensor.FromSlice(s, []int32{1, 2}).Div(tensor.FromSlice(s, []int32{1, 0}))
	var misuse *tensor.Error
	if err := d.Sync(); !errors.As(err, &misuse) || !strings.Contains(err.Error(), "integers cannot be divided by 0") {
		t.Errorf("Sync: %v", err)
	}
}

func TestAGPUThatRunsOutOfMemorySaysWhatToDoAndGoesOn(t *testing.T) {
	d := simulated(t)
	d.SetMemoryLimit(8 << 20)
	w := tensor.FromSlice(d, []float32{1, 2, 3})
	s := d.NewScope()
	defer s.Close()
	err := tensor.Try(func() { tensor.Zeros(s, tensor.F32, 4<<20) })
	var oom *tensor.OOMError
	if !errors.As(err, &oom) || oom.Device != "cuda-sim" || oom.Budget != 8<<20 || !strings.Contains(err.Error(), "smaller batch") || !strings.Contains(err.Error(), "checkpoint") {
		t.Fatalf("got %v", err)
	}
	s.Reset()
	if got := w.In(s).Add(w.In(s)).Float64s(); !slices.Equal(got, []float64{2, 4, 6}) {
		t.Errorf("afterwards a sum is %v", got)
	}
	d.SetMemoryLimit(0) // what the card has not is told by the card
	err = tensor.Try(func() { tensor.Zeros(s, tensor.F32, 1<<40) })
	if !errors.As(err, &oom) || !strings.Contains(err.Error(), "are needed (nvidia-smi") {
		t.Errorf("more than the card has: %v", err)
	}
}

func TestFreedMemoryOfTheSimulatedGPUIsAnErrorToRead(t *testing.T) {
	d := simulated(t)
	s := d.NewScope()
	defer s.Close()
	tensor.Zeros(s, tensor.F32, 100)
	s.Reset()
	stale := tensor.Empty(s, tensor.F32, 100)
	stale.Add(stale)
	var failed *tensor.DeviceError
	if err := d.Sync(); !errors.As(err, &failed) || !strings.Contains(err.Error(), "uninitialised") {
		t.Errorf("got %v", err)
	}
	tensor.Zeros(s, tensor.F32, 100).Add(stale)
	if err := tensor.Try(func() { stale.Float64s() }); !errors.As(err, &failed) {
		t.Errorf("Try gives %v", err)
	}
}

func TestDryDevicesStandForGPUs(t *testing.T) {
	d := simulated(t)
	before := d.Memory().Reserved
	dry := d.Dry()
	s := dry.NewScope()
	tensor.Zeros(s, tensor.F32, 1<<20).Add(tensor.Ones(s, tensor.F32, 1<<20))
	if m := dry.Memory(); m.MaxInUse < 12<<20 {
		t.Errorf("it counts %d bytes", m.MaxInUse)
	}
	s.Close()
	if err := dry.Close(); err != nil {
		t.Error(err)
	}
	if d.Memory().Reserved != before {
		t.Error("the GPU's memory was taken")
	}
	if err := d.Sync(); err != nil {
		t.Errorf("closing the dry device: %v", err)
	}
}
