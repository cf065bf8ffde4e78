package tokenizer

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// tinyJSON is a whole tokenizer.json with one merge; the tests below change one place of it.
var tinyJSON = `{
  "version": "1.0",
  "truncation": null,
  "padding": null,
  "added_tokens": [
    {"id": 3, "content": "<end>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}
  ],
  "normalizer": {"type": "NFC"},
  "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
    {"type": "Split", "pattern": {"Regex": "` + escapeJSON(PatternQwen2) + `"}, "behavior": "Isolated", "invert": false},
    {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false}
  ]},
  "post_processor": null,
  "decoder": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false},
  "model": {
    "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": "", "end_of_word_suffix": "",
    "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
    "vocab": {"a": 0, "b": 1, "ab": 2},
    "merges": [["a", "b"]]
  }
}`

func writeTokenizer(tb testing.TB, text string) (path string) {
	tb.Helper()
	path = filepath.Join(tb.TempDir(), "tokenizer.json")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		tb.Fatal(err)
	}
	return path
}

func TestASequenceOfNoNormalizersIsNone(t *testing.T) {
	for _, normalizer := range []string{"null", `{"type": "Sequence", "normalizers": []}`} {
		tok, err := Load(writeTokenizer(t, strings.Replace(tinyJSON, `{"type": "NFC"}`, normalizer, 1)))
		if err != nil {
			t.Errorf("%s: %v", normalizer, err)
		} else if tok.normalize {
			t.Errorf("%s: text is normalized", normalizer)
		}
	}
}

func TestLoadTakesMergesInBothForms(t *testing.T) {
	for _, merges := range []string{`[["a", "b"]]`, `["a b"]`} {
		tok, err := Load(writeTokenizer(t, strings.Replace(tinyJSON, `[["a", "b"]]`, merges, 1)))
		if err != nil {
			t.Fatal(err)
		}
		if got := tok.Encode("abba<end>"); !slices.Equal(got, []int32{2, 1, 0, 3}) {
			t.Errorf("merges %s: Encode = %v", merges, got)
		}
	}
}

func TestLoadTakesTheFieldsInAnyOrder(t *testing.T) {
	vocab, merges := `"vocab": {"a": 0, "b": 1, "ab": 2}`, `"merges": [["a", "b"]]`
	swapped := strings.NewReplacer(vocab, merges, merges, vocab).Replace(tinyJSON)
	tok, err := Load(writeTokenizer(t, swapped))
	if err != nil {
		t.Fatal(err)
	}
	if got := tok.Encode("ab"); !slices.Equal(got, []int32{2}) {
		t.Errorf("Encode = %v", got)
	}
}

func TestBytesThatTheVocabularyLacksAreDropped(t *testing.T) {
	tok, err := Load(writeTokenizer(t, tinyJSON))
	if err != nil {
		t.Fatal(err)
	}
	if got := tok.Encode("aüb"); !slices.Equal(got, []int32{2}) {
		t.Errorf("Encode = %v, want the reference's [2]", got)
	}
	long := strings.Repeat("ax", 100) + "b"
	if got := tok.Encode(long); len(got) != 100 || got[99] != 2 {
		t.Errorf("a long word encodes to %v", got)
	}
}

func TestMalformedTokenizerFilesAreRefused(t *testing.T) {
	added := `{"id": 3, "content": "<end>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}`
	split := tinyJSON[strings.Index(tinyJSON, `{"type": "Split"`) : strings.Index(tinyJSON, `"invert": false}`)+len(`"invert": false}`)]
	for _, c := range []struct{ name, old, new, field, reason string }{
		{"empty file", tinyJSON, ``, "", "line 1: the file ends where an object should stand"},
		{"not an object", tinyJSON, `[]`, "", "is an array, must be an object"},
		{"not JSON", tinyJSON, `hello`, "", `line 1: 'h' stands where an object should`},
		{"not UTF-8", `"a": 0`, "\"\xff\": 0", "", "is not UTF-8"},
		{"truncated", tinyJSON[400:], ``, "pre_tokenizer.pretokenizers[0].pattern.Regex", "line 10: the file ends where the closing quote"},
		{"text after the end", "\n}", "\n} x", "", `'x' stands where the end of the file should`},
		{"control character in a string", `"NFC"`, "\"N\nFC\"", "normalizer.type", "line 8"},
		{"bad escape", `"NFC"`, `"\x"`, "normalizer.type", "an escape of JSON"},
		{"bad unicode escape", `"NFC"`, `"\u12G4"`, "normalizer.type", "four hexadecimal digits"},
		{"deep nesting", `"truncation": null`, `"truncation": ` + strings.Repeat("[", 5000), "truncation[0][0][0][0][0][0][0]…", "nested deeper than 200 levels"},
		{"unknown version", `"1.0"`, `"2.0"`, "version", `is "2.0", must be "1.0"`},
		{"version of a wrong type", `"1.0"`, `1.0`, "version", "is a number, must be a string"},
		{"field given twice", `"padding": null`, `"truncation": null`, "truncation", "is given twice"},
		{"truncation of a wrong type", `"truncation": null`, `"truncation": 3`, "truncation", "is a number, must be an object"},
		{"unknown normalizer", `"NFC"`, `"NFKC"`, "normalizer.type", `"NFKC" is not supported, hone takes "NFC"`},
		{"normalizer without a type", `"normalizer": {"type": "NFC"}`, `"normalizer": {}`, "normalizer.type", "is missing"},
		{"normalizer of a wrong type", `"normalizer": {"type": "NFC"}`, `"normalizer": "NFC"`, "normalizer", "is a string, must be an object"},
		{"no pre-tokenizer", `"pre_tokenizer"`, `"other"`, "pre_tokenizer", "is missing"},
		{"null pre-tokenizer", tinyJSON[strings.Index(tinyJSON, `{"type": "Sequence"`):strings.Index(tinyJSON, ",\n  \"post")], `null`, "pre_tokenizer", "is null, with a decoder of type ByteLevel hone takes Split, ByteLevel; ByteLevel; or Digits, ByteLevel"},
		{"unknown pre-tokenizer", `"Sequence"`, `"BertPreTokenizer"`, "pre_tokenizer.type", `"BertPreTokenizer" is not supported, hone takes "ByteLevel", "Digits", "Metaspace", "Split"`},
		{"no split", split + ",", ``, "pre_tokenizer", "ByteLevel with use_regex false is not supported"},
		{"only a split", split + `,`, split + `],"x":[`, "pre_tokenizer", "is Split, with a decoder of type ByteLevel hone takes"},
		{"three steps", split + `,`, split + `,` + tinyJSON[strings.Index(tinyJSON, `{"type": "ByteLevel"`):strings.Index(tinyJSON, "\n  ]},\n  \"post")] + `,`, "pre_tokenizer", "is Split, ByteLevel, ByteLevel, with"},
		{"unknown pattern", `"Regex": "`, `"Regex": "\\w+|`, "pre_tokenizer.pretokenizers[0].pattern.Regex", "the pattern `\\w+|(?i:'s"},
		{"pattern as a plain string", `"Regex"`, `"String"`, "pre_tokenizer.pretokenizers[0].pattern.String", "must be a Regex"},
		{"unknown behavior", `"Isolated"`, `"Removed"`, "pre_tokenizer.pretokenizers[0].behavior", `hone takes "Isolated"`},
		{"inverted split", `"invert": false`, `"invert": true`, "pre_tokenizer.pretokenizers[0].invert", "true is not supported"},
		{"prefix space", `"add_prefix_space": false, "trim_offsets": false, "use_regex": false}` + "\n  ]", `"add_prefix_space": true, "trim_offsets": false, "use_regex": false}` + "\n  ]", "pre_tokenizer.pretokenizers[1].add_prefix_space", "true is not supported"},
		{"byte level with its own pattern", `, "use_regex": false}` + "\n  ]", `}` + "\n  ]", "pre_tokenizer", "Split, ByteLevel with use_regex true is not supported"},
		{"unknown post-processor", `"post_processor": null`, `"post_processor": {"type": "BertProcessing"}`, "post_processor.type", `"BertProcessing" is not supported, hone takes "ByteLevel", "TemplateProcessing"`},
		{"post-processor without a template", `"post_processor": null`, `"post_processor": {"type": "TemplateProcessing"}`, "post_processor.single", "is missing"},
		{"post-processor of an unknown token", `"post_processor": null`, `"post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>"}}]}`, "post_processor", `"<s>", which is not a token`},
		{"decoder of other steps", `"decoder": {"type": "ByteLevel"`, `"decoder": {"type": "Fuse"`, "decoder", "is Fuse, hone takes ByteLevel, or Replace, ByteFallback, Fuse, Strip"},
		{"normalizer of the wrong kind", `{"type": "NFC"}`, `{"type": "Prepend", "prepend": "▁"}`, "normalizer", "is Prepend, with a decoder of type ByteLevel hone takes null or NFC"},
		{"unknown decoder", `"decoder": {"type": "ByteLevel"`, `"decoder": {"type": "WordPiece"`, "decoder.type", `"WordPiece" is not supported`},
		{"no decoder", `"decoder"`, `"decoded"`, "decoder", "is missing"},
		{"no model", `"model"`, `"modal"`, "model", "is missing"},
		{"unknown model", `"BPE"`, `"Unigram"`, "model.type", `"Unigram" is not supported, hone takes "BPE"`},
		{"dropout", `"dropout": null`, `"dropout": 0.1`, "model.dropout", "0.1 is not supported"},
		{"unknown token with missing bytes", `"unk_token": null`, `"unk_token": "a"`, "model.unk_token", "lacks a byte"},
		{"subword prefix", `"continuing_subword_prefix": ""`, `"continuing_subword_prefix": "##"`, "model.continuing_subword_prefix", `"##" is not supported`},
		{"byte fallback", `"byte_fallback": false`, `"byte_fallback": true`, "model.byte_fallback", "true is not supported with a decoder of type ByteLevel"},
		{"ignored merges", `"ignore_merges": false`, `"ignore_merges": 0`, "model.ignore_merges", "is a number, must be a boolean"},
		{"no vocabulary", `"vocab"`, `"vacob"`, "model.vocab", "is missing"},
		{"vocabulary as a list", `{"a": 0, "b": 1, "ab": 2}`, `["a", "b", "ab"]`, "model.vocab", "is an array, must be an object"},
		{"empty vocabulary", `{"a": 0, "b": 1, "ab": 2}`, `{}`, "model.vocab", "is empty"},
		{"empty token", `"b": 1`, `"": 1`, `model.vocab[""]`, "may not be empty"},
		{"token given twice", `"ab": 2`, `"a": 2`, "model.vocab.a", "the token is given twice"},
		{"id given twice", `"ab": 2`, `"ab": 1`, "model.vocab.ab", `has id 1, and so has "b"`},
		{"id as a string", `"b": 1`, `"b": "1"`, "model.vocab.b", "is a string, must be a number"},
		{"fractional id", `"b": 1`, `"b": 1.5`, "model.vocab.b", "1.5 is not an id"},
		{"negative id", `"b": 1`, `"b": -1`, "model.vocab.b", "-1 is not an id"},
		{"huge id", `"b": 1`, `"b": 99999999999999999999`, "model.vocab.b", "is not an id"},
		{"far-off id", `"b": 1`, `"b": 2000000`, "model.vocab", "id 2000000 is too large for 3 tokens"},
		{"no merges", `"merges"`, `"mergers"`, "model.merges", "is missing"},
		{"merge of an unknown token", `["a", "b"]`, `["a", "c"]`, "model.merges[0]", `the token "c" is not in model.vocab`},
		{"merge that makes an unknown token", `["a", "b"]`, `["a", "b"], ["b", "a"]`, "model.merges[1]", `makes the token "ba", which is not in model.vocab`},
		{"merge of one token", `["a", "b"]`, `["a"]`, "model.merges[0]", "has 1 tokens, must have two"},
		{"merge of three tokens", `["a", "b"]`, `["a", "b", "a"]`, "model.merges[0][2]", "one too many"},
		{"merge without a space", `["a", "b"]`, `"ab"`, "model.merges[0]", `"ab" must be two tokens with one space`},
		{"merge with two spaces", `["a", "b"]`, `"a b b"`, "model.merges[0]", "must be two tokens"},
		{"merge of a wrong type", `["a", "b"]`, `7`, "model.merges[0]", "is a number, must be an array"},
		{"merge given twice", `["a", "b"]`, `["a", "b"], "a b"`, "model.merges[1]", "the merge is given twice"},
		{"merges of a wrong type", `[["a", "b"]]`, `{}`, "model.merges", "is an object, must be an array"},
		{"added tokens of a wrong type", `"added_tokens": [`, `"added_tokens": {}, "x": [`, "added_tokens", "is an object, must be an array"},
		{"added token without a flag", `, "special": true`, ``, "added_tokens[0].special", "is missing"},
		{"added token with a flag of a wrong type", `"special": true`, `"special": "true"`, "added_tokens[0].special", "is a string, must be a boolean"},
		{"empty added token", `"<end>"`, `""`, "added_tokens[0].content", "may not be empty"},
		{"added token given twice", added, added + "," + strings.Replace(added, "3", "4", 1), "added_tokens[1].content", `"<end>" is given twice`},
		{"added token with a token's id", `"id": 3`, `"id": 2`, "added_tokens[0].id", `2 is the id of both "<end>" and "ab"`},
		{"added token with another id than in the vocabulary", `"<end>"`, `"ab"`, "added_tokens[0].id", `is 3, but "ab" has id 2 in model.vocab`},
		{"two added tokens with one id", added, added + "," + strings.Replace(added, "<end>", "<stop>", 1), "added_tokens[1].id", `3 is the id of both "<stop>" and "<end>"`},
		{"added token with a far-off id", `"id": 3`, `"id": 1999999`, "added_tokens[0].id", "too large"},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := strings.Replace(tinyJSON, c.old, c.new, 1)
			if text == tinyJSON {
				t.Fatalf("%q is not in the file", c.old)
			}
			path := writeTokenizer(t, text)
			_, err := Load(path)
			var fe *FormatError
			if !errors.As(err, &fe) {
				t.Fatalf("Load: %v, want a FormatError", err)
			}
			if fe.File != path || fe.Field != c.field || !strings.Contains(fe.Reason, c.reason) {
				t.Errorf("Load: %v\nwant field %q, and in the reason: %s", err, c.field, c.reason)
			}
			if !strings.Contains(err.Error(), "tokenizer.json") {
				t.Errorf("the error does not name the file: %v", err)
			}
		})
	}
}

func TestLoadNamesAMissingFile(t *testing.T) {
	for _, path := range []string{filepath.Join(t.TempDir(), "none.json"), t.TempDir()} {
		if _, err := Load(path); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), filepath.Base(path)) {
			t.Errorf("Load(%s): %v", path, err)
		}
	}
}

func TestMalformedConfigsAreRefused(t *testing.T) {
	for _, c := range []struct{ config, field, reason string }{
		{`{"eos_token": 3}`, "eos_token", "is a number, must be a string"},
		{`{"eos_token": "<none>"}`, "eos_token", `"<none>" is not a token of tokenizer.json`},
		{`{"pad_token": {"special": true}}`, "pad_token.content", "is missing"},
		{`{"chat_template": 1}`, "chat_template", "must be a string"},
		{`{"chat_template": [{"name": "default"}]}`, "chat_template[0].template", "is missing"},
		{`{"eos_token": null`, "", "the file ends"},
	} {
		dir := filepath.Dir(writeTokenizer(t, tinyJSON))
		path := filepath.Join(dir, "tokenizer_config.json")
		if err := os.WriteFile(path, []byte(c.config), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := Load(dir)
		var fe *FormatError
		if !errors.As(err, &fe) || fe.File != path || fe.Field != c.field || !strings.Contains(fe.Reason, c.reason) {
			t.Errorf("%s: %v, want field %q: %s", c.config, err, c.field, c.reason)
		}
	}
}

func TestConfigNamesTheEndAndPaddingTokens(t *testing.T) {
	for config, want := range map[string]int32{
		`{}`:                                  -1,
		`{"eos_token": null}`:                 -1,
		`{"eos_token": "<end>"}`:              3,
		`{"eos_token": {"content": "<end>"}}`: 3,
	} {
		dir := filepath.Dir(writeTokenizer(t, tinyJSON))
		if err := os.WriteFile(filepath.Join(dir, "tokenizer_config.json"), []byte(config), 0o644); err != nil {
			t.Fatal(err)
		}
		tok, err := Load(dir)
		if err != nil {
			t.Fatal(err)
		}
		if id, ok := tok.EOS(); ok != (want >= 0) || ok && id != want {
			t.Errorf("%s: EOS = %d, %t, want %d", config, id, ok, want)
		}
		if _, ok := tok.Pad(); ok {
			t.Errorf("%s: there is a padding token", config)
		}
	}
}

func TestVocabularyLookups(t *testing.T) {
	tok := qwen3(t)
	if n := tok.VocabSize(); n != 151669 {
		t.Errorf("VocabSize = %d, want 151669", n)
	}
	for token, id := range map[string]int32{"!": 0, "Ġthe": 279, "<|im_end|>": 151645, "</think>": 151668} {
		if got, ok := tok.TokenToID(token); !ok || got != id {
			t.Errorf("TokenToID(%q) = %d, %t, want %d", token, got, ok, id)
		}
		if got, ok := tok.IDToToken(id); !ok || got != token {
			t.Errorf("IDToToken(%d) = %q, %t, want %q", id, got, ok, token)
		}
	}
	for _, id := range []int32{-1, 151669, 1 << 30} {
		if token, ok := tok.IDToToken(id); ok {
			t.Errorf("IDToToken(%d) = %q", id, token)
		}
	}
	if _, ok := tok.TokenToID("no such token"); ok {
		t.Error("TokenToID finds what is not there")
	}
	if eos, ok := tok.EOS(); !ok || eos != 151645 {
		t.Errorf("EOS = %d, %t, want 151645", eos, ok)
	}
	if pad, ok := tok.Pad(); !ok || pad != 151643 {
		t.Errorf("Pad = %d, %t, want 151643", pad, ok)
	}
	if !tok.IsSpecial(151645) || tok.IsSpecial(151668) || tok.IsSpecial(279) {
		t.Error("IsSpecial: want <|im_end|>, but neither </think> nor a word")
	}
	if added := tok.AddedTokens(); len(added) != 26 || added[0].Content != "<|endoftext|>" || !added[0].Special {
		t.Errorf("AddedTokens = %v", added)
	}
}

func TestDamagedFilesNeitherPanicNorAllocateMuch(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	splices := []string{"", "\"", "{", "}", "[", "]", ",", ":", "null", "true", "1e9", "-1", "999999", "\\u0000", "\\ud800", "\xff", `{"a": 0}`, `[["a", "b"]]`}
	for range 3000 {
		data := []byte(tinyJSON)
		for range 1 + rng.IntN(3) {
			from := rng.IntN(len(data))
			to := min(len(data), from+rng.IntN(12))
			splice := splices[rng.IntN(len(splices))]
			if rng.IntN(4) == 0 {
				splice = string(data[rng.IntN(len(data)):][:1])
			}
			data = slices.Replace(data, from, to, []byte(splice)...)
		}
		checkParse(t, string(data))
	}
}

func FuzzLoad(f *testing.F) {
	f.Add(tinyJSON)
	f.Add(strings.Replace(tinyJSON, `"b": 1`, `"b": 65000`, 1))
	f.Add(strings.Replace(tinyJSON, `[["a", "b"]]`, `["a b"]`, 1))
	f.Add(strings.Replace(tinyJSON, `"id": 3`, `"id": 60000`, 1))
	for _, family := range families {
		f.Add(readText(f, filepath.Join("testdata", "families", family, "tokenizer.json")))
	}
	f.Fuzz(func(t *testing.T, data string) { checkParse(t, data) })
}

// checkParse checks that a document gives an error with a field, or a tokenizer that works and
// survives being saved; and that it takes no more memory than its size allows.
func checkParse(t *testing.T, data string) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	tok, err := parse(data)
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 16<<20+200*uint64(len(data)) {
		t.Errorf("%d bytes of input made it allocate %d", len(data), used)
	}
	if err != nil {
		var fe *fieldError
		if !errors.As(err, &fe) {
			t.Errorf("the error names no field: %v", err)
		}
		return
	}
	text := "abba <end> aab"
	ids := tok.Encode(text)
	var saved bytes.Buffer
	if err := tok.write(&saved); err != nil {
		t.Fatal(err)
	}
	again, err := parse(saved.String())
	if err != nil {
		t.Fatalf("what was saved does not load: %v\n%s", err, saved.String())
	}
	if got := again.Encode(text); !slices.Equal(got, ids) {
		t.Errorf("what was saved encodes %q to %v, before to %v", text, got, ids)
	}
}
