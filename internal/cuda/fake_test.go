package cuda

import (
	"fmt"
	"unsafe"
)

// fakeDriver is a driver in the memory of the host, for tests of what the backend makes of answers. A kernel is
// whatever its test says.
type fakeDriver struct {
	props  Properties
	memory int // bytes
	kernel func(f string, params []byte) error
	opened *fakeContext
}

type fakeContext struct {
	*fakeDriver
	blocks    map[unsafe.Pointer][]byte
	used      int
	names     []string
	events    int
	launches  int
	closed    bool
	loaded    int
	dynamic   map[Function]int
	moduleErr error
}

func newFake() *fakeDriver {
	return &fakeDriver{props: Properties{Name: "Fake", Capability: 86, Memory: 1 << 30, Multiprocessors: 4, SharedPerBlock: 99 << 10}, memory: 1 << 30}
}

func (d *fakeDriver) Version() (int, error)                { return 12040, nil }
func (d *fakeDriver) DeviceCount() (int, error)            { return 1, nil }
func (d *fakeDriver) Properties(i int) (Properties, error) { return d.props, nil }

func (d *fakeDriver) Open(i int) (Context, error) {
	d.opened = &fakeContext{fakeDriver: d, blocks: map[unsafe.Pointer][]byte{}, dynamic: map[Function]int{}}
	return d.opened, nil
}

func (c *fakeContext) Close() error { c.closed = true; return nil }

func (c *fakeContext) MemInfo() (free, total uint64, err error) {
	return uint64(c.memory - c.used), uint64(c.memory), nil
}

func (c *fakeContext) MemAlloc(n int) (unsafe.Pointer, error) {
	if c.used+n > c.memory {
		return nil, &DriverError{Call: "cuMemAlloc", Code: codeOutOfMemory, Name: "CUDA_ERROR_OUT_OF_MEMORY"}
	}
	c.used += n
	return c.HostAlloc(n)
}

func (c *fakeContext) MemFree(p unsafe.Pointer) error {
	c.used -= len(c.blocks[p])
	return c.HostFree(p)
}

func (c *fakeContext) HostAlloc(n int) (unsafe.Pointer, error) {
	block := make([]byte, n)
	c.blocks[unsafe.Pointer(&block[0])] = block
	return unsafe.Pointer(&block[0]), nil
}

func (c *fakeContext) HostFree(p unsafe.Pointer) error {
	if c.blocks[p] == nil {
		return fmt.Errorf("%p was never given", p)
	}
	delete(c.blocks, p)
	return nil
}

func (c *fakeContext) CopyIn(dst, src unsafe.Pointer, n int, s Stream) error {
	return c.Copy(dst, src, n, s)
}

func (c *fakeContext) CopyOut(dst, src unsafe.Pointer, n int, s Stream) error {
	return c.Copy(dst, src, n, s)
}

func (c *fakeContext) Copy(dst, src unsafe.Pointer, n int, s Stream) error {
	copy(unsafe.Slice((*byte)(dst), n), unsafe.Slice((*byte)(src), n))
	return nil
}

func (c *fakeContext) Set(dst unsafe.Pointer, value byte, n int, s Stream) error {
	b := unsafe.Slice((*byte)(dst), n)
	for i := range b {
		b[i] = value
	}
	return nil
}

func (c *fakeContext) LoadModule(ptx string) (Module, error) { c.loaded++; return 1, c.moduleErr }

func (c *fakeContext) Function(m Module, name string) (Function, error) {
	c.names = append(c.names, name)
	return Function(len(c.names) - 1), nil
}

func (c *fakeContext) SetDynamicShared(f Function, n int) error { c.dynamic[f] = n; return nil }

func (c *fakeContext) Launch(f Function, grid [3]int, block, shared int, s Stream, params []byte) error {
	c.launches++
	if c.kernel == nil {
		return nil
	}
	return c.kernel(c.names[f], params)
}

func (c *fakeContext) NewStream() (Stream, error)     { return 1, nil }
func (c *fakeContext) NewEvent() (Event, error)       { c.events++; return Event(c.events), nil }
func (c *fakeContext) Record(e Event, s Stream) error { return nil }
func (c *fakeContext) Wait(s Stream, e Event) error   { return nil }
func (c *fakeContext) SyncStream(s Stream) error      { return nil }
func (c *fakeContext) SyncEvent(e Event) error        { return nil }
