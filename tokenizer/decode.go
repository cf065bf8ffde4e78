package tokenizer

import "strings"

// Decode returns the text of ids, with all added tokens in it. Bytes that are not UTF-8 become
// U+FFFD, by the same rule as in Encode; ids without a token are left out, as in the reference.
func (t *Tokenizer) Decode(ids []int32) string {
	if t.space != nil {
		return t.decodeFallback(ids, false)
	}
	return toValidUTF8(string(t.AppendBytes(nil, ids)))
}

// DecodeSkipSpecial is Decode without the special tokens (IsSpecial).
func (t *Tokenizer) DecodeSkipSpecial(ids []int32) string {
	if t.space != nil {
		return t.decodeFallback(ids, true)
	}
	var out []byte
	for _, id := range ids {
		if !t.special[id] {
			out = append(out, t.tokenBytes(id)...)
		}
	}
	return toValidUTF8(string(out))
}

func (t *Tokenizer) decodeFallback(ids []int32, skipSpecial bool) string {
	var out strings.Builder
	f := t.newFallback()
	for _, id := range ids {
		if !skipSpecial || !t.special[id] {
			out.WriteString(f.next(t.tokenBytes(id)))
		}
	}
	out.WriteString(f.flush())
	return out.String()
}

// AppendBytes appends the bytes that ids stand for, whether or not they are UTF-8; of a vocabulary of ▁ also the
// space before the text that Decode leaves out.
func (t *Tokenizer) AppendBytes(dst []byte, ids []int32) []byte {
	for _, id := range ids {
		token := t.tokenBytes(id)
		if t.space == nil {
			dst = append(dst, token...)
		} else if c, ok := byteOf(token); ok {
			dst = append(dst, c)
		} else {
			dst = append(dst, strings.ReplaceAll(token, metaRune, " ")...)
		}
	}
	return dst
}

// tokenBytes returns the bytes of one token, none for an unknown id.
func (t *Tokenizer) tokenBytes(id int32) string {
	if id < 0 || int(id) >= len(t.tokens) {
		return ""
	}
	return t.bytes[t.offsets[id]:t.offsets[id+1]]
}

// Stream decodes the tokens of one text as they come. It is for one goroutine at a time.
type Stream struct {
	t           *Tokenizer
	skipSpecial bool
	pending     []byte   // the beginning of a character
	fallback    fallback // the same of a vocabulary of ▁
}

// NewStream returns a decoder of one text. With skipSpecial it leaves out special tokens.
func (t *Tokenizer) NewStream(skipSpecial bool) *Stream {
	return &Stream{t: t, skipSpecial: skipSpecial, fallback: t.newFallback()}
}

// Next takes the next token and returns the text that is certain by now, often none: a character
// comes only once it is whole, and U+FFFD only where no further token can make a character of the
// bytes. What all calls return, with Flush at the end, is what Decode gives for all ids.
func (s *Stream) Next(id int32) string {
	if s.skipSpecial && s.t.special[id] {
		return ""
	}
	if s.t.space != nil {
		return s.fallback.next(s.t.tokenBytes(id))
	}
	s.pending = append(s.pending, s.t.tokenBytes(id)...)
	whole := len(s.pending) - incompleteTail(s.pending)
	text := toValidUTF8(string(s.pending[:whole]))
	s.pending = append(s.pending[:0], s.pending[whole:]...)
	return text
}

// Flush returns what is left at the end of the text: U+FFFD for the beginning of a character, or
// nothing. The stream is then ready for another text.
func (s *Stream) Flush() string {
	if s.t.space != nil {
		text := s.fallback.flush()
		s.fallback = s.t.newFallback()
		return text
	}
	text := toValidUTF8(string(s.pending))
	s.pending = s.pending[:0]
	return text
}
