package llama

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hone-ml/hone/models"
	"github.com/hone-ml/hone/models/modeltest"
	"github.com/hone-ml/hone/nn"
	"github.com/hone-ml/hone/tensor"
)

var variants = []string{"llama2", "llama3", "biased"}

func TestLlamasComputeWhatTransformersComputes(t *testing.T) {
	for _, v := range variants {
		t.Run(v, func(t *testing.T) { modeltest.Run(t, filepath.Join("testdata", v)) })
	}
}

// released are configurations as published, and what they count.
var released = map[string]struct {
	config     string
	parameters int
}{
	"Llama-2-7b": {`{"vocab_size": 32000, "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32, "num_attention_heads": 32}`, 6_738_415_616},
	"Llama-3.2-1B": {`{"vocab_size": 128256, "hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16, "num_attention_heads": 32,
		"num_key_value_heads": 8, "head_dim": 64, "tie_word_embeddings": true}`, 1_235_814_400},
	"TinyLlama-1.1B": {`{"vocab_size": 32000, "hidden_size": 2048, "intermediate_size": 5632, "num_hidden_layers": 22, "num_attention_heads": 32,
		"num_key_value_heads": 4}`, 1_100_048_384},
	"SmolLM2-135M": {`{"vocab_size": 49152, "hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30, "num_attention_heads": 9,
		"num_key_value_heads": 3, "tie_word_embeddings": true}`, 134_515_008},
}

func TestReleasedSizesHaveTheirParameters(t *testing.T) {
	for name, r := range released {
		c, err := ParseConfig([]byte(r.config))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := c.Parameters(); got != r.parameters {
			t.Errorf("%s has %d parameters, want %d", name, got, r.parameters)
		}
	}
	for _, v := range variants {
		m, err := models.Load(filepath.Join("testdata", v), models.LoadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if c := m.(*Model).Config; c.Parameters() != nn.Count(m.Parameters()) {
			t.Errorf("%s: the configuration counts %d parameters, there are %d", v, c.Parameters(), nn.Count(m.Parameters()))
		}
	}
}

func TestMalformedConfigsAreErrorsThatNameTheField(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("testdata", "llama3", "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	type object = map[string]any
	scaled := func(name string, value any) object {
		s := object{"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 32}
		s[name] = value
		return object{"rope_scaling": s}
	}
	for _, c := range []struct {
		fields object
		want   string
	}{
		{object{"vocab_size": nil}, "vocab_size is 0, want 1 to"},
		{object{"hidden_size": "wide"}, "field hidden_size is string, want int"},
		{object{"num_attention_heads": 5}, "num_attention_heads 5 is no multiple of num_key_value_heads 2"},
		{object{"head_dim": 7}, "head_dim 7 is odd"},
		{object{"hidden_act": "gelu"}, `hidden_act "gelu" is not supported, only "silu"`},
		{object{"rms_norm_eps": 0.0}, "rms_norm_eps 0"},
		{object{"rope_theta": -1.0}, "rope_theta -1"},
		{object{"dtype": "int8"}, `dtype "int8"`},
		{object{"attention_bias": "q"}, "field attention_bias is string, want bool"},
		{object{"rope_scaling": 3}, "field rope_scaling is number"},
		{scaled("rope_type", "yarn"), `rope_type "yarn" of rope_scaling is not supported, only default and llama3`},
		{scaled("factor", 0.5), "factor at least 1"},
		{scaled("low_freq_factor", 4.0), "low_freq_factor below high_freq_factor"},
		{scaled("original_max_position_embeddings", 0), "a positive original_max_position_embeddings"},
		{scaled("original_max_position_embeddings", "8k"), "field rope_scaling.original_max_position_embeddings is string"},
	} {
		var config object
		if err := json.Unmarshal(raw, &config); err != nil {
			t.Fatal(err)
		}
		for name, value := range c.fields {
			config[name] = value
		}
		changed, err := json.Marshal(config)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := models.BuildConfig(changed, models.LoadOptions{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: error %v, want: %s", c.fields, err, c.want)
		}
	}
}

func TestInitDrawsAsTransformersDoes(t *testing.T) {
	m, err := models.Build(filepath.Join("testdata", "biased"), models.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	m.(*Model).Init(tensor.NewRand(1))
	for name, p := range m.Parameters() {
		s := tensor.CPU().NewScope()
		mean, rms := p.In(s).Mean().Item(), p.In(s).Square().Mean().Sqrt().Item()
		s.Close()
		switch {
		case strings.HasSuffix(name, ".bias"):
			if rms != 0 {
				t.Errorf("%s is not 0", name)
			}
		case strings.Contains(name, "norm"):
			if mean != 1 || rms != 1 {
				t.Errorf("%s is not 1", name)
			}
		case rms < 0.017 || rms > 0.023:
			t.Errorf("%s has a deviation of %.3g, want 0.02", name, rms)
		}
	}
}

func FuzzParseConfig(f *testing.F) {
	for _, v := range variants {
		raw, err := os.ReadFile(filepath.Join("testdata", v, "config.json"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Add([]byte(released["Llama-2-7b"].config))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := ParseConfig(data)
		if err != nil {
			return
		}
		// what is accepted has sizes that do not overflow, and survives writing
		if n := c.Parameters(); n <= 0 || n > 1<<56 {
			t.Fatalf("%d parameters", n)
		}
		if c.HeadDim <= 1<<10 && c.RopeTheta >= 1 {
			for _, x := range c.frequencies() {
				if !(x >= 0 && x < 1.00001) { // rounding apart
					t.Fatalf("a frequency of %g", x)
				}
			}
		}
		written, err := c.JSON()
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseConfig(written)
		if err != nil {
			t.Fatalf("%v in what was written: %s", err, written)
		}
		if again.Parameters() != c.Parameters() || again.RopeTheta != c.RopeTheta || again.RopeScaling.Kind() != c.RopeScaling.Kind() {
			t.Fatalf("read again it is %+v, was %+v", again, c)
		}
	})
}
