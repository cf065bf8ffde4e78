package tensor

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"testing"
)

// watched is a device of its own, so that other tests are not observed.
func watched() *Device { return newDevice(CPU().backend) }

// net is a small computation with a gradient: x [4, 8] through a matrix, a norm and a loss.
func net(t *testing.T, d *Device, x []float32) error {
	t.Helper()
	w := Randn(d, F32, NewRand(1), 1, 8, 8)
	w.SetTrainable(true)
	gain := Ones(d, F32, 8)
	params := func(yield func(string, *Tensor) bool) { yield("w", w) }
	grads := NewGrads(params, F32)
	tape := d.NewTape()
	defer tape.Close()
	return Try(func() {
		h := Linear(FromSlice(tape, x, 4, 8), w, nil)
		RMSNorm(h, gain, 1e-6).Exp().Sum().Backward(grads)
	})
}

func numbers(n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(i%7) - 3
	}
	return x
}

func TestATraceTellsTimeBytesAndArithmeticOfEveryKernel(t *testing.T) {
	d := watched()
	var out bytes.Buffer
	trace := d.StartTrace(&out)
	if err := net(t, d, numbers(32)); err != nil {
		t.Fatal(err)
	}
	if err := trace.Stop(); err != nil {
		t.Fatal(err)
	}
	var file struct {
		TraceEvents []struct {
			Name, Cat, Ph string
			Ts, Dur       *float64
			Args          struct {
				Op    string
				Bytes int
				FLOPs float64
				Out   []string
			}
		}
	}
	if err := json.Unmarshal(out.Bytes(), &file); err != nil {
		t.Fatalf("%v in\n%s", err, out.String())
	}
	last := -1.0
	found := map[string]bool{}
	for _, e := range file.TraceEvents {
		if e.Ph != "X" || e.Ts == nil || e.Dur == nil || *e.Ts < last || e.Cat != e.Args.Op {
			t.Errorf("event %+v", e)
		}
		last = *e.Ts
		found[e.Cat+": "+e.Name] = true
		if e.Cat == "Linear" && e.Name == "MatMul" {
			if e.Args.FLOPs != 2*4*8*8 || e.Args.Bytes != 4*(32+64+32) || e.Args.Out[0] != "f32[4 8]" {
				t.Errorf("the product is %+v", e.Args)
			}
		}
	}
	for _, want := range []string{"Linear: MatMul", "RMSNorm: RMSNorm", "Exp: Exp", "Linear (backward): MatMul", "RMSNorm (backward): RMSNormBackward"} {
		if !found[want] {
			t.Errorf("no event %s among %v", want, found)
		}
	}
	table := trace.String()
	if !strings.Contains(table, "Linear (backward): MatMul") || len(trace.Kernels()) != len(found) {
		t.Errorf("the table is\n%s", table)
	}

	n := out.Len()
	if err := net(t, d, numbers(32)); err != nil || out.Len() != n {
		t.Errorf("the trace goes on after Stop: %v, %d bytes more", err, out.Len()-n)
	}
	if d.watch != nil || d.backend != CPU().backend {
		t.Error("the device is still wrapped")
	}
}

// full is a disk without room.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestStopReportsWhatWritingMet(t *testing.T) {
	d := watched()
	trace := d.StartTrace(full{})
	if err := net(t, d, numbers(32)); err != nil {
		t.Fatal(err)
	}
	if err := trace.Stop(); err == nil || !strings.Contains(err.Error(), "no space left") {
		t.Errorf("error %v", err)
	}
}

func TestDetectNaNNamesTheOpThatMadeIt(t *testing.T) {
	d := watched()
	d.DetectNaN(true)
	if err := net(t, d, numbers(32)); err != nil {
		t.Fatalf("a clean step: %v", err)
	}

	x := numbers(32)
	x[5] = float32(math.NaN())
	var e *Error
	if err := net(t, d, x); !errors.As(err, &e) || e.Op != "Linear" || !strings.Contains(e.Reason, "came in") || !strings.Contains(e.Reason, "operand 0, f32[4 8], has 1") {
		t.Errorf("NaN in the data: %v", err)
	}

	s := d.NewScope()
	defer s.Close()
	err := Try(func() { FromSlice(s, []float32{1, -1}, 2).Log() })
	if !errors.As(err, &e) || e.Op != "Log" || !strings.Contains(e.Reason, "wrote 1 NaN into f32[2], none of whose operands has one") {
		t.Errorf("the logarithm of −1: %v", err)
	}

	// √x has an infinite slope at 0, which times a gradient of 0 is NaN, in backward only.
	p := Zeros(d, F32, 2)
	p.SetTrainable(true)
	grads := NewGrads(func(yield func(string, *Tensor) bool) { yield("p", p) }, F32)
	tape := d.NewTape()
	defer tape.Close()
	err = Try(func() { p.In(tape).Sqrt().MulScalar(0).Sum().Backward(grads) })
	if !errors.As(err, &e) || e.Op != "Sqrt (backward)" {
		t.Errorf("the slope of √0: %v", err)
	}

	d.DetectNaN(false)
	if err := net(t, d, x); err != nil || d.watch != nil {
		t.Errorf("NaN is still looked for: %v", err)
	}
}

func TestLabelsOfProfilesAreTheOpsAndGoAgain(t *testing.T) {
	d := watched()
	d.LabelProfiles(true)
	var profile bytes.Buffer
	if err := pprof.StartCPUProfile(&profile); err != nil {
		t.Skip("a CPU profile is being taken already: ", err)
	}
	s := d.NewScope()
	x := Ones(s, F32, 512, 512)
	for range 200 {
		x.MatMul(x)
	}
	s.Close()
	pprof.StopCPUProfile()
	d.LabelProfiles(false)
	text := unzip(t, profile.Bytes())
	for _, want := range []string{"op", "kernel", "MatMul"} {
		if !strings.Contains(text, want) {
			t.Errorf("the profile does not mention %q", want)
		}
	}
	if d.watch != nil {
		t.Error("the device is still wrapped")
	}
}

func unzip(t *testing.T, data []byte) string {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// A type assertion would find a kernel on a wrapper whose backend below has none.
func TestOptionalKernelsAreFoundByFusedOnly(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, name := range files {
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(name, "_test.go") && strings.Contains(string(source), ".backend.(backend.") {
			t.Errorf("%s asserts a backend's type instead of calling backend.Fused", name)
		}
	}
}
