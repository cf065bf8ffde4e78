package tokenizer

import (
	"fmt"
	"runtime"
)

// build checks what the parts have to do with each other and assembles the tokenizer. Errors are
// fieldErrors.
func (b *builder) build() (*Tokenizer, error) {
	t := &Tokenizer{
		pattern:   b.pattern,
		split:     b.split,
		normalize: b.normalize,
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
	sortAdded(t.added)
	t.buildMatchers()
	t.buildBytes()
	return t, nil
}

func (b *builder) buildModel(t *Tokenizer) error {
	var byteIDs [256]int32
	for c, r := range byteToRune {
		byteIDs[c] = -1
		if id, ok := b.vocab[string(r)]; ok {
			byteIDs[c] = id
		}
	}
	t.model = newBPE(byteIDs, len(b.merges))
	for i, pair := range b.merges {
		if !t.model.addMerge(pair.left, pair.right, b.merged[i]) {
			return &fieldError{fmt.Sprintf("model.merges[%d]", i), "the merge is given twice"}
		}
	}
	t.model.indexBytePairs()
	return nil
}

// buildBytes lays out what every token stands for.
func (t *Tokenizer) buildBytes() {
	var all []byte
	t.offsets = make([]uint32, 0, len(t.tokens)+1)
	for _, token := range t.tokens {
		t.offsets = append(t.offsets, uint32(len(all)))
		all = appendTokenBytes(all, token)
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
			normalTexts = append(normalTexts, t.normalized(a.Content))
		} else {
			raw = append(raw, a)
			rawTexts = append(rawTexts, a.Content)
		}
	}
	t.rawMatcher = newAddedMatcher(raw, rawTexts)
	t.normalMatcher = newAddedMatcher(normal, normalTexts)
	t.templateMatcher = newAddedMatcher(t.added, all)
}
