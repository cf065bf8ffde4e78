package tokenizer

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const (
	tokenizerFile = "tokenizer.json"
	configFile    = "tokenizer_config.json"
	templateFile  = "chat_template.jinja"

	maxFileSize = 256 << 20 // far above any real vocabulary
)

// Load reads a tokenizer from a Hugging Face tokenizer.json, or from a directory that holds one. Of
// a directory it also reads, where present, tokenizer_config.json (the end and padding tokens, the
// chat template) and chat_template.jinja.
//
// What it takes is BPE of bytes, as GPT-2, Qwen, Llama 3 and SmolLM2 have it, and BPE of characters
// with byte fallback, as Llama 2 and TinyLlama have it. It is known by the types of the steps of
// normalizer, pre_tokenizer and decoder, and by the pattern of a Split (PatternQwen2 and the others).
// Anything else, and whatever is malformed, gives a *FormatError that names the file and the field.
// The file's truncation and padding are kept for Save but not applied: Encode gives all tokens of a
// text and no others.
//
// As in the reference, bytes that the vocabulary lacks are dropped from a text that is encoded; no
// vocabulary of these models lacks any.
func Load(fileOrDir string) (*Tokenizer, error) {
	info, err := os.Stat(fileOrDir)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	if !info.IsDir() {
		return loadFile(fileOrDir)
	}
	t, err := loadFile(filepath.Join(fileOrDir, tokenizerFile))
	if err != nil {
		return nil, err
	}
	if err := t.loadConfig(fileOrDir); err != nil {
		return nil, err
	}
	return t, nil
}

func loadFile(path string) (*Tokenizer, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	t, err := parse(string(data))
	if err != nil {
		return nil, inFile(path, err)
	}
	return t, nil
}

// readFile reads a file of at most maxFileSize.
func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, &FormatError{File: path, Reason: "is not a regular file"}
	}
	if info.Size() > maxFileSize {
		reason := fmt.Sprintf("has %d bytes, more than the %d that a tokenizer may have", info.Size(), maxFileSize)
		return nil, &FormatError{File: path, Reason: reason}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	return data, nil
}

// readOptional is readFile, but nil for a file that does not exist.
func readOptional(path string) ([]byte, error) {
	if _, err := os.Stat(path); os.IsNotExist(err) {
		return nil, nil
	}
	return readFile(path)
}

// parse builds a tokenizer from the text of a tokenizer.json. Errors are fieldErrors.
func parse(data string) (*Tokenizer, error) {
	b := builder{header: header{}}
	var added *jsonReader
	err := document(data, func(r *jsonReader) error {
		return r.record([]string{"pre_tokenizer", "decoder", "model"}, func(key string) error {
			if key == "model" {
				return b.readModel(r)
			}
			here := r.clone()
			raw, err := r.skip()
			if err != nil {
				return err
			}
			switch key {
			case "added_tokens":
				added = here // read after the model, whose ids it must agree with
				return nil
			case "version":
				return readVersion(here)
			case "truncation", "padding":
				err = readIgnored(here)
			case "normalizer":
				err = b.readNormalizer(here)
			case "pre_tokenizer":
				err = b.readPreTokenizer(here)
			case "post_processor":
				err = b.readPostProcessor(here)
			case "decoder":
				err = b.readDecoder(here)
			default:
				return nil
			}
			b.header[key] = strings.Clone(raw)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	if err := b.readAdded(added); err != nil {
		return nil, err
	}
	return b.build()
}
