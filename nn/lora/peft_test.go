package lora_test

import (
	"encoding/binary"
	"encoding/json"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hone-ml/hone/models"
	"github.com/hone-ml/hone/models/modeltest"
	"github.com/hone-ml/hone/nn/lora"
	"github.com/hone-ml/hone/tensor"
	"github.com/hone-ml/hone/tensor/safetensors"
)

var bases = map[string]string{"qwen3": qwen, "llama": "../../models/llama/testdata/llama3"}

// golden is a file of numbers that PEFT computed.
type golden struct {
	t *testing.T
	f *safetensors.File
}

func open(t *testing.T, path string) golden {
	t.Helper()
	f, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return golden{t, f}
}

func (g golden) ids(s *tensor.Scope, name string) *tensor.Tensor {
	info, _ := g.f.Info(name)
	return tensor.FromBytes(s, tensor.I32, g.f.Bytes(name), info.Shape...)
}

func (g golden) near(name string, got []float64, tolerance float64) {
	g.t.Helper()
	raw := g.f.Bytes(name)
	want := make([]float64, len(raw)/4)
	for i := range want {
		want[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:])))
	}
	if off := modeltest.Apart(got, want); !(off <= tolerance) {
		g.t.Errorf("%s is off by %.2g", name, off)
	}
}

func TestAdaptersComputeWhatPEFTComputes(t *testing.T) {
	for name, base := range bases {
		modeltest.OnEveryDevice(t, func(t *testing.T, dev *tensor.Device) {
			m, err := models.Load(base, models.LoadOptions{Device: dev})
			if err != nil {
				t.Fatal(err)
			}
			a, err := lora.Load(m, filepath.Join("testdata", name))
			if err != nil {
				t.Fatal(err)
			}
			g := open(t, filepath.Join("testdata", name, "goldens.safetensors"))
			for _, mode := range []tensor.Recompute{tensor.RecomputeNone, tensor.RecomputeSelective, tensor.RecomputeBlock} {
				m.(models.Recomputer).SetRecompute(mode)
				tape := dev.NewTape()
				grads := tensor.NewGrads(m.Parameters(), tensor.F32)
				h := m.Hidden(models.Batch{IDs: g.ids(tape, "ids")}, nil)
				loss := tensor.LinearCrossEntropy(h, m.Head(), g.ids(tape, "targets"), tensor.CrossEntropyOptions{})
				g.near("logits", tensor.Linear(h, m.Head(), nil).Float64s(), 1e-4)
				g.near("loss", []float64{loss.Item()}, 1e-5)
				loss.Backward(grads)
				n := 0
				for name, d := range grads.All() {
					g.near("grad."+name, d.Float64s(), 1e-4)
					n++
				}
				if goldens := len(g.f.Names()) - 5; n != goldens {
					t.Errorf("%d gradients, PEFT has %d", n, goldens)
				}
				grads.Free()
				tape.Close()
			}
			if err := a.Merge(logits(m)); err != nil {
				t.Fatal(err)
			}
			s := dev.NewScope()
			defer s.Close()
			g.near("merged", tensor.Linear(m.Hidden(models.Batch{IDs: g.ids(s, "ids")}, nil), m.Head(), nil).Float64s(), 1e-4)
		})
	}
}

func TestWhatIsSavedIsLoadedAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "deep", "adapter")
	for _, c := range []lora.Config{
		{Rank: 3, Alpha: 5, Dropout: 0.1, Targets: []string{"q_proj", "up_proj"}, Base: "org/base", Revision: "v1", Task: "CAUSAL_LM"},
		{Rank: 2, Alpha: 0.5, RankStabilised: true, Targets: []string{lora.AllLinear}},
	} {
		m := load(t, qwen, tensor.F32)
		a := attach(t, m, c, 1)
		disturb(a)
		if err := a.Save(dir); err != nil || !lora.Exists(dir) || lora.Exists(filepath.Dir(dir)) {
			t.Fatal(err)
		}
		other := load(t, qwen, tensor.F32)
		b, err := lora.Load(other, dir)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(numbers(m), numbers(other)) {
			t.Error("the loaded adapter computes something else")
		}
		got := b.Config()
		if c.Targets[0] == lora.AllLinear { // PEFT writes what it stands for
			c.Targets = []string{"down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"}
		}
		if !slices.Equal(got.Targets, c.Targets) || got.Rank != c.Rank || got.Alpha != c.Alpha || got.Dropout != c.Dropout ||
			got.RankStabilised != c.RankStabilised || got.Base != c.Base || got.Revision != c.Revision || got.Task != c.Task {
			t.Errorf("the configuration came back as %+v, was %+v", got, c)
		}
		if dt, ok, err := lora.BaseDType(dir); dt != tensor.F32 || !ok || err != nil {
			t.Errorf("the base was %s, %v, %v", dt, ok, err)
		}
		was := maps.Collect(a.Parameters())
		for name, p := range b.Parameters() {
			if !p.Trainable() || !slices.Equal(p.Float64s(), was[name].Float64s()) {
				t.Errorf("%s is not as it was", name)
			}
		}
	}
}

func TestRestoreTakesTheSameAdapterOnly(t *testing.T) {
	dir := t.TempDir()
	c := lora.Config{Rank: 3, Alpha: 5, Targets: []string{"q_proj"}}
	a := attach(t, load(t, qwen, tensor.F32), c, 1)
	disturb(a)
	if err := a.Save(dir); err != nil {
		t.Fatal(err)
	}
	m := load(t, qwen, tensor.F32)
	b := attach(t, m, c, 2)
	if err := b.Restore(dir); err != nil {
		t.Fatal(err)
	}
	want := maps.Collect(a.Parameters())
	for name, p := range b.Parameters() {
		if !slices.Equal(p.Float64s(), want[name].Float64s()) {
			t.Errorf("%s was not restored", name)
		}
	}
	for part, other := range map[string]lora.Config{
		"the rank":     {Rank: 4, Alpha: 5, Targets: c.Targets},
		"alpha":        {Rank: 3, Alpha: 6, Targets: c.Targets},
		"the dropout":  {Rank: 3, Alpha: 5, Dropout: 0.1, Targets: c.Targets},
		"stabilis":     {Rank: 3, Alpha: 5, RankStabilised: true, Targets: c.Targets},
		"k_proj.lora_": {Rank: 3, Alpha: 5, Targets: []string{"k_proj"}},
		"no adapter":   {Rank: 3, Alpha: 5, Targets: []string{"0.self_attn.q_proj"}},
	} {
		if err := attach(t, load(t, qwen, tensor.F32), other, 1).Restore(dir); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("the error lacks %q: %v", part, err)
		}
	}
	if err := attach(t, load(t, qwen, tensor.BF16), c, 1).Restore(dir); err == nil || !strings.Contains(err.Error(), "was f32, now it is bf16") {
		t.Errorf("another base: %v", err)
	}
}

func TestLoadNamesWhatItCannotTakeAndChangesNothing(t *testing.T) {
	from := filepath.Join("testdata", "qwen3")
	raw, err := os.ReadFile(filepath.Join(from, lora.ConfigFile))
	if err != nil {
		t.Fatal(err)
	}
	weights, err := os.ReadFile(filepath.Join(from, lora.WeightsFile))
	if err != nil {
		t.Fatal(err)
	}
	m := load(t, qwen, tensor.F32)
	fails := func(part string, dir string) {
		t.Helper()
		if _, err := lora.Load(m, dir); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("the error lacks %q: %v", part, err)
		}
	}
	fails(lora.ConfigFile, t.TempDir())
	fails("another model", filepath.Join("testdata", "llama"))
	for part, change := range map[string]func(c map[string]any){
		"use_dora":                        func(c map[string]any) { c["use_dora"] = true },
		"rank_pattern":                    func(c map[string]any) { c["rank_pattern"] = map[string]any{"q_proj": 8} },
		"modules_to_save":                 func(c map[string]any) { c["modules_to_save"] = []string{"lm_head"} },
		"changes the weights of the base": func(c map[string]any) { c["init_lora_weights"] = "pissa_niter_4" },
		"kasa_config":                     func(c map[string]any) { c["kasa_config"] = map[string]any{} },
		`bias "all"`:                      func(c map[string]any) { c["bias"] = "all" },
		`"IA3"`:                           func(c map[string]any) { c["peft_type"] = "IA3" },
		"the rank is 0":                   func(c map[string]any) { c["r"] = 0 },
		"the rank want":                   func(c map[string]any) { c["r"] = 4 },
		"alpha":                           func(c map[string]any) { c["lora_alpha"] = -1 },
		"target_modules is":               func(c map[string]any) { c["target_modules"] = 3 },
		"r of type int":                   func(c map[string]any) { c["r"] = "many" },
	} {
		var config map[string]any
		if err := json.Unmarshal(raw, &config); err != nil {
			t.Fatal(err)
		}
		change(config)
		dir := t.TempDir()
		changed, err := json.Marshal(config)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, lora.ConfigFile), changed, 0o666); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, lora.WeightsFile), weights, 0o666); err != nil {
			t.Fatal(err)
		}
		fails(part, dir)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, lora.ConfigFile), raw, 0o666); err != nil {
		t.Fatal(err)
	}
	fails("holds no "+lora.WeightsFile, dir)
	for name, p := range m.Parameters() {
		if !p.Trainable() || strings.Contains(name, "lora") {
			t.Fatalf("%s: an error changed the model", name)
		}
	}
	var pattern map[string]any
	if err := json.Unmarshal(raw, &pattern); err != nil {
		t.Fatal(err)
	}
	pattern["target_modules"] = `.*\.(q_proj|v_proj|down_proj)`
	changed, err := json.Marshal(pattern)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, lora.ConfigFile), changed, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, lora.WeightsFile), weights, 0o666); err != nil {
		t.Fatal(err)
	}
	if a, err := lora.Load(m, dir); err != nil || len(a.Config().Targets) != 6 {
		t.Errorf("targets that are a pattern: %v", err)
	}
}
