package models

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hone-ml/hone/tensor"
	"github.com/hone-ml/hone/tensor/gguf"
	"github.com/hone-ml/hone/tokenizer"
)

// GGUFOptions say how SaveGGUF writes a model.
type GGUFOptions struct {
	// Tokenizer goes into the file, its chat template too. Without it llama.cpp can load the model but
	// neither read nor write text.
	Tokenizer *tokenizer.Tokenizer
	// DType is that of the matrices: F32, F16, BF16, Q8_0 or Q4_0; nil stands for each parameter's own. Rows
	// that are no whole blocks are written in F16 instead, as llama.cpp does. Vectors are always F32.
	DType *tensor.DType
}

// SaveGGUF writes a model to one file in llama.cpp's format, which Load and LoadTokenizer read, too. Its
// config.json must be that of a llama, qwen2 or qwen3, or of what RegisterGGUF added. The file is replaced whole or not at all. Parameters
// are converted as they are written, so that no second model stands in memory.
func SaveGGUF(path string, m CausalLM, o GGUFOptions) error {
	c, ok := m.(Configured)
	if !ok {
		return fmt.Errorf("models: %T cannot be saved: it has no ConfigJSON", m)
	}
	config, err := c.ConfigJSON()
	if err != nil {
		return fmt.Errorf("models: config.json of %T: %w", m, err)
	}
	w, err := newGGUFWriter(config, o)
	if err == nil {
		err = w.add(m)
	}
	if err == nil {
		err = w.describe(strings.TrimSuffix(filepath.Base(path), filepath.Ext(path)), m)
	}
	if err != nil {
		return fmt.Errorf("models: saving %s: %w", path, err)
	}
	return gguf.Write(path, w.tensors, w.metadata)
}

// ggufConfig are the fields of config.json that a GGUF file has, too.
type ggufConfig struct {
	ModelType             string         `json:"model_type"`
	HiddenSize            int            `json:"hidden_size"`
	IntermediateSize      int            `json:"intermediate_size"`
	NumHiddenLayers       int            `json:"num_hidden_layers"`
	NumAttentionHeads     int            `json:"num_attention_heads"`
	NumKeyValueHeads      int            `json:"num_key_value_heads"`
	HeadDim               int            `json:"head_dim"`
	MaxPositionEmbeddings int            `json:"max_position_embeddings"`
	RMSNormEps            float64        `json:"rms_norm_eps"`
	RopeTheta             float64        `json:"rope_theta"`
	RopeScaling           *llama3Scaling `json:"rope_scaling"`
	BOSTokenID            *int           `json:"bos_token_id"`
}

// ggufWriter gathers what goes into a file.
type ggufWriter struct {
	name     string // of the architecture
	model    ggufModel
	config   ggufConfig
	options  GGUFOptions
	tensors  []gguf.Tensor
	metadata gguf.Metadata
	numbers  gguf.Metadata     // that only this architecture has
	weights  map[gguf.Type]int // elements of matrices
}

func newGGUFWriter(config []byte, o GGUFOptions) (*ggufWriter, error) {
	w := &ggufWriter{options: o, weights: map[gguf.Type]int{}}
	if err := json.Unmarshal(config, &w.config); err != nil {
		return nil, ConfigError(err)
	}
	name, architecture, ok := ggufArchitectureFor(w.config.ModelType)
	if !ok {
		return nil, fmt.Errorf("model_type %q has no place in the GGUF format, only %s: save a directory", w.config.ModelType, strings.Join(ggufArchitectureNames(), ", "))
	}
	w.name, w.model.architecture = name, architecture
	var err error
	if w.numbers, err = architecture.numbers(name, config); err != nil {
		return nil, err
	}
	if dt := o.DType; dt != nil {
		if _, ok := ggufTypes[*dt]; !ok {
			return nil, fmt.Errorf("matrices cannot be %s in a GGUF file, only f32, f16, bf16, q8_0 and q4_0", *dt)
		}
	}
	w.model.heads = w.config.NumAttentionHeads
	w.model.kvHeads = cmp.Or(w.config.NumKeyValueHeads, w.model.heads)
	return w, nil
}

// ggufTypes is the inverse of ggufDTypes.
var ggufTypes = func() map[tensor.DType]gguf.Type {
	types := map[tensor.DType]gguf.Type{}
	for t, dt := range ggufDTypes {
		types[dt] = t
	}
	return types
}()

// add lays out the parameters, and the factors of Llama 3's frequencies.
func (w *ggufWriter) add(m CausalLM) error {
	if s := w.config.RopeScaling; s != nil {
		if s.Type != "llama3" {
			return fmt.Errorf("rope_scaling of rope_type %q is not supported, only llama3", s.Type)
		}
		factors := s.factors(w.headDim(), w.config.RopeTheta)
		w.tensors = append(w.tensors, gguf.Tensor{Name: ropeFactors, Type: gguf.F32, Shape: []int{len(factors)}, Data: slices.Clone(bytesOf(factors))})
	}
	for name, p := range m.Parameters() {
		at, ok := ggufName(name)
		if !ok {
			return fmt.Errorf("parameter %s has no name in the GGUF format", name)
		}
		dt := w.dtypeOf(p)
		t, ok := ggufTypes[dt]
		if !ok {
			return fmt.Errorf("parameter %s is %s, which a GGUF file cannot hold: give a DType", name, dt)
		}
		if p.Rank() > 1 {
			w.weights[t] += p.Len()
		}
		heads := w.model.headsOf(name)
		w.tensors = append(w.tensors, gguf.Tensor{Name: at, Type: t, Shape: p.Shape(), Stream: func(out io.Writer) error {
			return writeGGUFParameter(out, p, dt, heads)
		}})
	}
	return nil
}

// dtypeOf is what a parameter is written in.
func (w *ggufWriter) dtypeOf(p *tensor.Tensor) tensor.DType {
	if p.Rank() < 2 {
		return tensor.F32
	}
	dt := p.DType()
	if w.options.DType != nil {
		dt = *w.options.DType
	}
	if p.Dim(-1)%dt.Block() != 0 {
		return tensor.F16
	}
	return dt
}

// writeGGUFParameter writes p in dtype dt and, if heads is not 0, its rows in llama.cpp's order.
func writeGGUFParameter(out io.Writer, p *tensor.Tensor, dt tensor.DType, heads int) error {
	var failed error
	err := tensor.Try(func() {
		s := p.Device().NewScope()
		defer s.Close()
		if heads > 0 {
			data := convertGGUF(p.In(s), dt).Bytes()
			_, failed = out.Write(reorderRows(data, p.Dim(0), heads, toLlamaCpp))
			return
		}
		if p.Rank() < 2 || p.DType() == dt {
			_, failed = convertGGUF(p.In(s), dt).WriteTo(out)
			return
		}
		rows, step := p.Dim(0), max(1, ggufPiece/max(1, p.Dim(-1)))
		for lo := 0; lo < rows && failed == nil; lo += step {
			piece := p.Device().NewScope()
			_, failed = convertGGUF(p.In(piece).Slice(0, lo, min(rows, lo+step)), dt).WriteTo(out)
			piece.Close()
		}
	})
	return cmp.Or(err, failed)
}

// convertGGUF is x in dtype dt, from blocks of another kind by way of F32.
func convertGGUF(x *tensor.Tensor, dt tensor.DType) *tensor.Tensor {
	if x.DType() != dt && x.DType().IsQuantized() && dt.IsQuantized() {
		x = x.To(tensor.F32)
	}
	return x.To(dt)
}

func (w *ggufWriter) headDim() int {
	return cmp.Or(w.config.HeadDim, w.config.HiddenSize/max(1, w.model.heads))
}

// fileTypes are llama.cpp's numbers of what most weights of a file are (llama_ftype).
var fileTypes = map[gguf.Type]uint32{gguf.F32: 0, gguf.F16: 1, gguf.Q4_0: 2, gguf.Q8_0: 7, gguf.BF16: 32}

// describe makes the metadata.
func (w *ggufWriter) describe(name string, m CausalLM) error {
	most := gguf.F32
	for t, n := range w.weights {
		if n > w.weights[most] || n == w.weights[most] && t > most {
			most = t
		}
	}
	c := &w.config
	vocab := m.Head().Dim(0)
	w.set("general.architecture", w.name)
	w.set("general.type", "model")
	w.set("general.name", name)
	w.set("general.file_type", fileTypes[most])
	w.set("general.quantization_version", uint32(2))
	for _, size := range []struct {
		key   string
		value int
	}{
		{"vocab_size", vocab}, {"context_length", c.MaxPositionEmbeddings}, {"embedding_length", c.HiddenSize}, {"block_count", c.NumHiddenLayers},
		{"feed_forward_length", c.IntermediateSize}, {"attention.head_count", w.model.heads}, {"attention.head_count_kv", w.model.kvHeads},
		{"attention.key_length", w.headDim()}, {"attention.value_length", w.headDim()}, {"rope.dimension_count", w.headDim()},
	} {
		if size.value < 0 || size.value > math.MaxInt32 {
			return fmt.Errorf("%s of config.json's %d does not fit the format", size.key, size.value)
		}
		w.set(w.name+"."+size.key, uint32(size.value))
	}
	w.set(w.name+".attention.layer_norm_rms_epsilon", float32(c.RMSNormEps))
	w.set(w.name+".rope.freq_base", float32(c.RopeTheta))
	w.metadata = append(w.metadata, w.numbers...)
	if w.options.Tokenizer == nil {
		w.set("tokenizer.ggml.model", "no_vocab")
		w.ends(m, nil)
		return nil
	}
	return w.describeTokenizer(m, vocab)
}

func (w *ggufWriter) set(key string, value any) {
	w.metadata = append(w.metadata, gguf.KV{Key: key, Value: value})
}

// ends names the token that ends a text: the tokenizer's own if it is one of the model's, for chat templates write
// that, or else the model's first; and two more, as the ends of a turn and of a message. Where nothing is named it goes
// by what control tokens are called: llama.cpp would take token 11, whatever that is.
func (w *ggufWriter) ends(m CausalLM, t *tokenizer.Tokenizer) {
	var ids []int32
	if s, ok := m.(Stopper); ok {
		ids = slices.Clone(s.StopTokens())
	}
	message := int32(-1)
	if t != nil {
		if eos, ok := t.EOS(); ok && (len(ids) == 0 || slices.Contains(ids, eos)) {
			ids = slices.Insert(slices.DeleteFunc(ids, func(id int32) bool { return id == eos }), 0, eos)
		}
		for _, name := range endings {
			if id, ok := t.TokenToID(name); ok && t.IsSpecial(id) && len(ids) == 0 {
				ids = []int32{id}
			}
		}
		if id, ok := t.TokenToID(endOfMessage); ok {
			message = id
		}
	}
	named := map[string]bool{}
	for _, id := range ids {
		key := "eos"
		switch {
		case id < 0 || int(id) >= m.Head().Dim(0): // of a larger model's config.json
			continue
		case named["eot"] || named["eos"] && id == message:
			key = "eom"
		case named["eos"]:
			key = "eot"
		}
		if !named[key] {
			named[key] = true
			w.set("tokenizer.ggml."+key+"_token_id", uint32(id))
		}
	}
}

// savedTokenizer is what of tokenizer.json goes into a GGUF file.
type savedTokenizer struct {
	Normalizer   json.RawMessage `json:"normalizer"`
	PreTokenizer json.RawMessage `json:"pre_tokenizer"`
	Model        struct {
		Vocab        map[string]int32  `json:"vocab"`
		Merges       []json.RawMessage `json:"merges"`
		UnknownToken string            `json:"unk_token"`
		ByteFallback bool              `json:"byte_fallback"`
		IgnoreMerges bool              `json:"ignore_merges"`
	} `json:"model"`
}

// describeTokenizer makes the metadata of the tokenizer for a vocabulary of so many rows.
func (w *ggufWriter) describeTokenizer(m CausalLM, vocab int) error {
	t := w.options.Tokenizer
	if n := t.VocabSize(); n > vocab {
		return fmt.Errorf("the tokenizer has %d tokens, the model's vocabulary only %d: they are not of the same model", n, vocab)
	}
	model, config := t.JSON()
	var saved savedTokenizer
	if err := json.Unmarshal(model, &saved); err != nil {
		return fmt.Errorf("tokenizer.json: %w", err)
	}
	merges, err := saved.merges()
	if err != nil {
		return err
	}
	tokens, types := w.tokens(t, &saved, vocab)
	if saved.Model.ByteFallback {
		w.set("tokenizer.ggml.model", "llama")
		w.set("tokenizer.ggml.pre", "default")
		w.set("tokenizer.ggml.tokens", tokens)
		w.set("tokenizer.ggml.scores", scoresOf(tokens, merges))
		w.set("tokenizer.ggml.token_type", types)
		var split struct {
			Scheme string `json:"prepend_scheme"`
		}
		if err := json.Unmarshal(saved.PreTokenizer, &split); err != nil {
			return fmt.Errorf("tokenizer.json: pre_tokenizer: %w", err)
		}
		w.set("tokenizer.ggml.add_space_prefix", split.Scheme != "never")
	} else {
		pre, err := saved.splitter()
		if err != nil {
			return err
		}
		w.set("tokenizer.ggml.model", "gpt2")
		w.set("tokenizer.ggml.pre", pre)
		w.set("tokenizer.ggml.tokens", tokens)
		w.set("tokenizer.ggml.token_type", types)
		joined := make([]string, len(merges))
		for i, pair := range merges {
			joined[i] = pair[0] + " " + pair[1]
		}
		w.set("tokenizer.ggml.merges", joined)
		w.set("tokenizer.ggml.add_space_prefix", false)
	}
	w.ends(m, t)
	if pad, ok := t.Pad(); ok {
		w.set("tokenizer.ggml.padding_token_id", uint32(pad))
	}
	var c struct {
		BOS     json.RawMessage `json:"bos_token"`
		Unknown json.RawMessage `json:"unk_token"`
	}
	if err := json.Unmarshal(config, &c); err != nil {
		return fmt.Errorf("tokenizer_config.json: %w", err)
	}
	bos, ok := tokenOf(t, c.BOS)
	if id := w.config.BOSTokenID; !ok && id != nil && *id >= 0 && *id < vocab {
		bos, ok = int32(*id), true
	}
	prefix := t.EncodePrompt("")
	if len(prefix) > 1 {
		return fmt.Errorf("llama.cpp puts one token before a text, this tokenizer puts %d", len(prefix))
	}
	if len(prefix) == 1 {
		bos, ok = prefix[0], true
	}
	if ok {
		w.set("tokenizer.ggml.bos_token_id", uint32(bos))
	}
	w.set("tokenizer.ggml.add_bos_token", len(prefix) == 1)
	if unknown, ok := tokenOf(t, c.Unknown); ok {
		w.set("tokenizer.ggml.unknown_token_id", uint32(unknown))
	}
	if template := t.ChatTemplateText(); template != "" {
		w.set("tokenizer.chat_template", template)
	}
	return nil
}

// tokenOf is the id of a token that tokenizer_config.json names, by its text or in an object.
func tokenOf(t *tokenizer.Tokenizer, raw json.RawMessage) (id int32, ok bool) {
	var text string
	if json.Unmarshal(raw, &text) != nil {
		var object struct{ Content string }
		if json.Unmarshal(raw, &object) != nil {
			return 0, false
		}
		text = object.Content
	}
	return t.TokenToID(text)
}

// tokens are all tokens and their types. What the model has rows for and the tokenizer lacks is filled up.
func (w *ggufWriter) tokens(t *tokenizer.Tokenizer, saved *savedTokenizer, vocab int) ([]string, []int32) {
	tokens, types := make([]string, vocab), make([]int32, vocab)
	for id := range vocab {
		token, ok := t.IDToToken(int32(id))
		tokens[id], types[id] = token, tokenNormal
		switch {
		case !ok:
			tokens[id], types[id] = fmt.Sprintf("[PAD%d]", id), tokenUnused
		case saved.Model.ByteFallback && len(token) == len("<0x00>") && strings.HasPrefix(token, "<0x"):
			types[id] = tokenByte
		}
	}
	for _, a := range t.AddedTokens() {
		types[a.ID] = tokenUser
		if a.Special {
			types[a.ID] = tokenControl
		}
		if a.Content == saved.Model.UnknownToken && saved.Model.ByteFallback {
			types[a.ID] = tokenUnknown
		}
	}
	return tokens, types
}

// merges are the pairs of tokens that merges join.
func (s *savedTokenizer) merges() ([][2]string, error) {
	merges := make([][2]string, len(s.Model.Merges))
	for i, raw := range s.Model.Merges {
		if json.Unmarshal(raw, &merges[i]) == nil {
			continue
		}
		var joined string
		if err := json.Unmarshal(raw, &joined); err != nil {
			return nil, fmt.Errorf("tokenizer.json: merge %d: %w", i, err)
		}
		merges[i][0], merges[i][1], _ = strings.Cut(joined, " ")
	}
	return merges, nil
}

// scoresOf gives tokens the scores by which SentencePiece merges in the order of merges.
func scoresOf(tokens []string, merges [][2]string) []float32 {
	rank := make(map[string]int, len(merges))
	for i, pair := range merges {
		token := pair[0] + pair[1]
		if _, ok := rank[token]; !ok {
			rank[token] = i + 1
		}
	}
	scores := make([]float32, len(tokens))
	for id, token := range tokens {
		scores[id] = -float32(rank[token])
	}
	return scores
}

// splitter is the tokenizer.ggml.pre of a byte-level BPE.
func (s *savedTokenizer) splitter() (string, error) {
	normalizer, pre := canonical(string(s.Normalizer)), canonical(string(s.PreTokenizer))
	for name, known := range ggufSplitters {
		if normalizer == canonical(known.normalizer) && pre == canonical(known.preTokenizer) && s.Model.IgnoreMerges == known.ignoreMerges {
			return name, nil
		}
	}
	return "", errors.New("llama.cpp has no name for how this tokenizer normalises and splits text: save the model to a directory instead")
}

// canonical is JSON with its keys in order, without those that have no bearing on ids.
func canonical(raw string) string {
	var v any
	if raw == "" || json.Unmarshal([]byte(raw), &v) != nil {
		return "null"
	}
	strip(v)
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) // it was JSON before
	}
	return string(data)
}

func strip(v any) {
	switch v := v.(type) {
	case map[string]any:
		delete(v, "trim_offsets")
		for _, member := range v {
			strip(member)
		}
	case []any:
		for _, element := range v {
			strip(element)
		}
	}
}
