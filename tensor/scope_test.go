package tensor_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/hone-ml/hone/tensor"
)

func TestTwoScopesInOneOpPanic(t *testing.T) {
	d := tensor.NewTestDevice(0)
	a, b := d.NewScope(), d.NewScope()
	defer a.Close()
	defer b.Close()
	x, y := tensor.Ones(a, tensor.F32, 2, 3), tensor.Ones(b, tensor.F32, 3, 2)
	mustSay(t, "MatMul", func() { x.MatMul(y) }, "MatMul", "[2 3]", "[3 2]", "two scopes")
	mustSay(t, "In", func() { x.In(b) }, "In", "another scope")
}

func TestAnOpOnLongLivedTensorsOnlyPanicsWithAdvice(t *testing.T) {
	d := tensor.NewTestDevice(0)
	x := tensor.Ones(d, tensor.F32, 2, 3)
	mustSay(t, "Add", func() { x.Add(x) }, "Add", "[2 3]", "bring one into a scope with In")
	mustSay(t, "Exp", func() { x.Exp() }, "Exp", "In")
	mustSay(t, "RMSNorm", func() { tensor.RMSNorm(x, x.Index(0), 1) }, "RMSNorm", "In")
}

func TestALongLivedTensorBesideAScopedOneIsTakenIn(t *testing.T) {
	d := tensor.NewTestDevice(0)
	s := d.NewTape()
	defer s.Close()
	w := paramOf(d, []float64{2, 3}, 2)
	x := tensor.FromSlice(s, []float64{5, 7})
	g := tensor.NewGrads(named(w), tensor.F64)
	y := x.Mul(w)
	if y.Scope() != s {
		t.Fatal("the result does not live in the scope of the scoped operand")
	}
	y.Sum().Backward(g)
	near(t, "gradient", g.Of(w).Float64s(), []float64{5, 7}, 0)
}

func TestATensorOfAnotherDevicePanics(t *testing.T) {
	s := tensor.NewTestDevice(0).NewScope()
	defer s.Close()
	x := tensor.Ones(s, tensor.F32, 2)
	mustSay(t, "Add", func() { x.Add(tensor.Ones(tensor.NewTestDevice(0), tensor.F32, 2)) }, "the tensor is on")
}

func TestUseAfterCloseResetOrFreePanicsAndNamesTheOp(t *testing.T) {
	d := tensor.NewTestDevice(0)
	closed, reset := d.NewScope(), d.NewScope()
	a, b, c := tensor.Ones(closed, tensor.F32, 2), tensor.Ones(reset, tensor.F32, 2), tensor.Ones(d, tensor.F32, 2)
	guest := c.In(reset)
	closed.Close()
	closed.Close() // does nothing
	live := d.NewScope()
	defer live.Close()
	reset.Reset()
	c.Free()
	c.Free() // does nothing
	for name, x := range map[string]T{"Close": a, "Reset": b, "Free": c, "Free of a guest's source": guest} {
		for op, use := range map[string]func(){
			"Add":      func() { x.Add(x) },
			"Softmax":  func() { x.Softmax() },
			"Reshape":  func() { x.Reshape(1, 2) },
			"ToSlice":  func() { tensor.ToSlice[float32](x) },
			"Item":     func() { x.Item() },
			"Bytes":    func() { x.Bytes() },
			"Fill":     func() { x.Fill(1) },
			"In":       func() { x.In(live) },
			"Keep":     func() { live.Keep(x) },
			"Backward": func() { x.Backward(nil) },
			"Cat":      func() { tensor.Cat(0, tensor.Ones(live, tensor.F32, 2), x) },
		} {
			mustSay(t, op+" after "+name, use, op, "[2]", "used after")
		}
		if !strings.Contains(x.String(), "closed") {
			t.Errorf("String after %s is %s", name, x)
		}
	}
	mustSay(t, "a new tensor after Close", func() { tensor.Ones(closed, tensor.F32, 2) }, "after Close")
	mustSay(t, "Reset after Close", closed.Reset, "after Close")
	reset.Close()
}

func TestFreeIsForTensorsThatOwnTheirMemory(t *testing.T) {
	d := tensor.NewTestDevice(0)
	s := d.NewScope()
	defer s.Close()
	mustSay(t, "Free of a scoped tensor", func() { tensor.Ones(s, tensor.F32, 2).Free() }, "only a long-lived")
	mustSay(t, "Free of a view", func() { tensor.Ones(d, tensor.F32, 2).Slice(0, 0, 1).Free() }, "owns its memory")
}

func TestKeepOutlivesTheScope(t *testing.T) {
	d := tensor.NewTestDevice(0)
	s := d.NewScope()
	k := s.Keep(tensor.Arange(s, tensor.F32, 0, 6, 1).Reshape(2, 3).T())
	s.Close()
	if k.Scope() != nil {
		t.Error("what Keep gives lives in a scope")
	}
	near(t, "kept", k.Float64s(), []float64{0, 3, 1, 4, 2, 5}, 0)
}

// step is a small step of training: allocations of many sizes, and a Backward that frees some of them.
func step(s *tensor.Scope, w T, g *tensor.Grads) (addresses []uintptr) {
	x := tensor.Ones(s, tensor.F32, 300, w.Dim(1))
	note := func(x T) T {
		addresses = append(addresses, tensor.Address(x))
		return x
	}
	for i := range 4 {
		x = tensor.Block(func(x ...T) []T {
			h := note(tensor.Linear(x[0], w, nil)).Tanh()
			return []T{note(tensor.Cat(1, note(h).Slice(1, 0, w.Dim(1)-i), x[0].Slice(1, 0, i)))}
		}, note(x))[0]
	}
	note(x.Square().Mean()).Backward(g)
	return append(addresses, tensor.Address(tensor.Ones(s, tensor.F32, 1000)))
}

func TestResetReplaysTheSameAddresses(t *testing.T) {
	d := tensor.NewTestDevice(0)
	w := param(d, tensor.NewRand(1), tensor.F32, 70, 70)
	g := tensor.NewGrads(named(w), tensor.F32)
	s := d.NewTape()
	defer s.Close()
	step(s, w, g)
	var second []uintptr
	for i := range 5 {
		s.Reset()
		if got := step(s, w, g); i == 0 {
			second = got
		} else if !slices.Equal(got, second) {
			t.Fatalf("step %d got other addresses than step 2:\n%x\n%x", i+2, got, second)
		}
	}
}

func TestAnInferenceScopeRecordsNothing(t *testing.T) {
	d := tensor.NewTestDevice(0)
	w := param(d, tensor.NewRand(1), tensor.F32, 3, 3)
	s := d.NewScope()
	defer s.Close()
	if s.Device() != d || s.Recording() || !d.NewTape().Recording() {
		t.Error("Device or Recording is wrong")
	}
	loss := tensor.Linear(tensor.Ones(s, tensor.F32, 2, 3), w, nil).Sum()
	mustSay(t, "Backward", func() { loss.Backward(tensor.NewGrads(named(w), tensor.F32)) }, "not computed on a tape")
}

func TestViewsOfATrainableTensorNeedAScope(t *testing.T) {
	w := param(tensor.NewTestDevice(0), tensor.NewRand(1), tensor.F32, 3, 3)
	for op, fn := range map[string]func() T{"Reshape": func() T { return w.Reshape(9) }, "Transpose": w.T, "Slice": func() T { return w.Slice(0, 0, 1) }} {
		mustSay(t, op, func() { fn() }, op, "In first")
	}
}

func TestOnlyLongLivedFloatTensorsCanBeTrainable(t *testing.T) {
	d := tensor.NewTestDevice(0)
	s := d.NewScope()
	defer s.Close()
	mustSay(t, "a scoped tensor", func() { tensor.Ones(s, tensor.F32, 2).SetTrainable(true) }, "SetTrainable", "long-lived")
	mustSay(t, "integers", func() { tensor.Ones(d, tensor.I32, 2).SetTrainable(true) }, "SetTrainable", "float")
}
