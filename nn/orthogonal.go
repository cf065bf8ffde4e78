package nn

import (
	"math"

	"github.com/hone-ml/hone/tensor"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/lapack/lapack64"
)

// Orthogonal makes a weight [out, ...], as a matrix of out rows, gain times a matrix whose rows, or columns
// if there are fewer of them, are orthonormal: the Q of the QR decomposition of a normal matrix, with the
// signs that make it uniform among such. It takes time cubic in the shorter side. (Saxe et al., "Exact
// solutions to the nonlinear dynamics of learning in deep linear neural networks", 2013;
// torch.nn.init.orthogonal_.)
func Orthogonal(gain float64) Init {
	return func(p *tensor.Tensor, r *tensor.Rand) {
		if p.Rank() < 2 {
			fail("nn.Orthogonal", []*tensor.Tensor{p}, "only a weight [out, in, ...] can be orthogonal")
		}
		if p.Len() == 0 {
			return
		}
		rows, cols := p.Dim(0), p.Len()/p.Dim(0)
		transform(p, tensor.Randn(p.Device(), tensor.F64, r, 1, p.Len()), func(x []float64) {
			orthonormalise(x, rows, cols, gain)
		})
	}
}

// orthonormalise replaces a matrix, rows·cols numbers, by gain times the Q of its decomposition, that of its
// transpose if it is wide.
func orthonormalise(x []float64, rows, cols int, gain float64) {
	a := blas64.General{Rows: rows, Cols: cols, Stride: cols, Data: x}
	if rows < cols {
		a = transposed(a)
	}
	tau := make([]float64, a.Cols)
	work := make([]float64, 64*a.Cols) // what blocks of the default size need
	lapack64.Geqrf(a, tau, work, len(work))
	signs := make([]float64, a.Cols)
	for i := range signs {
		signs[i] = math.Copysign(gain, a.Data[i*a.Stride+i])
	}
	lapack64.Orgqr(a, tau, work, len(work))
	for i := range a.Rows {
		for j, sign := range signs {
			a.Data[i*a.Stride+j] *= sign
		}
	}
	if rows < cols {
		copy(x, transposed(a).Data)
	}
}

func transposed(a blas64.General) blas64.General {
	t := blas64.General{Rows: a.Cols, Cols: a.Rows, Stride: a.Rows, Data: make([]float64, len(a.Data))}
	for i := range a.Rows {
		for j := range a.Cols {
			t.Data[j*t.Stride+i] = a.Data[i*a.Stride+j]
		}
	}
	return t
}
