package tensor_test

import (
	"testing"

	"github.com/hone-ml/hone/tensor"
)

func TestATapeTrainsAndAScopeEvaluatesUnlessToldOtherwise(t *testing.T) {
	d := tensor.CPU()
	tape, scope := d.NewTape(), d.NewScope()
	defer tape.Close()
	defer scope.Close()
	if !tape.Training() || scope.Training() {
		t.Errorf("training: tape %v, scope %v", tape.Training(), scope.Training())
	}
	tape.SetTraining(false)
	scope.SetTraining(true)
	tape.Reset()
	if tape.Training() || !scope.Training() || !tape.Recording() || scope.Recording() {
		t.Error("SetTraining changed something else than training, or Reset took it back")
	}
}

func TestNestedScopesTrainAsTheStepDoesAndKnowASecondRun(t *testing.T) {
	d := tensor.CPU()
	w := paramOf(d, []float32{1, 2})
	grads := tensor.NewGrads(named(w), tensor.F32)
	var training, recomputing []bool
	layer := func(x ...T) []T {
		training = append(training, x[0].Scope().Training())
		recomputing = append(recomputing, x[0].Scope().Recomputing())
		if err := tensor.Try(func() { x[0].Scope().SetTraining(false) }); err == nil {
			t.Error("a nested scope was told")
		}
		return []T{x[0].Mul(w)}
	}
	s := d.NewTape()
	defer s.Close()
	x := tensor.Ones(s, tensor.F32, 2)
	x = tensor.Block(layer, x)[0]
	tensor.Checkpoint(func(x ...T) []T { return tensor.Block(layer, x...) }, x)[0].Sum().Backward(grads)
	for i, want := range []bool{false, false, true} {
		if len(training) != 3 || !training[i] || recomputing[i] != want {
			t.Fatalf("training %v, recomputing %v", training, recomputing)
		}
	}
}
