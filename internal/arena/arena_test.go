package arena

import (
	"errors"
	"math/rand/v2"
	"testing"
	"unsafe"
)

type heap struct{ limit, live int }

func (h *heap) Alloc(n int) (unsafe.Pointer, error) {
	if h.live+n > h.limit {
		return nil, errors.New("full")
	}
	h.live += n
	b := make([]uint64, n/8)
	return unsafe.Pointer(unsafe.SliceData(b)), nil
}
func (h *heap) Free(_ unsafe.Pointer, n int) { h.live -= n }

func TestBlocksNeverOverlap(t *testing.T) {
	a := New(&heap{limit: 1 << 30}, new(Ledger))
	r := rand.New(rand.NewPCG(1, 2))
	type piece struct {
		b    *Block
		mark byte
	}
	var live []piece
	for i := range 20000 {
		if len(live) > 0 && r.IntN(2) == 0 {
			j := r.IntN(len(live))
			p := live[j]
			for _, x := range unsafe.Slice((*byte)(p.b.Ptr()), p.b.Size()) {
				if x != p.mark {
					t.Fatalf("step %d: a block was overwritten", i)
				}
			}
			a.Free(p.b)
			live[j] = live[len(live)-1]
			live = live[:len(live)-1]
			continue
		}
		n := r.IntN(1 << r.IntN(16))
		b, err := a.Alloc(n)
		if err != nil {
			t.Fatal(err)
		}
		if b.Size() < n {
			t.Fatalf("asked for %d bytes, got %d", n, b.Size())
		}
		p := piece{b, byte(i)}
		for j := range unsafe.Slice((*byte)(b.Ptr()), b.Size()) {
			unsafe.Slice((*byte)(b.Ptr()), b.Size())[j] = p.mark
		}
		live = append(live, p)
	}
	for _, p := range live {
		a.Free(p.b)
	}
	if a.InUse() != 0 {
		t.Errorf("%d bytes in use after everything was freed", a.InUse())
	}
	n := 0
	for _, b := range a.free {
		for ; b != nil; b = b.nextFree {
			n++
		}
	}
	if n != len(a.slabs) {
		t.Errorf("%d free blocks in %d slabs: neighbours were not merged", n, len(a.slabs))
	}
}

func TestResetReplaysAddresses(t *testing.T) {
	a := New(&heap{limit: 1 << 30}, new(Ledger))
	run := func() (addresses []unsafe.Pointer) {
		r := rand.New(rand.NewPCG(3, 4))
		var live []*Block
		for range 3000 {
			if len(live) > 4 && r.IntN(3) == 0 {
				j := r.IntN(len(live))
				a.Free(live[j])
				live = append(live[:j], live[j+1:]...)
			}
			b, err := a.Alloc(r.IntN(50000))
			if err != nil {
				t.Fatal(err)
			}
			live = append(live, b)
			addresses = append(addresses, b.Ptr())
		}
		a.Reset()
		return addresses
	}
	run() // grows the slabs
	first, second := run(), run()
	for i := range first {
		if first[i] != second[i] {
			t.Fatalf("allocation %d moved after Reset", i)
		}
	}
}

func TestSourceErrorIsReturnedAndReleaseGivesAllBack(t *testing.T) {
	h := &heap{limit: 3 << 20}
	a := New(h, new(Ledger))
	var err error
	for range 10 {
		if _, err = a.Alloc(900 << 10); err != nil {
			break
		}
	}
	if err == nil {
		t.Fatal("allocated 9 MiB from a source of 3")
	}
	if a.Peak() < 2<<20 {
		t.Errorf("peak %d: most of the source should have been usable", a.Peak())
	}
	a.Release()
	if h.live != 0 || a.Reserved() != 0 {
		t.Errorf("%d bytes not given back, %d reserved", h.live, a.Reserved())
	}
}

func TestFreeingTwicePanics(t *testing.T) {
	a := New(&heap{limit: 1 << 22}, new(Ledger))
	b, _ := a.Alloc(10)
	a.Free(b)
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	a.Free(b)
}

func BenchmarkAllocFree(b *testing.B) {
	a := New(&heap{limit: 1 << 30}, new(Ledger))
	for b.Loop() {
		x, _ := a.Alloc(4096)
		y, _ := a.Alloc(100)
		a.Free(x)
		a.Free(y)
	}
}
