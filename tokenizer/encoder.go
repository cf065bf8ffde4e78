package tokenizer

import "hash/maphash"

// encoder is the working memory of one encoding goroutine. A Tokenizer keeps a few of them.
type encoder struct {
	model   *bpe
	split   splitter
	words   wordCache
	long    longPiece
	scratch []int32 // the ids of the text at hand
}

// append appends the ids of normalized text that holds no added token.
func (e *encoder) append(dst []int32, text string) []int32 {
	for i := 0; i < len(text); {
		end := e.split(text, i)
		dst = e.appendPiece(dst, text[i:end])
		i = end
	}
	return dst
}

func (e *encoder) appendPiece(dst []int32, piece string) []int32 {
	if id, ok := e.model.whole[piece]; ok {
		return append(dst, id)
	}
	if len(piece) > shortLen {
		return e.model.appendLong(dst, piece, &e.long)
	}
	if len(piece) > maxCachedBytes {
		return e.model.appendShort(dst, piece)
	}
	hash := maphash.String(hashSeed, piece)
	if w := e.words.find(hash, piece); w != nil {
		return append(dst, w.ids[:w.n]...)
	}
	start := len(dst)
	dst = e.model.appendShort(dst, piece)
	if len(dst)-start <= maxCachedIDs {
		e.words.put(hash, piece, dst[start:])
	}
	return dst
}

const (
	maxCachedBytes = 30
	maxCachedIDs   = 8

	minCachedWords = 1 << 8
	maxCachedWords = 1 << 15 // 2 MiB
)

var hashSeed = maphash.MakeSeed()

// cachedWord is one cache line: a piece and its ids.
type cachedWord struct {
	text   [maxCachedBytes]byte
	len, n uint8
	ids    [maxCachedIDs]int32
}

// wordCache remembers the ids of pieces seen before. It has sets of two: what was hit goes first,
// what is new replaces the second, so that a flood of words seen once does not wash out the common
// ones.
type wordCache struct {
	words []cachedWord
	puts  int
}

// find returns the entry of piece, nil if there is none. It is valid until the next put.
func (c *wordCache) find(hash uint64, piece string) *cachedWord {
	if len(c.words) == 0 {
		return nil
	}
	at := int(hash) & (len(c.words) - 2)
	set := (*[2]cachedWord)(c.words[at : at+2])
	if string(set[0].text[:set[0].len]) == piece {
		return &set[0]
	}
	if string(set[1].text[:set[1].len]) == piece {
		set[0], set[1] = set[1], set[0]
		return &set[0]
	}
	return nil
}

// put adds a piece that find did not find.
func (c *wordCache) put(hash uint64, piece string, ids []int32) {
	if c.puts == len(c.words) && len(c.words) < maxCachedWords {
		// Short texts pay for a small table only.
		c.words = make([]cachedWord, min(max(minCachedWords, 8*len(c.words)), maxCachedWords))
		c.puts = 0
	}
	c.puts++
	w := &c.words[int(hash)&(len(c.words)-2)+1]
	w.len = uint8(copy(w.text[:], piece))
	w.n = uint8(copy(w.ids[:], ids))
}
