package tokenizer

import (
	"slices"
	"strings"
	"testing"
)

func TestTrainRefusesImpossibleOptions(t *testing.T) {
	for _, c := range []struct {
		o    TrainOptions
		want string
	}{
		{TrainOptions{}, "a vocabulary of 0 is impossible: with 256 bytes and 0 added tokens it must have from 256"},
		{TrainOptions{VocabSize: 256, AddedTokens: ControlTokens("<e>")}, "from 257"},
		{TrainOptions{VocabSize: 1 << 30}, "is impossible"},
		{TrainOptions{VocabSize: 300, Pattern: "x+"}, "the pattern `x+` is not one that hone knows"},
		{TrainOptions{VocabSize: 300, AddedTokens: ControlTokens("a", "a")}, `added token 1, "a", is empty or given twice`},
		{TrainOptions{VocabSize: 300, AddedTokens: ControlTokens("")}, "added token 0"},
		{TrainOptions{VocabSize: 300, EOS: "<e>"}, `EOS is "<e>", which is not among the added tokens`},
		{TrainOptions{VocabSize: 300, ChatTemplate: TemplateQwen3}, "ChatTemplate must be"},
	} {
		if _, err := Train(slices.Values([]string{"text"}), c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Train(%+v): %v, want: %s", c.o, err, c.want)
		}
	}
}

func TestTrainingOnNothingGivesTheBytes(t *testing.T) {
	tok, err := Train(slices.Values([]string(nil)), TrainOptions{VocabSize: 1000})
	if err != nil {
		t.Fatal(err)
	}
	if n := tok.VocabSize(); n != 256 {
		t.Errorf("VocabSize = %d, want 256", n)
	}
	if got := tok.Decode(tok.Encode("any text ü")); got != "any text ü" {
		t.Errorf("the text comes back as %q", got)
	}
}

func TestVocabularyHasTheSizeAskedFor(t *testing.T) {
	for _, size := range []int{259, 260, 400} {
		tok, err := Train(slices.Values(corpus(t)), TrainOptions{VocabSize: size, AddedTokens: ControlTokens("<a>", "<b>", "<c>")})
		if err != nil {
			t.Fatal(err)
		}
		if n := tok.VocabSize(); n != size {
			t.Errorf("VocabSize = %d, want %d", n, size)
		}
		if id, ok := tok.TokenToID("<b>"); !ok || id != 1 || !tok.IsSpecial(id) {
			t.Errorf("<b> has id %d, %t", id, ok)
		}
	}
}

func TestRarePairsAreNotMerged(t *testing.T) {
	texts := []string{"ab ab ab", "cd cd"}
	tok, err := Train(slices.Values(texts), TrainOptions{VocabSize: 1000, MinFrequency: 3})
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := tok.TokenToID("ab"); !ok {
		t.Error("ab, which comes three times, is not a token")
	}
	if _, ok := tok.TokenToID("cd"); ok {
		t.Error("cd, which comes twice, is a token")
	}
}

func TestPluralsShareTheirWord(t *testing.T) {
	tok := trainDemo(t)
	one, many := tok.Encode(" singer"), tok.Encode(" singers")
	if len(many) != len(one)+1 || !slices.Equal(many[:len(one)], one) {
		t.Errorf("singer is %v, singers %v", one, many)
	}
}

func TestOnlyTheLastOfRepeatedMergesStays(t *testing.T) {
	b := builder{
		merges: []mergePair{{1, 2}, {3, 4}, {1, 2}, {5, 6}},
		merged: []int32{7, 8, 7, 9},
	}
	b.dropRepeatedMerges()
	if !slices.Equal(b.merges, []mergePair{{3, 4}, {1, 2}, {5, 6}}) || !slices.Equal(b.merged, []int32{8, 7, 9}) {
		t.Errorf("left are %v making %v", b.merges, b.merged)
	}
}
