package cuda

import (
	"reflect"
	"testing"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/backend/backendtest"
)

// openSimulator is a simulated card that is closed, with all its memory given back, when the test ends.
func openSimulator(t testing.TB) *Backend {
	t.Helper()
	b, err := OpenSim()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return b
}

// conforming has the methods of Backend, and behind them those that are not written yet.
type conforming struct {
	*Backend
	rest
}

type rest struct{ backend.Backend }

// Lacks tells the suite what cannot be tested yet.
func (conforming) Lacks(kernel string) bool {
	has := func(name string) bool { _, ok := reflect.TypeFor[*Backend]().MethodByName(name); return ok }
	all := true
	core := reflect.TypeFor[backend.Backend]()
	for i := range core.NumMethod() {
		name := core.Method(i).Name
		if name == kernel {
			return !has(name)
		}
		all = all && has(name)
	}
	return kernel == "Concurrent" && !all
}

func TestConformance(t *testing.T) { backendtest.Run(t, conforming{Backend: openSimulator(t)}) }
