package tensor_test

import (
	"fmt"

	"github.com/hone-ml/hone/tensor"
)

// Element-wise functions chain; numbers stand beside tensors in the methods that end in Scalar.
func ExampleTensor_GELU() {
	s := tensor.CPU().NewScope()
	defer s.Close()
	x := tensor.Linspace(s, tensor.F32, -2, 2, 5)
	fmt.Printf("%.4f\n", tensor.ToSlice[float32](x.GELU()))
	fmt.Printf("%.3f\n", tensor.ToSlice[float32](x.Clamp(-1, 1).AddScalar(1).Log1p()))
	fmt.Println(tensor.ToSlice[bool](x.GeScalar(0).And(x.LtScalar(1.5))))
	// Output:
	// [-0.0455 -0.1587 0.0000 0.8413 1.9545]
	// [0.000 0.000 0.693 1.099 1.099]
	// [false false true true false]
}

// A reduction drops its axes, and keeps them with length 1 where its name ends in Keep: then it broadcasts.
func ExampleTensor_Var() {
	s := tensor.CPU().NewScope()
	defer s.Close()
	x := tensor.FromSlice(s, []float64{1, 2, 3, 10, 20, 60}, 2, 3)
	fmt.Println(x.Var(1, -1).Float64s()) // with Bessel's correction, of each row
	fmt.Printf("%.3f\n", x.Sub(x.MeanKeep(-1)).Div(x.StdKeep(0, -1)).Float64s())
	fmt.Println(x.Norm(1, 0).Float64s(), x.Prod().Item(), x.Min(0).Float64s())
	// Output:
	// [1 700]
	// [-1.225 0.000 1.225 -0.926 -0.463 1.389]
	// [11 22 63] 72000 [1 2 3]
}

// Log-probabilities are added where probabilities would vanish.
func ExampleTensor_LogSumExp() {
	s := tensor.CPU().NewScope()
	defer s.Close()
	x := tensor.FromSlice(s, []float64{-1000, -1001, 5, 5}, 2, 2)
	fmt.Printf("%.4f\n", x.LogSumExp(-1).Float64s())
	fmt.Printf("%.4f\n", x.LogSoftmax().Float64s())
	// Output:
	// [-999.6867 5.6931]
	// [-0.3133 -1.3133 -0.6931 -0.6931]
}

func ExampleTensor_TopK() {
	s := tensor.CPU().NewScope()
	defer s.Close()
	logits := tensor.FromSlice(s, []float32{0.1, 2, 0.5, 3, 1, 7, -1, 0}, 2, 4)
	best, ids := logits.TopK(2, -1)
	fmt.Println(tensor.ToSlice[float32](best), tensor.ToSlice[int32](ids))
	sorted, _ := logits.Sort(0, false)
	fmt.Println(tensor.ToSlice[float32](sorted))
	fmt.Println(tensor.ToSlice[int32](logits.ArgMax()), tensor.ToSlice[int32](logits.ArgMin(0)))
	// Output:
	// [3 2 7 1] [3 1 1 0]
	// [0.1 2 -1 0 1 7 0.5 3]
	// [3 1] [0 0 1 1]
}

// The positions of the tokens of a padded batch are the running count of its mask.
func ExampleTensor_CumSum() {
	s := tensor.CPU().NewScope()
	defer s.Close()
	mask := tensor.FromSlice(s, []int32{0, 0, 1, 1, 1, 1, 1, 1}, 2, 4)
	positions := mask.CumSum(-1).AddScalar(-1).ClampMin(0)
	fmt.Println(tensor.ToSlice[int32](positions))
	fmt.Println(tensor.FromSlice(s, []float64{2, 3, 4}).CumProd(0).Float64s())
	// Output:
	// [0 0 0 1 0 1 2 3]
	// [2 6 24]
}

// The next token, drawn from the probabilities of the best ones.
func ExampleTensor_Multinomial() {
	s := tensor.CPU().NewScope()
	defer s.Close()
	s.UseRand(tensor.NewRand(42))
	logits := tensor.FromSlice(s, []float32{4, 1, 0, 4.5, -2})
	best, ids := logits.TopK(2, -1)
	drawn := best.Softmax().Multinomial(1000, true)
	counts := map[int32]int{}
	for _, id := range tensor.ToSlice[int32](ids.Gather(drawn)) {
		counts[id]++
	}
	fmt.Println(len(counts), counts[3] > counts[0], counts[3]+counts[0])
	// Output: 2 true 1000
}

// A causal mask is a triangle.
func ExampleTensor_Tril() {
	s := tensor.CPU().NewScope()
	defer s.Close()
	mask := tensor.Ones(s, tensor.Bool, 3, 3).Tril(0)
	scores := tensor.Where(mask, tensor.Zeros(s, tensor.F32), tensor.Full(s, tensor.F32, -1e9))
	fmt.Printf("%.2f\n", tensor.ToSlice[float32](scores.Softmax()))
	fmt.Println(mask.All().Item() == 1, mask.Any(0).All().Item() == 1)
	fmt.Println(tensor.Equal(tensor.Eye(s, tensor.I32, 3), tensor.Ones(s, tensor.I32, 3, 3).Tril(0).Triu(0)))
	// Output:
	// [1.00 0.00 0.00 0.50 0.50 0.00 0.33 0.33 0.33]
	// false true
	// true
}

func ExampleRandPerm() {
	s := tensor.CPU().NewScope()
	defer s.Close()
	r := tensor.NewRand(7)
	order := tensor.RandPerm(s, r, 6) // shuffles rows: x.Gather(order)
	back, _ := order.Sort(0, false)
	fmt.Println(tensor.ToSlice[int32](back))
	coins := tensor.Bernoulli(s, tensor.Bool, r, 0.25, 4000)
	share := coins.To(tensor.F32).Mean().Item()
	fmt.Println(share > 0.23 && share < 0.27)
	// Output:
	// [0 1 2 3 4 5]
	// true
}

func ExampleAllClose() {
	s := tensor.CPU().NewScope()
	defer s.Close()
	x := tensor.FromSlice(s, []float64{1e-10, 0.5, 3})
	fmt.Println(tensor.Equal(x.Neg().Neg(), x), tensor.AllClose(x.Expm1().Log1p(), x, 1e-12, 0))
	fmt.Println(tensor.AllClose(x.Exp().AddScalar(-1), x.Expm1(), 1e-12, 0)) // which loses the small one
	// Output:
	// true true
	// false
}
