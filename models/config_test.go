package models_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"testing"

	"github.com/hone-ml/hone/models"
	"github.com/hone-ml/hone/tensor"
)

// someConfig is what an architecture might read.
type someConfig struct {
	Width       int                 `json:"width"`
	RopeTheta   float64             `json:"rope_theta"`
	RopeScaling *models.RopeScaling `json:"rope_scaling"`
	DType       string              `json:"dtype"`
}

var llama3 = &models.RopeScaling{Type: "llama3", Factor: 8, LowFreqFactor: 1, HighFreqFactor: 4, OriginalMaxPositionEmbeddings: 8192}

func TestReadConfigBringsEveryFormOfAConfigToOne(t *testing.T) {
	const numbers = `"factor": 8, "low_freq_factor": 1, "high_freq_factor": 4, "original_max_position_embeddings": 8192`
	for _, c := range []struct {
		json string
		want someConfig
	}{
		{`{"width": 3, "other": [1]}`, someConfig{Width: 3, RopeTheta: 7}},
		{`{"rope_theta": null, "dtype": null, "torch_dtype": "float16"}`, someConfig{RopeTheta: 7, DType: "float16"}},
		{`{"rope_theta": 9, "torch_dtype": "float16", "dtype": "bfloat16"}`, someConfig{RopeTheta: 9, DType: "bfloat16"}},
		{`{"rope_parameters": {"rope_type": "default", "rope_theta": 5e5}}`, someConfig{RopeTheta: 5e5}},
		{`{"rope_parameters": {"rope_theta": 5e5}, "rope_theta": 9}`, someConfig{RopeTheta: 9}},
		{`{"rope_scaling": {"rope_type": "llama3", ` + numbers + `}}`, someConfig{RopeTheta: 7, RopeScaling: llama3}},
		{`{"rope_scaling": {"type": "llama3", ` + numbers + `}}`, someConfig{RopeTheta: 7, RopeScaling: llama3}},
		{`{"rope_parameters": {"rope_type": "llama3", "rope_theta": 5e5, ` + numbers + `}}`, someConfig{RopeTheta: 5e5, RopeScaling: llama3}},
	} {
		got := someConfig{RopeTheta: 7}
		read, err := models.ReadConfig([]byte(c.json), &got)
		if err != nil {
			t.Errorf("%s: %v", c.json, err)
			continue
		}
		if k := got.RopeScaling.Kind(); (k == "llama3") != (c.want.RopeScaling != nil) || k != "llama3" && k != "default" {
			t.Errorf("%s: of kind %s", c.json, k)
		}
		written, err := models.WriteConfig(got, read, nil)
		if err != nil {
			t.Fatal(err)
		}
		again := someConfig{RopeTheta: 7}
		if _, err := models.ReadConfig(written, &again); err != nil {
			t.Fatal(err)
		}
		if again.DType == "float32" && c.want.DType == "" { // which it stands for
			again.DType = ""
		}
		for _, x := range []*someConfig{&got, &again} {
			if x.RopeScaling != nil { // the form may differ, not what it says
				x.RopeScaling.Type, x.RopeScaling.OldType, x.RopeScaling.RopeTheta = x.RopeScaling.Kind(), "", 0
			}
			if !reflect.DeepEqual(*x, c.want) {
				t.Errorf("%s is read as %+v, want %+v", c.json, *x, c.want)
			}
		}
	}
}

func TestWriteConfigKeepsWhatItDoesNotKnowAndWritesForEveryTransformers(t *testing.T) {
	read, err := models.ReadConfig([]byte(`{"width": 1, "other": [1], "use_cache": false}`), &someConfig{})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := models.WriteConfig(someConfig{2, 5e5, llama3, "bfloat16"}, read, map[string]any{"model_type": "some", "use_cache": true})
	if err != nil {
		t.Fatal(err)
	}
	var got, want any
	if err := errors.Join(json.Unmarshal(raw, &got), json.Unmarshal([]byte(`{
		"model_type": "some", "width": 2, "other": [1], "use_cache": false, "dtype": "bfloat16", "torch_dtype": "bfloat16", "rope_theta": 5e5,
		"rope_scaling": {"rope_type": "llama3", "factor": 8, "low_freq_factor": 1, "high_freq_factor": 4, "original_max_position_embeddings": 8192},
		"rope_parameters": {"rope_type": "llama3", "factor": 8, "low_freq_factor": 1, "high_freq_factor": 4, "original_max_position_embeddings": 8192, "rope_theta": 5e5}
	}`), &want)); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("it is %s", raw)
	}
}

func TestMalformedFieldsAreNamed(t *testing.T) {
	for text, want := range map[string]string{
		`[1]`:                                   "it is a JSON array, want an object",
		`{"width": "3"}`:                        "field width is string, want int",
		`{"rope_parameters": 1}`:                "field rope_parameters is number",
		`{"rope_scaling": {"factor": "eight"}}`: "field rope_scaling.factor is string, want float64",
	} {
		_, err := models.ReadConfig([]byte(text), &someConfig{})
		wantError(t, err, want)
	}
}

func TestOnlyTakesSupportedValues(t *testing.T) {
	fields := models.Fields{"act": json.RawMessage(`"gelu"`), "bias": json.RawMessage("false"), "nothing": json.RawMessage("null"),
		"kinds": json.RawMessage(`["full", "sliding"]`), "empty": json.RawMessage("[]")}
	for _, err := range []error{fields.Only("act", "silu", "gelu"), fields.Only("bias", false), fields.Only("nothing", 1), fields.Only("absent", 1),
		fields.Only("kinds", "full", "sliding"), fields.Only("empty", 1)} {
		if err != nil {
			t.Error(err)
		}
	}
	wantError(t, fields.Only("act", "silu", "swish"), `act "gelu" is not supported, only "silu" or "swish"`)
	wantError(t, fields.Only("bias", true), `bias false is not supported, only true`)
	wantError(t, fields.Only("kinds", "full"), `kinds[1] "sliding" is not supported, only "full"`)
}

func TestBaseMakesAModelWhatGenerationAndTrainingAskFor(t *testing.T) {
	shape := models.Shape{Vocab: 10, Hidden: 8, Intermediate: 8, Layers: 2, Heads: 2, KVHeads: 1, HeadDim: 4, Positions: 32}
	if err := shape.Check(); err != nil {
		t.Fatal(err)
	}
	base := models.NewBase(tensor.CPU(), tensor.BF16, shape, models.TokenIDs{3})
	if base.Shape() != shape || base.MaxPositions() != 32 || base.StopTokens()[0] != 3 || base.Recompute() != tensor.RecomputeNone {
		t.Errorf("%+v", base)
	}
	var m any = &base
	m.(models.GenerationConfigured).SetGenerationConfig(models.GenerationConfig{EOSTokenID: models.TokenIDs{5, 6}})
	if stops := m.(models.Stopper).StopTokens(); len(stops) != 2 || stops[0] != 5 {
		t.Errorf("generation_config.json has the last word on stop tokens, not %v", stops)
	}
	m.(models.Recomputer).SetRecompute(tensor.RecomputeBlock)
	if base.Recompute() != tensor.RecomputeBlock {
		t.Error("SetRecompute sets nothing")
	}
	c := m.(models.CacheMaker).NewCache(1, 4)
	defer c.Free()
	scope := tensor.CPU().NewScope()
	defer scope.Close()
	zeros := func(heads int) *tensor.Tensor { return tensor.Zeros(scope, tensor.BF16, 1, 3, heads, 4) }
	b := models.Batch{IDs: tensor.Zeros(scope, tensor.I32, 1, 3)}
	for layer := range 2 {
		c.Attention(layer, zeros(2), zeros(1), zeros(1), b)
	}
	if c.Len(0) != 3 {
		t.Errorf("the cache holds %d tokens after both layers took 3", c.Len(0))
	}
	if _, ok := m.(models.ContextLimited); !ok {
		t.Error("a Base tells no longest sequence")
	}
}
