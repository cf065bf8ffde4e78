package tokenizer

import "container/heap"

// merger finds the most frequent pair of adjacent symbols again and again. Counts are kept up to
// date as pairs are merged, and each queued pair knows the words that it may stand in, so that a
// merge touches only those. It follows do_train of the reference's bpe/trainer.rs step by step, for
// the order of equals to be the same.
type merger struct {
	symbols [][]int32 // of each word
	counts  []int64   // of each word
	pairs   map[mergePair]int64
	queue   pairHeap

	changed map[mergePair][]int32 // scratch: words that a merge has put a pair into
	order   []mergePair           // scratch: keys of changed
	words   []int32               // words that the pair returned by next may stand in
}

// queuedPair is a pair, its count when it was queued, and the words that it was then found in,
// rising.
type queuedPair struct {
	mergePair
	count int64
	words []int32
}

func newMerger(words []word, byteIDs *[256]int32) *merger {
	m := &merger{
		symbols: make([][]int32, len(words)),
		counts:  make([]int64, len(words)),
		pairs:   map[mergePair]int64{},
		changed: map[mergePair][]int32{},
	}
	for w, word := range words {
		m.counts[w] = word.count
		symbols := make([]int32, len(word.text))
		for i := range symbols {
			symbols[i] = byteIDs[word.text[i]]
			if i > 0 {
				m.count(mergePair{symbols[i-1], symbols[i]}, 1, int32(w))
			}
		}
		m.symbols[w] = symbols
	}
	m.enqueue()
	return m
}

// count adds n occurrences of a pair in word w.
func (m *merger) count(p mergePair, n int64, w int32) {
	m.pairs[p] += n * m.counts[w]
	if n < 0 {
		return
	}
	words, ok := m.changed[p]
	if !ok {
		m.order = append(m.order, p)
	}
	if len(words) == 0 || words[len(words)-1] != w {
		m.changed[p] = append(words, w)
	}
}

// enqueue queues the pairs that count has seen.
func (m *merger) enqueue() {
	for _, p := range m.order {
		if n := m.pairs[p]; n > 0 {
			heap.Push(&m.queue, queuedPair{p, n, m.changed[p]})
		}
	}
	clear(m.changed)
	m.order = m.order[:0]
}

// next takes the most frequent pair from the queue.
func (m *merger) next() (pair mergePair, count int64, ok bool) {
	for len(m.queue) > 0 {
		top := &m.queue[0]
		if now := m.pairs[top.mergePair]; top.count != now {
			// Other merges have used up some of it. A pair that is gone falls to the end of the
			// queue.
			top.count = now
			heap.Fix(&m.queue, 0)
			continue
		}
		if top.count < 1 {
			return mergePair{}, 0, false
		}
		q := heap.Pop(&m.queue).(queuedPair)
		m.words = q.words
		return q.mergePair, q.count, true
	}
	return mergePair{}, 0, false
}

// merge replaces the pair that next returned by id.
func (m *merger) merge(p mergePair, id int32) {
	for _, w := range m.words {
		m.symbols[w] = m.mergeWord(m.symbols[w], p, id, w)
	}
	m.enqueue()
}

// mergeWord merges a pair in one word, in place, and counts what that does to the neighbours.
func (m *merger) mergeWord(symbols []int32, p mergePair, id, w int32) []int32 {
	out := symbols[:0]
	for i := 0; i < len(symbols); i++ {
		if symbols[i] != p.left || i+1 == len(symbols) || symbols[i+1] != p.right {
			out = append(out, symbols[i])
			continue
		}
		i++
		if n := len(out); n > 0 {
			m.count(mergePair{out[n-1], p.left}, -1, w)
			m.count(mergePair{out[n-1], id}, 1, w)
		}
		out = append(out, id)
		if i+1 < len(symbols) {
			m.count(mergePair{p.right, symbols[i+1]}, -1, w)
			m.count(mergePair{id, symbols[i+1]}, 1, w)
		}
	}
	return out
}

// pairHeap has the most frequent pair first, of equals the one of lowest ids.
type pairHeap []queuedPair

func (h pairHeap) Len() int      { return len(h) }
func (h pairHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

func (h pairHeap) Less(i, j int) bool {
	a, b := &h[i], &h[j]
	switch {
	case a.count != b.count:
		return a.count > b.count
	case a.left != b.left:
		return a.left < b.left
	}
	return a.right < b.right
}

func (h *pairHeap) Push(x any) { *h = append(*h, x.(queuedPair)) }

func (h *pairHeap) Pop() any {
	last := len(*h) - 1
	x := (*h)[last]
	(*h)[last] = queuedPair{}
	*h = (*h)[:last]
	return x
}
