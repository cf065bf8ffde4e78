package models

import (
	"errors"
	"fmt"
	"slices"
)

// Options say how tokens are chosen and when to stop.
type Options struct {
	// MaxTokens is the most new tokens of a sequence; 0 stands for 256.
	MaxTokens int
	// Temperature divides the logits before sampling; 0 takes the most likely token (greedy).
	Temperature float64
	// TopK keeps the K most likely tokens, TopP the smallest set whose probability reaches P (Holtzman et
	// al., 2020), MinP those at least P times as likely as the most likely one (Nguyen et al., 2024). 0 keeps
	// all. They apply in this order.
	TopK int
	TopP float64
	MinP float64
	// RepetitionPenalty divides the logits of tokens that stand in the text already, prompt included, or
	// multiplies those below 0; before all else, also at temperature 0. 0 and 1 change nothing. (Keskar et
	// al., "CTRL", 2019.)
	RepetitionPenalty float64
	// Samples is how many continuations each prompt gets, 0 stands for 1. The prompt is read once.
	Samples int
	// Seed is the random stream of sampling: the same seed and prompts give the same texts.
	Seed uint64
	// Stop are the tokens that end a sequence; they are not part of it. Nil stands for the model's own.
	Stop []int32
	// StopStrings end a text where one of them begins, wherever its tokens do. For Generate and GenerateTexts, which
	// know the text.
	StopStrings []string
	// Logprobs gives each token its log probability, and TopLogprobs the most likely tokens in its place with
	// theirs: as the model has them, before temperature, penalties and cuts.
	Logprobs    bool
	TopLogprobs int
}

// normal is o with its defaults. It is an error if a field is out of range.
func (o Options) normal(m CausalLM) (Options, error) {
	if o.MaxTokens == 0 {
		o.MaxTokens = 256
	}
	if o.Samples == 0 {
		o.Samples = 1
	}
	if o.RepetitionPenalty == 0 {
		o.RepetitionPenalty = 1
	}
	fraction := func(p float64) bool { return p >= 0 && p <= 1 }
	switch {
	case o.MaxTokens < 0:
		return o, fmt.Errorf("models: MaxTokens is %d, want at least 0", o.MaxTokens)
	case o.Samples < 0:
		return o, fmt.Errorf("models: Samples is %d, want at least 0", o.Samples)
	case !(o.Temperature >= 0):
		return o, fmt.Errorf("models: Temperature is %g, want at least 0", o.Temperature)
	case o.TopK < 0 || o.TopLogprobs < 0:
		return o, fmt.Errorf("models: TopK is %d and TopLogprobs %d, want at least 0", o.TopK, o.TopLogprobs)
	case !fraction(o.TopP) || !fraction(o.MinP):
		return o, fmt.Errorf("models: TopP is %g and MinP %g, want 0 to 1", o.TopP, o.MinP)
	case !(o.RepetitionPenalty > 0):
		return o, fmt.Errorf("models: RepetitionPenalty is %g, want more than 0", o.RepetitionPenalty)
	case slices.Contains(o.StopStrings, ""):
		return o, errors.New("models: one of StopStrings is empty")
	}
	if s, ok := m.(Stopper); ok && o.Stop == nil {
		o.Stop = s.StopTokens()
	}
	return o, nil
}
