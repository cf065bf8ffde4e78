package tokenizer

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/hone-ml/hone/internal/atomicfile"
)

// Save writes the tokenizer into dir, which it makes if need be: tokenizer.json in the form that
// the tokenizers library of Hugging Face writes, tokenizer_config.json, and chat_template.jinja if
// one was loaded; otherwise one that is there is removed. The last two are as loaded, to the byte; for a tokenizer that was trained, or
// loaded from a single file, tokenizer_config.json is made from what is known. Each file is
// replaced as a whole or not at all.
func (t *Tokenizer) Save(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("tokenizer: %w", err)
	}
	if err := replaceFile(filepath.Join(dir, tokenizerFile), t.write); err != nil {
		return err
	}
	cfg := t.config.raw
	if cfg == nil {
		cfg = t.newConfig()
	}
	if err := replaceFile(filepath.Join(dir, configFile), writeBytes(cfg)); err != nil {
		return err
	}
	template := filepath.Join(dir, templateFile)
	if t.config.jinja != nil {
		return replaceFile(template, writeBytes(t.config.jinja))
	}
	// that of another tokenizer would go before what tokenizer_config.json says
	if err := os.Remove(template); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("tokenizer: %w", err)
	}
	return nil
}

func writeBytes(data []byte) func(io.Writer) error {
	return func(w io.Writer) error { _, err := w.Write(data); return err }
}

// replaceFile replaces a file as a whole.
func replaceFile(path string, write func(io.Writer) error) error {
	if err := atomicfile.WriteFile(path, write); err != nil {
		return fmt.Errorf("tokenizer: %w", err)
	}
	return nil
}

// write writes tokenizer.json.
func (t *Tokenizer) write(w io.Writer) error {
	b := bufio.NewWriterSize(w, 1<<16)
	b.WriteString("{\n  \"version\": \"1.0\",\n")
	t.writeHeader(b, "truncation", "null")
	t.writeHeader(b, "padding", "null")
	t.writeAdded(b)
	t.writeHeader(b, "normalizer", "null")
	t.writeHeader(b, "pre_tokenizer", "null")
	t.writeHeader(b, "post_processor", "null")
	t.writeHeader(b, "decoder", "null")
	b.WriteString("  \"model\": {\n    \"type\": \"BPE\",\n")
	for _, f := range []struct{ key, absent string }{
		{"dropout", "null"}, {"unk_token", "null"}, {"continuing_subword_prefix", "null"}, {"end_of_word_suffix", "null"},
		{"fuse_unk", "false"}, {"byte_fallback", "false"}, {"ignore_merges", "false"},
	} {
		b.WriteString("    \"" + f.key + "\": " + t.headerOr("model."+f.key, f.absent) + ",\n")
	}
	t.writeVocab(b)
	t.writeMerges(b)
	b.WriteString("  }\n}")
	return b.Flush() // a bufio.Writer keeps its first error
}

func (t *Tokenizer) headerOr(key, absent string) string {
	if raw, ok := t.header[key]; ok {
		return raw
	}
	return absent
}

func (t *Tokenizer) writeHeader(b *bufio.Writer, key, absent string) {
	b.WriteString("  \"" + key + "\": " + t.headerOr(key, absent) + ",\n")
}

func (t *Tokenizer) writeAdded(b *bufio.Writer) {
	b.WriteString("  \"added_tokens\": [")
	for i, a := range t.added {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(b, "\n    {\n      \"id\": %d,\n      \"content\": \"%s\",\n      \"single_word\": %t,\n      \"lstrip\": %t,\n"+
			"      \"rstrip\": %t,\n      \"normalized\": %t,\n      \"special\": %t\n    }",
			a.ID, escapeJSON(a.Content), a.SingleWord, a.LStrip, a.RStrip, a.Normalized, a.Special)
	}
	if len(t.added) > 0 {
		b.WriteString("\n  ")
	}
	b.WriteString("],\n")
}

func (t *Tokenizer) writeVocab(b *bufio.Writer) {
	b.WriteString("    \"vocab\": {")
	comma := ""
	for id, token := range t.tokens {
		if token == "" || t.addedOnly[int32(id)] {
			continue
		}
		b.WriteString(comma + "\n      \"" + escapeJSON(token) + "\": " + strconv.Itoa(id))
		comma = ","
	}
	b.WriteString("\n    },\n")
}

func (t *Tokenizer) writeMerges(b *bufio.Writer) {
	b.WriteString("    \"merges\": [")
	for i, m := range t.merges {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString("\n      [\n        \"" + escapeJSON(t.tokens[m.left]) + "\",\n        \"" + escapeJSON(t.tokens[m.right]) + "\"\n      ]")
	}
	if len(t.merges) > 0 {
		b.WriteString("\n    ")
	}
	b.WriteString("]\n")
}

// newConfig makes a tokenizer_config.json. It names the class that takes the pipeline from
// tokenizer.json as it is; the Qwen classes of transformers would put their own pattern in its
// place.
func (t *Tokenizer) newConfig() []byte {
	type added struct {
		Content    string `json:"content"`
		LStrip     bool   `json:"lstrip"`
		Normalized bool   `json:"normalized"`
		RStrip     bool   `json:"rstrip"`
		SingleWord bool   `json:"single_word"`
		Special    bool   `json:"special"`
	}
	decoder := map[int32]added{}
	for _, a := range t.added {
		decoder[a.ID] = added{a.Content, a.LStrip, a.Normalized, a.RStrip, a.SingleWord, a.Special}
	}
	name := func(id *int32) *string {
		if id == nil {
			return nil
		}
		return &t.tokens[*id]
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(struct {
		AddPrefixSpace bool            `json:"add_prefix_space"`
		AddedTokens    map[int32]added `json:"added_tokens_decoder"`
		ChatTemplate   string          `json:"chat_template,omitempty"`
		CleanUp        bool            `json:"clean_up_tokenization_spaces"`
		EOS            *string         `json:"eos_token"`
		Errors         string          `json:"errors"`
		Pad            *string         `json:"pad_token"`
		Class          string          `json:"tokenizer_class"`
		Unknown        *string         `json:"unk_token"`
	}{false, decoder, t.config.template, false, name(t.config.eos), "replace", name(t.config.pad), "PreTrainedTokenizerFast", nil})
	if err != nil {
		panic(err) // plain strings and booleans always encode
	}
	return buf.Bytes()
}
