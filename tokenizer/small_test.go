package tokenizer

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The files under testdata are made by the reference implementation (testdata/make_testdata.py), so
// that these tests say as much as those on the shared goldens, with a small vocabulary.

func loadTestdata(tb testing.TB, dir string) *Tokenizer {
	tb.Helper()
	t, err := Load(filepath.Join("testdata", dir))
	if err != nil {
		tb.Fatal(err)
	}
	return t
}

func checkEncode(t *testing.T, tok *Tokenizer, file string) {
	t.Helper()
	for i, r := range readLines[encodeCase](t, filepath.Join("testdata", file)) {
		if got := tok.Encode(r.Text); !slices.Equal(got, r.IDs) {
			t.Errorf("%s:%d: Encode(%q)\n got %v\nwant %v", file, i+1, r.Text, got, r.IDs)
		}
	}
}

func TestSmallVocabularyEncodesAsTheReference(t *testing.T) {
	checkEncode(t, loadTestdata(t, "small"), "encode.jsonl")
}

func TestPluralPatternEncodesAsTheReference(t *testing.T) {
	checkEncode(t, loadTestdata(t, "plural"), "plural.jsonl")
}

func TestSmallVocabularyDecodesAsTheReference(t *testing.T) {
	tok := loadTestdata(t, "small")
	type row struct {
		IDs             []int32
		Text            string
		TextSkipSpecial string `json:"text_skip_special"`
	}
	for i, r := range readLines[row](t, filepath.Join("testdata", "decode.jsonl")) {
		if got := tok.Decode(r.IDs); got != r.Text {
			t.Errorf("case %d: Decode(%v)\n got %q\nwant %q", i, r.IDs, got, r.Text)
		}
		if got := tok.DecodeSkipSpecial(r.IDs); got != r.TextSkipSpecial {
			t.Errorf("case %d: DecodeSkipSpecial(%v)\n got %q\nwant %q", i, r.IDs, got, r.TextSkipSpecial)
		}
		if got := streamAll(tok, r.IDs, true); got != r.TextSkipSpecial {
			t.Errorf("case %d: streamed %v\n got %q\nwant %q", i, r.IDs, got, r.TextSkipSpecial)
		}
	}
}

func TestChatsRenderAndEncodeAsTheReference(t *testing.T) {
	tok := loadTestdata(t, "small")
	checkChats(t, tok, readLines[chatCase](t, filepath.Join("testdata", "chat_qwen3.jsonl")))
}

func TestChatMLRendersAsItsJinjaText(t *testing.T) {
	tok := loadTestdata(t, "small")
	for _, c := range readLines[chatCase](t, filepath.Join("testdata", "chat_chatml.jsonl")) {
		o := c.options()
		o.Template = TemplateChatML
		for i := range c.Messages {
			c.Messages[i].ReasoningContent = "" // ChatML has no place for it
		}
		text, err := tok.RenderChat(c.Messages, o)
		if err != nil || text != c.Text {
			t.Errorf("case %d: RenderChat = %q, %v, want %q", c.ID, text, err, c.Text)
		}
	}
}

func TestNFCIsTheReferences(t *testing.T) {
	type row struct{ Text, NFC string }
	for i, r := range readLines[row](t, filepath.Join("testdata", "nfc.jsonl")) {
		if got := nfc(r.Text); got != r.NFC {
			t.Errorf("case %d: nfc(%+q)\n got %+q\nwant %+q", i, r.Text, got, r.NFC)
		}
	}
}

func TestToolsAreWrittenAsPythonsJSON(t *testing.T) {
	type row struct{ JSON, Text string }
	for _, r := range readLines[row](t, filepath.Join("testdata", "tojson.jsonl")) {
		if got, err := pythonJSON([]byte(r.JSON)); err != nil || got != r.Text {
			t.Errorf("pythonJSON(%s) = %s, %v, want %s", r.JSON, got, err, r.Text)
		}
	}
}

// corpus returns the documents that the reference trained on.
func corpus(tb testing.TB) []string {
	tb.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "corpus.txt"))
	if err != nil {
		tb.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
	unescape := strings.NewReplacer(`\\`, `\`, `\n`, "\n")
	for i, line := range lines {
		lines[i] = unescape.Replace(line)
	}
	return lines
}

func TestTrainingMakesTheReferencesFile(t *testing.T) {
	for _, c := range []struct {
		dir string
		o   TrainOptions
	}{
		{"trained", TrainOptions{VocabSize: 480, MinFrequency: 2}},
		{"plural", TrainOptions{VocabSize: 480, Pattern: PatternQwen2Plural}},
	} {
		c.o.AddedTokens = ControlTokens("<|endoftext|>", "<|im_start|>", "<|im_end|>")
		tok, err := Train(slices.Values(corpus(t)), c.o)
		if err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		if err := tok.write(&got); err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(filepath.Join("testdata", c.dir, "tokenizer.json"))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Bytes(), want) {
			t.Errorf("%s: the trained tokenizer.json differs from the reference's", c.dir)
		}
	}
}
