package main

import (
	"flag"
	"strings"

	"github.com/hone-ml/hone/tokenizer"
)

// chatTemplate is the flag -chat-template of commands that ask a model.
type chatTemplate struct{ name string }

func (c *chatTemplate) register(fs *flag.FlagSet) {
	fs.StringVar(&c.name, "chat-template", "auto", "`NAME` of the chat template that questions are put in: auto, that of the model's files, or "+strings.Join(tokenizer.ChatTemplateNames()[1:], ", "))
}

// check finds wrong usage.
func (c *chatTemplate) check() error {
	if _, err := tokenizer.ParseChatTemplate(c.name); err != nil {
		return usagef("-chat-template: %v", err)
	}
	return nil
}

// formatOf is the form that questions have for a tokenizer: the demo's where it has its control tokens, or else a
// chat template.
func (c *chatTemplate) formatOf(t *tokenizer.Tokenizer) (format, error) {
	template, err := tokenizer.ParseChatTemplate(c.name)
	if err != nil {
		return nil, err
	}
	return formatOf(t, template)
}
