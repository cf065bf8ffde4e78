package nn_test

import (
	"fmt"
	"iter"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/hone-ml/hone/nn"
	"github.com/hone-ml/hone/tensor"
	"github.com/hone-ml/hone/tensor/gradcheck"
)

// Every test of the package runs with freed memory poisoned.
func TestMain(m *testing.M) {
	tensor.CPU().Poison(true)
	os.Exit(m.Run())
}

// T shortens signatures below.
type T = *tensor.Tensor

// together joins parameters by name.
func together(seqs ...iter.Seq2[string, T]) iter.Seq2[string, T] {
	return func(yield func(string, T) bool) {
		for _, seq := range seqs {
			for name, p := range seq {
				if !yield(name, p) {
					return
				}
			}
		}
	}
}

// numbered gives tensors their position as a name.
func numbered(ts ...T) iter.Seq2[string, T] {
	return func(yield func(string, T) bool) {
		for i, t := range ts {
			if !yield(fmt.Sprint("input ", i), t) {
				return
			}
		}
	}
}

// near fails t unless got is within tolerance of want, relative to want's largest magnitude.
func near(t testing.TB, what string, got, want []float64, tolerance float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d numbers, want %d", what, len(got), len(want))
		return
	}
	diff, size := 0.0, 1e-30
	for i := range want {
		d := math.Abs(got[i] - want[i])
		if d != d {
			d = math.Inf(1)
		}
		diff, size = max(diff, d), max(size, math.Abs(want[i]))
	}
	if diff/size > tolerance {
		t.Errorf("%s: error %.3g, want at most %.3g\n got %.6g\nwant %.6g", what, diff/size, tolerance, got[:min(len(got), 16)], want[:min(len(want), 16)])
	}
}

// mustSay runs fn, which is to panic with a *tensor.Error whose text has the words.
func mustSay(t testing.TB, what string, fn func(), words ...string) {
	t.Helper()
	err, ok := tensor.Try(fn).(*tensor.Error)
	if !ok {
		t.Errorf("%s: no *tensor.Error", what)
		return
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%s: the error %q does not say %q", what, err, w)
		}
	}
}

// randn is a long-lived trainable F64 tensor of normal numbers.
func randn(r *tensor.Rand, shape ...int) T {
	x := tensor.Randn(tensor.CPU(), tensor.F64, r, 1, shape...)
	x.SetTrainable(true)
	return x
}

// checkGradients compares the gradients of what fn makes of inputs, with respect to the inputs and to the parameters of
// module, with differences.
func checkGradients(t testing.TB, module any, fn gradcheck.Func, inputs ...T) {
	t.Helper()
	n := len(inputs)
	r := tensor.NewRand(77)
	for _, p := range nn.Parameters(module) {
		p.FillRandn(r, 0.3, 0.7)
		inputs = append(inputs, p)
	}
	if err := gradcheck.Verify(func(x ...T) T { return fn(x[:n]...) }, inputs...); err != nil {
		t.Error(err)
	}
}
