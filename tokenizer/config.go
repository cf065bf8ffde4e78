package tokenizer

import (
	"fmt"
	"path/filepath"
	"strings"
)

// config is what tokenizer_config.json and chat_template.jinja add to a tokenizer.
type config struct {
	bos, eos, pad *int32 // nil where the files name none
	template      string // Jinja text, "" for none
	raw           []byte // of tokenizer_config.json, for Save
	jinja         []byte // of chat_template.jinja, for Save
}

// EOS returns the id of the token that ends a text or turn, as tokenizer_config.json names it.
func (t *Tokenizer) EOS() (id int32, ok bool) { return deref(t.config.eos) }

// Pad returns the id of the padding token, as tokenizer_config.json names it.
func (t *Tokenizer) Pad() (id int32, ok bool) { return deref(t.config.pad) }

func deref(id *int32) (int32, bool) {
	if id == nil {
		return 0, false
	}
	return *id, true
}

// ChatTemplate returns what TemplateAuto means for this tokenizer, or an error if its files hold a
// template that hone does not know, or none while its tokens tell nothing either.
func (t *Tokenizer) ChatTemplate() (ChatTemplate, error) {
	if t.config.template != "" {
		if known, ok := knownTemplates[templateHash(t.config.template)]; ok {
			return known, nil
		}
		return TemplateAuto, fmt.Errorf("tokenizer: chat: the files' chat template is not one that hone knows: choose with "+
			"-chat-template, or ChatOptions.Template, the one that it is like: %s", strings.Join(ChatTemplateNames()[1:], ", "))
	}
	has := func(token string) bool { _, ok := t.ids[token]; return ok }
	switch {
	case has(imStart) && has(imEnd) && has(thinkStart) && has(thinkEnd):
		return TemplateQwen3, nil
	case has(imStart) && has(imEnd):
		return TemplateChatML, nil
	case has("<|start_header_id|>") && has(eotID):
		return TemplateLlama3, nil
	}
	return TemplateAuto, fmt.Errorf("tokenizer: chat: the files hold no chat template, and no tokens %s and %s: choose one with "+
		"-chat-template, or ChatOptions.Template: %s", imStart, imEnd, strings.Join(ChatTemplateNames()[1:], ", "))
}

// loadConfig reads the optional files of a tokenizer's directory.
func (t *Tokenizer) loadConfig(dir string) error {
	path := filepath.Join(dir, configFile)
	raw, err := readOptional(path)
	if err != nil {
		return err
	}
	if raw != nil {
		t.config.raw = raw
		if err := document(string(raw), t.readConfig); err != nil {
			return inFile(path, err)
		}
	}
	t.config.jinja, err = readOptional(filepath.Join(dir, templateFile))
	if t.config.jinja != nil {
		t.config.template = string(t.config.jinja)
	}
	return err
}

func (t *Tokenizer) readConfig(r *jsonReader) error {
	return r.record(nil, func(key string) (err error) {
		switch key {
		case "bos_token":
			t.config.bos, err = t.readToken(r)
		case "eos_token":
			t.config.eos, err = t.readToken(r)
		case "pad_token":
			t.config.pad, err = t.readToken(r)
		case "chat_template":
			t.config.template, err = readTemplate(r)
		default:
			_, err = r.skip()
		}
		return err
	})
}

// readToken reads null, a token, or an object that holds one as its content.
func (t *Tokenizer) readToken(r *jsonReader) (*int32, error) {
	if isNull, err := r.null(); isNull || err != nil {
		return nil, err
	}
	var token string
	var err error
	if r.kind() == "an object" {
		err = r.record([]string{"content"}, func(key string) (err error) {
			if key == "content" {
				token, err = r.string()
			} else {
				_, err = r.skip()
			}
			return err
		})
	} else {
		token, err = r.string()
	}
	if err != nil {
		return nil, err
	}
	id, ok := t.ids[token]
	if !ok {
		return nil, r.errorf("%q is not a token of %s", token, tokenizerFile)
	}
	return &id, nil
}

// readTemplate reads null, a template, or a list of named ones, of which it takes the default.
func readTemplate(r *jsonReader) (string, error) {
	if isNull, err := r.null(); isNull || err != nil {
		return "", err
	}
	if r.kind() != "an array" {
		return r.string()
	}
	chosen := ""
	err := r.array(func(int) error {
		var name, template string
		err := r.record([]string{"name", "template"}, func(key string) (err error) {
			switch key {
			case "name":
				name, err = r.string()
			case "template":
				template, err = r.string()
			default:
				_, err = r.skip()
			}
			return err
		})
		if name == "default" {
			chosen = template
		}
		return err
	})
	return chosen, err
}
