package nn_test

import (
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/hone-ml/hone/nn"
	"github.com/hone-ml/hone/tensor"
)

type quantizable struct {
	Embed  *nn.Embedding `param:"embed"`
	Layers []nn.Layer    `param:"layers"`
	Norm   *nn.RMSNorm   `param:"norm"`
	Head   *nn.Linear    `param:"head"`
}

func newQuantizable(width int) *quantizable {
	d := tensor.CPU()
	m := &quantizable{Embed: nn.NewEmbedding(d, tensor.F32, 5, 64), Norm: nn.NewRMSNorm(d, tensor.F32, 64, 1e-6)}
	m.Layers = []nn.Layer{nn.NewLinear(d, tensor.F32, 64, width, true), nn.NewLinear(d, tensor.F32, width, 64, false)}
	m.Head = &nn.Linear{Weight: m.Embed.Weight}
	r := tensor.NewRand(1)
	for _, p := range nn.Parameters(m) {
		p.FillRandn(r, 0, 0.1)
	}
	return m
}

func (m *quantizable) forward(t *testing.T) []float64 {
	t.Helper()
	s := tensor.CPU().NewScope()
	defer s.Close()
	h := m.Embed.Forward(tensor.FromSlice(s, []int32{3, 1, 4}))
	for _, l := range m.Layers {
		h = l.Forward(h)
	}
	return m.Head.Forward(m.Norm.Forward(h)).Float64s()
}

func TestQuantizeChangesTheWeightsOfLinearsOnly(t *testing.T) {
	for dt, off := range map[tensor.DType]float64{tensor.Q8_0: 0.02, tensor.Q4_0: 0.3} {
		m := newQuantizable(96)
		before := m.forward(t)
		if err := nn.Quantize(m, dt); err != nil {
			t.Fatal(err)
		}
		for name, p := range nn.Parameters(m) {
			want := tensor.F32
			if strings.HasPrefix(name, "layers.") && strings.HasSuffix(name, ".weight") {
				want = dt
			}
			if p.DType() != want || p.Trainable() != (want == tensor.F32) {
				t.Errorf("%s is %v, trainable %v; want %v", name, p.DType(), p.Trainable(), want)
			}
		}
		if m.Head.Weight != m.Embed.Weight {
			t.Error("the tied head was cut off from the embedding")
		}
		if err := nn.Quantize(m, dt); err == nil || !strings.Contains(err.Error(), "layers.0.weight is "+dt.String()+" already") {
			t.Errorf("a second time: %v", err)
		}
		largest, worst := 0.0, 0.0
		for i, v := range m.forward(t) {
			largest, worst = max(largest, math.Abs(before[i])), max(worst, math.Abs(v-before[i]))
		}
		if worst == 0 || worst > off*largest {
			t.Errorf("%v moved the result by %v of %v", dt, worst, largest)
		}
	}
}

func TestQuantizeEmptyMakesTheBlocksAndLeavesTheirValuesToTheCaller(t *testing.T) {
	want, m := newQuantizable(96), newQuantizable(96)
	if err := nn.Quantize(want, tensor.Q8_0); err != nil {
		t.Fatal(err)
	}
	if err := nn.QuantizeEmpty(m, tensor.Q8_0); err != nil {
		t.Fatal(err)
	}
	values := maps.Collect(nn.Parameters(want))
	for name, p := range nn.Parameters(m) {
		if p.DType() != values[name].DType() {
			t.Errorf("%s is %v, want %v", name, p.DType(), values[name].DType())
		}
		p.CopyFrom(values[name])
	}
	if !slices.Equal(m.forward(t), want.forward(t)) {
		t.Error("blocks that were filled compute something else")
	}
}

func TestQuantizeNamesAWeightWithoutWholeBlocksAndChangesNothing(t *testing.T) {
	m := newQuantizable(40)
	err := nn.Quantize(m, tensor.Q8_0)
	if err == nil || !strings.Contains(err.Error(), "layers.1.weight has rows of 40 elements") {
		t.Fatalf("the error is %v", err)
	}
	for name, p := range nn.Parameters(m) {
		if p.DType() != tensor.F32 {
			t.Errorf("%s is %v", name, p.DType())
		}
	}
	if err := nn.Quantize(m, tensor.BF16); err == nil || !strings.Contains(err.Error(), "bf16") {
		t.Errorf("to BF16: %v", err)
	}
}
