package cuda

import (
	"errors"
	"fmt"
	"sync"
	"unsafe"

	"github.com/hone-ml/hone/internal/ptxsim"
)

// The simulated driver runs the PTX of the kernels on package ptxsim, with the order of things as free as CUDA's rules
// leave it: what is issued to a stream happens when somebody waits for it and no sooner, each stream by itself. So a
// missing event, or staging memory that is used again too early, gives wrong data here too.

// simMemory is the global memory of the simulated card. Pages that nobody touches cost nothing.
const simMemory = 6 << 30

// OpenSim is the simulated card, "cuda-sim". Each call makes a new one.
func OpenSim() (*Backend, error) { return openSim(ptxsim.Config{Memory: simMemory}) }

func openSim(c ptxsim.Config) (*Backend, error) {
	b, err := newBackend(&simDriver{config: c}, 0, "cuda-sim")
	if err != nil {
		return nil, err
	}
	b.slow, b.driver = true, "PTX "+ptxVersion
	return b, nil
}

// A simDriver has one card.
type simDriver struct{ config ptxsim.Config }

func (d *simDriver) Version() (int, error)     { return minVersion, nil }
func (d *simDriver) DeviceCount() (int, error) { return 1, nil }

// Properties are those of a small card of the oldest generation that hone supports.
func (d *simDriver) Properties(int) (Properties, error) {
	return Properties{Name: "PTX simulator", Capability: minCapability, Memory: uint64(d.config.Memory), Multiprocessors: 16, SharedPerBlock: 163 << 10}, nil
}

func (d *simDriver) Open(int) (Context, error) {
	return &simContext{
		device: ptxsim.NewDevice(d.config), memory: d.config.Memory, sizes: map[unsafe.Pointer]int{}, host: map[unsafe.Pointer][]byte{},
		statistics: map[string]ptxsim.Stats{},
	}, nil
}

// A simContext is the simulated card.
type simContext struct {
	mu         sync.Mutex
	device     *ptxsim.Device
	memory     int                       // bytes
	used       int                       // of these
	sizes      map[unsafe.Pointer]int    // of blocks in global memory
	host       map[unsafe.Pointer][]byte // pinned memory: kept alive here
	modules    []*ptxsim.Module
	functions  []*ptxsim.Kernel
	dynamic    map[*ptxsim.Kernel]int // bytes of dynamic shared memory allowed, where it was asked for
	streams    []*simStream
	events     []simEvent
	statistics map[string]ptxsim.Stats // of all launches, by kernel
}

// A simStream is work that was issued and not done.
type simStream struct {
	queue  []func() error
	issued int   // ever
	failed error // since the last report
}

func (s *simStream) done() int { return s.issued - len(s.queue) }

// A simEvent has happened when its stream has done so many pieces of work.
type simEvent struct {
	stream Stream
	after  int
}

// mostPending is how much work a stream lets wait.
const mostPending = 512

func (c *simContext) issue(s Stream, work func() error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	st := c.streams[s]
	st.queue = append(st.queue, work)
	st.issued++
	if len(st.queue) > mostPending {
		c.run(s, st.done()+1)
	}
	return nil
}

// run does the work of a stream up to a number. After a failure it does nothing any more until the failure is
// reported.
func (c *simContext) run(s Stream, upTo int) {
	st := c.streams[s]
	for st.done() < upTo {
		work := st.queue[0]
		st.queue = st.queue[1:]
		if err := work(); err != nil && st.failed == nil {
			st.failed = err
		}
	}
}

func (c *simContext) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.sizes) > 0 || len(c.host) > 0 {
		return fmt.Errorf("cuda-sim: closed with %d blocks of global and %d of pinned memory in use", len(c.sizes), len(c.host))
	}
	c.device.Close()
	return nil
}

func (c *simContext) MemInfo() (free, total uint64, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return uint64(c.memory - c.used), uint64(c.memory), nil
}

func (c *simContext) MemAlloc(bytes int) (unsafe.Pointer, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	outOfMemory := &DriverError{Call: "cuMemAlloc", Code: codeOutOfMemory, Name: "CUDA_ERROR_OUT_OF_MEMORY"}
	if bytes > c.memory-c.used {
		return nil, outOfMemory
	}
	address, err := c.device.Alloc(bytes)
	if err != nil {
		outOfMemory.Text = err.Error()
		return nil, outOfMemory
	}
	p := pointerTo(address)
	c.sizes[p] = bytes
	c.used += bytes
	return p, nil
}

func (c *simContext) MemFree(p unsafe.Pointer) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for s := range c.streams {
		c.run(Stream(s), c.streams[s].issued)
	}
	c.used -= c.sizes[p]
	delete(c.sizes, p)
	return c.device.Free(uint64(uintptr(p)))
}

func (c *simContext) HostAlloc(bytes int) (unsafe.Pointer, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	block := make([]byte, bytes)
	p := unsafe.Pointer(unsafe.SliceData(block))
	c.host[p] = block
	return p, nil
}

func (c *simContext) HostFree(p unsafe.Pointer) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.host, p)
	return nil
}

func (c *simContext) CopyIn(dst, src unsafe.Pointer, bytes int, s Stream) error {
	return c.issue(s, func() error { return c.device.Write(uint64(uintptr(dst)), unsafe.Slice((*byte)(src), bytes)) })
}

func (c *simContext) CopyOut(dst, src unsafe.Pointer, bytes int, s Stream) error {
	return c.issue(s, func() error { return c.device.Read(unsafe.Slice((*byte)(dst), bytes), uint64(uintptr(src))) })
}

func (c *simContext) Copy(dst, src unsafe.Pointer, bytes int, s Stream) error {
	return c.issue(s, func() error { return c.device.Copy(uint64(uintptr(dst)), uint64(uintptr(src)), bytes) })
}

func (c *simContext) Set(dst unsafe.Pointer, value byte, bytes int, s Stream) error {
	return c.issue(s, func() error { return c.device.Set(uint64(uintptr(dst)), value, bytes) })
}

// poison makes memory as it was when it was fresh: to read it before it is written is a fault.
func (c *simContext) poison(p unsafe.Pointer, bytes int, s Stream) error {
	return c.issue(s, func() error { return c.device.Poison(uint64(uintptr(p)), bytes) })
}

func (c *simContext) LoadModule(ptx string) (Module, error) {
	m, err := ptxsim.Parse(ptx)
	if err != nil {
		return 0, &DriverError{Call: "cuModuleLoadDataEx", Code: 218, Name: "CUDA_ERROR_INVALID_PTX", Text: err.Error()}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.modules = append(c.modules, m)
	return Module(len(c.modules) - 1), nil
}

func (c *simContext) Function(m Module, name string) (Function, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.modules[m].Kernel(name)
	if k == nil {
		return 0, &DriverError{Call: "cuModuleGetFunction", Code: 500, Name: "CUDA_ERROR_NOT_FOUND", Text: name}
	}
	c.functions = append(c.functions, k)
	return Function(len(c.functions) - 1), nil
}

func (c *simContext) SetDynamicShared(f Function, bytes int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dynamic == nil {
		c.dynamic = map[*ptxsim.Kernel]int{}
	}
	c.dynamic[c.functions[f]] = bytes
	return nil
}

func (c *simContext) Launch(f Function, grid [3]int, block, dynamicShared int, s Stream, params []byte) error {
	c.mu.Lock()
	k := c.functions[f]
	allowed := max(c.dynamic[k], 48<<10)
	c.mu.Unlock()
	if dynamicShared > allowed {
		return &DriverError{Call: "cuLaunchKernel", Code: 1, Name: "CUDA_ERROR_INVALID_VALUE",
			Text: fmt.Sprintf("%d bytes of dynamic shared memory, of which %d are allowed", dynamicShared, allowed)}
	}
	packed := append([]byte(nil), params...)
	return c.issue(s, func() error {
		if c.streams[s].failed != nil {
			return nil
		}
		stats, err := c.device.Launch(k, grid, [3]int{block, 1, 1}, dynamicShared, packed)
		if err != nil {
			return err
		}
		total := c.statistics[k.Name]
		total.Add(stats)
		c.statistics[k.Name] = total
		return nil
	})
}

func (c *simContext) NewStream() (Stream, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.streams = append(c.streams, new(simStream))
	return Stream(len(c.streams) - 1), nil
}

func (c *simContext) NewEvent() (Event, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.events = append(c.events, simEvent{})
	return Event(len(c.events) - 1), nil
}

func (c *simContext) Record(e Event, s Stream) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.events[e] = simEvent{s, c.streams[s].issued}
	return nil
}

func (c *simContext) Wait(s Stream, e Event) error {
	c.mu.Lock()
	at := c.events[e]
	c.mu.Unlock()
	return c.issue(s, func() error { c.run(at.stream, at.after); return nil })
}

func (c *simContext) SyncStream(s Stream) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.run(s, c.streams[s].issued)
	return c.report()
}

func (c *simContext) SyncEvent(e Event) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := c.events[e]
	c.run(at.stream, at.after)
	return c.report()
}

// report tells failures of any stream, as the driver does at the next call that waits.
func (c *simContext) report() error {
	var errs []error
	for _, s := range c.streams {
		errs = append(errs, s.failed)
		s.failed = nil
	}
	return errors.Join(errs...)
}

// pointerTo is an address of the simulated memory as the backend has it. The range is reserved, so that the garbage
// collector owns nothing there.
func pointerTo(address uint64) unsafe.Pointer {
	at := uintptr(address)
	return *(*unsafe.Pointer)(unsafe.Pointer(&at))
}

// Statistics are what the kernels did since the simulated card was opened or the last call, by kernel, and begin anew.
// On a real card there are none.
func (b *Backend) Statistics() map[string]ptxsim.Stats {
	c, ok := b.ctx.(*simContext)
	if !ok {
		return nil
	}
	b.check(c.SyncStream(b.compute))
	c.mu.Lock()
	defer c.mu.Unlock()
	was := c.statistics
	c.statistics = map[string]ptxsim.Stats{}
	return was
}
