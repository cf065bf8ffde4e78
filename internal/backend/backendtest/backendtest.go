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
	"hash/fnv"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/hone-ml/hone/internal/backend"
)

// Run tests a backend, each kernel as a subtest. It runs everything again under other values of
// GOMAXPROCS and demands the same bits; so nothing else should compute meanwhile.
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
	fused[backend.Softmaxer]("Softmax", testSoftmax),
	fused[backend.RMSNormer]("RMSNorm", testRMSNorm),
	fused[backend.RoPEr]("RoPE", testRoPE),
	fused[backend.SwiGLUer]("SwiGLU", testSwiGLU),
	fused[backend.Attentioner]("Attention", testAttention),
	fused[backend.CrossEntropyer]("CrossEntropy", testCrossEntropy),
	fused[backend.AdamWer]("AdamW", testAdamW),
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
	for _, procs := range []int{1, 2, 8} {
		runtime.GOMAXPROCS(procs)
		s := &suite{b: b, rng: rand.New(rand.NewPCG(1, 2)), values: procs == 1}
		s.protect(func() { c.run(s) })
		if failures = append(failures, s.failures...); len(failures) > 0 {
			break
		}
		if procs == 1 {
			first = s.results
			continue
		}
		for i, r := range s.results {
			if i < len(first) && r != first[i] {
				failures = append(failures, fmt.Sprintf("%s: other bits with %d processors than with 1", r.label, procs))
				break
			}
		}
	}
	return failures[:min(len(failures), maxFailures)]
}

// A suite is one pass over a case.
type suite struct {
	b        backend.Backend
	rng      *rand.Rand
	values   bool // compare with the reference, not only record the bits
	label    string
	tensors  []*tensor
	results  []result
	failures []string
}

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

// try runs one trial: what it uploads is verified to be as it was, and freed.
func (s *suite) try(label string, f func()) {
	if len(s.failures) >= maxFailures {
		return
	}
	s.label = label
	s.protect(f)
	for _, x := range s.tensors {
		x.verify(s)
		s.b.Free(x.base, x.bytes)
	}
	s.tensors = s.tensors[:0]
}

// expect compares an output with its reference.
func (s *suite) expect(what string, out *tensor, tol tolerance, want func() array) {
	raw := out.download(s)
	h := fnv.New64a()
	h.Write(raw)
	s.results = append(s.results, result{s.label + " " + what, h.Sum64()})
	out.verifyOutside(s, what, raw)
	if s.values {
		s.compare(what, out.decode(raw), want(), out.view.DType, tol)
	}
}

// expectPanic demands that f panics with an IndexError.
func (s *suite) expectPanic(want backend.IndexError, f func()) {
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
}
