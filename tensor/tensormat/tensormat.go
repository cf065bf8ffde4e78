// Package tensormat converts between tensors and the matrices and vectors of gonum, for its solvers, decompositions
// and statistics.
//
//	var svd mat.SVD
//	svd.Factorize(tensormat.ToDense(weights), mat.SVDThin)
//
// Each conversion copies the numbers once, since the memory of tensors is not the garbage collector's: a matrix
// outlives the scope of the tensor that it came from. It is a package of its own so that programs which do without
// gonum do not link it.
package tensormat

import (
	"gonum.org/v1/gonum/mat"

	"github.com/hone-ml/hone/tensor"
)

// ToDense is the matrix t [r, c], of any dtype. It waits for the device. gonum has no empty matrices but the one
// without rows and columns, which is what a t without elements gives. A t that is not a matrix panics with a
// *tensor.Error.
func ToDense(t *tensor.Tensor) *mat.Dense {
	if t.Rank() != 2 {
		fail("tensormat.ToDense", "a matrix has two axes", t)
	}
	if t.Len() == 0 {
		return new(mat.Dense)
	}
	return mat.NewDense(t.Dim(0), t.Dim(1), tensor.ToSlice[float64](t))
}

// ToVecDense is the vector t [n], of any dtype. It waits for the device. A t that is not a vector panics with a
// *tensor.Error.
func ToVecDense(t *tensor.Tensor) *mat.VecDense {
	if t.Rank() != 1 {
		fail("tensormat.ToVecDense", "a vector has one axis", t)
	}
	if t.Len() == 0 {
		return new(mat.VecDense)
	}
	return mat.NewVecDense(t.Len(), tensor.ToSlice[float64](t))
}

// FromMatrix copies m to a new tensor in p: F64 [r, c]. The transpose of a matrix becomes a transposed view.
func FromMatrix(p tensor.Place, m mat.Matrix) *tensor.Tensor {
	if t, ok := m.(mat.Transpose); ok {
		return FromMatrix(p, t.Matrix).T()
	}
	r, c := m.Dims()
	data := make([]float64, 0, r*c)
	switch m := m.(type) {
	case mat.RawMatrixer:
		raw := m.RawMatrix()
		if raw.Stride == c || r <= 1 {
			data = raw.Data[:r*c]
			break
		}
		for i := range r {
			data = append(data, raw.Data[i*raw.Stride:][:c]...)
		}
	default:
		for i := range r {
			for j := range c {
				data = append(data, m.At(i, j))
			}
		}
	}
	return tensor.FromSlice(p, data, r, c)
}

// FromVector copies v to a new tensor in p: F64 [n].
func FromVector(p tensor.Place, v mat.Vector) *tensor.Tensor {
	n := v.Len()
	if raw, ok := v.(mat.RawVectorer); ok {
		if r := raw.RawVector(); r.Inc == 1 {
			return tensor.FromSlice(p, r.Data[:n], n)
		}
	}
	data := make([]float64, n)
	for i := range data {
		data[i] = v.AtVec(i)
	}
	return tensor.FromSlice(p, data, n)
}

func fail(op, reason string, t *tensor.Tensor) {
	panic(&tensor.Error{Op: op, Shapes: [][]int{t.Shape()}, DTypes: []tensor.DType{t.DType()}, Reason: reason})
}
