package cpu

import (
	"sync"
	"unsafe"
)

// A workspace is scratch memory of one task. What take returns is valid until reset or put.
type workspace struct {
	block []uint64
	used  int
	at    coords // where in its nest the task is: kept here, since a call through a function value makes it escape
}

var workspaces = sync.Pool{New: func() any { return &workspace{block: make([]uint64, 8<<10)} }}

// getWorkspace takes a workspace from those that earlier tasks have put back.
func getWorkspace() *workspace { return workspaces.Get().(*workspace) }

func (w *workspace) put() {
	w.used = 0
	workspaces.Put(w)
}

func (w *workspace) reset() { w.used = 0 }

// mark is where rewind goes back to.
func (w *workspace) mark() int { return w.used }

// rewind gives up what was taken since mark, and no more: if the block has been replaced meanwhile, all
// that is in it is younger.
func (w *workspace) rewind(mark int) { w.used = min(mark, w.used) }

// take returns n elements, contents undefined, aligned to a cache line.
func take[T element](w *workspace, n int) []T {
	if n == 0 {
		return nil
	}
	const line = 64 / 8
	words := (n*sizeOf[T]() + 63) / 64 * line
	if w.used+words+line > len(w.block) {
		// Slices already taken keep the old block alive.
		w.block, w.used = make([]uint64, max(2*len(w.block), words+line)), 0
	}
	if w.used == 0 {
		w.used = int(-uintptr(unsafe.Pointer(&w.block[0]))%64) / 8
	}
	p := unsafe.Pointer(&w.block[w.used])
	w.used += words
	return unsafe.Slice((*T)(p), n)
}
