package models_test

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hone-ml/hone/models"
	"github.com/hone-ml/hone/models/qwen"
	"github.com/hone-ml/hone/tensor"
)

// newBlocky is a model whose rows are whole blocks.
func newBlocky(t *testing.T, tied bool) *qwen.Model {
	t.Helper()
	c := tiny(tied, "float32")
	c.HiddenSize, c.IntermediateSize = 64, 96
	m, err := qwen.New(c, tensor.CPU())
	if err != nil {
		t.Fatal(err)
	}
	m.InitFanIn(tensor.NewRand(7))
	return m
}

// lastLogits are those behind ids.
func lastLogits(m models.CausalLM, ids []int32) []float64 {
	s := tensor.CPU().NewScope()
	defer s.Close()
	h := m.Hidden(models.Batch{IDs: tensor.FromSlice(s, ids, 1, len(ids))}, nil)
	return tensor.Linear(h.Slice(1, len(ids)-1, len(ids)), m.Head(), nil).Float64s()
}

// cosine is 1 for vectors of one direction.
func cosine(x, y []float64) float64 {
	s := tensor.CPU().NewScope()
	defer s.Close()
	a, b := tensor.FromSlice(s, x), tensor.FromSlice(s, y)
	return a.Mul(b).Sum().Item() / (a.Square().Sum().Sqrt().Item() * b.Square().Sum().Sqrt().Item())
}

func TestLoadQuantizesTheWeightsOfLinearLayers(t *testing.T) {
	ids := []int32{5, 9, 2, 250, 17, 33, 4, 8, 100, 3, 61}
	for _, tied := range []bool{true, false} {
		plain := newBlocky(t, tied)
		dir := saved(t, plain)
		for dt, least := range map[tensor.DType]float64{tensor.Q8_0: 0.9995, tensor.Q4_0: 0.95} {
			m, err := models.Load(dir, models.LoadOptions{DType: new(dt)})
			if err != nil {
				t.Fatal(err)
			}
			for name, p := range m.Parameters() {
				want := tensor.F32
				if strings.HasSuffix(name, "_proj.weight") || name == "lm_head.weight" {
					want = dt
				}
				if p.DType() != want {
					t.Errorf("%s is %v, want %v", name, p.DType(), want)
				}
			}
			whole := lastLogits(m, ids)
			if c := cosine(whole, lastLogits(plain, ids)); c < least || c == 1 {
				t.Errorf("%v, tied %v: the logits have a cosine of %v to those of F32, want %v", dt, tied, c, least)
			}
			out, err := models.GenerateAll(context.Background(), m, [][]int32{ids}, models.Options{MaxTokens: 8, Stop: []int32{}})
			if err != nil || len(out[0]) != 8 {
				t.Fatalf("generation gave %v, %v", out, err)
			}
			// What decoding chose, one token at a time, one pass over the whole text chooses too.
			text := append(slices.Clone(ids), out[0][:7]...)
			logits := lastLogits(m, text)
			if best := slices.Max(logits); logits[out[0][7]] < best-1e-4*max(best, -best) {
				t.Errorf("%v, tied %v: decoding chose a logit of %v, one pass has %v", dt, tied, logits[out[0][7]], best)
			}
			if err := models.Save(filepath.Join(t.TempDir(), "again"), m); err == nil || !strings.Contains(err.Error(), dt.String()) {
				t.Errorf("saving blocks: %v", err)
			}
		}
	}
}

func TestLoadNamesAWeightThatCannotBeQuantized(t *testing.T) {
	_, err := models.Load(saved(t, newTiny(t, true, "float32")), models.LoadOptions{DType: new(tensor.Q8_0)})
	if err == nil || !strings.Contains(err.Error(), "model.layers.0.self_attn.q_proj.weight has rows of 24 elements") {
		t.Errorf("the error is %v", err)
	}
}
