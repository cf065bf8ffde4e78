package tokenizer

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// The vocabularies under testdata/families are small, their pipelines those of released models; the reference made
// them and their goldens (testdata/make_families.py).
var families = []string{"gpt2", "llama3", "smollm2", "llama2", "metaspace", "crossing"}

func TestOtherFamiliesEncodeAsTheReference(t *testing.T) {
	type row struct {
		Text      string
		IDs       []int32
		PromptIDs []int32 `json:"prompt_ids"`
	}
	for _, family := range families {
		tok := loadTestdata(t, filepath.Join("families", family))
		prompts := 0
		for _, r := range readLines[row](t, filepath.Join("testdata", "families", family, "encode.jsonl")) {
			if got := tok.Encode(r.Text); !slices.Equal(got, r.IDs) {
				t.Errorf("%s: Encode(%q)\n got %v\nwant %v", family, r.Text, got, r.IDs)
			}
			if r.PromptIDs == nil {
				continue
			}
			prompts++
			if got := tok.EncodePrompt(r.Text); !slices.Equal(got, r.PromptIDs) {
				t.Errorf("%s: EncodePrompt(%q) = %v, want %v", family, r.Text, got, r.PromptIDs)
			}
			begun := string(tok.AppendBytes(nil, r.PromptIDs[:len(r.PromptIDs)-len(r.IDs)])) + r.Text
			if got, want := tok.EncodePrompt(begun), tok.Encode(begun); !slices.Equal(got, want) {
				t.Errorf("%s: EncodePrompt(%q) = %v, want %v: it has begun already", family, begun, got, want)
			}
		}
		if prompts == 0 {
			t.Errorf("%s: no prompts", family)
		}
	}
}

// Where no ▁ is put before texts, files have no Strip, and the space that a text begins with is its own.
func TestASpaceThatWasNotPutThereIsDecoded(t *testing.T) {
	file, err := os.ReadFile(filepath.Join("testdata", "families", "metaspace", tokenizerFile))
	if err != nil {
		t.Fatal(err)
	}
	never := strings.Replace(string(file), `"prepend_scheme":"first"`, `"prepend_scheme":"never"`, 1)
	never = strings.Replace(never, `,{"type":"Strip","content":" ","start":1,"stop":0}`, "", 1)
	if len(never) >= len(file)-10 {
		t.Fatal("the file is not as it was")
	}
	tok, err := Load(writeTokenizer(t, never))
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{" a text", "  two", "none", " 日本"} {
		ids := tok.Encode(text)
		if got := tok.Decode(ids); got != text {
			t.Errorf("%q is decoded as %q", text, got)
		}
		s := tok.NewStream(false)
		for range 2 { // of two texts
			streamed := ""
			for _, id := range ids {
				streamed += s.Next(id)
			}
			if streamed += s.Flush(); streamed != text {
				t.Errorf("%q is streamed as %q", text, streamed)
			}
		}
	}
}

// The goldens are compact; the reference writes files with line ends and indents.
func TestFilesMayBeIndented(t *testing.T) {
	for _, family := range families {
		compact, err := os.ReadFile(filepath.Join("testdata", "families", family, tokenizerFile))
		if err != nil {
			t.Fatal(err)
		}
		var indented bytes.Buffer
		if err := json.Indent(&indented, compact, "", "  "); err != nil {
			t.Fatal(err)
		}
		tok, err := Load(writeTokenizer(t, indented.String()))
		if err != nil {
			t.Errorf("%s: %v", family, err)
			continue
		}
		const text = " It's  1234 naïve 日本\n<s>"
		if got, want := tok.Encode(text), loadTestdata(t, filepath.Join("families", family)).Encode(text); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", family, got, want)
		}
	}
}

func TestOtherFamiliesDecodeAsTheReference(t *testing.T) {
	type row struct {
		IDs             []int32
		Text            string
		TextSkipSpecial string `json:"text_skip_special"`
	}
	for _, family := range families {
		tok := loadTestdata(t, filepath.Join("families", family))
		for _, r := range readLines[row](t, filepath.Join("testdata", "families", family, "decode.jsonl")) {
			if got := tok.Decode(r.IDs); got != r.Text {
				t.Errorf("%s: Decode(%v)\n got %q\nwant %q", family, r.IDs, got, r.Text)
			}
			if got := tok.DecodeSkipSpecial(r.IDs); got != r.TextSkipSpecial {
				t.Errorf("%s: DecodeSkipSpecial(%v)\n got %q\nwant %q", family, r.IDs, got, r.TextSkipSpecial)
			}
			if got := streamAll(tok, r.IDs, true); got != r.TextSkipSpecial {
				t.Errorf("%s: streamed %v\n got %q\nwant %q", family, r.IDs, got, r.TextSkipSpecial)
			}
			if got := streamAll(tok, r.IDs, false); got != r.Text {
				t.Errorf("%s: streamed %v\n got %q\nwant %q", family, r.IDs, got, r.Text)
			}
		}
	}
}

func TestOtherFamiliesAreSavedAsTheyWereLoaded(t *testing.T) {
	for _, family := range families {
		path := filepath.Join("testdata", "families", family, "tokenizer.json")
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var saved bytes.Buffer
		if err := loadTestdata(t, filepath.Join("families", family)).write(&saved); err != nil {
			t.Fatal(err)
		}
		var got, want any
		if json.Unmarshal(raw, &want) != nil || json.Unmarshal(saved.Bytes(), &got) != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: what is saved says something else", family)
		}
	}
}

// Llama 2's vocabulary is cut at spaces for speed, which may change no id.
func TestCuttingAtSpacesChangesNoID(t *testing.T) {
	cut, whole := loadTestdata(t, "families/llama2"), loadTestdata(t, "families/llama2")
	if !cut.space.cut || loadTestdata(t, "families/crossing").space.cut {
		t.Fatal("llama2 is to be cut, crossing is not")
	}
	whole.space.cut = false
	for _, text := range append(corpus(t), strings.Join(corpus(t), " "), strings.Repeat(" ", 300)+"x", strings.Repeat("▁a  ", 90)) {
		if got, want := cut.Encode(text), whole.Encode(text); !slices.Equal(got, want) {
			t.Errorf("%.80q: %v when cut, else %v", text, got, want)
		}
	}
}

func TestMalformedPipelinesOfOtherFamiliesAreRefused(t *testing.T) {
	for _, c := range []struct{ family, old, new, field, reason string }{
		{"llama2", `"content":"▁"`, `"content":"_"`, "normalizer.normalizers[1].content", `"_" is not supported, hone takes "▁"`},
		{"llama2", `"prepend":"▁"`, `"prepend":"x"`, "normalizer.normalizers[0].prepend", `"x" is not supported`},
		{"llama2", `"normalizer":{"type":"Sequence"`, `"normalizer":{"type":"Lowercase"`, "normalizer.type", `"Lowercase" is not supported, hone takes "NFC", "Prepend", "Replace"`},
		{"llama2", `"start":1`, `"start":2`, "decoder.decoders[3].start", "2 is not supported, hone takes 1"},
		{"llama2", `{"type":"Fuse"},`, ``, "decoder", "is Replace, ByteFallback, Strip, hone takes"},
		{"llama2", `"byte_fallback":true`, `"byte_fallback":false`, "model.byte_fallback", "false is not supported with a decoder of type ByteFallback"},
		{"llama2", `"ignore_merges":false`, `"ignore_merges":true`, "model.ignore_merges", "true is not supported"},
		{"llama2", `"<0x41>"`, `"<0x+1>"`, "model.vocab", "lacks <0x41>"},
		{"llama2", `"pre_tokenizer":null`, `"pre_tokenizer":{"type":"Whitespace"}`, "pre_tokenizer.type", `"Whitespace" is not supported`},
		{"llama2", `"pre_tokenizer":null`, `"pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true}`, "pre_tokenizer", "is ByteLevel behind a normalizer that is Prepend, Replace"},
		{"metaspace", `"split":false`, `"split":true`, "pre_tokenizer.split", "true is not supported"},
		{"metaspace", `"first"`, `"last"`, "pre_tokenizer.prepend_scheme", `"last" is not supported`},
		{"smollm2", `"individual_digits":true`, `"individual_digits":false`, "pre_tokenizer.pretokenizers[0].individual_digits", "false is not supported"},
		{"gpt2", `"use_regex":true`, `"use_regex":false`, "pre_tokenizer", "ByteLevel with use_regex false is not supported"},
		{"gpt2", `"add_prefix_space":false`, `"add_prefix_space":true`, "pre_tokenizer.add_prefix_space", "true is not supported"},
		{"llama3", `{"type":"TemplateProcessing"`, `{"type":"RobertaProcessing"`, "post_processor.processors[1].type", `"RobertaProcessing" is not supported`},
	} {
		raw, err := os.ReadFile(filepath.Join("testdata", "families", c.family, "tokenizer.json"))
		if err != nil {
			t.Fatal(err)
		}
		var compact bytes.Buffer
		if err := json.Compact(&compact, raw); err != nil {
			t.Fatal(err)
		}
		text := strings.Replace(compact.String(), c.old, c.new, 1)
		if text == compact.String() {
			t.Errorf("%s: %s is not in the file", c.family, c.old)
		}
		_, err = parse(text)
		fe, ok := err.(*fieldError)
		if !ok || fe.field != c.field || !strings.Contains(fe.reason, c.reason) {
			t.Errorf("%s, %s: %v, want field %s: %s", c.family, c.new, err, c.field, c.reason)
		}
	}
}

func FuzzOtherFamilies(f *testing.F) {
	for i := range families {
		f.Add(uint8(i), "it's  12345 ▁<s>\n é🎈")
	}
	tokenizers := make([]*Tokenizer, len(families))
	for i, family := range families {
		tokenizers[i] = loadTestdata(f, filepath.Join("families", family))
	}
	f.Fuzz(func(t *testing.T, i uint8, text string) {
		tok := tokenizers[int(i)%len(tokenizers)]
		text = toValidUTF8(text)
		ids := tok.EncodeOrdinary(text)
		want := text
		if tok.space != nil { // a ▁ is a space to it, and the space put before the text is taken away
			want = strings.ReplaceAll(text, metaRune, " ")
			if tok.space.late {
				want = strings.TrimPrefix(want, " ")
			}
		}
		if got := tok.Decode(ids); got != want {
			t.Errorf("%q is decoded as %q, want %q", text, got, want)
		}
	})
}
