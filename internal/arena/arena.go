// Package arena hands out pieces of device memory. It keeps its books on the host, so it serves any
// device; it is deterministic, so that a step which allocates in the same order gets the same addresses.
//
// The method is two-level segregated fit (Masmano et al., "TLSF", 2004): free blocks are binned by size,
// eight bins to a doubling, found by bitmap, split on allocation and merged with free neighbours.
package arena

import (
	"math/bits"
	"sync/atomic"
	"unsafe"
)

// Align is the alignment and the granularity of blocks, in bytes: a cache line, a ZMM register.
const Align = 64

const (
	minSlab = 1 << 20
	maxSlab = 256 << 20 // a slab grows with what is reserved up to this, larger only for one large block
	subBits = 3
	bins    = 48 << subBits
)

// A Source gives and takes back large pieces of device memory.
type Source interface {
	Alloc(bytes int) (unsafe.Pointer, error)
	Free(p unsafe.Pointer, bytes int)
}

// A Ledger adds up what several arenas have in use. Any goroutine may use it; the zero value is empty.
type Ledger struct{ inUse, peak atomic.Int64 }

// InUse is the number of bytes in blocks of all arenas.
func (l *Ledger) InUse() int { return int(l.inUse.Load()) }

// Peak is the largest InUse since the beginning or ResetPeak.
func (l *Ledger) Peak() int { return int(l.peak.Load()) }

// ResetPeak makes the present use the peak.
func (l *Ledger) ResetPeak() { l.peak.Store(l.inUse.Load()) }

func (l *Ledger) add(n int) {
	now := l.inUse.Add(int64(n))
	for p := l.peak.Load(); now > p && !l.peak.CompareAndSwap(p, now); p = l.peak.Load() {
	}
}

// An Arena allocates from slabs that it takes from a Source. It is for one goroutine at a time.
type Arena struct {
	src      Source
	ledger   *Ledger
	slabs    []slab
	free     [bins]*Block
	nonEmpty [bins / 64]uint64
	spare    *Block  // recycled book-keeping, linked by nextFree
	fresh    []Block // book-keeping that was never used
	inUse    int
	peak     int
	reserved int
}

type slab struct {
	ptr  unsafe.Pointer
	size int
}

// A Block is a piece of memory in use.
type Block struct {
	ptr                unsafe.Pointer
	size               int
	used               bool
	prev, next         *Block // neighbours in the slab
	prevFree, nextFree *Block
}

// Ptr is the address of the block.
func (b *Block) Ptr() unsafe.Pointer { return b.ptr }

// Size is its length in bytes, at least what was asked for.
func (b *Block) Size() int { return b.size }

// New is an empty arena over src, which reports to the ledger; it takes memory when first asked for some.
func New(src Source, l *Ledger) *Arena { return &Arena{src: src, ledger: l} }

// InUse is the number of bytes in blocks, Peak its maximum since the last Reset, Reserved what the
// slabs hold.
func (a *Arena) InUse() int { return a.inUse }

// Peak is the largest InUse since New or ResetPeak.
func (a *Arena) Peak() int { return a.peak }

// Reserved is the number of bytes taken from the source.
func (a *Arena) Reserved() int { return a.reserved }

// ResetPeak makes the present use the peak.
func (a *Arena) ResetPeak() { a.peak = a.inUse }

// Alloc returns a block of at least n bytes, aligned to Align, contents undefined.
// The error is the source's.
func (a *Arena) Alloc(n int) (*Block, error) {
	n = max((n+Align-1)&^(Align-1), Align)
	b := a.find(n)
	if b == nil {
		if err := a.grow(n); err != nil {
			return nil, err
		}
		b = a.find(n)
	}
	a.unlink(b)
	if rest := b.size - n; rest > 0 {
		r := a.newBlock(unsafe.Add(b.ptr, n), rest)
		r.prev, r.next = b, b.next
		if r.next != nil {
			r.next.prev = r
		}
		b.next, b.size = r, n
		a.link(r)
	}
	b.used = true
	a.inUse += b.size
	a.peak = max(a.peak, a.inUse)
	a.ledger.add(b.size)
	return b, nil
}

// Free gives b back; its neighbours that are free become one block with it.
func (a *Arena) Free(b *Block) {
	if !b.used {
		panic("arena: block freed twice")
	}
	b.used = false
	a.inUse -= b.size
	a.ledger.add(-b.size)
	if p := b.prev; p != nil && !p.used {
		a.unlink(p)
		b = a.join(p, b)
	}
	if n := b.next; n != nil && !n.used {
		a.unlink(n)
		b = a.join(b, n)
	}
	a.link(b)
}

// Reset frees every block at once and keeps the slabs: the same calls that follow get the same addresses.
func (a *Arena) Reset() {
	a.free, a.nonEmpty, a.spare = [bins]*Block{}, [bins / 64]uint64{}, nil
	a.ledger.add(-a.inUse)
	a.inUse = 0
	for i := len(a.slabs) - 1; i >= 0; i-- { // the first slab ends up first in its bin
		a.link(a.newBlock(a.slabs[i].ptr, a.slabs[i].size))
	}
}

// Release frees every block and gives the slabs back to the source.
func (a *Arena) Release() {
	for _, s := range a.slabs {
		a.src.Free(s.ptr, s.size)
	}
	a.ledger.add(-a.inUse)
	*a = Arena{src: a.src, ledger: a.ledger, peak: a.peak}
}

func (a *Arena) grow(n int) error {
	size := max(n, min(max(a.reserved, minSlab), maxSlab))
	p, err := a.src.Alloc(size)
	if err != nil && size > n { // a smaller slab may still do
		size = n
		p, err = a.src.Alloc(size)
	}
	if err != nil {
		return err
	}
	a.slabs = append(a.slabs, slab{p, size})
	a.reserved += size
	a.link(a.newBlock(p, size))
	return nil
}

// bin is the class that blocks of size n belong to; classes grow by an eighth.
func bin(n int) int {
	u := uint(n / Align)
	if u < 1<<subBits {
		return int(u)
	}
	exp := bits.Len(u) - 1 - subBits
	return exp<<subBits + int(u>>exp)
}

// find is a free block of at least n bytes: the first of the smallest class whose blocks all fit,
// or else a fitting one of n's own class.
func (a *Arena) find(n int) *Block {
	own := bin(n)
	for b := a.free[own]; b != nil; b = b.nextFree {
		if b.size >= n {
			return b
		}
	}
	for i := own + 1; i < bins; {
		word := a.nonEmpty[i/64] >> (i % 64)
		if word != 0 {
			return a.free[i+bits.TrailingZeros64(word)]
		}
		i = (i/64 + 1) * 64
	}
	return nil
}

func (a *Arena) link(b *Block) {
	i := bin(b.size)
	b.prevFree, b.nextFree = nil, a.free[i]
	if b.nextFree != nil {
		b.nextFree.prevFree = b
	}
	a.free[i] = b
	a.nonEmpty[i/64] |= 1 << (i % 64)
}

func (a *Arena) unlink(b *Block) {
	i := bin(b.size)
	if b.prevFree != nil {
		b.prevFree.nextFree = b.nextFree
	} else {
		a.free[i] = b.nextFree
	}
	if b.nextFree != nil {
		b.nextFree.prevFree = b.prevFree
	}
	b.prevFree, b.nextFree = nil, nil
	if a.free[i] == nil {
		a.nonEmpty[i/64] &^= 1 << (i % 64)
	}
}

// join makes one block of x and its successor y.
func (a *Arena) join(x, y *Block) *Block {
	x.size += y.size
	x.next = y.next
	if x.next != nil {
		x.next.prev = x
	}
	*y = Block{nextFree: a.spare}
	a.spare = y
	return x
}

func (a *Arena) newBlock(p unsafe.Pointer, size int) *Block {
	b := a.spare
	if b == nil {
		if len(a.fresh) == 0 {
			a.fresh = make([]Block, 64)
		}
		b, a.fresh = &a.fresh[0], a.fresh[1:]
	} else {
		a.spare = b.nextFree
	}
	*b = Block{ptr: p, size: size}
	return b
}
