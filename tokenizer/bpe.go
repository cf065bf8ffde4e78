package tokenizer

import (
	"math/bits"
	"unicode/utf8"
)

const (
	idBits   = 21 // an id, in a slot of the pair table
	rankBits = 22 // a merge's rank, likewise

	maxIDs    = 1<<idBits - 1
	maxMerges = 1<<rankBits - 1
	noRank    = 1<<rankBits - 1 // of a pair that does not merge

	emptySlot = ^uint64(0)
	shortLen  = 64 // pieces up to here are merged by scanning, longer ones with a heap
)

// bpe merges the bytes of a piece into tokens: again and again the adjacent pair of lowest rank,
// the leftmost of equals (Sennrich et al. 2016, as the reference implements it).
type bpe struct {
	byteIDs   [256]int32 // id of a single byte, -1 if the vocabulary lacks it
	allBytes  bool
	bytePairs [1 << 16]uint32 // rank of a pair of bytes, by first<<8 | second
	mergedIDs []int32         // id that a merge makes, by rank

	runeIDs map[rune]int32   // of BPE of characters: those that are tokens; others are spelled by byteIDs. Else nil
	whole   map[string]int32 // pieces that are tokens, whether or not merges lead there; may be nil

	// slots is an open-addressed table of left id, right id and rank, 8 bytes an entry.
	slots []uint64
	shift uint
}

// newBPE returns an engine without merges. byteIDs gives -1 for absent bytes.
func newBPE(byteIDs [256]int32, merges int) *bpe {
	m := &bpe{byteIDs: byteIDs, allBytes: true, mergedIDs: make([]int32, 0, merges)}
	for _, id := range byteIDs {
		m.allBytes = m.allBytes && id >= 0
	}
	logSlots := max(4, bits.Len(uint(2*merges)))
	m.shift = uint(64 - logSlots)
	m.slots = make([]uint64, 1<<logSlots)
	for i := range m.slots {
		m.slots[i] = emptySlot
	}
	return m
}

// addMerge appends the merge of next rank. It reports whether the pair was new.
func (m *bpe) addMerge(left, right, merged int32) bool {
	pair := pairOf(left, right)
	i := m.slot(pair)
	for ; m.slots[i] != emptySlot; i = (i + 1) & (len(m.slots) - 1) {
		if m.slots[i]>>rankBits == pair {
			return false
		}
	}
	m.slots[i] = pair<<rankBits | uint64(len(m.mergedIDs))
	m.mergedIDs = append(m.mergedIDs, merged)
	return true
}

// indexBytePairs fills bytePairs once all merges are added.
func (m *bpe) indexBytePairs() {
	for a, left := range m.byteIDs {
		for b, right := range m.byteIDs {
			rank := uint32(noRank)
			if left >= 0 && right >= 0 {
				rank = m.rank(left, right)
			}
			m.bytePairs[a<<8|b] = rank
		}
	}
}

func pairOf(left, right int32) uint64 { return uint64(left)<<idBits | uint64(right) }

func (m *bpe) slot(pair uint64) int {
	return int(pair * 0x9E3779B97F4A7C15 >> (m.shift & 63))
}

// rank returns the rank of a pair, noRank if it does not merge.
func (m *bpe) rank(left, right int32) uint32 {
	pair := pairOf(left, right)
	for i := m.slot(pair); ; i = (i + 1) & (len(m.slots) - 1) {
		e := m.slots[i]
		if e>>rankBits == pair {
			return uint32(e) & noRank
		}
		if e == emptySlot {
			return noRank
		}
	}
}

// symbols appends what a piece consists of before anything is merged: its bytes or its characters, at most one a
// byte.
func (m *bpe) symbols(dst []int32, piece string) []int32 {
	if m.runeIDs == nil {
		for i := range len(piece) {
			if id := m.byteIDs[piece[i]]; id >= 0 {
				dst = append(dst, id)
			}
		}
		return dst
	}
	for i, r := range piece {
		if id, ok := m.runeIDs[r]; ok {
			dst = append(dst, id)
			continue
		}
		for _, c := range []byte(piece[i : i+utf8.RuneLen(r)]) {
			dst = append(dst, m.byteIDs[c])
		}
	}
	return dst
}

// appendShort appends the tokens of a piece of at most shortLen bytes.
func (m *bpe) appendShort(dst []int32, piece string) []int32 {
	var ids [shortLen]int32
	var ranks [shortLen]uint32 // of ids[i] and ids[i+1]
	n := len(m.symbols(ids[:0], piece))
	if m.allBytes && m.runeIDs == nil {
		for i := 0; i+1 < n; i++ {
			ranks[i] = m.bytePairs[int(piece[i])<<8|int(piece[i+1])]
		}
	} else {
		for i := 0; i+1 < n; i++ {
			ranks[i] = m.rank(ids[i], ids[i+1])
		}
	}
	for n > 1 {
		at, lowest := 0, uint32(noRank)
		for i, rank := range ranks[:n-1] {
			if rank < lowest {
				at, lowest = i, rank
			}
		}
		if lowest == noRank {
			break
		}
		ids[at] = m.mergedIDs[lowest]
		n--
		copy(ids[at+1:n], ids[at+2:n+1])
		if at+1 < n {
			copy(ranks[at+1:n-1], ranks[at+2:n])
			ranks[at] = m.rank(ids[at], ids[at+1])
		}
		if at > 0 {
			ranks[at-1] = m.rank(ids[at-1], ids[at])
		}
	}
	return append(dst, ids[:n]...)
}

// longPiece is the scratch memory of appendLong: a doubly linked list of symbols and a heap of
// merges.
type longPiece struct {
	ids        []int32
	prev, next []int32 // -1 at the ends
	ranks      []uint32
	heap       []uint64 // rank<<32 | position of the left symbol
}

// appendLong appends the tokens of a piece of any length, in O(n log n).
func (m *bpe) appendLong(dst []int32, piece string, w *longPiece) []int32 {
	w.reset(len(piece))
	w.ids = m.symbols(w.ids, piece)
	n := len(w.ids)
	for at := range int32(n) {
		w.prev = append(w.prev, at-1)
		w.next = append(w.next, at+1)
		w.ranks = append(w.ranks, noRank)
	}
	if n == 0 {
		return dst
	}
	w.next[n-1] = -1
	for i := range n - 1 {
		if rank := m.rank(w.ids[i], w.ids[i+1]); rank != noRank {
			w.ranks[i] = rank
			w.heap = append(w.heap, uint64(rank)<<32|uint64(i))
		}
	}
	heapInit(w.heap)
	for len(w.heap) > 0 {
		var top uint64
		w.heap, top = heapPop(w.heap)
		rank, at := uint32(top>>32), int32(uint32(top))
		if w.ranks[at] != rank {
			continue // the pair has changed since it was queued
		}
		gone := w.next[at]
		w.ids[at] = m.mergedIDs[rank]
		w.ranks[gone] = noRank
		w.next[at] = w.next[gone]
		if after := w.next[gone]; after >= 0 {
			w.prev[after] = at
		}
		m.requeue(w, at)
		if before := w.prev[at]; before >= 0 {
			m.requeue(w, before)
		}
	}
	for at := int32(0); at >= 0; at = w.next[at] {
		dst = append(dst, w.ids[at])
	}
	return dst
}

// requeue ranks the pair that begins at symbol at, and queues it if it merges.
func (m *bpe) requeue(w *longPiece, at int32) {
	w.ranks[at] = noRank
	right := w.next[at]
	if right < 0 {
		return
	}
	if rank := m.rank(w.ids[at], w.ids[right]); rank != noRank {
		w.ranks[at] = rank
		w.heap = heapPush(w.heap, uint64(rank)<<32|uint64(at))
	}
}

// keepLen bounds the scratch memory that an idle encoder holds on to.
const keepLen = 1 << 16

// reset empties the scratch memory and makes room for n symbols.
func (w *longPiece) reset(n int) {
	if cap(w.ids) < n || cap(w.ids) > keepLen {
		n = max(n, 4*shortLen)
		*w = longPiece{
			ids:   make([]int32, 0, n),
			prev:  make([]int32, 0, n),
			next:  make([]int32, 0, n),
			ranks: make([]uint32, 0, n),
			heap:  make([]uint64, 0, n),
		}
	}
	w.ids, w.prev, w.next, w.ranks, w.heap = w.ids[:0], w.prev[:0], w.next[:0], w.ranks[:0], w.heap[:0]
}
