package optim_test

import (
	"testing"

	"github.com/hone-ml/hone/optim"
)

func TestWeightsAreTheirNames(t *testing.T) {
	for w, name := range map[optim.Weights]string{optim.WeightsF32: "f32", optim.WeightsMaster: "master", optim.WeightsBF16: "bf16"} {
		if got, err := optim.ParseWeights(name); got != w || err != nil || w.String() != name {
			t.Errorf("ParseWeights(%q) is %v, %v; its String is %q", name, got, err, w)
		}
	}
	const want = `weights "f16" are none of f32, master, bf16`
	if _, err := optim.ParseWeights("f16"); err == nil || err.Error() != want {
		t.Errorf("ParseWeights of another name gives %v, want %s", err, want)
	}
	if got := optim.Weights(7).String(); got != "Weights(7)" {
		t.Errorf("an unknown one is %q", got)
	}
}
