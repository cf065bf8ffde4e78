package gradcheck_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/hone-ml/hone/tensor"
	"github.com/hone-ml/hone/tensor/gradcheck"
)

func param(data []float64, shape ...int) *tensor.Tensor {
	t := tensor.FromSlice(tensor.CPU(), data, shape...)
	t.SetTrainable(true)
	return t
}

// cube is x³ with a derivative of factor·x².
func cube(factor float64) gradcheck.Func {
	return func(x ...*tensor.Tensor) *tensor.Tensor {
		return tensor.Custom(tensor.CustomOp{
			Name: "Cube",
			Forward: func(_ *tensor.Scope, x []*tensor.Tensor) (outputs, saved []*tensor.Tensor) {
				return []*tensor.Tensor{x[0].Square().Mul(x[0])}, x
			},
			Backward: func(dy, saved []*tensor.Tensor, _ []bool) []*tensor.Tensor {
				return []*tensor.Tensor{saved[0].Square().MulScalar(factor).Mul(dy[0])}
			},
		}, x...)[0]
	}
}

func TestARightBackwardPasses(t *testing.T) {
	gradcheck.Check(t, cube(3), param([]float64{-1, 0.5, 2, 0, 1, -3}, 2, 3))
}

func TestAWrongBackwardFails(t *testing.T) {
	err := gradcheck.Verify(cube(3.01), param([]float64{-1, 0.5, 2, 0, 1, -3}, 2, 3))
	var m *gradcheck.Mismatch
	if !errors.As(err, &m) {
		t.Fatalf("a derivative of 3.01·x² instead of 3·x² gave %v", err)
	}
	if m.Input != 0 || fmt.Sprint(m.Index) != "[1 2]" || m.Wrong != 5 || m.Of != 6 {
		t.Errorf("the worst element is at %v of input %d, %d of %d wrong; want [1 2] of 0, 5 of 6", m.Index, m.Input, m.Wrong, m.Of)
	}
}

func TestAMissingGradientFails(t *testing.T) {
	half := func(x ...*tensor.Tensor) *tensor.Tensor { return x[0].Detach().Mul(x[1]) }
	var m *gradcheck.Mismatch
	if err := gradcheck.Verify(half, param([]float64{2}), param([]float64{3})); !errors.As(err, &m) || m.Input != 0 {
		t.Fatalf("a product that hides one factor's gradient gave %v", err)
	}
}

func TestANaNGradientFails(t *testing.T) {
	root := func(x ...*tensor.Tensor) *tensor.Tensor {
		return x[0].Mul(x[1].Detach().Sub(x[1].Detach()).Sqrt().Rsqrt()) // x·∞: NaN everywhere
	}
	if err := gradcheck.Verify(root, param([]float64{2}), param([]float64{3})); err == nil {
		t.Fatal("NaN passed")
	}
}

func TestCheckFailsTheTest(t *testing.T) {
	f := new(fake)
	gradcheck.Check(f, cube(4), param([]float64{1}))
	if !strings.Contains(f.text, "d/d input 0 at [0] is 4 by backward but 2.99") {
		t.Errorf("Check said %q", f.text)
	}
}

type fake struct{ text string }

func (f *fake) Helper()           {}
func (f *fake) Fatal(args ...any) { f.text = fmt.Sprint(args...) }

func TestInputsThatCannotBeCheckedAreErrors(t *testing.T) {
	s := tensor.CPU().NewScope()
	defer s.Close()
	f32 := tensor.Ones(tensor.CPU(), tensor.F32, 2)
	f32.SetTrainable(true)
	same := func(x ...*tensor.Tensor) *tensor.Tensor { return x[0] }
	for _, c := range []struct {
		input *tensor.Tensor
		want  string
	}{
		{tensor.Ones(s, tensor.F64, 2), "lives in a scope"},
		{f32, "must be contiguous f64"},
		{tensor.Ones(tensor.CPU(), tensor.F64, 2), "none of 1 inputs is trainable"},
	} {
		if err := gradcheck.Verify(same, c.input); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want an error that says %q", err, c.want)
		}
	}
}

func TestInputsKeepTheirValues(t *testing.T) {
	x := param([]float64{-1, 0.1, 2})
	gradcheck.Check(t, cube(3), x)
	if got := fmt.Sprint(x.Float64s()); got != "[-1 0.1 2]" {
		t.Errorf("the input is %s afterwards", got)
	}
}

func ExampleVerify() {
	x := tensor.FromSlice(tensor.CPU(), []float64{1, 2}, 2)
	x.SetTrainable(true)
	relu := func(x ...*tensor.Tensor) *tensor.Tensor { return x[0].ReLU() }
	fmt.Println(gradcheck.Verify(relu, x))
	// Output: <nil>
}
