package optim_test

import (
	"testing"

	"github.com/hone-ml/hone/optim"
	"github.com/hone-ml/hone/tensor"
	"gonum.org/v1/gonum/mat"
)

// Five steps bring every singular value that is not tiny into the band around 1 that the quintic has as
// its attractor (Jordan et al. state 0.7 to 1.2).
func TestNewtonSchulzBringsSingularValuesNearOne(t *testing.T) {
	s := tensor.CPU().NewScope()
	defer s.Close()
	r := tensor.NewRand(7)
	for _, shape := range [][2]int{{16, 48}, {48, 16}, {24, 24}} {
		x := tensor.Randn(s, tensor.F32, r, 3, shape[0], shape[1])
		got := optim.NewtonSchulz(x, 5)
		var before, after mat.SVD
		if !before.Factorize(mat.NewDense(shape[0], shape[1], x.Float64s()), mat.SVDNone) ||
			!after.Factorize(mat.NewDense(shape[0], shape[1], got.Float64s()), mat.SVDNone) {
			t.Fatal("no singular values")
		}
		was, is := before.Values(nil), after.Values(nil)
		for i, v := range is {
			if was[i] > 0.05*was[0] && (v < 0.65 || v > 1.25) {
				t.Errorf("%v: singular value %g became %g", shape, was[i], v)
			}
		}
	}
}
