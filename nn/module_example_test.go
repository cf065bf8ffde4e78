package nn_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/hone-ml/hone/nn"
	"github.com/hone-ml/hone/tensor"
)

func ExampleSequential() {
	dev := tensor.CPU()
	net := nn.Sequential{
		nn.NewLinear(dev, tensor.F32, 2, 16, true),
		nn.ReLU{},
		nn.Dropout{P: 0.1},
		nn.NewLinear(dev, tensor.F32, 16, 3, true),
	}
	nn.Initialize(net, tensor.NewRand(1))

	s := dev.NewScope() // records nothing: the dropout does nothing here
	defer s.Close()
	logits := net.Forward(tensor.FromSlice(s, []float32{0.5, -1, 1, 2}, 2, 2))
	fmt.Println(logits.Shape())
	for name := range nn.Parameters(net) {
		fmt.Println(name)
	}
	// Output:
	// [2 3]
	// 0.weight
	// 0.bias
	// 3.weight
	// 3.bias
}

func ExampleSummarize() {
	dev := tensor.CPU()
	net := nn.Sequential{
		nn.NewLinear(dev, tensor.F32, 2, 64, true),
		nn.NewBatchNorm(dev, tensor.F32, 64, 1e-5),
		nn.ReLU{},
		nn.NewLinear(dev, tensor.F32, 64, 3, true),
	}
	if err := nn.Freeze(net, "0.*"); err != nil {
		fmt.Println(err)
	}
	fmt.Print(nn.Summarize(net))
	// Output:
	// name                   layer         shape   dtype  elements  memory  role
	// 0.weight               nn.Linear     [64 2]  f32    128       512 B   frozen
	// 0.bias                 nn.Linear     [64]    f32    64        256 B   frozen
	// 1.weight               nn.BatchNorm  [64]    f32    64        256 B   trainable
	// 1.bias                 nn.BatchNorm  [64]    f32    64        256 B   trainable
	// 1.running_mean         nn.BatchNorm  [64]    f32    64        256 B   buffer
	// 1.running_var          nn.BatchNorm  [64]    f32    64        256 B   buffer
	// 1.num_batches_tracked  nn.BatchNorm  []      i64    1         8 B     buffer
	// 3.weight               nn.Linear     [3 64]  f32    192       768 B   trainable
	// 3.bias                 nn.Linear     [3]     f32    3         12 B    trainable
	// 515 parameters: 323 trainable, 192 frozen; 129 elements in buffers; 2.5 KiB
}

func ExampleLoad() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "mlp.safetensors")

	dev := tensor.CPU()
	small := nn.NewMLP(dev, tensor.F32, nn.ReLU{}, 2, 8, 3)
	nn.Initialize(small, tensor.NewRand(1))
	if err := nn.Save(path, small); err != nil {
		fmt.Println(err)
	}
	fmt.Println(nn.Load(path, nn.NewMLP(dev, tensor.BF16, nn.ReLU{}, 2, 8, 3)))

	deep := nn.NewMLP(dev, tensor.F32, nn.ReLU{}, 2, 8, 3, 3)
	rest, err := nn.LoadPartial(path, deep)
	fmt.Println(rest.Missing, err)
	// Output:
	// <nil>
	// [layers.2.weight layers.2.bias] <nil>
}

func ExampleFreeze() {
	net := nn.NewMLP(tensor.CPU(), tensor.F32, nn.ReLU{}, 4, 8, 8, 2)
	if err := nn.Freeze(net); err != nil { // everything, and then not the last layer
		fmt.Println(err)
	}
	if err := nn.Unfreeze(net, "layers.2.*"); err != nil {
		fmt.Println(err)
	}
	for name, p := range nn.Parameters(net) {
		if p.Trainable() {
			fmt.Println(name)
		}
	}
	fmt.Println(nn.Freeze(net, "head.*"))
	// Output:
	// layers.2.weight
	// layers.2.bias
	// nn: Freeze: pattern "head.*" matches none of the 6 parameters, of which the first is "layers.0.weight"
}

func ExampleBatchNorm() {
	dev := tensor.CPU()
	norm := nn.NewBatchNorm(dev, tensor.F32, 1, 1e-5)
	nn.Initialize(norm, tensor.NewRand(1))
	data := []float32{2, 4, 6}

	tape := dev.NewTape() // trains: the batch's own statistics
	defer tape.Close()
	fmt.Println(norm.Forward(tensor.FromSlice(tape, data, 3, 1)).Flatten())
	fmt.Println(norm.Mean)

	scope := dev.NewScope() // evaluates: the running ones
	defer scope.Close()
	fmt.Println(norm.Forward(tensor.FromSlice(scope, data, 3, 1)).Flatten())
	// Output:
	// f32[3] [-1.225 0 1.225]
	// f32[1] [0.4]
	// f32[3] [1.403 3.157 4.912]
}

func ExampleInitialize() {
	dev := tensor.CPU()
	net := nn.NewMLP(dev, tensor.F32, nn.ReLU{}, 64, 64, 10)
	r := tensor.NewRand(1)
	nn.Initialize(net, r) // as PyTorch does

	for _, l := range net.Layers { // or as one likes
		nn.KaimingNormal(nn.GainReLU, nn.FanInMode)(l.Weight, r)
		nn.Constant(0)(l.Bias, r)
	}
	fmt.Println(net.Layers[1].Bias.Shape())
	// Output: [10]
}
