package cuda

import (
	"sync"
	"unsafe"
)

// Copies between the host and the device go through pinned memory of our own: the card reads and writes it without
// the driver's help, and never the memory that Go's collector owns.

const (
	uploadRing    = 32 << 20 // bytes of pinned memory for copies to the device
	uploadPiece   = 4 << 20  // bytes copied at once
	downloadPiece = 4 << 20  // bytes of each of two pieces for copies from the device
)

// uploads is a ring of pinned memory. A piece is used again when the device has read it.
type uploads struct {
	mu     sync.Mutex
	ring   unsafe.Pointer
	head   int     // where the next piece begins
	tail   int     // where the oldest piece under way begins
	queue  []piece // pieces under way, the oldest first
	events []Event // that nobody uses
}

// A piece is a part of the ring, up to end, that is free when event has happened.
type piece struct {
	begin, end int
	event      Event
}

func (u *uploads) open(ctx Context) (err error) {
	u.ring, err = ctx.HostAlloc(uploadRing)
	return err
}

func (u *uploads) close(ctx Context) {
	if u.ring != nil {
		_ = ctx.HostFree(u.ring) // the context goes next
	}
}

// copy issues a copy of src to dst on a stream. src may be used again when it returns.
func (u *uploads) copy(ctx Context, s Stream, dst unsafe.Pointer, src []byte) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	for len(src) > 0 {
		n := min(len(src), uploadPiece)
		begin, err := u.take(ctx, n)
		if err != nil {
			return err
		}
		pinned := unsafe.Add(u.ring, begin)
		copy(unsafe.Slice((*byte)(pinned), n), src)
		if err := ctx.CopyIn(dst, pinned, n, s); err != nil {
			return err
		}
		event, err := u.event(ctx)
		if err != nil {
			return err
		}
		if err := ctx.Record(event, s); err != nil {
			return err
		}
		u.queue = append(u.queue, piece{begin, begin + n, event})
		src, dst = src[n:], unsafe.Add(dst, n)
	}
	return nil
}

// take finds n bytes of the ring that nobody reads, and waits for the oldest pieces as long as there are none.
func (u *uploads) take(ctx Context, n int) (begin int, err error) {
	n = (n + 63) &^ 63
	for {
		if len(u.queue) == 0 {
			u.head, u.tail = 0, 0
		} else {
			u.tail = u.queue[0].begin
		}
		switch {
		case len(u.queue) == 0 || u.head > u.tail: // what is free is behind head, and before tail
			if u.head+n <= uploadRing {
				begin = u.head
				u.head += n
				return begin, nil
			}
			if n < u.tail {
				u.head = n
				return 0, nil
			}
		case u.head+n < u.tail:
			begin = u.head
			u.head += n
			return begin, nil
		}
		oldest := u.queue[0]
		if err := ctx.SyncEvent(oldest.event); err != nil {
			return 0, err
		}
		u.queue = u.queue[1:]
		u.events = append(u.events, oldest.event)
	}
}

func (u *uploads) event(ctx Context) (Event, error) {
	if n := len(u.events); n > 0 {
		e := u.events[n-1]
		u.events = u.events[:n-1]
		return e, nil
	}
	return ctx.NewEvent()
}

// downloads are two pieces of pinned memory, one of which the device writes while the other one is read.
type downloads struct {
	mu     sync.Mutex
	pieces [2]unsafe.Pointer
	events [2]Event
	ready  Event // what was issued to the compute stream before
}

func (d *downloads) open(ctx Context) (err error) {
	if d.ready, err = ctx.NewEvent(); err != nil {
		return err
	}
	for i := range d.pieces {
		if d.pieces[i], err = ctx.HostAlloc(downloadPiece); err != nil {
			return err
		}
		if d.events[i], err = ctx.NewEvent(); err != nil {
			return err
		}
	}
	return nil
}

func (d *downloads) close(ctx Context) {
	for _, p := range d.pieces {
		if p != nil {
			_ = ctx.HostFree(p) // the context goes next
		}
	}
}

// copy waits for what was issued to the compute stream and copies len(dst) bytes from src.
func (d *downloads) copy(ctx Context, compute, copies Stream, dst []byte, src unsafe.Pointer) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := ctx.Record(d.ready, compute); err != nil {
		return err
	}
	if err := ctx.Wait(copies, d.ready); err != nil {
		return err
	}
	if len(dst) == 0 {
		return ctx.SyncStream(copies)
	}
	issue := func(i int) error {
		lo := i * downloadPiece
		n := min(len(dst)-lo, downloadPiece)
		if n <= 0 {
			return nil
		}
		if err := ctx.CopyOut(d.pieces[i%2], unsafe.Add(src, lo), n, copies); err != nil {
			return err
		}
		return ctx.Record(d.events[i%2], copies)
	}
	if err := issue(0); err != nil {
		return err
	}
	for i := 0; i*downloadPiece < len(dst); i++ {
		if err := issue(i + 1); err != nil {
			return err
		}
		if err := ctx.SyncEvent(d.events[i%2]); err != nil {
			return err
		}
		lo := i * downloadPiece
		copy(dst[lo:], unsafe.Slice((*byte)(d.pieces[i%2]), min(len(dst)-lo, downloadPiece)))
	}
	return nil
}
