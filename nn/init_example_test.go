package nn_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/hone-ml/hone/nn"
	"github.com/hone-ml/hone/tensor"
)

func ExampleInit() {
	w := tensor.Empty(tensor.CPU(), tensor.F32, 200, 800) // 800 in, 200 out
	for name, init := range map[string]nn.Init{
		"Normal":         nn.Normal(0.02),
		"Uniform":        nn.Uniform(0.1),
		"TruncNormal":    nn.TruncNormal(0.02, 0.04),
		"FanIn":          nn.FanIn(nn.GainLinear),
		"TorchLinear":    nn.TorchLinear(),
		"XavierUniform":  nn.XavierUniform(nn.GainTanh),
		"XavierNormal":   nn.XavierNormal(nn.GainTanh),
		"KaimingUniform": nn.KaimingUniform(nn.GainReLU, nn.FanInMode),
		"KaimingNormal":  nn.KaimingNormal(nn.GainLeakyReLU(0.2), nn.FanOutMode),
		"Orthogonal":     nn.Orthogonal(nn.GainSELU),
	} {
		init(w, tensor.NewRand(1))
		_, std, _ := moments(w)
		fmt.Printf("%-14s %.3f\n", name, std)
	}
	// Unordered output:
	// Normal         0.020
	// Uniform        0.058
	// TruncNormal    0.018
	// FanIn          0.035
	// TorchLinear    0.020
	// XavierUniform  0.074
	// XavierNormal   0.074
	// KaimingUniform 0.050
	// KaimingNormal  0.098
	// Orthogonal     0.027
}

func ExampleFans() {
	conv := nn.NewConv2d(tensor.CPU(), tensor.F32, 16, 32, [2]int{3, 3}, true, tensor.Conv2dOptions{})
	fmt.Println(nn.Fans(conv.Weight))
	// Output: 144 288
}

// Scale is a layer of one's own, whose parameter starts at one.
type Scale struct {
	Factor *tensor.Tensor `param:"factor"`
}

// Forward multiplies x by the factor.
func (s *Scale) Forward(x *tensor.Tensor) *tensor.Tensor { return x.Mul(s.Factor) }

// ResetParameters makes Scale an nn.Resetter.
func (s *Scale) ResetParameters(*tensor.Rand) { s.Factor.Fill(1) }

func ExampleResetter() {
	dev := tensor.CPU()
	net := nn.Sequential{nn.NewLinear(dev, tensor.F32, 4, 2, true), &Scale{tensor.Empty(dev, tensor.F32, 2)}}
	nn.Initialize(net, tensor.NewRand(1))
	fmt.Println(net[1].(*Scale).Factor)
	// Output: f32[2] [1 1]
}

func ExampleState() {
	net := nn.Sequential{nn.NewLinear(tensor.CPU(), tensor.F32, 4, 2, false), nn.NewBatchNorm(tensor.CPU(), tensor.F32, 2, 1e-5)}
	for name := range nn.State(net) {
		fmt.Println(name)
	}
	fmt.Println(nn.Count(nn.Parameters(net)), "in parameters,", nn.Count(nn.Buffers(net)), "in buffers")
	// Output:
	// 0.weight
	// 1.weight
	// 1.bias
	// 1.running_mean
	// 1.running_var
	// 1.num_batches_tracked
	// 12 in parameters, 5 in buffers
}

func ExampleStateError() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "linear.safetensors")
	dev := tensor.CPU()
	plain := nn.NewLinear(dev, tensor.F32, 4, 2, false)
	nn.Initialize(plain, tensor.NewRand(1))
	if err := nn.Save(path, plain); err != nil {
		fmt.Println(err)
	}
	err = nn.Load(path, nn.NewLinear(dev, tensor.F32, 5, 2, true))
	if e, ok := errors.AsType[*nn.StateError](err); ok {
		fmt.Println(e.Missing, e.Misfits[0].FileShape, e.Misfits[0].Shape)
	}
	// Output: [bias] [2 4] [2 5]
}

func ExampleQuantize() {
	net := nn.Sequential{nn.NewLinear(tensor.CPU(), tensor.F32, 64, 64, false), nn.ReLU{}}
	nn.Initialize(net, tensor.NewRand(1))
	before := nn.Summarize(net).Bytes
	if err := nn.Quantize(net, tensor.Q8_0); err != nil {
		fmt.Println(err)
	}
	fmt.Println(before, nn.Summarize(net).Bytes)
	// Output: 16384 4352
}
