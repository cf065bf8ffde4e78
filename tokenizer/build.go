package tokenizer

import (
	"fmt"
	"runtime"
	"unicode/utf8"
)

// build checks what the parts have to do with each other and assembles the tokenizer. Errors are
// fieldErrors.
func (b *builder) build() (*Tokenizer, error) {
	if b.split == nil { // it was loaded, not trained
		if err := b.checkPipeline(); err != nil {
			return nil, err
		}
	}
	t := &Tokenizer{
		split:     b.split,
		normalize: b.normalize,
		space:     b.space,
		merges:    b.merges,
		ids:       b.vocab,
		added:     b.added,
		addedOnly: map[int32]bool{},
		special:   map[int32]bool{},
		header:    b.header,
		maxIdle:   runtime.GOMAXPROCS(0),
	}
	if err := b.buildModel(t); err != nil {
		return nil, err
	}
	t.tokens = make([]string, b.maxID+1)
	for token, id := range b.vocab {
		t.tokens[id] = token
	}
	for i, a := range t.added {
		switch other := t.tokens[a.ID]; other {
		case "":
			t.tokens[a.ID] = a.Content
			t.addedOnly[a.ID] = true
		case a.Content:
		default:
			field := fmt.Sprintf("added_tokens[%d].id", i)
			return nil, &fieldError{field, fmt.Sprintf("%d is the id of both %q and %q", a.ID, a.Content, other)}
		}
		if a.Special {
			t.special[a.ID] = true
		}
	}
	for _, a := range t.added {
		t.ids[a.Content] = a.ID
	}
	for _, token := range b.prefix {
		id, ok := t.ids[token]
		if !ok {
			return nil, &fieldError{"post_processor", fmt.Sprintf("begins texts with %q, which is not a token", token)}
		}
		t.prefix = append(t.prefix, id)
	}
	sortAdded(t.added)
	t.buildMatchers()
	t.buildBytes()
	return t, nil
}

func (b *builder) buildModel(t *Tokenizer) error {
	var byteIDs [256]int32
	for c, r := range byteToRune {
		byteIDs[c] = -1
		token := string(r)
		if b.space != nil {
			token = byteToken(byte(c))
		}
		if id, ok := b.vocab[token]; ok {
			byteIDs[c] = id
		}
	}
	t.model = newBPE(byteIDs, len(b.merges))
	if b.space != nil {
		t.model.runeIDs = runeIDs(b.vocab)
	}
	if b.ignoreMerges {
		t.model.whole = wholeTokens(b.vocab)
	}
	for i, pair := range b.merges {
		if !t.model.addMerge(pair.left, pair.right, b.merged[i]) {
			return &fieldError{fmt.Sprintf("model.merges[%d]", i), "the merge is given twice"}
		}
	}
	t.model.indexBytePairs()
	return nil
}

// runeIDs are the tokens of a single character.
func runeIDs(vocab map[string]int32) map[rune]int32 {
	ids := map[rune]int32{}
	for token, id := range vocab {
		if r, n := utf8.DecodeRuneInString(token); n == len(token) {
			ids[r] = id
		}
	}
	return ids
}

// wholeTokens are the tokens of a byte-level vocabulary by the text that they stand for.
func wholeTokens(vocab map[string]int32) map[string]int32 {
	ids := make(map[string]int32, len(vocab))
	var text []byte
	for token, id := range vocab {
		var ok bool
		if text, ok = appendAlphabet(text[:0], token); ok {
			ids[string(text)] = id
		}
	}
	return ids
}

// buildBytes lays out what every token stands for.
func (t *Tokenizer) buildBytes() {
	var all []byte
	t.offsets = make([]uint32, 0, len(t.tokens)+1)
	for _, token := range t.tokens {
		t.offsets = append(t.offsets, uint32(len(all)))
		if t.space != nil {
			all = append(all, token...)
		} else {
			all = appendTokenBytes(all, token)
		}
	}
	t.offsets = append(t.offsets, uint32(len(all)))
	t.bytes = string(all)
}

// buildMatchers sorts the added tokens by the text they are looked for in.
func (t *Tokenizer) buildMatchers() {
	var raw, normal []AddedToken
	var all, rawTexts, normalTexts []string
	for _, a := range t.added {
		all = append(all, a.Content)
		if a.Normalized {
			normal = append(normal, a)
			normalTexts = append(normalTexts, t.normalized(a.Content, atStart))
		} else {
			raw = append(raw, a)
			rawTexts = append(rawTexts, a.Content)
		}
	}
	t.rawMatcher = newAddedMatcher(raw, rawTexts)
	t.normalMatcher = newAddedMatcher(normal, normalTexts)
	t.templateMatcher = newAddedMatcher(t.added, all)
}
