package observed_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/backend/backendtest"
	"github.com/hone-ml/hone/internal/backend/observed"
	"github.com/hone-ml/hone/internal/cpu"
)

// seen is the last call of every kernel. The suite has cases with several goroutines.
type seen struct {
	mu    sync.Mutex
	calls map[string]*observed.Call
}

func see() *seen { return &seen{calls: map[string]*observed.Call{}} }

func (s *seen) Around(call *observed.Call, run func()) {
	run()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[call.Kernel] = call
}

func TestAnObservedBackendPassesTheConformanceSuite(t *testing.T) {
	if testing.Short() {
		t.Skip("the suite runs on the bare backend in short mode")
	}
	c := see()
	backendtest.Run(t, observed.New(cpu.New(), c))
	for _, kernel := range []string{"MatMul", "Exp", "AddScalar", "ReduceSum", "AttentionBackward", "AdamW"} {
		if c.calls[kernel] == nil {
			t.Errorf("%s was never seen", kernel)
		}
	}
}

// Every interface of package backend must be passed on: a kernel that is not would be lost while somebody
// observes.
func TestEveryOptionalKernelIsPassedOn(t *testing.T) {
	names, err := filepath.Glob("../*.go")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("fused.go")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, name := range names {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, s := range g.Specs {
				spec, ok := s.(*ast.TypeSpec)
				if !ok || spec.Name.Name == "Backend" {
					continue
				}
				if _, ok := spec.Type.(*ast.InterfaceType); ok {
					found++
					if !strings.Contains(string(source), "_ backend."+spec.Name.Name+" ") {
						t.Errorf("observed.Backend does not pass on backend.%s", spec.Name.Name)
					}
				}
			}
		}
	}
	if found < 9 {
		t.Errorf("found %d interfaces in package backend", found)
	}
}

// core hides the optional kernels of a backend.
type core struct{ backend.Backend }

func TestAWrapperClaimsNoKernelThatTheBackendBelowLacks(t *testing.T) {
	o := observed.New(core{cpu.New()}, see())
	if _, ok := backend.Fused[backend.Attentioner](o); ok {
		t.Error("the wrapper claims attention")
	}
	if _, ok := backend.Fused[backend.Attentioner](observed.New(cpu.New(), see())); !ok {
		t.Error("the wrapper hides attention")
	}
}

func TestCostsCountBroadcastAxesOnceAndVisiblePairsOnly(t *testing.T) {
	c := see()
	o := observed.New(cpu.New(), c)
	memory := make([]float32, 1<<12)
	p := unsafe.Pointer(&memory[0])
	view := func(shape ...int) *backend.View { v := backend.NewView(p, backend.F32, shape...); return &v }

	row := view(4, 8)
	row.Strides[0] = 0
	o.Binary(backend.Add, view(4, 8), view(4, 8), row)
	if got := c.calls["Add"]; got.FLOPs != 32 || got.Bytes() != 4*(32+32+8) {
		t.Errorf("Add: %v FLOPs, %d bytes", got.FLOPs, got.Bytes())
	}
	o.MatMul(view(2, 3, 5), view(2, 3, 7), view(2, 7, 5), false)
	if got := c.calls["MatMul"]; got.FLOPs != 2*2*3*5*7 {
		t.Errorf("MatMul: %v FLOPs", got.FLOPs)
	}
	seg := backend.Segment{Q0: 0, Q1: 3, K0: 0, K1: 5} // the queries see 3, 4 and 5 keys
	o.Attention(view(3, 2, 4), nil, view(3, 2, 4), view(5, 1, 4), view(5, 1, 4), backend.AttentionArgs{Segments: []backend.Segment{seg}, Causal: true, Scale: 1})
	if got := c.calls["Attention"]; got.FLOPs != 4*12*2*4 {
		t.Errorf("Attention: %v FLOPs", got.FLOPs)
	}
}
