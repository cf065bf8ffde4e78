// Package backendtest is the conformance suite of backends: every core method and every optional kernel
// that a backend has, over a grid of shapes, memory layouts, dtypes and magnitudes, against references
// written plainly in float64.
//
// A new device passes Run and is done:
//
//	func TestConformance(t *testing.T) { backendtest.Run(t, New()) }
package backendtest

import (
	"fmt"
	"hash/maphash"
	"math/bits"
	"math/rand/v2"
	"runtime"
	"testing"
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
)

// Run tests a backend, each kernel as a subtest. It runs everything again under other values of
// GOMAXPROCS and demands the same bits; so nothing else should compute meanwhile. A backend with a method
// Slow() bool that gives true gets one such repetition, and of the larger products and attentions a part.
func Run(t *testing.T, b backend.Backend) {
	info := b.Info()
	t.Logf("%s: %s, kernel path %s, %d MiB", info.Name, info.Model, info.Path, info.Memory>>20)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if !c.supported(b) {
				t.Skipf("%s has no kernel for %s: the composed twin runs", info.Name, c.name)
			}
			for _, f := range check(b, c) {
				t.Error(f)
			}
		})
	}
}

// A testCase tests one kernel.
type testCase struct {
	name      string
	run       func(s *suite)
	supported func(b backend.Backend) bool
}

var cases = []testCase{
	core("Memory", testMemory),
	core("Fill", testFill),
	core("Arange", testArange),
	core("Random", testRandom),
	core("Copy", testCopy),
	core("Unary", testUnary),
	core("Binary", testBinary),
	core("Scalar", testScalar),
	core("Where", testWhere),
	core("Reduce", testReduce),
	core("MatMul", testMatMul),
	core("Gather", testGather),
	core("ScatterAdd", testScatterAdd),
	core("Concurrent", testConcurrent),
	fused[backend.Scanner]("Scan", testScan),
	fused[backend.Sorter]("Sort", testSort),
	fused[backend.Softmaxer]("Softmax", testSoftmax),
	fused[backend.ActivationDeriver]("ActivationBackward", testActivationBackward),
	fused[backend.MatMulAdder]("MatMulAdd", testMatMulAdd),
	fused[backend.RMSNormer]("RMSNorm", testRMSNorm),
	fused[backend.LayerNormer]("LayerNorm", testLayerNorm),
	fused[backend.RoPEr]("RoPE", testRoPE),
	fused[backend.NormRoPEr]("NormRoPE", testNormRoPE),
	fused[backend.SwiGLUer]("SwiGLU", testSwiGLU),
	fused[backend.Attentioner]("Attention", testAttention),
	fused[backend.Unfolder]("Unfold", testUnfold),
	fused[backend.DepthwiseConvolver]("Depthwise", testDepthwise),
	fused[backend.MaxPooler]("MaxPool", testMaxPool),
	fused[backend.CrossEntropyer]("CrossEntropy", testCrossEntropy),
	fused[backend.AdamWer]("AdamW", testAdamW),
	fused[backend.Muoner]("Muon", testMuon),
	fused[backend.SGDer]("SGD", testSGD),
	fused[backend.Lioner]("Lion", testLion),
	fused[backend.Adafactorer]("Adafactor", testAdafactor),
	fused[backend.SquareSummer]("SumSquares", testSumSquares),
	fused[backend.Quantizer]("Quantize", testQuantize),
	fused[backend.QuantizedMatMuler]("MatMulQuantized", testMatMulQuantized),
}

func core(name string, run func(s *suite)) testCase {
	return testCase{name, run, func(backend.Backend) bool { return true }}
}

func fused[K any](name string, run func(s *suite)) testCase {
	return testCase{name, run, func(b backend.Backend) bool { _, ok := b.(K); return ok }}
}

// maxFailures is how many failures of a kernel are told: the first ones say what is wrong.
const maxFailures = 5

// check runs a case, once with the references and then under other numbers of processors for the bits
// of all results, and returns what was wrong.
func check(b backend.Backend, c testCase) []string {
	before := runtime.GOMAXPROCS(1)
	defer runtime.GOMAXPROCS(before)
	var failures []string
	var first []result
	shared := &shared{b: b, free: map[int][]unsafe.Pointer{}, references: map[string]any{}}
	defer shared.release()
	passes := []int{1, 2, 8}
	slow := isSlow(b)
	if slow {
		passes = []int{before, max(before-1, 1)} // a simulator computes on all processors
	}
	for pass, procs := range passes {
		runtime.GOMAXPROCS(procs)
		s := &suite{b: b, shared: shared, rng: rand.New(rand.NewPCG(1, 2)), values: pass == 0, slow: slow}
		s.protect(func() { c.run(s) })
		if failures = append(failures, s.failures...); len(failures) > 0 {
			break
		}
		if pass == 0 {
			first = s.results
			continue
		}
		for i, r := range s.results {
			if i < len(first) && r != first[i] {
				failures = append(failures, fmt.Sprintf("%s: other bits with %d processors than with %d", r.label, procs, passes[0]))
				break
			}
		}
	}
	return failures[:min(len(failures), maxFailures)]
}

func isSlow(b backend.Backend) bool {
	s, ok := b.(interface{ Slow() bool })
	return ok && s.Slow()
}

// shared is what the passes over a case share: device memory to use again, and references.
type shared struct {
	b          backend.Backend
	free       map[int][]unsafe.Pointer // by size
	references map[string]any
}

// alloc returns at least n bytes, and how many.
func (m *shared) alloc(n int) (unsafe.Pointer, int) {
	n = 1 << bits.Len(uint(max(n, 4096)-1))
	if l := m.free[n]; len(l) > 0 {
		m.free[n] = l[:len(l)-1]
		return l[len(l)-1], n
	}
	p, err := m.b.Alloc(n)
	if err != nil {
		panic(err)
	}
	return p, n
}

func (m *shared) release() {
	for n, l := range m.free {
		for _, p := range l {
			m.b.Free(p, n)
		}
	}
}

// once computes a reference that passes share.
func once[T any](s *suite, key string, f func() T) T {
	if v, ok := s.shared.references[key]; ok {
		return v.(T)
	}
	v := f()
	s.shared.references[key] = v
	return v
}

// A suite is one pass over a case.
type suite struct {
	b        backend.Backend
	shared   *shared
	rng      *rand.Rand
	values   bool // compare with the reference, not only record the bits
	slow     bool // the backend is: see Run
	label    string
	tensors  []*tensor
	results  []result
	failures []string
}

var seed = maphash.MakeSeed()

// result is the fingerprint of one output.
type result struct {
	label string
	hash  uint64
}

func (s *suite) errorf(format string, args ...any) {
	s.failures = append(s.failures, s.label+": "+fmt.Sprintf(format, args...))
}

// protect makes a panic a failure.
func (s *suite) protect(f func()) {
	defer func() {
		if v := recover(); v != nil {
			s.errorf("panic: %v", v)
		}
	}()
	f()
}

// try runs one trial: what it uploads is verified to be as it was, and used again.
func (s *suite) try(label string, f func()) {
	if len(s.failures) >= maxFailures {
		return
	}
	s.label = label
	s.protect(f)
	for _, x := range s.tensors {
		x.verify(s)
		s.shared.free[x.allocated] = append(s.shared.free[x.allocated], x.base)
	}
	s.tensors = s.tensors[:0]
}

// expect compares an output with its reference.
func (s *suite) expect(what string, out *tensor, tol tolerance, want func() array) {
	raw := out.download(s)
	s.results = append(s.results, result{s.label + " " + what, maphash.Bytes(seed, raw)})
	if s.values { // the other passes have all of the memory in their fingerprints
		out.verifyOutside(s, what, raw)
		s.compare(what, out.decode(raw), want(), out.view.DType, tol)
	}
}

// expectPanic demands that f, or Sync after it, panics with an IndexError, and that only once.
func (s *suite) expectPanic(want backend.IndexError, f func()) {
	func() {
		defer func() {
			got, ok := recover().(*backend.IndexError)
			if !ok || *got != want {
				s.errorf("an index out of range: got %+v, want the panic %+v", got, want)
			}
		}()
		f()
		if err := s.b.Sync(); err != nil {
			s.errorf("Sync: %v", err)
		}
	}()
	if err := s.b.Sync(); err != nil {
		s.errorf("Sync after the panic: %v", err)
	}
}
