package models_test

import (
	"slices"
	"testing"

	"github.com/hone-ml/hone/models"
)

// about are prompts that begin alike and end in different questions.
func about(beginning []int32, questions ...[]int32) [][]int32 {
	var prompts [][]int32
	for _, q := range questions {
		prompts = append(prompts, slices.Concat(beginning, q))
	}
	return prompts
}

func TestWhatPromptsBeginWithIsReadOnce(t *testing.T) {
	m := newTiny(t, true, "float32")
	for _, c := range []struct {
		name    string
		prompts [][]int32
		want    int // tokens of prompts through the model
	}{
		{"one prompt", [][]int32{prompt(1, 20)}, 20},
		{"nothing in common", somePrompts, 5 + 1 + 17 + 9},
		{"questions on one schema", about(prompt(1, 20), []int32{1, 2}, []int32{3}, []int32{4, 5, 6}), 20 + 2 + 1 + 3},
		{"questions on two schemas", slices.Concat(about(prompt(1, 20), []int32{1, 2}, []int32{3}), about(prompt(2, 30), []int32{1}, []int32{2})), 20 + 3 + 30 + 2},
		{"the same prompt", [][]int32{prompt(1, 20), prompt(1, 20), prompt(1, 20)}, 19 + 3},
		{"one prompt that another begins with", [][]int32{prompt(1, 20), prompt(1, 24)}, 19 + 1 + 5},
		{"too little in common", about(prompt(1, 4), prompt(2, 9), prompt(3, 9)), 13 + 13},
		{"a greeting and a schema", slices.Concat(about(slices.Concat(prompt(9, 5), prompt(1, 20)), []int32{1}, []int32{2}), about(prompt(9, 5), prompt(5, 30))), 25 + 2 + 35},
		{"one among many that has half in common", append(about(prompt(1, 40), []int32{1}, []int32{2}, []int32{3}, []int32{4}), slices.Concat(prompt(1, 24), []int32{299}, prompt(2, 15))), 40 + 4 + 40},
		{"single tokens", [][]int32{{7}, {7}}, 2},
	} {
		counted := &counter{newTinyModel: m}
		generated(t, counted, c.prompts, models.Options{MaxTokens: 1})
		if counted.tokens != c.want {
			t.Errorf("%s: %d tokens went through the model, want %d", c.name, counted.tokens, c.want)
		}
	}
}

func TestASharedBeginningChangesNoToken(t *testing.T) {
	m := newTiny(t, true, "float32")
	prompts := slices.Concat(about(prompt(1, 20), []int32{1, 2}, []int32{3}, []int32{4, 5, 6}), somePrompts, about(prompt(2, 30), []int32{1}, []int32{2}), [][]int32{prompt(1, 20)})
	for _, o := range []models.Options{{MaxTokens: 9}, {MaxTokens: 9, Temperature: 1.2, Seed: 4, Samples: 2}} {
		want := generated(t, plain{m}, prompts, o) // without a cache nothing is shared
		if got := generated(t, m, prompts, o); !equal(got, want) {
			t.Errorf("temperature %g: %v, want %v", o.Temperature, got, want)
		}
	}
}
