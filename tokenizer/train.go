package tokenizer

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"strings"
)

// TrainOptions says what tokenizer to train. VocabSize is required, the rest may be zero.
type TrainOptions struct {
	// VocabSize is the number of tokens to end with: the added ones, the 256 bytes, and the merges.
	// There are fewer if the texts run out of pairs.
	VocabSize int
	// MinFrequency is how often a pair must occur to be merged.
	MinFrequency int
	// AddedTokens get the first ids, in their order; their ID fields are not read. See
	// ControlTokens.
	AddedTokens []AddedToken
	// Pattern is how texts are split, PatternQwen2 if empty.
	Pattern string
	// EOS and Pad name the added tokens that end a text and fill a batch; they go into
	// tokenizer_config.json.
	EOS, Pad string
	// ChatTemplate goes into tokenizer_config.json: TemplateChatML, or TemplateAuto for none.
	ChatTemplate ChatTemplate
}

// ControlTokens returns special added tokens for TrainOptions.
func ControlTokens(contents ...string) []AddedToken {
	tokens := make([]AddedToken, len(contents))
	for i, c := range contents {
		tokens[i] = AddedToken{Content: c, Special: true}
	}
	return tokens
}

// Train learns a byte-level BPE from texts, which it reads once. Text is normalized to NFC and
// split as when encoding, but added tokens in it are not looked for. All 256 bytes are tokens, so
// that every text can be encoded.
//
// The result depends on nothing but the texts and options, and is that of the BpeTrainer of Hugging
// Face's tokenizers with initial_alphabet=ByteLevel.alphabet(): the most frequent pair is merged
// first, of equals the one of lowest ids.
func Train(texts iter.Seq[string], o TrainOptions) (*Tokenizer, error) {
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("tokenizer: train: %w", err)
	}
	b := builder{
		header:    trainHeader(o.pattern()),
		split:     splitters[o.pattern()],
		normalize: true,
		vocab:     make(map[string]int32, o.VocabSize),
	}
	var tokens []string // by id
	add := func(token string) int32 {
		if id, ok := b.vocab[token]; ok {
			return id
		}
		id := int32(len(tokens))
		b.vocab[token] = id
		tokens = append(tokens, token)
		return id
	}
	for _, a := range o.AddedTokens {
		a.ID = add(a.Content)
		b.added = append(b.added, a)
	}
	alphabet := slices.Clone(byteToRune[:])
	slices.Sort(alphabet)
	for _, r := range alphabet {
		add(string(r))
	}
	var byteIDs [256]int32
	for c, r := range byteToRune {
		byteIDs[c] = b.vocab[string(r)]
	}

	m := newMerger(countWords(texts, b.split), &byteIDs)
	for len(tokens) < o.VocabSize {
		pair, count, ok := m.next()
		if !ok || count < int64(o.MinFrequency) {
			break
		}
		id := add(tokens[pair.left] + tokens[pair.right])
		b.merges = append(b.merges, pair)
		b.merged = append(b.merged, id)
		m.merge(pair, id)
	}
	b.dropRepeatedMerges()
	b.maxID = int32(len(tokens) - 1)
	t, err := b.build()
	if err != nil {
		return nil, fmt.Errorf("tokenizer: train: %w", err)
	}
	t.configure(o)
	return t, nil
}

// dropRepeatedMerges keeps the last of equal merges. The training meets a pair again if two merges
// make the same token ("ab"+"c", "a"+"bc"), as more of the pair then appears after it was first
// merged.
func (b *builder) dropRepeatedMerges() {
	last := make(map[mergePair]int, len(b.merges))
	for i, p := range b.merges {
		last[p] = i
	}
	n := 0
	for i, p := range b.merges {
		if last[p] == i {
			b.merges[n], b.merged[n] = p, b.merged[i]
			n++
		}
	}
	b.merges, b.merged = b.merges[:n], b.merged[:n]
}

func (o *TrainOptions) pattern() string { return cmp.Or(o.Pattern, PatternQwen2) }

func (o *TrainOptions) check() error {
	if splitters[o.pattern()] == nil {
		return fmt.Errorf("the pattern `%s` is not one that hone knows: %s", o.Pattern, knownPatterns())
	}
	contents := map[string]bool{}
	for i, a := range o.AddedTokens {
		if a.Content == "" || contents[a.Content] {
			return fmt.Errorf("added token %d, %q, is empty or given twice", i, a.Content)
		}
		contents[a.Content] = true
	}
	if least := 256 + len(o.AddedTokens); o.VocabSize < least || o.VocabSize >= maxIDs {
		return fmt.Errorf("a vocabulary of %d is impossible: with 256 bytes and %d added tokens it must have from %d to %d", o.VocabSize, len(o.AddedTokens), least, maxIDs-1)
	}
	for name, token := range map[string]string{"EOS": o.EOS, "Pad": o.Pad} {
		if token != "" && !contents[token] {
			return fmt.Errorf("%s is %q, which is not among the added tokens", name, token)
		}
	}
	if o.ChatTemplate != TemplateAuto && o.ChatTemplate != TemplateChatML {
		return fmt.Errorf("ChatTemplate must be TemplateAuto or TemplateChatML")
	}
	return nil
}

// configure sets what of the options goes into tokenizer_config.json.
func (t *Tokenizer) configure(o TrainOptions) {
	idOf := func(token string) *int32 {
		if id, ok := t.ids[token]; ok && token != "" {
			return &id
		}
		return nil
	}
	t.config.eos, t.config.pad = idOf(o.EOS), idOf(o.Pad)
	if o.ChatTemplate == TemplateChatML {
		t.config.template = chatMLTemplate
	}
}

// trainHeader is the pipeline of a trained tokenizer as tokenizer.json writes it.
func trainHeader(pattern string) header {
	return header{
		"normalizer": "{\n    \"type\": \"NFC\"\n  }",
		"pre_tokenizer": `{
    "type": "Sequence",
    "pretokenizers": [
      {
        "type": "Split",
        "pattern": {
          "Regex": "` + escapeJSON(pattern) + `"
        },
        "behavior": "Isolated",
        "invert": false
      },
      {
        "type": "ByteLevel",
        "add_prefix_space": false,
        "trim_offsets": true,
        "use_regex": false
      }
    ]
  }`,
		"decoder": `{
    "type": "ByteLevel",
    "add_prefix_space": true,
    "trim_offsets": true,
    "use_regex": true
  }`,
	}
}

// word is a distinct piece of the texts.
type word struct {
	text  string
	count int64
}

// countWords counts the pieces of all texts, in the order of their first occurrence.
func countWords(texts iter.Seq[string], split splitter) []word {
	var words []word
	index := map[string]int{}
	for text := range texts {
		text = nfc(toValidUTF8(text))
		for i := 0; i < len(text); {
			end := split(text, i)
			piece := text[i:end]
			i = end
			at, ok := index[piece]
			if !ok {
				at = len(words)
				piece = strings.Clone(piece)
				index[piece] = at
				words = append(words, word{text: piece})
			}
			words[at].count++
		}
	}
	return words
}
