package ptxsim

import "sync"

// Which blocks have touched which bytes of global memory in this launch. A page of shadow has one cell for each
// granule of bytes; granules begin at 16 bytes and are split as soon as an access is finer, so that the answer is
// exact to the byte while vector accesses stay cheap.

const (
	pageBytes    = 4096
	coarsest     = 4 // granules of 1<<4 bytes
	manyBlocks   = 0xffffffff
	atomicAccess = 1 << 31
)

type shadowPage struct {
	mu         sync.Mutex
	generation uint64 // of the launch that the cells are about
	saved      uint64 // generation in which the page was journalled
	shift      uint8
	cells      []uint64 // low half: writer, high half: reader; block + 1, 0: none
}

type access uint8

const (
	accessRead access = iota
	accessWrite
	accessAtomic
)

// touch notes an access by the block to n bytes and returns the cell that forbids it, and where that is. n bytes lie
// within the allocation.
func (a *allocation) touch(l *launch, block uint32, off, n int, kind access) (conflict uint64, at int) {
	for n > 0 {
		in := off & (pageBytes - 1)
		k := min(n, pageBytes-in)
		if c, where := a.pages[off/pageBytes].touch(a, l, block+1, off-in, in, k, kind); c != 0 {
			return c, where
		}
		off += k
		n -= k
	}
	return 0, 0
}

func (p *shadowPage) touch(a *allocation, l *launch, me uint32, page, off, n int, kind access) (conflict uint64, at int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.generation != l.generation {
		p.generation = l.generation
		if p.cells == nil {
			p.shift = coarsest
			p.cells = make([]uint64, pageBytes>>coarsest)
		} else {
			clear(p.cells)
		}
	}
	if kind != accessRead && l.journal.on && p.saved != l.generation {
		p.saved = l.generation
		l.journal.save(a, page)
	}
	for (off|n)&(1<<p.shift-1) != 0 {
		p.split()
	}
	first := off >> p.shift
	cells := p.cells[first : (off+n)>>p.shift]
	switch kind {
	case accessRead:
		for i, c := range cells {
			if w := uint32(c); w != 0 && w&^atomicAccess != me {
				return c, page + (first+i)<<p.shift
			}
			if r := uint32(c >> 32); r == 0 {
				cells[i] = c | uint64(me)<<32
			} else if r != me {
				cells[i] = c | manyBlocks<<32
			}
		}
	case accessWrite:
		for i, c := range cells {
			w, r := uint32(c), uint32(c>>32)
			if w != 0 && w&^atomicAccess != me || r != 0 && r != me {
				return c, page + (first+i)<<p.shift
			}
			cells[i] = c&^0xffffffff | uint64(me)
		}
	default:
		for i, c := range cells {
			w, r := uint32(c), uint32(c>>32)
			if w != 0 && w != me && w&atomicAccess == 0 || r != 0 && r != me {
				return c, page + (first+i)<<p.shift
			}
			switch {
			case w == 0:
				w = me | atomicAccess
			case w != me && w != me|atomicAccess:
				w = manyBlocks
			}
			cells[i] = c&^0xffffffff | uint64(w)
		}
	}
	return 0, 0
}

func (p *shadowPage) split() {
	p.shift--
	finer := make([]uint64, 2*len(p.cells))
	for i, c := range p.cells {
		finer[2*i], finer[2*i+1] = c, c
	}
	p.cells = finer
}

// A journal keeps what pages held before a launch wrote to them, so that a launch can be undone.
type journal struct {
	on      bool
	mu      sync.Mutex
	entries []journalEntry
}

type journalEntry struct {
	a          *allocation
	page       int
	data, init []byte
}

func (j *journal) save(a *allocation, page int) {
	end := min(page+pageBytes, a.size)
	e := journalEntry{a, page, append([]byte(nil), a.data[page:end]...), append([]byte(nil), a.init[page:end]...)}
	j.mu.Lock()
	j.entries = append(j.entries, e)
	j.mu.Unlock()
}

func (j *journal) undo() {
	for _, e := range j.entries {
		copy(e.a.data[e.page:], e.data)
		copy(e.a.init[e.page:], e.init)
	}
}
