// Package cuda is the backend of NVIDIA GPUs. It needs nothing but the driver: the kernels are PTX, embedded in the
// binary, which the driver compiles for the card.
//
// Everything is asynchronous on one stream of the device, in the order of issue, so that memory which is freed may be
// used again at once by what is issued later. CopyOut and Sync wait, and report what went wrong before.
//
// A second driver runs the same PTX on a simulator, package ptxsim, so that all of this is proven without a GPU.
package cuda

import (
	"fmt"
	"sync"
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
)

// A Backend is one GPU. Any goroutine may use it.
type Backend struct {
	name   string
	driver string // "CUDA 12.4", or what stands for it
	props  Properties
	slow   bool // a simulator
	most   int  // elements that a launch goes over: maxElements, fewer in tests

	ctx     Context
	compute Stream // kernels, and copies to the device
	copies  Stream // copies from the device: they wait for the kernels issued before, not for those after

	families sync.Map // name to *family
	faults   faults
	uploads  uploads
	reads    downloads
	spare    scratches

	mu       sync.Mutex
	failed   error                  // the first failure since the last report
	blocks   map[unsafe.Pointer]int // what Alloc gave, by address: bytes
	inUse    int                    // bytes in blocks
	internal []unsafe.Pointer       // device memory of the backend's own
}

// newBackend opens a device of a driver.
func newBackend(d Driver, device int, name string) (*Backend, error) {
	props, err := d.Properties(device)
	if err != nil {
		return nil, err
	}
	version, err := d.Version()
	if err != nil {
		return nil, err
	}
	b := &Backend{name: name, driver: "CUDA " + versionText(version), props: props, most: maxElements, blocks: map[unsafe.Pointer]int{}}
	if props.Capability < minCapability {
		return nil, fmt.Errorf("%s has compute capability %d.%d; hone's kernels need %d.%d, an Ampere card or newer",
			props.Name, props.Capability/10, props.Capability%10, minCapability/10, minCapability%10)
	}
	if b.ctx, err = d.Open(device); err != nil {
		return nil, err
	}
	if err := b.prepare(); err != nil {
		_ = b.ctx.Close() // the first error says more
		return nil, err
	}
	return b, nil
}

// The PTX that is embedded, and the oldest that reads it.
const (
	target        = "sm_80"
	ptxVersion    = "7.0"
	minCapability = 80
	minVersion    = 11000 // of the driver: CUDA 11.0
)

func (b *Backend) prepare() (err error) {
	if b.compute, err = b.ctx.NewStream(); err != nil {
		return err
	}
	if b.copies, err = b.ctx.NewStream(); err != nil {
		return err
	}
	if err := b.uploads.open(b.ctx); err != nil {
		return err
	}
	if err := b.reads.open(b.ctx); err != nil {
		return err
	}
	if b.faults.records, err = b.own(maxFaults * faultBytes); err != nil {
		return err
	}
	return b.ctx.Set(b.faults.records, 0xff, maxFaults*faultBytes, b.compute)
}

// Info names the card, the target of the kernels and the memory of the card.
func (b *Backend) Info() backend.Info {
	return backend.Info{Name: b.name, Model: b.props.Name, Path: target, Memory: b.props.Memory,
		Driver: fmt.Sprintf("%s, compute capability %d.%d", b.driver, b.props.Capability/10, b.props.Capability%10)}
}

// Slow reports whether the device is a simulator, on which tests take fewer cases.
func (b *Backend) Slow() bool { return b.slow }

// FreeMemory is how many bytes of the card nobody has taken, this process and others.
func (b *Backend) FreeMemory() (uint64, error) {
	free, _, err := b.ctx.MemInfo()
	return free, err
}

// InUse is the number of bytes that Alloc gave and Free did not get back.
func (b *Backend) InUse() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.inUse
}

// Close gives everything back to the driver. The backend must not be used any more; what Alloc gave is gone.
func (b *Backend) Close() error {
	err := b.Sync()
	b.mu.Lock()
	defer b.mu.Unlock()
	for p := range b.blocks {
		_ = b.ctx.MemFree(p) // the context is released with all that it holds
	}
	for _, p := range b.internal {
		_ = b.ctx.MemFree(p)
	}
	clear(b.blocks)
	b.internal, b.inUse = nil, 0
	b.uploads.close(b.ctx)
	b.reads.close(b.ctx)
	if closed := b.ctx.Close(); err == nil {
		err = closed
	}
	return err
}

// Alloc takes memory from the driver; its contents are undefined.
func (b *Backend) Alloc(bytes int) (unsafe.Pointer, error) {
	if bytes < 0 {
		return nil, fmt.Errorf("cuda: allocation of %d bytes", bytes)
	}
	p, err := b.ctx.MemAlloc(max(bytes, 1))
	if err != nil {
		return nil, b.explain(err, bytes)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.blocks[p] = bytes
	b.inUse += bytes
	return p, nil
}

// explain says how much memory others leave on a card that has not enough.
func (b *Backend) explain(err error, bytes int) error {
	if !hasCode(err, codeOutOfMemory) {
		return err
	}
	free, total, unknown := b.ctx.MemInfo()
	if unknown != nil {
		return err
	}
	return fmt.Errorf("%s has %s of %s free, %s are needed (nvidia-smi tells which programs hold the rest): %w",
		b.props.Name, mebibytes(free), mebibytes(total), mebibytes(uint64(bytes)), err)
}

func mebibytes(n uint64) string { return fmt.Sprintf("%.0f MiB", float64(n)/(1<<20)) }

// Free waits for the device and gives memory from Alloc back to the driver.
func (b *Backend) Free(p unsafe.Pointer, bytes int) {
	b.mu.Lock()
	size, known := b.blocks[p]
	if known && size == bytes {
		delete(b.blocks, p)
		b.inUse -= bytes
	}
	b.mu.Unlock()
	if !known || size != bytes {
		panic(fmt.Sprintf("cuda: Free of %d bytes at %p that Alloc did not return", bytes, p))
	}
	b.check(b.ctx.SyncStream(b.compute))
	b.check(b.ctx.MemFree(p))
}

// own takes device memory that lives until Close.
func (b *Backend) own(bytes int) (unsafe.Pointer, error) {
	p, err := b.ctx.MemAlloc(bytes)
	if err != nil {
		return nil, b.explain(err, bytes)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.internal = append(b.internal, p)
	return p, nil
}

// Poison makes bytes of memory undefined.
func (b *Backend) Poison(p unsafe.Pointer, bytes int) {
	if c, simulated := b.ctx.(*simContext); simulated {
		b.check(c.poison(p, bytes, b.compute))
		return
	}
	b.check(b.ctx.Set(p, 0xff, bytes, b.compute))
}

// CopyIn copies src, which may be used again when it returns. What is issued later sees the copy.
func (b *Backend) CopyIn(dst unsafe.Pointer, src []byte) {
	if b.failure() == nil {
		b.check(b.uploads.copy(b.ctx, b.compute, dst, src))
	}
}

// CopyOut waits for what was issued before and copies len(dst) bytes from src. It panics with a *backend.DeviceError if
// something before failed, and with a *backend.IndexError if a kernel met an index out of range.
func (b *Backend) CopyOut(dst []byte, src unsafe.Pointer) {
	b.download(dst, src)
	if err := b.outcome(); err != nil {
		panic(err)
	}
}

func (b *Backend) download(dst []byte, src unsafe.Pointer) {
	if b.failure() == nil {
		b.check(b.reads.copy(b.ctx, b.compute, b.copies, dst, src))
	}
}

// Sync waits for what was issued before and reports the first failure. It panics with a *backend.IndexError if a
// kernel met an index out of range.
func (b *Backend) Sync() error {
	b.check(b.ctx.SyncStream(b.compute))
	return b.outcome()
}

// outcome is the first failure since the last report. It panics with what a kernel reported: that comes first, since
// a kernel that skipped something may be why others failed.
func (b *Backend) outcome() error {
	found := b.firstFault()
	err := b.report()
	if found != nil {
		panic(found)
	}
	return err
}

// check keeps an error of the driver, to be reported by Sync or CopyOut.
func (b *Backend) check(err error) {
	if err != nil {
		b.fail(&backend.DeviceError{Device: b.name, Cause: err})
	}
}

func (b *Backend) fail(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failed == nil {
		b.failed = err
	}
}

func (b *Backend) failure() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failed
}

// report is the first failure, which is forgotten: what the driver cannot go on from it will say again.
func (b *Backend) report() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	err := b.failed
	b.failed = nil
	return err
}
