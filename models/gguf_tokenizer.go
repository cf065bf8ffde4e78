package models

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/hone-ml/hone/tensor/gguf"
	"github.com/hone-ml/hone/tokenizer"
)

// A GGUF file has the tokens and merges of its tokenizer but not how texts are normalised and split: it names
// that. The tokenizer is read as the tokenizer.json that it came from, so that it can do, and be saved as,
// whatever one of a Hugging Face directory can.

// LoadTokenizer reads the tokenizer of a model: of a directory as tokenizer.Load does, of a .gguf file from
// its metadata.
func LoadTokenizer(path string) (*tokenizer.Tokenizer, error) {
	if !isGGUF(path) {
		return tokenizer.Load(path)
	}
	f, err := gguf.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	t, err := readGGUFTokenizer(f.Metadata())
	if err != nil {
		return nil, fmt.Errorf("models: %s: the tokenizer: %w", path, err)
	}
	return t, nil
}

// The types of tokens (ggml's llama_token_type).
const (
	tokenNormal  = 1
	tokenUnknown = 2
	tokenControl = 3
	tokenUser    = 4
	tokenUnused  = 5
	tokenByte    = 6
)

// ggufSplitter is a tokenizer.ggml.pre: the parts of tokenizer.json that it stands for.
type ggufSplitter struct {
	normalizer, preTokenizer string
	ignoreMerges             bool
	addsBOS                  bool // texts begin with the first token unless the file denies it
}

// ggufSplitters are those that hone maps to tokenizers (llama.cpp, llama-vocab.cpp).
var ggufSplitters = map[string]ggufSplitter{
	"qwen2":     {`{"type":"NFC"}`, splitBy(tokenizer.PatternQwen2), false, false},
	"llama-bpe": {"null", splitBy(tokenizer.PatternLlama3), true, true},
	"smollm":    {"null", `{"type":"Sequence","pretokenizers":[{"type":"Digits","individual_digits":true},` + byteLevel(true) + `]}`, false, false},
	"gpt-2":     {"null", byteLevel(true), false, false},
}

func byteLevel(useRegex bool) string {
	return fmt.Sprintf(`{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":%t}`, useRegex)
}

func splitBy(pattern string) string {
	regex, err := json.Marshal(pattern)
	if err != nil {
		panic(err) // a string always encodes
	}
	return `{"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":` + string(regex) + `},"behavior":"Isolated","invert":false},` + byteLevel(false) + `]}`
}

// ggufVocabulary is what a file says of its tokens.
type ggufVocabulary struct {
	tokens []string
	types  []int // nil where the file has none
	scores []float64
	merges []string
	prefix string // the token that begins every text, "" for none
}

func (v *ggufVocabulary) kind(id int) int {
	if id < len(v.types) {
		return v.types[id]
	}
	return tokenNormal
}

// readGGUFTokenizer makes the tokenizer that the metadata describe.
func readGGUFTokenizer(m gguf.Metadata) (*tokenizer.Tokenizer, error) {
	r := &ggufReader{metadata: m}
	v := &ggufVocabulary{
		tokens: ggufGet[[]string](r, "tokenizer.ggml.tokens", nil),
		types:  ggufGet[[]int](r, "tokenizer.ggml.token_type", nil),
		scores: ggufGet[[]float64](r, "tokenizer.ggml.scores", nil),
		merges: ggufGet[[]string](r, "tokenizer.ggml.merges", nil),
	}
	kind, pre := ggufGet(r, "tokenizer.ggml.model", ""), ggufGet(r, "tokenizer.ggml.pre", "")
	switch {
	case r.err != nil:
		return nil, r.err
	case kind == "" || kind == "no_vocab" || len(v.tokens) == 0:
		return nil, errors.New("the file holds none (metadata tokenizer.ggml.model and tokenizer.ggml.tokens): make the file again with the model's tokenizer beside it")
	}
	var model []byte
	switch kind {
	case "gpt2":
		s, ok := ggufSplitters[pre]
		if !ok {
			return nil, fmt.Errorf("tokenizer.ggml.pre %q is not supported, only %s: load the model's safetensors",
				pre, strings.Join(slices.Sorted(maps.Keys(ggufSplitters)), ", "))
		}
		r.begin(v, s.addsBOS)
		model = v.byteLevelJSON(s)
	case "llama":
		if len(v.scores) != len(v.tokens) {
			return nil, fmt.Errorf("it has %d tokens and %d tokenizer.ggml.scores", len(v.tokens), len(v.scores))
		}
		r.begin(v, true)
		model = v.metaspaceJSON(ggufGet(r, "tokenizer.ggml.add_space_prefix", true))
	default:
		return nil, fmt.Errorf("tokenizer.ggml.model %q is not supported, only gpt2 and llama: load the model's safetensors", kind)
	}
	config, err := r.tokenizerConfig(v)
	if err := cmp.Or(r.err, err); err != nil {
		return nil, err
	}
	return tokenizer.Parse(model, config)
}

// begin finds the token that begins every text, if there is one; the file says so or its kind of tokenizer does.
func (r *ggufReader) begin(v *ggufVocabulary, byDefault bool) {
	id := ggufGet(r, "tokenizer.ggml.bos_token_id", -1)
	if ggufGet(r, "tokenizer.ggml.add_bos_token", byDefault) && id >= 0 && id < len(v.tokens) {
		v.prefix = v.tokens[id]
	}
}

// postProcessor is the part of tokenizer.json that puts a token before every text.
func (v *ggufVocabulary) postProcessor() string {
	if v.prefix == "" {
		return "null"
	}
	token := string(appendJSON(nil, v.prefix))
	id := slices.Index(v.tokens, v.prefix)
	special := fmt.Sprintf(`{"SpecialToken":{"id":%s,"type_id":0}}`, token)
	return fmt.Sprintf(`{"type":"TemplateProcessing","single":[%s,{"Sequence":{"id":"A","type_id":0}}],"pair":[%s,{"Sequence":{"id":"A","type_id":0}},{"Sequence":{"id":"B","type_id":1}}],"special_tokens":{%s:{"id":%s,"ids":[%d],"tokens":[%s]}}}`,
		special, special, token, token, id, token)
}

// byteLevelJSON is the tokenizer.json of a byte-level BPE.
func (v *ggufVocabulary) byteLevelJSON(s ggufSplitter) []byte {
	b := v.begin()
	b = append(b, `,"normalizer":`+s.normalizer+`,"pre_tokenizer":`+s.preTokenizer+
		`,"post_processor":`+v.postProcessor()+`,"decoder":{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,"use_regex":true}`+
		`,"model":{"type":"BPE","dropout":null,"unk_token":null,"continuing_subword_prefix":"","end_of_word_suffix":"","fuse_unk":false,"byte_fallback":false,"ignore_merges":`...)
	b = strconv.AppendBool(b, s.ignoreMerges)
	b = v.appendVocab(b)
	b = append(b, `,"merges":[`...)
	for i, merge := range v.merges {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendJSON(b, merge)
	}
	return append(b, "]}}"...)
}

// metaspaceJSON is the tokenizer.json of a SentencePiece BPE with byte fallback, as transformers converts
// Llama 2's.
func (v *ggufVocabulary) metaspaceJSON(prefix bool) []byte {
	normalizer, pre, strip := "null", `{"type":"Metaspace","replacement":"▁","prepend_scheme":"never","split":false}`, ""
	if prefix {
		strip = `,{"type":"Strip","content":" ","start":1,"stop":0}`
		normalizer, pre = `{"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"▁"},{"type":"Replace","pattern":{"String":" "},"content":"▁"}]}`, "null"
	}
	unknown := "null"
	for id, token := range v.tokens {
		if v.kind(id) == tokenUnknown {
			unknown = string(appendJSON(nil, token))
		}
	}
	b := v.begin()
	b = append(b, `,"normalizer":`+normalizer+`,"pre_tokenizer":`+pre+`,"post_processor":`+v.postProcessor()+
		`,"decoder":{"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},"content":" "},{"type":"ByteFallback"},{"type":"Fuse"}`+strip+`]}`+
		`,"model":{"type":"BPE","dropout":null,"unk_token":`+unknown+`,"continuing_subword_prefix":null,"end_of_word_suffix":null,"fuse_unk":true,"byte_fallback":true,"ignore_merges":false`...)
	b = v.appendVocab(b)
	b = append(b, `,"merges":[`...)
	for i, m := range v.mergesOfScores() {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendJSON(append(b, '['), m.left)
		b = append(appendJSON(append(b, ','), m.right), ']')
	}
	return append(b, "]}}"...)
}

// begin is the part of a tokenizer.json that both kinds have.
func (v *ggufVocabulary) begin() []byte {
	size := 4096
	for _, token := range v.tokens {
		size += 2*len(token) + 24
	}
	for _, merge := range v.merges {
		size += len(merge) + 8
	}
	b := append(make([]byte, 0, size), `{"version":"1.0","truncation":null,"padding":null,"added_tokens":[`...)
	comma := false
	for id, token := range v.tokens {
		kind := v.kind(id)
		if kind != tokenControl && kind != tokenUser && kind != tokenUnknown {
			continue
		}
		if comma {
			b = append(b, ',')
		}
		comma = true
		b = strconv.AppendInt(append(b, `{"id":`...), int64(id), 10)
		b = appendJSON(append(b, `,"content":`...), token)
		b = append(b, `,"single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":`...)
		b = append(strconv.AppendBool(b, kind != tokenUser), '}')
	}
	return append(b, ']')
}

// appendVocab appends the model's tokens: all but those that were added behind its last, and what fills the vocabulary
// up behind these. The reference (tokenizers, added_vocabulary.rs) finds the ids of added tokens here and gives those
// that it does not find the ids behind the last without a gap, whatever added_tokens says.
func (v *ggufVocabulary) appendVocab(b []byte) []byte {
	b = append(b, `,"vocab":{`...)
	end := len(v.tokens)
	for end > 0 && v.kind(end-1) == tokenUnused {
		end--
	}
	for end > 0 && (v.kind(end-1) == tokenControl || v.kind(end-1) == tokenUser) {
		end--
	}
	for id, token := range v.tokens[:end] {
		if id > 0 {
			b = append(b, ',')
		}
		b = append(appendJSON(b, token), ':')
		b = strconv.AppendInt(b, int64(id), 10)
	}
	return append(b, '}')
}

// pieceMerge joins two tokens of SentencePiece.
type pieceMerge struct {
	left, right string
	score       float64 // of the token that it makes
	leftLength  int     // in characters
	rightLength int
}

// longestPiece is far above the tokens of any SentencePiece model, whose default limit is 16 characters.
const longestPiece = 256

// mergesOfScores are the merges that make every token of two others, best first: SentencePiece has scores of
// tokens where tokenizer.json has an order of merges (transformers, convert_slow_tokenizer.generate_merges).
func (v *ggufVocabulary) mergesOfScores() []pieceMerge {
	ids := make(map[string]int, len(v.tokens))
	for id, token := range v.tokens {
		if v.kind(id) == tokenNormal {
			ids[token] = id
		}
	}
	var merges []pieceMerge
	for id, token := range v.tokens {
		if v.kind(id) != tokenNormal || len(token) > longestPiece {
			continue
		}
		first, length, characters := len(merges), 0, utf8.RuneCountInString(token)
		for at := range token {
			if at == 0 {
				continue
			}
			length++
			left, right := token[:at], token[at:]
			_, haveLeft := ids[left]
			_, haveRight := ids[right]
			if haveLeft && haveRight {
				merges = append(merges, pieceMerge{left, right, v.scores[id], length, characters - length})
			}
		}
		slices.SortStableFunc(merges[first:], func(a, b pieceMerge) int {
			return cmp.Or(cmp.Compare(ids[a.left], ids[b.left]), cmp.Compare(ids[a.right], ids[b.right]))
		})
	}
	slices.SortStableFunc(merges, func(a, b pieceMerge) int {
		return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(b.leftLength, a.leftLength), cmp.Compare(b.rightLength, a.rightLength))
	})
	return merges
}

// tokenizerConfig is the tokenizer_config.json of the metadata.
func (r *ggufReader) tokenizerConfig(v *ggufVocabulary) ([]byte, error) {
	config := map[string]any{
		"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": false,
		"add_bos_token": v.prefix != "",
	}
	if n := ggufGet(r, "tokenizer.ggml.padding_token_id", -1); n >= 0 && n < len(v.tokens) && v.kind(n) != tokenUnused {
		config["pad_token"] = v.tokens[n]
	}
	for key, field := range map[string]string{"bos": "bos_token", "eos": "eos_token", "unknown": "unk_token"} {
		id := ggufGet(r, "tokenizer.ggml."+key+"_token_id", -1)
		switch {
		case id >= len(v.tokens):
			return nil, fmt.Errorf("tokenizer.ggml.%s_token_id is %d, but there are %d tokens", key, id, len(v.tokens))
		case id >= 0:
			config[field] = v.tokens[id]
		}
	}
	if template := ggufGet(r, "tokenizer.chat_template", ""); template != "" {
		config["chat_template"] = template
	}
	if r.err != nil {
		return nil, r.err
	}
	return json.Marshal(config)
}

// appendJSON appends s as a JSON string.
func appendJSON(b []byte, s string) []byte {
	escaped := strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c == '"' || c == '\\' || c == utf8.RuneError })
	if escaped {
		quoted, err := json.Marshal(s)
		if err != nil {
			panic(err) // a string always encodes
		}
		return append(b, quoted...)
	}
	return append(append(append(b, '"'), s...), '"')
}
