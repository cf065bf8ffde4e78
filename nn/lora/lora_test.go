package lora_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hone-ml/hone/models"
	_ "github.com/hone-ml/hone/models/llama"
	"github.com/hone-ml/hone/models/modeltest"
	_ "github.com/hone-ml/hone/models/qwen"
	"github.com/hone-ml/hone/nn"
	"github.com/hone-ml/hone/nn/lora"
	"github.com/hone-ml/hone/optim"
	"github.com/hone-ml/hone/tensor"
	"github.com/hone-ml/hone/tensor/gradcheck"
)

// Every test of the package runs with freed memory poisoned.
func TestMain(m *testing.M) {
	tensor.CPU().Poison(true)
	os.Exit(m.Run())
}

const qwen = "../../models/qwen/testdata/tied"

// load loads a model of which the tests change parameters.
func load(t *testing.T, dir string, dt tensor.DType) models.CausalLM {
	t.Helper()
	m, err := models.Load(dir, models.LoadOptions{DType: new(dt), Copy: true})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func attach(t *testing.T, module any, c lora.Config, seed uint64) *lora.Adapter {
	t.Helper()
	a, err := lora.Attach(module, c, tensor.NewRand(seed))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// logits are those of a few tokens.
func logits(m models.CausalLM) func(s *tensor.Scope) *tensor.Tensor {
	return func(s *tensor.Scope) *tensor.Tensor {
		h := m.Hidden(models.Batch{IDs: tensor.FromSlice(s, []int32{5, 9, 2, 50, 17, 33, 4, 8}, 1, 8)}, nil)
		return tensor.Linear(h, m.Head(), nil)
	}
}

func numbers(m models.CausalLM) []float64 {
	s := m.Head().Device().NewScope()
	defer s.Close()
	return logits(m)(s).Float64s()
}

// disturb gives B values, so that the adapter has an effect.
func disturb(a *lora.Adapter) {
	r := tensor.NewRand(3)
	for name, p := range a.Parameters() {
		if strings.HasSuffix(name, "lora_B.weight") {
			p.FillRandn(r, 0, 0.3)
		}
	}
}

func TestAnAdapterChangesNothingUntilItIsTrainedAndOnlyItIsTrainable(t *testing.T) {
	plain := numbers(load(t, qwen, tensor.F32))
	m := load(t, qwen, tensor.F32)
	a := attach(t, m, lora.Config{Rank: 4, Alpha: 8, Targets: []string{"q_proj", "1.mlp.up_proj"}}, 1)
	if !slices.Equal(numbers(m), plain) {
		t.Error("a new adapter changes the logits")
	}
	var want, trainable []string
	for name, p := range a.Parameters() {
		want = append(want, name)
		if strings.HasSuffix(name, "lora_B.weight") != slices.Equal(p.Float64s(), make([]float64, p.Len())) {
			t.Errorf("%s: B begins with 0, A does not", name)
		}
	}
	for name, p := range m.Parameters() {
		if p.Trainable() {
			trainable = append(trainable, name)
		}
	}
	if len(want) != 6 || want[0] != "model.layers.0.self_attn.q_proj.lora_A.weight" || !slices.Equal(trainable, want) {
		t.Errorf("trainable are %q, the adapter's parameters %q", trainable, want)
	}
	grads := tensor.NewGrads(m.Parameters(), tensor.F32)
	defer grads.Free()
	opt := optim.NewAdamW(optim.Split(m.Parameters(), 0.01, 0), optim.AdamWConfig{})
	kept := map[string]bool{}
	for name := range opt.State() {
		kept[name] = true
	}
	n := 0
	for range grads.All() {
		n++
	}
	if n != 6 || len(kept) != 12 {
		t.Errorf("%d gradients and %d tensors of the optimizer, want 6 and 12: %v", n, len(kept), kept)
	}
}

func TestTheFirstValuesAreThoseOfTheSeed(t *testing.T) {
	values := func(seed uint64) (all []float64) {
		for _, p := range attach(t, load(t, qwen, tensor.F32), lora.Config{Rank: 2, Alpha: 1, Targets: []string{lora.AllLinear}}, seed).Parameters() {
			all = append(all, p.Float64s()...)
		}
		return all
	}
	if one := values(1); !slices.Equal(one, values(1)) || slices.Equal(one, values(2)) {
		t.Error("one seed must give one adapter, another seed another")
	}
}

func TestGradientsOfAnAdapterAreRight(t *testing.T) {
	d, r := tensor.CPU(), tensor.NewRand(5)
	base := nn.NewLinear(d, tensor.F64, 5, 4, true)
	base.ResetParameters(r)
	x := tensor.Empty(d, tensor.F64, 2, 3, 5)
	x.FillRandn(r, 0, 1)
	x.SetTrainable(true)
	for _, c := range []lora.Config{{Rank: 3, Alpha: 2}, {Rank: 3, Alpha: 2, RankStabilised: true}, {Rank: 2, Alpha: 3, Dropout: 0.4}} {
		l := lora.NewLinear(base, c, r)
		l.B.FillRandn(r, 0, 1)
		gradcheck.Check(t, func(x ...*tensor.Tensor) *tensor.Tensor { return l.Forward(x[0]) }, x, l.A, l.B, base.Weight, base.Bias)
	}
}

func TestDropoutIsForTrainingAlone(t *testing.T) {
	m := load(t, qwen, tensor.F32)
	a := attach(t, m, lora.Config{Rank: 4, Alpha: 8, Dropout: 0.5, Targets: []string{lora.AllLinear}}, 1)
	disturb(a)
	evaluated := numbers(m)
	train := func(seed uint64) []float64 {
		tape := tensor.CPU().NewTape()
		defer tape.Close()
		tape.UseRand(tensor.NewRand(seed))
		return logits(m)(tape).Float64s()
	}
	if !slices.Equal(evaluated, numbers(m)) {
		t.Error("evaluation is random")
	}
	if one := train(1); slices.Equal(one, evaluated) || !slices.Equal(one, train(1)) || slices.Equal(one, train(2)) {
		t.Error("training must drop, by the scope's Rand")
	}
}

func TestAttachNamesWhatDoesNotFitAndChangesNothing(t *testing.T) {
	m := load(t, qwen, tensor.F32)
	good := lora.Config{Rank: 4, Alpha: 8, Targets: []string{"q_proj"}}
	for part, change := range map[string]func(c *lora.Config){
		"rank is 0":       func(c *lora.Config) { c.Rank = 0 },
		"alpha is 0":      func(c *lora.Config) { c.Alpha = 0 },
		"dropout is 1":    func(c *lora.Config) { c.Dropout = 1 },
		"no targets":      func(c *lora.Config) { c.Targets = nil },
		"stands alone":    func(c *lora.Config) { c.Targets = []string{"q_proj", lora.AllLinear} },
		`"proj" matches`:  func(c *lora.Config) { c.Targets = []string{"proj"} },
		`"lm_head" match`: func(c *lora.Config) { c.Targets = []string{"q_proj", "lm_head"} },
		"there are q_proj, k_proj, v_proj, o_proj, gate_proj": func(c *lora.Config) { c.Targets = []string{"fc1"} },
	} {
		c := good
		change(&c)
		if _, err := lora.Attach(m, c, tensor.NewRand(1)); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("the error lacks %q: %v", part, err)
		}
	}
	for name, p := range m.Parameters() {
		if !p.Trainable() || strings.Contains(name, "lora") {
			t.Fatalf("%s: an error changed the model", name)
		}
	}
	attach(t, m, good, 1)
	if _, err := lora.Attach(m, good, tensor.NewRand(1)); err == nil || !strings.Contains(err.Error(), "q_proj has an adapter already") {
		t.Errorf("a second adapter: %v", err)
	}
	head := nn.NewMLP(tensor.CPU(), tensor.F32, nn.ReLU{}, 2, 3)
	if _, err := lora.Attach(head, good, tensor.NewRand(1)); err == nil || !strings.Contains(err.Error(), "no linear layer in a field of type nn.Layer") {
		t.Errorf("a module without places: %v", err)
	}
}

func TestAFrozenQuantisedBaseTrainsAnAdapter(t *testing.T) {
	for _, dt := range []tensor.DType{tensor.BF16, tensor.Q8_0, tensor.Q4_0} {
		d, r := tensor.CPU(), tensor.NewRand(9)
		m := nn.NewGatedMLP(d, tensor.BF16, 32, 64)
		nn.Initialize(m, r)
		if dt.IsQuantized() {
			if err := nn.Quantize(m, dt); err != nil {
				t.Fatal(err)
			}
		}
		a := attach(t, m, lora.Config{Rank: 4, Alpha: 8, Targets: []string{lora.AllLinear}}, 1)
		if a.BaseDType() != dt {
			t.Fatalf("the base is %s, want %s", a.BaseDType(), dt)
		}
		opt := optim.NewAdamW(optim.Split(nn.Parameters(m), 0.01, 0), optim.AdamWConfig{})
		grads := tensor.NewGrads(nn.Parameters(m), tensor.F32)
		defer grads.Free()
		var losses []float64
		for range 30 {
			tape := d.NewTape()
			data := tensor.NewRand(11)
			x, y := tensor.Randn(tape, tensor.BF16, data, 8, 32), tensor.Randn(tape, tensor.BF16, data, 8, 32)
			loss := m.Forward(x).Sub(y).To(tensor.F32).Square().Mean()
			losses = append(losses, loss.Item())
			grads.Zero()
			loss.Backward(grads)
			if err := opt.Step(grads); err != nil {
				t.Fatal(err)
			}
			tape.Close()
		}
		if losses[29] > 0.5*losses[0] {
			t.Errorf("%s: the loss went from %g to %g", dt, losses[0], losses[29])
		}
		err := a.Merge(func(s *tensor.Scope) *tensor.Tensor {
			return m.Forward(tensor.Randn(s, tensor.BF16, tensor.NewRand(2), 8, 32))
		})
		if merged := err == nil; merged == dt.IsQuantized() {
			t.Errorf("%s: merging: %v", dt, err)
		}
	}
}

func TestMergedWeightsComputeWhatTheAdapterComputes(t *testing.T) {
	for _, dt := range []tensor.DType{tensor.F64, tensor.F32, tensor.BF16} {
		m := load(t, qwen, dt)
		plain := numbers(m)
		a := attach(t, m, lora.Config{Rank: 4, Alpha: 8, Targets: []string{lora.AllLinear}}, 1)
		disturb(a)
		want := numbers(m)
		if err := a.Merge(logits(m)); err != nil {
			t.Fatalf("%s: %v", dt, err)
		}
		got := numbers(m)
		if far := modeltest.Apart(plain, want); far < 0.1 {
			t.Fatalf("the adapter has an effect of %g only", far)
		}
		if off, most := modeltest.Apart(got, want), map[tensor.DType]float64{tensor.F64: 1e-12, tensor.F32: 1e-5, tensor.BF16: 0.05}[dt]; off > most {
			t.Errorf("%s: merged logits are off by %.2g", dt, off)
		}
		for name, p := range m.Parameters() {
			if strings.Contains(name, "lora") || p.DType() != dt {
				t.Errorf("%s is there after merging, in %s", name, p.DType())
			}
		}
	}
}

func TestEveryExpertCanHaveAnAdapter(t *testing.T) {
	m := load(t, "../../models/qwen/testdata/moe", tensor.F32)
	a := attach(t, m, lora.Config{Rank: 2, Alpha: 4, Targets: []string{lora.AllLinear}}, 1)
	disturb(a)
	want := numbers(m)
	tape := tensor.CPU().NewTape()
	defer tape.Close()
	grads := tensor.NewGrads(m.Parameters(), tensor.F32)
	defer grads.Free()
	logits(m)(tape).Square().Mean().Backward(grads)
	learning := map[string]bool{}
	for name, g := range grads.All() {
		if !slices.Equal(g.Float64s(), make([]float64, g.Len())) {
			learning[name] = true
		}
	}
	for _, part := range []string{"mlp.gate.lora_A", "experts.0.up_proj.lora_B", "q_proj.lora_A"} {
		if !slices.ContainsFunc(slices.Collect(maps.Keys(learning)), func(name string) bool { return strings.Contains(name, part) }) {
			t.Errorf("no %s has a gradient", part)
		}
	}
	if err := a.Merge(logits(m)); err != nil {
		t.Fatal(err)
	}
	if off := modeltest.Apart(numbers(m), want); off > 1e-5 {
		t.Errorf("merged logits are off by %.2g", off)
	}
}

func TestAMergeThatChangesTheOutputsIsUndone(t *testing.T) {
	m := load(t, qwen, tensor.F32)
	a := attach(t, m, lora.Config{Rank: 4, Alpha: 8, Targets: []string{lora.AllLinear}}, 1)
	disturb(a)
	before := numbers(m)
	calls := 0.0
	err := a.Merge(func(s *tensor.Scope) *tensor.Tensor { calls++; return logits(m)(s).AddScalar(calls) })
	if err == nil || !strings.Contains(err.Error(), "differ from the adapter's") {
		t.Errorf("the error is %v", err)
	}
	err = a.Merge(func(s *tensor.Scope) *tensor.Tensor {
		if calls++; calls == 4 {
			return tensor.Ones(s, tensor.F32, 2).Reshape(3)
		}
		return logits(m)(s)
	})
	if err == nil || !strings.Contains(err.Error(), "Reshape") {
		t.Errorf("the error is %v", err)
	}
	if !slices.Equal(numbers(m), before) {
		t.Error("the adapter is not as it was")
	}
	if err := a.Save(filepath.Join(t.TempDir(), "a")); err != nil {
		t.Error(err)
	}
}
