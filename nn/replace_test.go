package nn_test

import (
	"slices"
	"testing"

	"github.com/hone-ml/hone/nn"
	"github.com/hone-ml/hone/tensor"
)

func TestReplaceVisitsThePlacesWhereAnotherLayerCanBePut(t *testing.T) {
	d := tensor.CPU()
	type block struct {
		MLP   *nn.GatedMLP  `param:"mlp"`
		Fixed *nn.Linear    `param:"fixed"`
		More  nn.Sequential `param:"more"`
		None  nn.Layer      `param:"none"`
		Other nn.Layer      // untagged
	}
	linear := func() *nn.Linear { return nn.NewLinear(d, tensor.F32, 2, 2, false) }
	m := &struct {
		Blocks []*block `param:"blocks"`
	}{[]*block{{MLP: nn.NewGatedMLP(d, tensor.F32, 2, 3), Fixed: linear(), More: nn.Sequential{nn.ReLU{}, nn.Residual{Layer: linear()}}, Other: linear()}}}
	var names []string
	other := nn.Tanh{}
	nn.Replace(m, func(name string, l nn.Layer) (nn.Layer, bool) {
		names = append(names, name)
		return other, name == "blocks.0.mlp.up_proj" || name == "blocks.0.more.0"
	})
	want := []string{"blocks.0.mlp.gate_proj", "blocks.0.mlp.up_proj", "blocks.0.mlp.down_proj", "blocks.0.more.0", "blocks.0.more.1"}
	if !slices.Equal(names, want) {
		t.Errorf("visited %q, want %q", names, want)
	}
	if b := m.Blocks[0]; b.MLP.Up != other || b.MLP.Gate == other || b.More[0] != other {
		t.Error("not what was asked for was replaced")
	}
	var inside []string
	nn.Replace(nn.Sequential{&nn.Residual{Layer: linear()}}, func(name string, l nn.Layer) (nn.Layer, bool) {
		inside = append(inside, name)
		return nil, false
	})
	if !slices.Equal(inside, []string{"0", "0"}) {
		t.Errorf("visited %q: a layer that is not replaced is searched", inside)
	}
}
