package atomicfile

import (
	"errors"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A block is what goes to the disk at once past the page cache. Both its size and the address of its memory
// are multiples of what any disk asks of O_DIRECT (open(2)).
const (
	blockSize  = 4 << 20
	blockAlign = 4096
)

// direct writes a large file past the page cache: copying gigabytes there takes longer than a good disk, and
// drives out what is worth keeping. While a goroutine writes one block, the next is filled. A file system
// without O_DIRECT takes the same blocks through its cache, as do files of less than a block.
type direct struct {
	f       *os.File
	fill    []byte      // of a block
	full    chan []byte // to the goroutine; nil before the first block
	empty   chan []byte // back from it
	done    chan error  // its last word
	refused bool        // no O_DIRECT here
}

func newWriter(f file) flusher {
	if f, ok := f.(*os.File); ok {
		return &direct{f: f, fill: make([]byte, 0, bufferSize)}
	}
	return newBuffered(f)
}

func (d *direct) Write(p []byte) (total int, err error) {
	for len(p) > 0 {
		if len(d.fill) == cap(d.fill) {
			if err := d.next(); err != nil {
				return total, err
			}
		}
		n := copy(d.fill[len(d.fill):cap(d.fill)], p)
		d.fill, p, total = d.fill[:len(d.fill)+n], p[n:], total+n
	}
	return total, nil
}

// next makes room in fill, which is full: a small one grows to a block, a block goes to the disk.
func (d *direct) next() error {
	if cap(d.fill) < blockSize {
		d.fill = append(newBlock(), d.fill...)
		return nil
	}
	if d.full == nil {
		d.full, d.empty, d.done = make(chan []byte, 1), make(chan []byte, 2), make(chan error, 1)
		d.empty <- newBlock()
		go d.run()
	}
	select {
	case err := <-d.done:
		d.done <- err // and for the next who asks
		return err
	case d.full <- d.fill:
	}
	select {
	case err := <-d.done:
		d.done <- err
		return err
	case d.fill = <-d.empty:
		return nil
	}
}

// run writes the blocks that come until one fails or there are no more.
func (d *direct) run() {
	d.refused = d.set(true) != nil
	var err error
	for b := range d.full {
		var n int
		if n, err = d.f.Write(b); errors.Is(err, unix.EINVAL) && !d.refused {
			d.refused = true
			if err = d.set(false); err == nil {
				_, err = d.f.Write(b[n:])
			}
		}
		if err != nil {
			break
		}
		d.empty <- b[:0]
	}
	if !d.refused {
		err = errors.Join(err, d.set(false))
	}
	d.done <- err
}

// set switches O_DIRECT.
func (d *direct) set(on bool) error {
	flags, err := unix.FcntlInt(d.f.Fd(), unix.F_GETFL, 0)
	if err != nil {
		return os.NewSyscallError("fcntl", err)
	}
	flags &^= unix.O_DIRECT
	if on {
		flags |= unix.O_DIRECT
	}
	_, err = unix.FcntlInt(d.f.Fd(), unix.F_SETFL, flags)
	return os.NewSyscallError("fcntl", err)
}

// Flush writes what is left, of any length.
func (d *direct) Flush() error {
	if err := d.stop(); err != nil {
		return err
	}
	_, err := d.f.Write(d.fill)
	d.fill = d.fill[:0]
	return err
}

// stop ends the goroutine, so that nothing is written any more.
func (d *direct) stop() error {
	if d.full == nil {
		return nil
	}
	close(d.full)
	err := <-d.done
	d.full = nil
	return err
}

// newBlock is an empty block whose memory is aligned.
func newBlock() []byte {
	raw := make([]byte, blockSize+blockAlign)
	skip := -uintptr(unsafe.Pointer(unsafe.SliceData(raw))) % blockAlign
	return raw[skip : skip : skip+blockSize]
}
