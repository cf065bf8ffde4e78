package nn_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/hone-ml/hone/nn"
	"github.com/hone-ml/hone/tensor"
)

// trainable are the names of the parameters that want gradients.
func trainable(module any) []string {
	var names []string
	for name, p := range nn.State(module) {
		if p.Trainable() {
			names = append(names, name)
		}
	}
	return names
}

func TestFreezeAndUnfreezeChooseByPattern(t *testing.T) {
	m := newStateful(tensor.F32, 1)
	all := []string{"embed.weight", "norm.weight", "norm.bias"} // head.bias was made by hand, without gradients
	if got := trainable(m); !slices.Equal(got, all) {
		t.Fatalf("trainable at first: %q", got)
	}
	for _, step := range []struct {
		on       bool
		patterns []string
		want     []string
	}{
		{false, []string{"norm.*"}, []string{"embed.weight"}},
		{true, []string{"*.bias"}, []string{"embed.weight", "norm.bias", "head.bias"}},
		{false, []string{"head.weight"}, []string{"norm.bias", "head.bias"}}, // the tied one's second name
		{false, nil, nil},
		{true, nil, []string{"embed.weight", "norm.weight", "norm.bias", "head.bias"}},
		{false, []string{"[en]*.weight", "head.b?as"}, []string{"norm.bias"}},
	} {
		set := nn.Freeze
		if step.on {
			set = nn.Unfreeze
		}
		if err := set(m, step.patterns...); err != nil {
			t.Fatal(err)
		}
		if got := trainable(m); !slices.Equal(got, step.want) {
			t.Errorf("after %v %q: %q, want %q", step.on, step.patterns, got, step.want)
		}
	}
}

func TestFrozenParametersGetNoGradients(t *testing.T) {
	m := nn.NewMLP(tensor.CPU(), tensor.F32, nn.ReLU{}, 2, 3, 1)
	nn.Initialize(m, tensor.NewRand(1))
	if err := nn.Freeze(m, "layers.0.*"); err != nil {
		t.Fatal(err)
	}
	grads := tensor.NewGrads(nn.Parameters(m), tensor.F32)
	if grads.Has(m.Layers[0].Weight) || !grads.Has(m.Layers[1].Weight) {
		t.Error("the gradients are not those of the second layer alone")
	}
}

func TestFreezeSaysWhichPatternIsWrongAndChangesNothing(t *testing.T) {
	m := newStateful(tensor.F32, 1)
	before := trainable(m)
	for pattern, want := range map[string]string{
		"nrm.*": `nn: Freeze: pattern "nrm.*" matches none of the 5 parameters, of which the first is "embed.weight"`,
		"[":     `nn: Freeze: pattern "[" is malformed: see path.Match`,
	} {
		if err := nn.Freeze(m, "embed.*", pattern); err == nil || err.Error() != want {
			t.Errorf("%q: the error is %v", pattern, err)
		}
	}
	q := nn.Sequential{nn.NewLinear(tensor.CPU(), tensor.F32, 32, 2, true)}
	nn.Initialize(q, tensor.NewRand(1))
	if err := nn.Quantize(q, tensor.Q8_0); err != nil {
		t.Fatal(err)
	}
	if err := nn.Freeze(q); err != nil {
		t.Errorf("freezing what is quantised: %v", err)
	}
	if err := nn.Unfreeze(q); err == nil || !strings.Contains(err.Error(), "0.weight is q8_0, which cannot be trained") || len(trainable(q)) > 0 {
		t.Errorf("training what is quantised: %v", err)
	}
	if got := trainable(m); !slices.Equal(got, before) {
		t.Errorf("an error changed what is trainable to %q", got)
	}
}
