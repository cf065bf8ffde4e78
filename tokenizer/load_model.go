package tokenizer

import (
	"fmt"
	"strings"
)

// header holds, by path, the raw JSON of those small fields of tokenizer.json that Save writes
// back.
type header map[string]string

// builder gathers the parts of a Tokenizer and checks that they fit.
type builder struct {
	header    header
	pipeline  pipeline
	split     splitter
	normalize bool
	space     *metaspace // nil for byte-level BPE
	prefix    []string   // tokens that begin every text

	unknown      string // the unk_token as it is written, "" for null
	byteFallback bool   // characters that are no tokens are spelled in bytes
	ignoreMerges bool   // a piece that is a token is that token, whether or not merges lead there

	vocab  map[string]int32 // the model's tokens
	maxID  int32
	merges []mergePair
	merged []int32 // by rank, the id that a merge makes
	added  []AddedToken
}

// readModel reads the BPE model. Its vocabulary must be known before its merges, which name the
// tokens; in the usual order each is read where it stands.
func (b *builder) readModel(r *jsonReader) error {
	var merges *jsonReader // put off
	err := r.record([]string{"vocab", "merges"}, func(key string) error {
		switch {
		case key == "vocab":
			return b.readVocab(r)
		case key == "merges" && b.vocab != nil:
			return b.readMerges(r)
		}
		here := r.clone()
		raw, err := r.skip()
		if err != nil {
			return err
		}
		switch key {
		case "merges":
			merges = here
			return nil
		case "type":
			return exactly("BPE")(here)
		case "dropout":
			err = here.nullOr("0", "0.0")
		case "unk_token":
			if raw != "null" {
				_, err = here.string()
				b.unknown = strings.Clone(raw)
			}
		case "continuing_subword_prefix", "end_of_word_suffix":
			err = here.nullOr(`""`)
		case "fuse_unk":
			_, err = here.bool()
		case "byte_fallback":
			b.byteFallback, err = here.bool()
		case "ignore_merges":
			b.ignoreMerges, err = here.bool()
		default:
			return nil
		}
		b.header["model."+key] = strings.Clone(raw)
		return err
	})
	if err != nil {
		return err
	}
	if merges != nil {
		if err := b.readMerges(merges); err != nil {
			return err
		}
	}
	return nil
}

// nullOr reads null or a value that is written in one of the given ways.
func (r *jsonReader) nullOr(written ...string) error {
	raw, err := r.skip()
	if err != nil || raw == "null" {
		return err
	}
	for _, w := range written {
		if raw == w {
			return nil
		}
	}
	return r.errorf("%.40s is not supported, hone takes null or %s", raw, strings.Join(written, " or "))
}

func (b *builder) missingByte() (c byte, missing bool) {
	for c, r := range byteToRune {
		if _, ok := b.vocab[string(r)]; !ok {
			return byte(c), true
		}
	}
	return 0, false
}

// readVocab reads the object of tokens and ids. The tokens are copied out of the document, which is
// far larger and shall not stay in memory with them.
func (b *builder) readVocab(r *jsonReader) error {
	type entry struct {
		end int // of the token in text
		id  int32
	}
	var text []byte
	var entries []entry
	err := r.object(func(token string) error {
		id, err := r.id()
		if err != nil {
			return err
		}
		if token == "" {
			return r.errorf("a token may not be empty")
		}
		text = append(text, token...)
		entries = append(entries, entry{len(text), id})
		b.maxID = max(b.maxID, id)
		return nil
	})
	if err != nil {
		return err
	}
	if len(entries) == 0 {
		return r.errorf("is empty")
	}
	if err := checkSpread(b.maxID, len(entries)); err != nil {
		return r.errorf("%v", err)
	}
	b.vocab = make(map[string]int32, len(entries))
	tokenOf := make([]string, b.maxID+1)
	all, start := string(text), 0
	for _, e := range entries {
		token := all[start:e.end]
		start = e.end
		if _, ok := b.vocab[token]; ok {
			return r.at(token, "the token is given twice")
		}
		if other := tokenOf[e.id]; other != "" {
			return r.at(token, "has id %d, and so has %q", e.id, other)
		}
		b.vocab[token] = e.id
		tokenOf[e.id] = token
	}
	return nil
}

// checkSpread refuses ids so far apart that a table of them would be mostly holes.
func checkSpread(maxID int32, tokens int) error {
	if limit := 16*tokens + 1<<16; int(maxID) >= limit {
		return fmt.Errorf("id %d is too large for %d tokens", maxID, tokens)
	}
	return nil
}

// readMerges reads the merges in either form: ["a", "b"], or "a b" as older files have it.
func (b *builder) readMerges(r *jsonReader) error {
	var joined []byte
	err := r.array(func(i int) error {
		if i >= maxMerges {
			return r.errorf("hone takes at most %d merges", maxMerges)
		}
		left, right, err := readMerge(r)
		if err != nil {
			return err
		}
		pair := mergePair{}
		var ok bool
		if pair.left, ok = b.vocab[left]; !ok {
			return r.errorf("the token %q is not in model.vocab", left)
		}
		if pair.right, ok = b.vocab[right]; !ok {
			return r.errorf("the token %q is not in model.vocab", right)
		}
		joined = append(append(joined[:0], left...), right...)
		id, ok := b.vocab[string(joined)]
		if !ok {
			return r.errorf("makes the token %q, which is not in model.vocab", joined)
		}
		b.merges = append(b.merges, pair)
		b.merged = append(b.merged, id)
		return nil
	})
	return err
}

func readMerge(r *jsonReader) (left, right string, err error) {
	switch r.kind() {
	case "a string":
		text, err := r.string()
		if err != nil {
			return "", "", err
		}
		left, right, ok := strings.Cut(text, " ")
		if !ok || left == "" || right == "" || strings.Contains(right, " ") {
			return "", "", r.errorf("%q must be two tokens with one space between them", text)
		}
		return left, right, nil
	case "an array":
		var pair [2]string
		n := 0
		err := r.array(func(i int) (err error) {
			if i > 1 {
				return r.errorf("is one too many: a merge joins two tokens")
			}
			n++
			pair[i], err = r.string()
			return err
		})
		if err == nil && n < 2 {
			err = r.errorf("has %d tokens, must have two", n)
		}
		return pair[0], pair[1], err
	}
	return "", "", r.expect("an array")
}

// readAdded reads added_tokens. r is nil if the file has none.
func (b *builder) readAdded(r *jsonReader) error {
	if r == nil {
		return nil
	}
	contents := map[string]bool{}
	return r.array(func(i int) error {
		var a AddedToken
		required := []string{"id", "content", "single_word", "lstrip", "rstrip", "normalized", "special"}
		err := r.record(required, func(key string) (err error) {
			switch key {
			case "id":
				a.ID, err = r.id()
			case "content":
				a.Content, err = r.string()
			case "single_word":
				a.SingleWord, err = r.bool()
			case "lstrip":
				a.LStrip, err = r.bool()
			case "rstrip":
				a.RStrip, err = r.bool()
			case "normalized":
				a.Normalized, err = r.bool()
			case "special":
				a.Special, err = r.bool()
			default:
				_, err = r.skip()
			}
			return err
		})
		if err != nil {
			return err
		}
		a.Content = strings.Clone(a.Content)
		switch id, inVocab := b.vocab[a.Content]; {
		case a.Content == "":
			return r.at("content", "may not be empty")
		case contents[a.Content]:
			return r.at("content", "%q is given twice", a.Content)
		case inVocab && id != a.ID:
			return r.at("id", "is %d, but %q has id %d in model.vocab", a.ID, a.Content, id)
		}
		contents[a.Content] = true
		b.added = append(b.added, a)
		b.maxID = max(b.maxID, a.ID)
		if err := checkSpread(b.maxID, len(b.vocab)+len(b.added)); err != nil {
			return r.at("id", "%v", err)
		}
		return nil
	})
}
