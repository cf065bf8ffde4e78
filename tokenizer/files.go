package tokenizer

import "bytes"

// Parse reads a tokenizer from the content of a tokenizer.json and, unless it is nil, of a
// tokenizer_config.json. It takes what Load takes, for files that are no files: embedded ones, or
// those that another format's metadata amount to. Errors are *FormatError, named after the files.
func Parse(tokenizerJSON, configJSON []byte) (*Tokenizer, error) {
	t, err := parse(string(tokenizerJSON))
	if err != nil {
		return nil, inFile(tokenizerFile, err)
	}
	if configJSON != nil {
		t.config.raw = configJSON
		if err := document(string(configJSON), t.readConfig); err != nil {
			return nil, inFile(configFile, err)
		}
	}
	return t, nil
}

// JSON returns the content of the tokenizer.json and tokenizer_config.json that Save writes.
func (t *Tokenizer) JSON() (tokenizerJSON, configJSON []byte) {
	var b bytes.Buffer
	t.write(&b) // which a buffer takes without error
	if t.config.raw != nil {
		return b.Bytes(), bytes.Clone(t.config.raw)
	}
	return b.Bytes(), t.newConfig()
}

// ChatTemplateText returns the Jinja text of the chat template that came with the tokenizer's files, "" if
// none did.
func (t *Tokenizer) ChatTemplateText() string { return t.config.template }
