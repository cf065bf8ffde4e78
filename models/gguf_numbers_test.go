package models_test

import (
	"encoding/json"
	"maps"
	"math"
	"strings"
	"testing"

	"github.com/hone-ml/hone/models"
	"github.com/hone-ml/hone/models/llama"
	"github.com/hone-ml/hone/tensor"
	"github.com/hone-ml/hone/tensor/gguf"
)

// scaled is a Llama whose config.json has numbers that Llama's has not.
type scaled struct{ *llama.Model }

func (m scaled) ConfigJSON() ([]byte, error) {
	config, err := m.Model.ConfigJSON()
	return []byte(strings.Replace(string(config), `"model_type": "llama"`, `"model_type": "scaled"`, 1)), err
}

func init() {
	models.Register("scaled", func(config []byte, p tensor.Place) (models.CausalLM, error) {
		c, err := llama.ParseConfig(config)
		if err != nil {
			return nil, err
		}
		m, err := llama.New(c, p)
		return scaled{m}, err
	})
	models.RegisterGGUF("scaled", models.GGUFArchitecture{ModelType: "scaled", Class: "ScaledForCausalLM", Interleaved: true,
		Numbers: map[string]string{"residual_scale": "residual_multiplier", "attention.scale": "attention_multiplier"}})
}

// newScaled is the golden Llama's with more fields in its config.json.
func newScaled(t *testing.T, more map[string]any) models.CausalLM {
	t.Helper()
	plain, err := models.Load(ggufGolden("llama"), models.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	config := configOf(t, plain)
	config["model_type"] = "scaled"
	maps.Copy(config, more)
	raw, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	m, err := models.BuildConfig(raw, models.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	m.(scaled).Init(tensor.NewRand(1))
	return m
}

func configOf(t *testing.T, m models.CausalLM) (config map[string]any) {
	t.Helper()
	raw, err := m.(interface{ ConfigJSON() ([]byte, error) }).ConfigJSON()
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &config); err != nil {
		t.Fatal(err)
	}
	return config
}

func TestNumbersOfAnArchitectureGoThroughAGGUFFile(t *testing.T) {
	m := newScaled(t, map[string]any{"residual_multiplier": 0.22, "attention_multiplier": 0.015625})
	path := savedGGUF(t, m, models.GGUFOptions{})
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if x, _ := f.Metadata().Lookup("scaled.residual_scale"); x != float32(0.22) {
		t.Errorf("the file's scaled.residual_scale is %v, want 0.22", x)
	}
	got, err := models.Load(path, models.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if c := configOf(t, got); c["residual_multiplier"] != 0.22 || c["attention_multiplier"] != 0.015625 {
		t.Errorf("config.json has the multipliers %v and %v, want 0.22 and 0.015625", c["residual_multiplier"], c["attention_multiplier"])
	}
	if !maps.Equal(bytesOf(got), bytesOf(m)) {
		t.Error("the parameters differ")
	}
}

func TestNumbersThatAGGUFFileOrAConfigurationLacksAreNamed(t *testing.T) {
	path := savedGGUF(t, newScaled(t, map[string]any{"residual_multiplier": 0.22, "attention_multiplier": 0.015625}), models.GGUFOptions{})
	rewriteGGUF(t, path, func(_ map[string]gguf.Tensor, m *gguf.Metadata) { set(m, "scaled.residual_scale", nil) })
	if _, err := models.Load(path, models.LoadOptions{}); err == nil || !strings.Contains(err.Error(), "metadata scaled.residual_scale is missing") {
		t.Errorf("error %v", err)
	}
	err := models.SaveGGUF(path, newScaled(t, map[string]any{"residual_multiplier": 0.22}), models.GGUFOptions{})
	if err == nil || !strings.Contains(err.Error(), "config.json has no number attention_multiplier, which metadata scaled.attention.scale is to hold") {
		t.Errorf("error %v", err)
	}
}

func TestAScaleThatTheArchitectureDoesNotKnowIsRefused(t *testing.T) {
	const headDim = 8
	for _, c := range []struct {
		key  string
		x    float64
		want string // nothing if the file is read
	}{
		{"residual_scale", 0.22, "metadata llama.residual_scale is 0.22"},
		{"embedding_scale", 12, "metadata llama.embedding_scale is 12"},
		{"logit_scale", math.NaN(), "metadata llama.logit_scale is NaN"},
		{"attention.scale", 1, "metadata llama.attention.scale is 1, which is not supported, only 0.35"},
		{"attention.scale", 1 / math.Sqrt(headDim), ""},
		{"logit_scale", 1, ""},
		{"embedding_scale", 0, ""},
	} {
		m, err := models.Load(ggufGolden("llama"), models.LoadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		path := savedGGUF(t, m, models.GGUFOptions{})
		rewriteGGUF(t, path, func(_ map[string]gguf.Tensor, m *gguf.Metadata) { set(m, "llama."+c.key, c.x) })
		_, err = models.Load(path, models.LoadOptions{})
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s of %g: error %v, want %q", c.key, c.x, err, c.want)
		}
	}
}
