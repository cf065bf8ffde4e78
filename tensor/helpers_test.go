package tensor_test

import (
	"fmt"
	"iter"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/hone-ml/hone/tensor"
)

// Every test of the package runs with freed memory poisoned.
func TestMain(m *testing.M) {
	tensor.CPU().Poison(true)
	os.Exit(m.Run())
}

// T shortens signatures below.
type T = *tensor.Tensor

// named gives parameters their position as a name.
func named(ps ...T) iter.Seq2[string, T] {
	return func(yield func(string, T) bool) {
		for i, p := range ps {
			if !yield(fmt.Sprint("p", i), p) {
				return
			}
		}
	}
}

// param is a long-lived trainable tensor of normal numbers.
func param(d *tensor.Device, r *tensor.Rand, dt tensor.DType, shape ...int) T {
	p := tensor.Randn(d, dt, r, 1, shape...)
	p.SetTrainable(true)
	return p
}

// paramOf is a long-lived trainable tensor of the given numbers.
func paramOf[E tensor.Element](d *tensor.Device, data []E, shape ...int) T {
	p := tensor.FromSlice(d, data, shape...)
	p.SetTrainable(true)
	return p
}

// relative is the largest difference by the largest magnitude of want, NaN if anything is.
func relative(got, want []float64) float64 {
	if len(got) != len(want) {
		return math.Inf(1)
	}
	diff, size := 0.0, 0.0
	for i := range want {
		d := math.Abs(got[i] - want[i])
		if got[i] == want[i] { // infinities
			d = 0
		}
		if d != d {
			return math.NaN()
		}
		diff, size = max(diff, d), max(size, math.Abs(want[i]))
	}
	if diff == 0 {
		return 0
	}
	return diff / size
}

// near fails t unless got is within tolerance of want, relative to want's largest magnitude.
func near(t testing.TB, what string, got, want []float64, tolerance float64) {
	t.Helper()
	if e := relative(got, want); !(e <= tolerance) {
		t.Errorf("%s: error %.3g, want at most %.3g\n got %.6g\nwant %.6g", what, e, tolerance, head(got), head(want))
	}
}

// same fails t unless got and want are equal to the bit.
func same(t testing.TB, what string, got, want T) {
	t.Helper()
	if !slices.Equal(got.Bytes(), want.Bytes()) || !slices.Equal(got.Shape(), want.Shape()) {
		t.Errorf("%s: the bits differ\n got %s\nwant %s", what, got, want)
	}
}

func head(x []float64) []float64 { return x[:min(len(x), 24)] }

// mustFail runs fn and returns the *tensor.Error that it panics with.
func mustFail(t testing.TB, what string, fn func()) *tensor.Error {
	t.Helper()
	err := tensor.Try(fn)
	e, ok := err.(*tensor.Error)
	if !ok {
		t.Fatalf("%s: got %v, want a *tensor.Error", what, err)
	}
	return e
}

// mustSay is mustFail that also wants the words in the error's text.
func mustSay(t testing.TB, what string, fn func(), words ...string) {
	t.Helper()
	text := mustFail(t, what, fn).Error()
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("%s: the error %q does not say %q", what, text, w)
		}
	}
}
