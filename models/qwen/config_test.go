package qwen

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/hone-ml/hone/models"
	"github.com/hone-ml/hone/tensor"
)

// changed is the config.json of testdata/tied with some fields changed; nil takes a field away.
func changed(t testing.TB, fields map[string]any) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", "tied", "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	var c map[string]any
	if err := json.Unmarshal(raw, &c); err != nil {
		t.Fatal(err)
	}
	maps.Copy(c, fields)
	maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
	if raw, err = json.Marshal(c); err != nil {
		t.Fatal(err)
	}
	return raw
}

var sizes = []string{"vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
	"num_key_value_heads", "head_dim", "max_position_embeddings"}

func TestMalformedConfigsAreErrorsThatNameTheField(t *testing.T) {
	type fields = map[string]any
	cases := []struct {
		fields fields
		want   []string
	}{
		{fields{"vocab_size": nil}, []string{"vocab_size is 0, want 1 to"}},
		{fields{"model_type": "qwen2", "head_dim": nil, "num_attention_heads": 8}, []string{"head_dim 3 is odd"}}, // 24 / 8
		{fields{"hidden_size": nil}, []string{"hidden_size is 0"}},
		{fields{"head_dim": 7}, []string{"head_dim 7 is odd"}},
		{fields{"num_attention_heads": 5}, []string{"num_attention_heads 5", "num_key_value_heads 2"}},
		{fields{"num_attention_heads": 1 << 15, "head_dim": 1 << 10}, []string{"num_attention_heads 32768", "head_dim 1024"}},
		{fields{"rms_norm_eps": -1e-6}, []string{"rms_norm_eps -1e-06"}},
		{fields{"rms_norm_eps": "small"}, []string{"field rms_norm_eps is string"}},
		{fields{"rope_theta": -1.0}, []string{"rope_theta -1"}},
		{fields{"rope_theta": true}, []string{"field rope_theta is bool"}},
		{fields{"dtype": "int8"}, []string{`dtype "int8"`}},
		{fields{"dtype": nil, "torch_dtype": "float8_e4m3fn"}, []string{`dtype "float8_e4m3fn"`}},
		{fields{"dtype": 16}, []string{"field dtype is number"}},
		{fields{"tie_word_embeddings": "yes"}, []string{"field tie_word_embeddings is string"}},
		{fields{"eos_token_id": "end"}, []string{`field eos_token_id is "end", want []int32`}},
		{fields{"eos_token_id": []any{1, nil, "x"}}, []string{`field eos_token_id is [1,null,"x"]`}},
		{fields{"hidden_act": "gelu"}, []string{`hidden_act "gelu"`, "silu"}},
		{fields{"attention_bias": true}, []string{"attention_bias"}},
		{fields{"use_sliding_window": true}, []string{"use_sliding_window"}},
		{fields{"layer_types": []string{"full_attention", "sliding_attention"}}, []string{`layer_types[1] "sliding_attention" is not supported, only "full_attention"`}},
		{fields{"layer_types": 3}, []string{"layer_types 3 is not supported"}},
		{fields{"rope_scaling": fields{"rope_type": "yarn", "factor": 4}}, []string{"rope_scaling"}},
		{fields{"rope_scaling": 3}, []string{"rope_scaling"}},
		{fields{"rope_parameters": fields{"rope_type": "yarn"}}, []string{`rope_scaling {"rope_type":"yarn"} is not supported, only null`}},
		{fields{"rope_parameters": fields{"rope_type": 1}}, []string{"field rope_parameters.rope_type is number"}},
		{fields{"rope_parameters": []int{1}}, []string{"field rope_parameters is array"}},
	}
	for _, name := range sizes {
		for _, wrong := range []any{"64", 64.5, true, []int{64}, fields{"value": 64}, 1e300} {
			cases = append(cases, struct {
				fields fields
				want   []string
			}{fields{name: wrong}, []string{"field " + name}})
		}
		for _, wrong := range []int{-1, -1 << 62, 1 << 25, 1 << 62} {
			cases = append(cases, struct {
				fields fields
				want   []string
			}{fields{name: wrong}, []string{fmt.Sprintf("%s is %d, want 1 to", name, wrong)}})
		}
	}
	var before, after runtime.MemStats
	for _, c := range cases {
		data := changed(t, c.fields)
		runtime.ReadMemStats(&before)
		_, err := models.BuildConfig(data, models.LoadOptions{})
		runtime.ReadMemStats(&after)
		if err == nil {
			t.Errorf("%v: no error", c.fields)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%v: error %q does not say %q", c.fields, err, want)
			}
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > 256<<10 {
			t.Errorf("%v: %d bytes for an error", c.fields, n)
		}
	}
}

func TestAModelTooLargeForMemoryIsRefusedBeforeAnythingIsAllocated(t *testing.T) {
	dev := tensor.CPU()
	for _, fields := range []map[string]any{
		{"vocab_size": 1 << 24, "hidden_size": 1 << 20},
		{"num_hidden_layers": 1 << 12, "intermediate_size": 1 << 20, "hidden_size": 1 << 20},
		{"num_attention_heads": 1 << 10, "num_key_value_heads": 1 << 10, "head_dim": 1 << 10, "hidden_size": 1 << 20},
	} {
		var heap, heapAfter runtime.MemStats
		runtime.ReadMemStats(&heap)
		before := dev.Memory()
		_, err := models.BuildConfig(changed(t, fields), models.LoadOptions{})
		runtime.ReadMemStats(&heapAfter)
		if _, ok := errors.AsType[*tensor.OOMError](err); !ok || !strings.Contains(err.Error(), " parameters in f32 does not fit: ") {
			t.Errorf("%v: error %v", fields, err)
		}
		if after := dev.Memory(); after.Reserved > before.Reserved {
			t.Errorf("%v: %d bytes were reserved", fields, after.Reserved-before.Reserved)
		}
		if n := heapAfter.TotalAlloc - heap.TotalAlloc; n > 256<<10 {
			t.Errorf("%v: %d bytes of heap", fields, n)
		}
	}
	c := Sizes["qwen3-32b"]
	c.VocabSize = 0
	if _, err := New(c, dev); err == nil || !strings.Contains(err.Error(), "vocab_size") {
		t.Errorf("error %v", err)
	}
}

func TestAbsentFieldsHaveTheirDefaults(t *testing.T) {
	c, err := ParseConfig(changed(t, map[string]any{"head_dim": nil, "rms_norm_eps": nil, "rope_parameters": nil, "rope_theta": nil,
		"max_position_embeddings": nil, "num_key_value_heads": nil, "dtype": nil, "torch_dtype": nil, "eos_token_id": nil}))
	if err != nil {
		t.Fatal(err)
	}
	if c.HeadDim != 128 || c.RMSNormEps != 1e-6 || c.RopeTheta != 1e4 || c.MaxPositionEmbeddings != 32768 ||
		c.NumKeyValueHeads != c.NumAttentionHeads || c.dtype() != tensor.F32 || c.EOSTokenID != nil {
		t.Errorf("%+v", c)
	}
	data, err := c.JSON()
	if err != nil || !strings.Contains(string(data), `"dtype": "float32"`) || !strings.Contains(string(data), `"torch_dtype": "float32"`) {
		t.Errorf("the dtype is not written: %s (%v)", data, err)
	}
}

func TestConfigsKeepTheirFieldsWhenWritten(t *testing.T) {
	for _, v := range variants {
		raw, err := os.ReadFile(filepath.Join("testdata", v, "config.json"))
		if err != nil {
			t.Fatal(err)
		}
		c, err := ParseConfig(raw)
		if err != nil {
			t.Fatal(err)
		}
		written, err := c.JSON()
		if err != nil {
			t.Fatal(err)
		}
		var in, out map[string]any
		if err := errors.Join(json.Unmarshal(raw, &in), json.Unmarshal(written, &out)); err != nil {
			t.Fatal(err)
		}
		for name, want := range in {
			if got := out[name]; fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%s: %s became %v, was %v", v, name, got, want)
			}
		}
		again, err := ParseConfig(written)
		if err != nil {
			t.Fatal(err)
		}
		c.read, again.read = nil, nil
		if !reflect.DeepEqual(c, again) {
			t.Errorf("%s: read again it is %+v, was %+v", v, again, c)
		}
	}
}

func TestReleasedSizesHaveTheirParameters(t *testing.T) {
	for name, want := range map[string]int{
		"qwen3-0.6b": 596_049_920, "qwen3-1.7b": 1_720_574_976, "qwen3-4b": 4_022_468_096,
		"qwen3-8b": 8_190_735_360, "qwen3-14b": 14_768_307_200, "qwen3-32b": 32_762_123_264,
	} {
		c := Sizes[name]
		if err := c.check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := c.Parameters(); got != want {
			t.Errorf("%s has %d parameters, want %d", name, got, want)
		}
	}
	for _, v := range append(slices.Clone(variants), "qwen2", "moe") {
		m := load(t, tensor.CPU(), v, nil)
		n := 0
		for _, p := range m.Parameters() {
			n += p.Len()
		}
		if got := m.Config.Parameters(); got != n {
			t.Errorf("%s: %d parameters, counted %d", v, got, n)
		}
	}
}

func TestStopTokensComeFromGenerationConfig(t *testing.T) {
	m := load(t, tensor.CPU(), "tied", nil)
	if !slices.Equal(m.StopTokens(), []int32{96, 95}) || !slices.Equal(m.Config.EOSTokenID, []int32{96}) {
		t.Errorf("stop tokens %v, eos_token_id %v", m.StopTokens(), m.Config.EOSTokenID)
	}
}

func TestInitDrawsAsItSays(t *testing.T) {
	m, err := New(demo, tensor.CPU())
	if err != nil {
		t.Fatal(err)
	}
	deviation := func(p *tensor.Tensor) float64 {
		s := tensor.CPU().NewScope()
		defer s.Close()
		return p.In(s).Square().Mean().Sqrt().Item()
	}
	check := func(want func(name string) float64) {
		t.Helper()
		for name, p := range m.Parameters() {
			if got, want := deviation(p), want(name); got < 0.95*want || got > 1.05*want {
				t.Errorf("%s has a deviation of %.4g, want %.4g", name, got, want)
			}
		}
	}
	m.Init(tensor.NewRand(1))
	check(func(name string) float64 {
		if strings.Contains(name, "norm") {
			return 1
		}
		return 0.02
	})
	m.InitFanIn(tensor.NewRand(1))
	check(func(name string) float64 {
		switch {
		case strings.Contains(name, "norm"):
			return 1
		case strings.Contains(name, "embed"):
			return 0.02
		case strings.Contains(name, "o_proj"): // 1/√(128·2·4)
			return 0.03125
		case strings.Contains(name, "down_proj"): // 1/√(384·2·4)
			return 0.01804
		}
		return 0.08839 // 1/√128
	})
}

func TestMalformedExpertsAreErrorsThatNameTheField(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("testdata", "moe", "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		field string
		value any
		want  string
	}{
		{"num_experts", 0, "num_experts is 0, want 1 to"},
		{"num_experts", 1 << 40, "num_experts is 1099511627776, want 1 to"},
		{"num_experts", 200_000, "num_experts 200000 times moe_intermediate_size 10"},
		{"num_experts_per_tok", 6, "num_experts_per_tok is 6, want 1 to 5"},
		{"moe_intermediate_size", -1, "moe_intermediate_size is -1"},
		{"decoder_sparse_step", 0, "decoder_sparse_step is 0"},
		{"mlp_only_layers", "none", "field mlp_only_layers is string"},
		{"router_aux_loss_coef", -0.1, "router_aux_loss_coef -0.1 is negative"},
		{"norm_topk_prob", 1, "field norm_topk_prob is number, want bool"},
	} {
		var config map[string]any
		if err := json.Unmarshal(raw, &config); err != nil {
			t.Fatal(err)
		}
		config[c.field] = c.value
		changed, err := json.Marshal(config)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := models.BuildConfig(changed, models.LoadOptions{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %v: error %v, want: %s", c.field, c.value, err, c.want)
		}
	}
	renamed := strings.Replace(string(raw), `"num_experts"`, `"num_local_experts"`, 1)
	if c, err := ParseConfig([]byte(renamed)); err != nil || c.NumExperts != 5 {
		t.Errorf("num_local_experts is not read: %+v, %v", c.Experts, err)
	}
	dense := Sizes["qwen3-0.6b"]
	dense.Experts = &Experts{}
	if _, err := New(dense, tensor.CPU()); err == nil || !strings.Contains(err.Error(), "experts (true) do not go together") {
		t.Errorf("a dense model with experts: %v", err)
	}
}

func FuzzParseConfig(f *testing.F) {
	f.Add(changed(f, nil))
	f.Add(changed(f, map[string]any{"rope_parameters": nil, "rope_theta": 1e4, "rope_scaling": nil}))
	f.Add(changed(f, map[string]any{"head_dim": 1 << 20, "num_attention_heads": 1}))
	f.Add([]byte(`{"vocab_size":1,"hidden_size":1,"intermediate_size":1,"num_hidden_layers":1,"num_attention_heads":1}`))
	f.Add(changed(f, map[string]any{"model_type": "qwen3_moe", "num_experts": 4, "num_experts_per_tok": 2, "mlp_only_layers": []int{1}}))
	f.Add([]byte(`[{}]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := ParseConfig(data)
		if err != nil {
			return
		}
		// what is accepted has sizes that do not overflow, and survives writing
		if n := c.Parameters(); n <= 0 || n > 1<<56 {
			t.Fatalf("%d parameters", n)
		}
		written, err := c.JSON()
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseConfig(written)
		if err != nil {
			t.Fatalf("%v in what was written: %s", err, written)
		}
		c.read, again.read = nil, nil
		c.DType, again.DType = c.dtype().String(), again.dtype().String()
		if !reflect.DeepEqual(c, again) {
			t.Fatalf("read again it is %+v, was %+v", again, c)
		}
	})
}
