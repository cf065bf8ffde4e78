package train

import (
	"math"
	"strings"
	"testing"

	"github.com/hone-ml/hone/models"
	"github.com/hone-ml/hone/models/qwen"
	"github.com/hone-ml/hone/tensor"
)

// experts is a tiny model with four experts, of which each token takes one.
func experts(t testing.TB, coefficient float64) *qwen.Model {
	c := tinyConfig("float32")
	c.ModelType = "qwen3_moe"
	c.Experts = &qwen.Experts{NumExperts: 4, NumExpertsPerTok: 1, MoEIntermediateSize: 16, NormTopKProb: false, DecoderSparseStep: 1,
		OutputRouterLogits: coefficient > 0, RouterAuxLossCoef: coefficient}
	return tinyModelOf(t, c)
}

// A window's auxiliary loss is the mean over its micro-batches, weighed by their tokens.
func TestAModelsOwnLossIsAddedToTheGradients(t *testing.T) {
	const coefficient = 0.7
	data := tinyData(2)
	c := unpacked(1, 2)
	_, plain := gradients(t, experts(t, 0), data, c)
	_, both := gradients(t, experts(t, coefficient), data, c)

	m := experts(t, coefficient)
	if experts(t, 0).HasAuxLoss() || !m.HasAuxLoss() {
		t.Error("output_router_logits does not say whether there is a loss")
	}
	tape := tensor.CPU().NewTape()
	defer tape.Close()
	own := tensor.NewGrads(m.Parameters(), tensor.F32)
	total := len(data[0].Tokens) + len(data[1].Tokens)
	for _, s := range data {
		_, loss := m.HiddenAux(models.Batch{IDs: tensor.FromSlice(tape, s.Tokens, 1, len(s.Tokens))})
		loss.MulScalar(float64(len(s.Tokens)) / float64(total)).Backward(own)
		tape.Reset()
	}
	for name, p := range m.Parameters() {
		want, got := own.Of(p).Float64s(), both[name]
		size := 0.0
		for i, x := range want {
			got[i] -= plain[name][i]
			size = max(size, math.Abs(x))
		}
		if strings.HasSuffix(name, "mlp.gate.weight") && size == 0 {
			t.Fatalf("the model's own loss has no gradient of %s: the test shows nothing", name)
		}
		for i, x := range want {
			if math.Abs(got[i]-x) > 1e-4*size+1e-7 {
				t.Fatalf("the gradient of %s grew at %d by %g, want %g", name, i, got[i], x)
			}
		}
	}
}
