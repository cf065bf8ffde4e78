package tokenizer

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
)

// Tokenizer turns text into token ids and back. It never changes once it is loaded or trained, and
// several goroutines may use it at once. It keeps up to GOMAXPROCS caches of words, 2 MiB each.
type Tokenizer struct {
	split     splitter
	normalize bool       // to NFC
	space     *metaspace // nil for byte-level BPE
	prefix    []int32    // begins every text, see EncodePrompt
	model     *bpe
	merges    []mergePair // by rank

	tokens  []string         // by id, as the file writes them; "" where there is none
	ids     map[string]int32 // of tokens
	bytes   string           // what all tokens stand for, one after the other
	offsets []uint32         // where each begins in bytes, and where the last ends

	added         []AddedToken   // by id
	addedOnly     map[int32]bool // ids of added tokens that the model's vocabulary lacks
	special       map[int32]bool
	rawMatcher    *addedMatcher // of the added tokens found in the text as it stands
	normalMatcher *addedMatcher // of those found in normalized text

	templateMatcher *addedMatcher // of all, by their own text, for chat templates

	header header
	config config

	mu      sync.Mutex
	idle    []*encoder
	maxIdle int // more than that many goroutines rarely encode at once
}

// mergePair holds the two ids that a merge joins.
type mergePair struct{ left, right int32 }

// Encode returns the ids of text. Added tokens in the text, control tokens among them, become their
// ids, as in the reference implementation (the tokenizers library of Hugging Face with
// add_special_tokens=False); use EncodeOrdinary for text that comes from outside.
//
// What is not UTF-8 counts as U+FFFD, by the rule of the WHATWG Encoding Standard: one for each
// maximal prefix of a well-formed sequence. The reference takes valid strings only.
func (t *Tokenizer) Encode(text string) []int32 {
	return t.encode(func(e *encoder, dst []int32) []int32 {
		return t.appendText(e, dst, toValidUTF8(text))
	})
}

// EncodeOrdinary returns the ids of text in which nothing becomes an added token: <|im_end|> is
// encoded as the ten characters that it is. In all else it is Encode.
func (t *Tokenizer) EncodeOrdinary(text string) []int32 {
	return t.encode(func(e *encoder, dst []int32) []int32 {
		return e.append(dst, t.spaced(t.normalized(toValidUTF8(text), atStart), atStart))
	})
}

// EncodePrompt is Encode, with the tokens that begin every text of this vocabulary (<s> of Llama 2,
// <|begin_of_text|> of Llama 3, none of Qwen) before it unless it begins with them: what a model is to continue.
// (The reference's add_special_tokens=True, which also repeats what is there.)
func (t *Tokenizer) EncodePrompt(text string) []int32 {
	ids := t.Encode(text)
	if len(ids) >= len(t.prefix) && slices.Equal(ids[:len(t.prefix)], t.prefix) {
		return ids
	}
	return slices.Concat(t.prefix, ids)
}

// EncodeBatch is Encode for many texts, on all cores. The result has the order of texts.
func (t *Tokenizer) EncodeBatch(texts []string) [][]int32 {
	out := make([][]int32, len(texts))
	var next atomic.Int64
	work := func() {
		for i := next.Add(1) - 1; i < int64(len(texts)); i = next.Add(1) - 1 {
			out[i] = t.Encode(texts[i])
		}
	}
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(texts)) - 1 {
		wg.Go(work)
	}
	work()
	wg.Wait()
	return out
}

// appendText appends the ids of valid UTF-8 text and of the added tokens in it.
func (t *Tokenizer) appendText(e *encoder, dst []int32, text string) []int32 {
	at := atStart
	found := func(a *AddedToken) { dst, at = append(dst, a.ID), behindToken }
	t.rawMatcher.split(text, func(part string) {
		t.normalMatcher.split(t.normalized(part, at), func(part string) {
			dst = e.append(dst, t.spaced(part, at))
		}, found)
	}, found)
	return dst
}

// normalized applies the tokenizer's normalizer to valid UTF-8.
func (t *Tokenizer) normalized(text string, at textPlace) string {
	switch {
	case t.normalize:
		return nfc(text)
	case t.space != nil && !t.space.late:
		return t.space.apply(text, at)
	}
	return text
}

// spaced does what is done about spaces when added tokens have been found.
func (t *Tokenizer) spaced(text string, at textPlace) string {
	if t.space != nil && t.space.late {
		return t.space.apply(text, at)
	}
	return text
}

// encode runs fn with an idle encoder and returns a copy of what it appends.
func (t *Tokenizer) encode(fn func(e *encoder, dst []int32) []int32) []int32 {
	e := t.borrow()
	e.scratch = fn(e, e.scratch[:0])
	ids := slices.Clone(e.scratch)
	if ids == nil {
		ids = []int32{}
	}
	t.giveBack(e)
	return ids
}

func (t *Tokenizer) borrow() *encoder {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := len(t.idle); n > 0 {
		e := t.idle[n-1]
		t.idle = t.idle[:n-1]
		return e
	}
	return &encoder{model: t.model, split: t.split}
}

func (t *Tokenizer) giveBack(e *encoder) {
	if cap(e.scratch) > keepLen {
		e.scratch = nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.idle) < t.maxIdle {
		t.idle = append(t.idle, e)
	}
}

// VocabSize returns one more than the largest id, added tokens included. A model's embedding may
// have more rows, as Qwen3's has for padding.
func (t *Tokenizer) VocabSize() int { return len(t.tokens) }

// TokenToID returns the id of a token as the vocabulary file writes it: an added token by its text,
// any other in the byte-level alphabet ("Ġthe" for " the"), or with ▁ for a space.
func (t *Tokenizer) TokenToID(token string) (id int32, ok bool) {
	id, ok = t.ids[token]
	return id, ok
}

// IDToToken is the inverse of TokenToID.
func (t *Tokenizer) IDToToken(id int32) (token string, ok bool) {
	if id < 0 || int(id) >= len(t.tokens) {
		return "", false
	}
	return t.tokens[id], t.tokens[id] != ""
}

// AddedTokens returns the added tokens by rising id. The slice is the caller's.
func (t *Tokenizer) AddedTokens() []AddedToken { return slices.Clone(t.added) }

// IsSpecial reports whether id is an added token that the file marks as special. Some control
// tokens are not: Qwen3's <think> and <tool_call> count as text.
func (t *Tokenizer) IsSpecial(id int32) bool { return t.special[id] }
