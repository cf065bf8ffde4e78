package models_test

import (
	"encoding/json"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hone-ml/hone/models"
	"github.com/hone-ml/hone/models/qwen"
	"github.com/hone-ml/hone/nn"
	"github.com/hone-ml/hone/tensor"
	"github.com/hone-ml/hone/tensor/gguf"
	"github.com/hone-ml/hone/tokenizer"
)

// savedGGUF is the file of a model.
func savedGGUF(t testing.TB, m models.CausalLM, o models.GGUFOptions) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "model.gguf")
	if err := models.SaveGGUF(path, m, o); err != nil {
		t.Fatal(err)
	}
	return path
}

// rewriteGGUF changes the tensors, by name, and the metadata of a file.
func rewriteGGUF(t testing.TB, path string, change func(ts map[string]gguf.Tensor, m *gguf.Metadata)) {
	t.Helper()
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	ts := map[string]gguf.Tensor{}
	for info, data := range f.All() {
		ts[info.Name] = gguf.Tensor{Name: info.Name, Type: info.Type, Shape: info.Shape, Data: slices.Clone(data)}
	}
	m := slices.Clone(f.Metadata())
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	change(ts, &m)
	sorted := slices.SortedFunc(maps.Values(ts), func(a, b gguf.Tensor) int { return strings.Compare(a.Name, b.Name) })
	if err := gguf.Write(path, sorted, m); err != nil {
		t.Fatal(err)
	}
}

// set changes or adds an entry; nil removes it.
func set(m *gguf.Metadata, key string, value any) {
	*m = slices.DeleteFunc(*m, func(kv gguf.KV) bool { return kv.Key == key })
	if value != nil {
		*m = append(*m, gguf.KV{Key: key, Value: value})
	}
}

func TestAGGUFFileHoldsTheModelAsItWas(t *testing.T) {
	for _, dtype := range []string{"float32", "bfloat16", "float16"} {
		for _, tied := range []bool{true, false} {
			m := newTiny(t, tied, dtype)
			for name, p := range m.Parameters() {
				if p.Rank() == 1 && dtype == "bfloat16" && !strings.Contains(name, "q_norm") {
					p.Fill(1 + 1.0/64)
				}
			}
			path := savedGGUF(t, m, models.GGUFOptions{})
			for _, o := range []models.LoadOptions{{}, {Copy: true}} {
				got, err := models.Load(path, o)
				if err != nil {
					t.Fatal(err)
				}
				if !maps.Equal(bytesOf(got), bytesOf(m)) {
					t.Errorf("%s, tied: %v: the parameters differ", dtype, tied)
				}
				config := got.(*qwen.Model).Config
				want := m.Config
				if config.RopeTheta != want.RopeTheta || config.RMSNormEps != want.RMSNormEps || config.HeadDim != want.HeadDim ||
					config.MaxPositionEmbeddings != want.MaxPositionEmbeddings || config.TieWordEmbeddings != tied || config.DType != dtype ||
					!slices.Equal(config.EOSTokenID, want.EOSTokenID) {
					t.Errorf("%s: config %+v, want %+v", dtype, config, want)
				}
			}
		}
	}
}

func TestParametersCanBeLoadedFromAGGUFFileIntoAModelInUse(t *testing.T) {
	want := newTiny(t, true, "float32")
	m, err := qwen.New(tiny(true, "float32"), tensor.CPU())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range m.Parameters() {
		p.SetTrainable(true)
	}
	path := savedGGUF(t, want, models.GGUFOptions{DType: new(tensor.Q8_0)})
	if err := models.LoadParameters(path, m); err != nil {
		t.Fatal(err)
	}
	loaded, err := models.Load(path, models.LoadOptions{DType: new(tensor.F32)})
	if err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(bytesOf(m), bytesOf(loaded)) {
		t.Error("the parameters differ")
	}
}

func TestBlocksOfAFileStayAsTheyAre(t *testing.T) {
	for _, dt := range []tensor.DType{tensor.Q8_0, tensor.Q4_0} {
		want := newBlocky(t, false)
		path := savedGGUF(t, want, models.GGUFOptions{DType: new(dt)})
		if err := nn.Quantize(want, dt); err != nil {
			t.Fatal(err)
		}
		for _, copied := range []bool{false, true} {
			got, err := models.Load(path, models.LoadOptions{DType: new(dt), Copy: copied})
			if err != nil {
				t.Fatal(err)
			}
			parameters := maps.Collect(got.Parameters())
			for name, p := range want.Parameters() {
				if p.DType() == dt && !slices.Equal(p.Bytes(), parameters[name].Bytes()) {
					t.Errorf("%s of %s is another after a file", name, dt)
				}
				if q := parameters[name].DType(); (q == dt) != (p.DType() == dt) {
					t.Errorf("%s is %s", name, q)
				}
			}
		}
		plain, err := models.Load(path, models.LoadOptions{DType: new(tensor.F32)})
		if err != nil {
			t.Fatal(err)
		}
		values := maps.Collect(plain.Parameters())
		for name, p := range want.Parameters() {
			if p.DType() == dt && !slices.Equal(tensor.ToSlice[float32](p), tensor.ToSlice[float32](values[name])) {
				t.Errorf("%s of %s is dequantised to other values", name, dt)
			}
		}
	}
}

// Blocks that tensors do not have become floats; of weights so large that they come in pieces, too.
func TestWeightsOfEveryTypeBecomeParameters(t *testing.T) {
	c := tiny(true, "float32")
	c.HiddenSize, c.IntermediateSize, c.VocabSize, c.HeadDim = 256, 256, 1100, 64
	m, err := qwen.New(c, tensor.CPU())
	if err != nil {
		t.Fatal(err)
	}
	r := tensor.NewRand(3)
	m.Init(r)
	path := savedGGUF(t, m, models.GGUFOptions{})
	for _, kind := range []gguf.Type{gguf.Q4_0, gguf.Q4_1, gguf.Q5_0, gguf.Q5_1, gguf.Q8_0, gguf.Q4_K, gguf.Q5_K, gguf.Q6_K} {
		want := map[string][]float32{}
		rewriteGGUF(t, path, func(ts map[string]gguf.Tensor, _ *gguf.Metadata) {
			for name, x := range ts {
				if len(x.Shape) != 2 {
					continue
				}
				n := x.Shape[0] * x.Shape[1]
				data := make([]byte, n/kind.Block()*kind.Size())
				for i := range data {
					data[i] = byte(i*7+i>>8) & 0x3b // no half of such bytes is infinite
				}
				values := make([]float32, n)
				gguf.Dequantize(kind, values, data)
				want[name], ts[name] = values, gguf.Tensor{Name: name, Type: kind, Shape: x.Shape, Data: data}
			}
		})
		for _, dt := range []tensor.DType{tensor.F32, tensor.BF16} {
			o := models.LoadOptions{DType: new(dt)}
			if dt == tensor.BF16 {
				o.DType = nil // what a quantised file is loaded as
			}
			got, err := models.Load(path, o)
			if err != nil {
				t.Fatal(err)
			}
			p := maps.Collect(got.Parameters())
			for name, at := range map[string]string{"model.embed_tokens.weight": "token_embd.weight", "model.layers.1.mlp.down_proj.weight": "blk.1.ffn_down.weight"} {
				x := p[name]
				if x.DType() != dt {
					t.Errorf("%s: %s is %s, want %s", kind, name, x.DType(), dt)
				}
				for i, v := range tensor.ToSlice[float32](x) {
					w := want[at][i]
					if dt == tensor.BF16 {
						w = tensor.ToBFloat16(w).Float32()
					}
					if v != w {
						t.Errorf("%s: %s[%d] is %g, want %g", kind, name, i, v, w)
						break
					}
				}
			}
		}
	}
}

func TestRowsThatAreNoWholeBlocksAreWrittenAsHalves(t *testing.T) {
	path := savedGGUF(t, newTiny(t, true, "float32"), models.GGUFOptions{DType: new(tensor.Q8_0)})
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for name, want := range map[string]gguf.Type{"blk.0.attn_output.weight": gguf.Q8_0, "blk.0.ffn_gate.weight": gguf.F16, "blk.0.ffn_norm.weight": gguf.F32} {
		if info, _ := f.Info(name); info.Type != want {
			t.Errorf("%s is %s, want %s", name, info.Type, want)
		}
	}
}

func trained(t testing.TB) *tokenizer.Tokenizer {
	t.Helper()
	texts := []string{"SELECT name FROM singer WHERE age > 20", "how many concerts are there in 2014 or 2015?", "naïve café"}
	tok, err := tokenizer.Train(slices.Values(texts), tokenizer.TrainOptions{VocabSize: 290,
		AddedTokens: append(tokenizer.ControlTokens("<|endoftext|>", "<|im_start|>", "<|im_end|>"), tokenizer.AddedToken{Content: "<think>"}),
		EOS:         "<|im_end|>", Pad: "<|endoftext|>", ChatTemplate: tokenizer.TemplateChatML})
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func TestATokenizerComesBackFromAGGUFFile(t *testing.T) {
	want := trained(t)
	path := savedGGUF(t, newTiny(t, true, "float32"), models.GGUFOptions{Tokenizer: want})
	got, err := models.LoadTokenizer(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"SELECT 2014 singers", "<|im_start|>user\nnai\u0308ve<|im_end|>\n<think>", "\x00 日本"} {
		if ids := got.Encode(text); !slices.Equal(ids, want.Encode(text)) {
			t.Errorf("%q is %v, want %v", text, ids, want.Encode(text))
		}
	}
	wantEOS, _ := want.EOS()
	wantPad, _ := want.Pad()
	eos, _ := got.EOS()
	pad, _ := got.Pad()
	template, err := got.ChatTemplate()
	// The model's own end token has the last word.
	if name, _ := want.IDToToken(1); name != "<|im_start|>" || eos != 1 || pad != wantPad || template != tokenizer.TemplateChatML || err != nil {
		t.Errorf("end %d, padding %d, template %v, %v; want %d, %d", eos, pad, template, err, wantEOS, wantPad)
	}
	if got.VocabSize() != want.VocabSize() || got.IsSpecial(3) || !got.IsSpecial(2) {
		t.Errorf("%d tokens, want %d", got.VocabSize(), want.VocabSize())
	}
	m, err := models.Load(path, models.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	// By their names, <|im_end|> and <|endoftext|> end texts, too.
	if ends := m.(models.Stopper).StopTokens(); !slices.Equal(ends, []int32{1, 0, 2}) {
		t.Errorf("texts end with %v", ends)
	}
}

// controls is a tokenizer with these control tokens, from 0 on, of which the last ends a text if eos says so.
func controls(t testing.TB, eos string, tokens ...string) *tokenizer.Tokenizer {
	t.Helper()
	tok, err := tokenizer.Train(slices.Values([]string{"a text"}), tokenizer.TrainOptions{VocabSize: 256 + len(tokens), AddedTokens: tokenizer.ControlTokens(tokens...), EOS: eos})
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func TestEveryEndOfATextIsNamedInAGGUFFile(t *testing.T) {
	for _, c := range []struct {
		name   string
		tokens []string
		eos    string  // the tokenizer's
		stops  []int32 // the model's
		want   map[string]int
	}{
		{"the tokenizer's first, for templates write it", []string{"<a>", "<b>"}, "<b>", []int32{0, 1}, map[string]int{"eos": 1, "eot": 0}},
		{"the model's, where they disagree", []string{"<a>", "<b>"}, "<b>", []int32{0}, map[string]int{"eos": 0}},
		{"Llama 3.1's, each in its place", []string{"<|end_of_text|>", "<|eom_id|>", "<|eot_id|>"}, "", []int32{0, 1, 2}, map[string]int{"eos": 0, "eom": 1, "eot": 2}},
		{"three", []string{"<a>", "<b>", "<c>"}, "", []int32{2, 0, 1}, map[string]int{"eos": 2, "eot": 0, "eom": 1}},
		{"by name, where nobody says", []string{"<a>", "<|im_end|>"}, "", nil, map[string]int{"eos": 1}},
		{"none that the vocabulary lacks", []string{"<a>"}, "<a>", []int32{151645, 0}, map[string]int{"eos": 0}},
	} {
		config := tiny(true, "float32")
		config.EOSTokenID = c.stops
		m, err := qwen.New(config, tensor.CPU())
		if err != nil {
			t.Fatal(err)
		}
		path := savedGGUF(t, m, models.GGUFOptions{Tokenizer: controls(t, c.eos, c.tokens...)})
		f, err := gguf.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]int{}
		for _, key := range []string{"eos", "eot", "eom"} {
			if id, ok, err := gguf.Get[int](f.Metadata(), "tokenizer.ggml."+key+"_token_id"); err != nil {
				t.Error(err)
			} else if ok {
				got[key] = id
			}
		}
		f.Close()
		if !maps.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
		if _, err := models.LoadTokenizer(path); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestAddedTokensBehindAGapKeepTheirIDs(t *testing.T) {
	c := tiny(true, "float32")
	c.VocabSize = 290
	m, err := qwen.New(c, tensor.CPU())
	if err != nil {
		t.Fatal(err)
	}
	path := savedGGUF(t, m, models.GGUFOptions{Tokenizer: trained(t)})
	rewriteGGUF(t, path, func(_ map[string]gguf.Tensor, m *gguf.Metadata) {
		types := make([]int32, 290)
		for i := range types {
			types[i] = 1
		}
		types[286], types[287], types[288], types[289] = 3, 5, 4, 5 // control, unused, user, unused
		set(m, "tokenizer.ggml.token_type", types)
		tokens, _, err := gguf.Get[[]string](*m, "tokenizer.ggml.tokens")
		if err != nil {
			t.Fatal(err)
		}
		tokens = append(slices.Clone(tokens[:286]), "<one>", "[PAD287]", "<two>", "[PAD289]")
		set(m, "tokenizer.ggml.tokens", tokens)
		set(m, "tokenizer.ggml.merges", []string{})
	})
	tok, err := models.LoadTokenizer(path)
	if err != nil {
		t.Fatal(err)
	}
	file, _ := tok.JSON()
	addedTokensHaveTheirIDs(t, "a gap", file)
	if ids := tok.Encode("<one><two>"); !slices.Equal(ids, []int32{286, 288}) || tok.VocabSize() != 289 {
		t.Errorf("the added tokens are %v of %d", ids, tok.VocabSize())
	}
}

func TestWhatAGGUFFileLacksIsNamed(t *testing.T) {
	vector := func(n int) gguf.Tensor {
		return gguf.Tensor{Type: gguf.F32, Shape: []int{n}, Data: make([]byte, 4*n)}
	}
	for _, c := range []struct {
		name   string
		change func(ts map[string]gguf.Tensor, m *gguf.Metadata)
		want   string
	}{
		{"no architecture", func(_ map[string]gguf.Tensor, m *gguf.Metadata) { set(m, "general.architecture", nil) }, "no metadata general.architecture"},
		{"another architecture", func(_ map[string]gguf.Tensor, m *gguf.Metadata) { set(m, "general.architecture", "mamba") }, `architecture "mamba" is not supported in GGUF files, only llama, llama-of-others, qwen2, qwen3, scaled: load the model's safetensors`},
		{"no size", func(_ map[string]gguf.Tensor, m *gguf.Metadata) { set(m, "qwen3.block_count", nil) }, "metadata qwen3.block_count is missing"},
		{"a size that is no number", func(_ map[string]gguf.Tensor, m *gguf.Metadata) { set(m, "qwen3.block_count", "two") }, `metadata "qwen3.block_count" is the string "two", want int`},
		{"a negative size", func(_ map[string]gguf.Tensor, m *gguf.Metadata) { set(m, "qwen3.embedding_length", int32(-24)) }, "metadata qwen3.embedding_length is -24, want 1 to"},
		{"a size beyond all", func(_ map[string]gguf.Tensor, m *gguf.Metadata) { set(m, "qwen3.attention.key_length", uint64(1)<<60) }, "metadata qwen3.attention.key_length is 1152921504606846976, want 1 to"},
		{"too many layers", func(_ map[string]gguf.Tensor, m *gguf.Metadata) { set(m, "qwen3.block_count", uint32(4000)) }, "tensor blk.2.attn_q.weight is missing"},
		{"experts", func(_ map[string]gguf.Tensor, m *gguf.Metadata) { set(m, "qwen3.expert_count", uint32(8)) }, "metadata qwen3.expert_count is 8, which is not supported, only 0"},
		{"stretched positions", func(_ map[string]gguf.Tensor, m *gguf.Metadata) { set(m, "qwen3.rope.scaling.type", "yarn") }, "rope_scaling"},
		{"a frequency that is none", func(_ map[string]gguf.Tensor, m *gguf.Metadata) { set(m, "qwen3.rope.freq_base", float32(math.NaN())) }, "metadata qwen3.rope.freq_base is NaN"},
		{"no embedding", func(ts map[string]gguf.Tensor, _ *gguf.Metadata) { delete(ts, "token_embd.weight") }, "no matrix token_embd.weight of width 24"},
		{"a tensor missing", func(ts map[string]gguf.Tensor, _ *gguf.Metadata) { delete(ts, "blk.1.ffn_norm.weight") }, "tensor blk.1.ffn_norm.weight is missing"},
		{"a tensor too many", func(ts map[string]gguf.Tensor, _ *gguf.Metadata) {
			x := vector(3)
			x.Name = "blk.0.attn_sinks.weight"
			ts[x.Name] = x
		}, "tensor blk.0.attn_sinks.weight is not of this model"},
		{"a matrix of another shape", func(ts map[string]gguf.Tensor, _ *gguf.Metadata) {
			x := vector(24)
			x.Name = "blk.0.attn_k.weight"
			ts[x.Name] = x
		}, "tensor blk.0.attn_k.weight has shape [24], the metadata want [16 24]"},
		{"a norm of another shape", func(ts map[string]gguf.Tensor, _ *gguf.Metadata) {
			x := vector(23)
			x.Name = "output_norm.weight"
			ts[x.Name] = x
		}, "tensor output_norm.weight has shape [23], the model wants [24]"},
		{"a type that is not read", func(ts map[string]gguf.Tensor, _ *gguf.Metadata) {
			ts["output_norm.weight"] = gguf.Tensor{Name: "output_norm.weight", Type: 27, Shape: []int{24}, Data: make([]byte, 24*8)}
		}, "tensor output_norm.weight is of type I64, which is not supported: make the file with one of F32"},
	} {
		path := savedGGUF(t, newTiny(t, true, "float32"), models.GGUFOptions{})
		rewriteGGUF(t, path, c.change)
		_, err := models.Load(path, models.LoadOptions{})
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: error %v, want one that names %s and says %q", c.name, err, path, c.want)
		}
	}
}

func TestWhatAGGUFTokenizerLacksIsNamed(t *testing.T) {
	for _, c := range []struct {
		name  string
		key   string
		value any
		want  string
	}{
		{"none", "tokenizer.ggml.model", "no_vocab", "the file holds none"},
		{"another kind", "tokenizer.ggml.model", "rwkv", `tokenizer.ggml.model "rwkv" is not supported, only gpt2 and llama`},
		{"another splitter", "tokenizer.ggml.pre", "tekken", `tokenizer.ggml.pre "tekken" is not supported, only gpt-2, llama-bpe, qwen2, smollm`},
		{"no scores", "tokenizer.ggml.model", "llama", "290 tokens and 0 tokenizer.ggml.scores"},
		{"an end beyond all tokens", "tokenizer.ggml.eos_token_id", uint32(999), "tokenizer.ggml.eos_token_id is 999, but there are 290 tokens"},
		{"tokens that are no texts", "tokenizer.ggml.tokens", []int32{1}, `metadata "tokenizer.ggml.tokens" is a []int32, want []string`},
		{"a merge of nothing", "tokenizer.ggml.merges", []string{"x"}, "merges[0]"},
	} {
		c0 := tiny(true, "float32")
		c0.VocabSize = 290
		m, err := qwen.New(c0, tensor.CPU())
		if err != nil {
			t.Fatal(err)
		}
		path := savedGGUF(t, m, models.GGUFOptions{Tokenizer: trained(t)})
		rewriteGGUF(t, path, func(_ map[string]gguf.Tensor, m *gguf.Metadata) { set(m, c.key, c.value) })
		_, err = models.LoadTokenizer(path)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: error %v, want one that names %s and says %q", c.name, err, path, c.want)
		}
	}
}

func TestWhatCannotBeAGGUFFileIsNamed(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "model.gguf")
	small := tiny(true, "float32")
	small.VocabSize = 200
	m, err := qwen.New(small, tensor.CPU())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		o    models.GGUFOptions
		want string
	}{
		{"a dtype that files lack", models.GGUFOptions{DType: new(tensor.F64)}, "matrices cannot be f64 in a GGUF file"},
		{"a tokenizer of another model", models.GGUFOptions{Tokenizer: trained(t)}, "the tokenizer has 290 tokens, the model's vocabulary only 200"},
	} {
		err := models.SaveGGUF(path, m, c.o)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: error %v, want one that says %q", c.name, err, c.want)
		}
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 0 {
		t.Errorf("%d files are left", len(entries))
	}
}

func TestADirectoryThatHoldsAGGUFFileOnlySaysSo(t *testing.T) {
	path := savedGGUF(t, newTiny(t, true, "float32"), models.GGUFOptions{})
	_, err := models.Load(filepath.Dir(path), models.LoadOptions{})
	if err == nil || !strings.Contains(err.Error(), "there is model.gguf: give the path of that file") {
		t.Errorf("error %v", err)
	}
}

// Of every family's tokenizer what is written means the same when it is read: merges of SentencePiece, too, which
// become scores.
func TestTokenizersOfEveryFamilyComeBackFromAGGUFFile(t *testing.T) {
	for _, family := range []string{"gpt2", "llama2", "llama3", "smollm2"} {
		dir := filepath.Join("..", "tokenizer", "testdata", "families", family)
		want, err := tokenizer.Load(filepath.Join(dir, "tokenizer.json"))
		if err != nil {
			t.Fatal(err)
		}
		c := tiny(true, "bfloat16")
		c.VocabSize = want.VocabSize() + 3 // rows that no token has
		m, err := qwen.New(c, tensor.CPU())
		if err != nil {
			t.Fatal(err)
		}
		got, err := models.LoadTokenizer(savedGGUF(t, m, models.GGUFOptions{Tokenizer: want}))
		if err != nil {
			t.Fatalf("%s: %v", family, err)
		}
		if got.VocabSize() != want.VocabSize() {
			t.Errorf("%s: %d tokens, want %d", family, got.VocabSize(), want.VocabSize())
		}
		file, _ := got.JSON()
		addedTokensHaveTheirIDs(t, family, file)
		data, err := os.ReadFile(filepath.Join(dir, "encode.jsonl"))
		if err != nil {
			t.Fatal(err)
		}
		texts := 0
		for line := range strings.Lines(string(data)) {
			var golden struct{ Text string }
			if err := json.Unmarshal([]byte(line), &golden); err != nil {
				t.Fatal(err)
			}
			// The format has no place for what an added token asks of its surroundings.
			if slices.ContainsFunc(want.AddedTokens(), func(a tokenizer.AddedToken) bool {
				return (a.SingleWord || a.LStrip || a.RStrip || a.Normalized) && strings.Contains(golden.Text, a.Content)
			}) {
				continue
			}
			texts++
			ids := want.EncodePrompt(golden.Text)
			if again := got.EncodePrompt(golden.Text); !slices.Equal(again, ids) {
				t.Errorf("%s: %.60q is %v, want %v", family, golden.Text, again, ids)
			}
			if text := got.Decode(ids); text != want.Decode(ids) {
				t.Errorf("%s: %v is %q, want %q", family, ids, text, want.Decode(ids))
			}
		}
		if texts < 100 {
			t.Errorf("%s: only %d texts", family, texts)
		}
	}
}

func TestAFileThatPutsNoSpaceBeforeTextsDecodesThemWhole(t *testing.T) {
	want, err := tokenizer.Load(filepath.Join("..", "tokenizer", "testdata", "families", "llama2", "tokenizer.json"))
	if err != nil {
		t.Fatal(err)
	}
	c := tiny(true, "bfloat16")
	c.VocabSize = want.VocabSize()
	m, err := qwen.New(c, tensor.CPU())
	if err != nil {
		t.Fatal(err)
	}
	path := savedGGUF(t, m, models.GGUFOptions{Tokenizer: want})
	rewriteGGUF(t, path, func(_ map[string]gguf.Tensor, m *gguf.Metadata) { set(m, "tokenizer.ggml.add_space_prefix", false) })
	got, err := models.LoadTokenizer(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"a text", " a text"} {
		if again := got.Decode(got.Encode(text)); again != text {
			t.Errorf("%q is decoded as %q", text, again)
		}
	}
}

// addedTokensHaveTheirIDs checks that a reader that goes by the vocabulary, as the reference does, gives added tokens
// the ids that the file says: those of the vocabulary, or else the next ones behind it.
func addedTokensHaveTheirIDs(t *testing.T, name string, tokenizerJSON []byte) {
	t.Helper()
	var file struct {
		Added []struct {
			ID      int
			Content string
		} `json:"added_tokens"`
		Model struct{ Vocab map[string]int }
	}
	if err := json.Unmarshal(tokenizerJSON, &file); err != nil {
		t.Fatal(err)
	}
	next := len(file.Model.Vocab)
	for _, a := range file.Added {
		id, ok := file.Model.Vocab[a.Content]
		if !ok {
			id = next
			next++
		}
		if id != a.ID {
			t.Errorf("%s: %q would be %d, not %d", name, a.Content, id, a.ID)
		}
	}
}
