package nn_test

import (
	"fmt"

	"github.com/hone-ml/hone/nn"
	"github.com/hone-ml/hone/tensor"
)

// MLP is a module: its parameters are the tagged fields.
type MLP struct {
	Up   *nn.Linear `param:"up_proj"`
	Down *nn.Linear `param:"down_proj"`
}

// Forward maps [..., D] to [..., D].
func (m *MLP) Forward(x *tensor.Tensor) *tensor.Tensor {
	return m.Down.Forward(m.Up.Forward(x).SiLU())
}

func ExampleParameters() {
	dev := tensor.CPU()
	model := struct {
		Embed  *nn.Embedding `param:"embed"`
		Layers []nn.Layer    `param:"layers"`
		Head   *nn.Linear    `param:"head"`
	}{Embed: nn.NewEmbedding(dev, tensor.F32, 100, 8)}
	for range 2 {
		model.Layers = append(model.Layers, &MLP{
			Up:   nn.NewLinear(dev, tensor.F32, 8, 32, false),
			Down: nn.NewLinear(dev, tensor.F32, 32, 8, false),
		})
	}
	model.Head = &nn.Linear{Weight: model.Embed.Weight} // tied: it comes once

	r := tensor.NewRand(1)
	for name, p := range nn.Parameters(model) {
		nn.FanIn(1)(p, r)
		fmt.Println(name, p.Shape())
	}
	fmt.Println(nn.Count(nn.Parameters(model)), "parameters")
	// Output:
	// embed.weight [100 8]
	// layers.0.up_proj.weight [32 8]
	// layers.0.down_proj.weight [8 32]
	// layers.1.up_proj.weight [32 8]
	// layers.1.down_proj.weight [8 32]
	// 1824 parameters
}
