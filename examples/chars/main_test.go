package main

import "testing"

func TestWordsNeverSeenAreSpelledBackwards(t *testing.T) {
	m := newModel(2)
	if err := train(m, 300); err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"go", "hone", "tensor", "gradient", "zzxqj"} {
		if got := m.answer(word); got != backwards(word) {
			t.Errorf("%s backwards is %q", word, got)
		}
	}
}
