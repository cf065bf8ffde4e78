package tensormat_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/hone-ml/hone/tensor"
	"github.com/hone-ml/hone/tensor/tensormat"
)

func TestMatricesGoThereAndBack(t *testing.T) {
	s := tensor.CPU().NewScope()
	defer s.Close()
	x := tensor.Arange(s, tensor.F32, 0, 12, 1).Reshape(3, 4)
	for name, x := range map[string]*tensor.Tensor{
		"rows": x, "transposed": x.T(), "sliced": x.Slice(1, 1, 3), "one": x.Slice(0, 1, 2).Slice(1, 0, 1),
		"I64": x.To(tensor.I64), "BF16": x.To(tensor.BF16), "F64": x.To(tensor.F64), "Bool": x.To(tensor.Bool),
	} {
		m := tensormat.ToDense(x)
		r, c := m.Dims()
		want := x.Float64s()
		for i := range r {
			for j := range c {
				if m.At(i, j) != want[i*c+j] {
					t.Errorf("%s: element %d, %d is %g, want %g", name, i, j, m.At(i, j), want[i*c+j])
				}
			}
		}
		back := tensormat.FromMatrix(s, m)
		if !slices.Equal(back.Shape(), x.Shape()) || !slices.Equal(back.Float64s(), want) || back.DType() != tensor.F64 {
			t.Errorf("%s: back it is %s", name, back)
		}
	}
}

func TestMatricesOfEveryKindBecomeTensors(t *testing.T) {
	d := mat.NewDense(3, 4, []float64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11})
	for name, c := range map[string]struct {
		m    mat.Matrix
		want []float64
	}{
		"a window":          {d.Slice(1, 3, 1, 3), []float64{5, 6, 9, 10}},
		"a row of a window": {d.Slice(1, 2, 1, 4), []float64{5, 6, 7}},
		"a transpose":       {d.T(), []float64{0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11}},
		"symmetric":         {mat.NewSymDense(2, []float64{1, 2, 2, 3}), []float64{1, 2, 2, 3}},
		"diagonal":          {mat.NewDiagDense(2, []float64{1, 2}), []float64{1, 0, 0, 2}},
		"a column":          {d.ColView(1), []float64{1, 5, 9}},
		"empty":             {new(mat.Dense), []float64{}},
	} {
		for _, p := range []tensor.Place{tensor.CPU(), tensor.CPU().NewScope()} {
			x := tensormat.FromMatrix(p, c.m)
			r, cols := c.m.Dims()
			if !slices.Equal(x.Shape(), []int{r, cols}) || !slices.Equal(x.Float64s(), c.want) {
				t.Errorf("%s: %s", name, x)
			}
		}
	}
}

func TestVectorsGoThereAndBack(t *testing.T) {
	s := tensor.CPU().NewScope()
	defer s.Close()
	x := tensor.Arange(s, tensor.F32, 0, 8, 1)
	for _, x := range []*tensor.Tensor{x, x.SliceStep(0, 1, 8, 3), x.Slice(0, 2, 3), x.Slice(0, 2, 2)} {
		v := tensormat.ToVecDense(x)
		if back := tensormat.FromVector(s, v); v.Len() != x.Len() || !slices.Equal(back.Float64s(), x.Float64s()) || back.Rank() != 1 {
			t.Errorf("%s became %s", x, back)
		}
	}
	d := mat.NewDense(3, 2, []float64{0, 1, 2, 3, 4, 5})
	for name, c := range map[string]struct {
		v    mat.Vector
		want []float64
	}{"a column": {d.ColView(1), []float64{1, 3, 5}}, "a row": {d.RowView(1), []float64{2, 3}}} {
		if x := tensormat.FromVector(s, c.v); !slices.Equal(x.Float64s(), c.want) {
			t.Errorf("%s: %s", name, x)
		}
	}
}

func TestAMatrixIsACopy(t *testing.T) {
	x := tensor.Zeros(tensor.CPU(), tensor.F64, 2, 2)
	m := tensormat.ToDense(x)
	m.Set(0, 0, 5)
	y := tensormat.FromMatrix(tensor.CPU(), m)
	m.Set(0, 0, 6)
	if x.Float64s()[0] != 0 || y.Float64s()[0] != 5 {
		t.Errorf("%s and %s share memory with the matrix", x, y)
	}
}

func TestOnlyMatricesAndVectorsAreConverted(t *testing.T) {
	x := tensor.Zeros(tensor.CPU(), tensor.F32, 2, 2, 2)
	for want, fn := range map[string]func(){
		"tensor: tensormat.ToDense f32[2 2 2]: a matrix has two axes":    func() { tensormat.ToDense(x) },
		"tensor: tensormat.ToVecDense f32[2 2 2]: a vector has one axis": func() { tensormat.ToVecDense(x) },
	} {
		err := tensor.Try(fn)
		var misuse *tensor.Error
		if !errors.As(err, &misuse) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// The least squares solution of an overdetermined system.
func Example() {
	s := tensor.CPU().NewScope()
	defer s.Close()
	a := tensor.FromSlice(s, []float32{1, 0, 1, 1, 1, 2}, 3, 2) // 1 and x
	y := tensor.FromSlice(s, []float32{1, 3, 5})
	var solution mat.VecDense
	if err := solution.SolveVec(tensormat.ToDense(a), tensormat.ToVecDense(y)); err != nil {
		fmt.Println(err)
	}
	fmt.Println(tensormat.FromVector(s, &solution))
	// Output: f64[2] [1 2]
}
