//go:build (linux || windows) && (amd64 || arm64) && !nocuda

package cuda

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"unsafe"

	"github.com/ebitengine/purego"
)

// The driver's own library, called without cgo. Sources: cuda.h of CUDA 12 (signatures, constants), CUDA Driver API
// reference (semantics).

// calls are the addresses of the functions in use. Tags name them where the ABI has a second version.
//
// None takes a floating-point argument: those would need other registers than the integers that purego.SyscallN fills.
// Kernels get theirs in a packed buffer.
type calls struct {
	Init                    uintptr `cuda:"cuInit"`
	DriverGetVersion        uintptr `cuda:"cuDriverGetVersion"`
	GetErrorName            uintptr `cuda:"cuGetErrorName"`
	GetErrorString          uintptr `cuda:"cuGetErrorString"`
	DeviceGetCount          uintptr `cuda:"cuDeviceGetCount"`
	DeviceGet               uintptr `cuda:"cuDeviceGet"`
	DeviceGetName           uintptr `cuda:"cuDeviceGetName"`
	DeviceGetAttribute      uintptr `cuda:"cuDeviceGetAttribute"`
	DeviceTotalMem          uintptr `cuda:"cuDeviceTotalMem_v2"`
	DevicePrimaryCtxRetain  uintptr `cuda:"cuDevicePrimaryCtxRetain"`
	DevicePrimaryCtxRelease uintptr `cuda:"cuDevicePrimaryCtxRelease_v2"`
	CtxSetCurrent           uintptr `cuda:"cuCtxSetCurrent"`
	MemGetInfo              uintptr `cuda:"cuMemGetInfo_v2"`
	MemAlloc                uintptr `cuda:"cuMemAlloc_v2"`
	MemFree                 uintptr `cuda:"cuMemFree_v2"`
	MemHostAlloc            uintptr `cuda:"cuMemHostAlloc"`
	MemFreeHost             uintptr `cuda:"cuMemFreeHost"`
	MemcpyHtoDAsync         uintptr `cuda:"cuMemcpyHtoDAsync_v2"`
	MemcpyDtoHAsync         uintptr `cuda:"cuMemcpyDtoHAsync_v2"`
	MemcpyDtoDAsync         uintptr `cuda:"cuMemcpyDtoDAsync_v2"`
	MemsetD8Async           uintptr `cuda:"cuMemsetD8Async"`
	ModuleLoadDataEx        uintptr `cuda:"cuModuleLoadDataEx"`
	ModuleGetFunction       uintptr `cuda:"cuModuleGetFunction"`
	FuncSetAttribute        uintptr `cuda:"cuFuncSetAttribute"`
	LaunchKernel            uintptr `cuda:"cuLaunchKernel"`
	StreamCreate            uintptr `cuda:"cuStreamCreate"`
	StreamDestroy           uintptr `cuda:"cuStreamDestroy_v2"`
	StreamWaitEvent         uintptr `cuda:"cuStreamWaitEvent"`
	StreamSynchronize       uintptr `cuda:"cuStreamSynchronize"`
	EventCreate             uintptr `cuda:"cuEventCreate"`
	EventDestroy            uintptr `cuda:"cuEventDestroy_v2"`
	EventRecord             uintptr `cuda:"cuEventRecord"`
	EventSynchronize        uintptr `cuda:"cuEventSynchronize"`
}

// Constants of cuda.h.
const (
	attributeMultiprocessors    = 16
	attributeCapabilityMajor    = 75
	attributeCapabilityMinor    = 76
	attributeSharedPerBlock     = 97 // MAX_SHARED_MEMORY_PER_BLOCK_OPTIN
	functionDynamicShared       = 8  // MAX_DYNAMIC_SHARED_SIZE_BYTES
	jitInfoLog, jitInfoLogSize  = 3, 4
	jitErrorLog, jitErrorLogLen = 5, 6
	streamNonBlocking           = 1
	eventDisableTiming          = 2
	launchBuffer, launchSize    = 1, 2 // CU_LAUNCH_PARAM_BUFFER_POINTER, CU_LAUNCH_PARAM_BUFFER_SIZE
)

// A library is the driver's library after cuInit.
type library struct {
	calls
	version int
}

var nvidia = sync.OnceValues(func() (*library, error) { return openLibrary(libraryName) })

// systemDriver is NVIDIA's driver, or an error that says what keeps it from being used.
func systemDriver() (Driver, error) {
	l, err := nvidia()
	if err != nil {
		return nil, err
	}
	return l, nil
}

// openLibrary loads a library and initialises the driver.
func openLibrary(name string) (*library, error) {
	handle, err := loadLibrary(name)
	if err != nil {
		return nil, fmt.Errorf("NVIDIA's driver is not there (%w); install it, or use -device cpu", err)
	}
	l := new(library)
	v := reflect.ValueOf(&l.calls).Elem()
	for i := range v.NumField() {
		symbol := v.Type().Field(i).Tag.Get("cuda")
		at, err := findSymbol(handle, symbol)
		if err != nil {
			return nil, fmt.Errorf("%s lacks %s: the driver is too old, hone needs one for CUDA 11.0 or newer", name, symbol)
		}
		v.Field(i).SetUint(uint64(at))
	}
	if err := l.call("cuInit", l.Init, 0); err != nil {
		return nil, fmt.Errorf("the driver does not start: %w", err)
	}
	var version int32
	if err := l.call("cuDriverGetVersion", l.DriverGetVersion, uintptr(unsafe.Pointer(&version))); err != nil {
		return nil, err
	}
	if l.version = int(version); l.version < minVersion {
		return nil, fmt.Errorf("the driver is for CUDA %s, hone needs 11.0 or newer: update the driver", versionText(l.version))
	}
	return l, nil
}

// call makes a call that needs no context.
//
//go:uintptrescapes
func (l *library) call(name string, fn uintptr, args ...uintptr) error {
	code, _, _ := purego.SyscallN(fn, args...)
	return l.result(name, code)
}

// result is the error of a CUresult, which is 32 bits of a register.
func (l *library) result(name string, code uintptr) error {
	if uint32(code) == 0 {
		return nil
	}
	return &DriverError{Call: name, Code: int(uint32(code)), Name: l.describe(l.GetErrorName, code), Text: l.describe(l.GetErrorString, code)}
}

func (l *library) describe(fn, code uintptr) string {
	var text *byte
	if r, _, _ := purego.SyscallN(fn, code, uintptr(unsafe.Pointer(&text))); uint32(r) != 0 || text == nil {
		return ""
	}
	n := 0
	for *(*byte)(unsafe.Add(unsafe.Pointer(text), n)) != 0 {
		n++
	}
	return strings.Clone(unsafe.String(text, n))
}

func (l *library) Version() (int, error) { return l.version, nil }

func (l *library) DeviceCount() (int, error) {
	var n int32
	err := l.call("cuDeviceGetCount", l.DeviceGetCount, uintptr(unsafe.Pointer(&n)))
	return int(n), err
}

// device is the handle of the i-th device.
func (l *library) device(i int) (uintptr, error) {
	var d int32
	err := l.call("cuDeviceGet", l.DeviceGet, uintptr(unsafe.Pointer(&d)), uintptr(i))
	return uintptr(d), err
}

func (l *library) Properties(i int) (Properties, error) {
	var p Properties
	d, err := l.device(i)
	if err != nil {
		return p, err
	}
	name := make([]byte, 256)
	if err := l.call("cuDeviceGetName", l.DeviceGetName, uintptr(unsafe.Pointer(&name[0])), uintptr(len(name)), d); err != nil {
		return p, err
	}
	p.Name = cString(name)
	var total uintptr
	if err := l.call("cuDeviceTotalMem", l.DeviceTotalMem, uintptr(unsafe.Pointer(&total)), d); err != nil {
		return p, err
	}
	p.Memory = uint64(total)
	var major, minor int
	for _, a := range []struct {
		number uintptr
		to     *int
	}{
		{attributeCapabilityMajor, &major}, {attributeCapabilityMinor, &minor},
		{attributeMultiprocessors, &p.Multiprocessors}, {attributeSharedPerBlock, &p.SharedPerBlock},
	} {
		var value int32
		if err := l.call("cuDeviceGetAttribute", l.DeviceGetAttribute, uintptr(unsafe.Pointer(&value)), a.number, d); err != nil {
			return p, err
		}
		*a.to = int(value)
	}
	p.Capability = 10*major + minor
	return p, nil
}

func (l *library) Open(i int) (Context, error) {
	d, err := l.device(i)
	if err != nil {
		return nil, err
	}
	var handle uintptr
	if err := l.call("cuDevicePrimaryCtxRetain", l.DevicePrimaryCtxRetain, uintptr(unsafe.Pointer(&handle)), d); err != nil {
		return nil, err
	}
	c := &cudaContext{library: l, device: d, handle: handle}
	c.launches.New = func() any { return new(launchRecord) }
	return c, nil
}

// A cudaContext is a primary context. The driver knows the current context of a thread, and goroutines wander: each
// call sets it again, which costs less than handing the call to a thread of its own.
type cudaContext struct {
	*library
	device, handle uintptr
	launches       sync.Pool // of *launchRecord

	mu      sync.Mutex
	streams []Stream
	events  []Event
}

// call makes a call in the context.
//
//go:uintptrescapes
func (c *cudaContext) call(name string, fn uintptr, args ...uintptr) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if code, _, _ := purego.SyscallN(c.CtxSetCurrent, c.handle); uint32(code) != 0 {
		return c.result("cuCtxSetCurrent", code)
	}
	code, _, _ := purego.SyscallN(fn, args...)
	return c.result(name, code)
}

func (c *cudaContext) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var errs []error
	for _, e := range c.events {
		errs = append(errs, c.call("cuEventDestroy", c.EventDestroy, uintptr(e)))
	}
	for _, s := range c.streams {
		errs = append(errs, c.call("cuStreamDestroy", c.StreamDestroy, uintptr(s)))
	}
	c.events, c.streams = nil, nil
	errs = append(errs, c.library.call("cuDevicePrimaryCtxRelease", c.DevicePrimaryCtxRelease, c.device))
	return errors.Join(errs...)
}

func (c *cudaContext) MemInfo() (free, total uint64, err error) {
	var f, t uintptr
	err = c.call("cuMemGetInfo", c.MemGetInfo, uintptr(unsafe.Pointer(&f)), uintptr(unsafe.Pointer(&t)))
	return uint64(f), uint64(t), err
}

func (c *cudaContext) MemAlloc(bytes int) (unsafe.Pointer, error) {
	var p unsafe.Pointer
	err := c.call("cuMemAlloc", c.calls.MemAlloc, uintptr(unsafe.Pointer(&p)), uintptr(bytes))
	return p, err
}

func (c *cudaContext) MemFree(p unsafe.Pointer) error {
	return c.call("cuMemFree", c.calls.MemFree, uintptr(p))
}

func (c *cudaContext) HostAlloc(bytes int) (unsafe.Pointer, error) {
	var p unsafe.Pointer
	err := c.call("cuMemHostAlloc", c.MemHostAlloc, uintptr(unsafe.Pointer(&p)), uintptr(bytes), 0)
	return p, err
}

func (c *cudaContext) HostFree(p unsafe.Pointer) error {
	return c.call("cuMemFreeHost", c.MemFreeHost, uintptr(p))
}

func (c *cudaContext) CopyIn(dst, src unsafe.Pointer, bytes int, s Stream) error {
	return c.call("cuMemcpyHtoDAsync", c.MemcpyHtoDAsync, uintptr(dst), uintptr(src), uintptr(bytes), uintptr(s))
}

func (c *cudaContext) CopyOut(dst, src unsafe.Pointer, bytes int, s Stream) error {
	return c.call("cuMemcpyDtoHAsync", c.MemcpyDtoHAsync, uintptr(dst), uintptr(src), uintptr(bytes), uintptr(s))
}

func (c *cudaContext) Copy(dst, src unsafe.Pointer, bytes int, s Stream) error {
	return c.call("cuMemcpyDtoDAsync", c.MemcpyDtoDAsync, uintptr(dst), uintptr(src), uintptr(bytes), uintptr(s))
}

func (c *cudaContext) Set(dst unsafe.Pointer, value byte, bytes int, s Stream) error {
	return c.call("cuMemsetD8Async", c.MemsetD8Async, uintptr(dst), uintptr(value), uintptr(bytes), uintptr(s))
}

// LoadModule compiles PTX for the device, unless the driver finds it in its cache (~/.nv/ComputeCache). An error has
// the compiler's log.
func (c *cudaContext) LoadModule(ptx string) (Module, error) {
	image := append([]byte(ptx), 0)
	said, wrong := make([]byte, 16<<10), make([]byte, 16<<10)
	options := []int32{jitInfoLog, jitInfoLogSize, jitErrorLog, jitErrorLogLen}
	var pinned runtime.Pinner // values holds the addresses as numbers
	defer pinned.Unpin()
	pinned.Pin(&said[0])
	pinned.Pin(&wrong[0])
	values := []uintptr{uintptr(unsafe.Pointer(&said[0])), uintptr(len(said)), uintptr(unsafe.Pointer(&wrong[0])), uintptr(len(wrong))}
	var m uintptr
	err := c.call("cuModuleLoadDataEx", c.ModuleLoadDataEx, uintptr(unsafe.Pointer(&m)), uintptr(unsafe.Pointer(&image[0])),
		uintptr(len(options)), uintptr(unsafe.Pointer(&options[0])), uintptr(unsafe.Pointer(&values[0])))
	var failed *DriverError
	if log := strings.TrimSpace(cString(wrong) + "\n" + cString(said)); log != "" && errors.As(err, &failed) {
		failed.Text += "; the compiler says:\n" + log
	}
	return Module(m), err
}

func (c *cudaContext) Function(m Module, name string) (Function, error) {
	text := append([]byte(name), 0)
	var f uintptr
	err := c.call("cuModuleGetFunction", c.ModuleGetFunction, uintptr(unsafe.Pointer(&f)), uintptr(m), uintptr(unsafe.Pointer(&text[0])))
	return Function(f), err
}

func (c *cudaContext) SetDynamicShared(f Function, bytes int) error {
	return c.call("cuFuncSetAttribute", c.FuncSetAttribute, uintptr(f), functionDynamicShared, uintptr(bytes))
}

// A launchRecord is what cuLaunchKernel reads: it refers to itself, so it lies in the heap, which does not move.
type launchRecord struct {
	params [4096]byte // the most that a kernel may have
	size   uintptr
	extra  [5]uintptr
}

func (c *cudaContext) Launch(f Function, grid [3]int, block, dynamicShared int, s Stream, params []byte) error {
	r := c.launches.Get().(*launchRecord)
	defer c.launches.Put(r)
	r.size = uintptr(copy(r.params[:], params))
	r.extra = [5]uintptr{launchBuffer, uintptr(unsafe.Pointer(&r.params)), launchSize, uintptr(unsafe.Pointer(&r.size)), 0}
	return c.call("cuLaunchKernel", c.LaunchKernel, uintptr(f), uintptr(grid[0]), uintptr(grid[1]), uintptr(grid[2]),
		uintptr(block), 1, 1, uintptr(dynamicShared), uintptr(s), 0, uintptr(unsafe.Pointer(&r.extra)))
}

func (c *cudaContext) NewStream() (Stream, error) {
	var s Stream
	err := c.call("cuStreamCreate", c.StreamCreate, uintptr(unsafe.Pointer(&s)), streamNonBlocking)
	if err == nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.streams = append(c.streams, s)
	}
	return s, err
}

func (c *cudaContext) NewEvent() (Event, error) {
	var e Event
	err := c.call("cuEventCreate", c.EventCreate, uintptr(unsafe.Pointer(&e)), eventDisableTiming)
	if err == nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.events = append(c.events, e)
	}
	return e, err
}

func (c *cudaContext) Record(e Event, s Stream) error {
	return c.call("cuEventRecord", c.EventRecord, uintptr(e), uintptr(s))
}

func (c *cudaContext) Wait(s Stream, e Event) error {
	return c.call("cuStreamWaitEvent", c.StreamWaitEvent, uintptr(s), uintptr(e), 0)
}

func (c *cudaContext) SyncStream(s Stream) error {
	return c.call("cuStreamSynchronize", c.StreamSynchronize, uintptr(s))
}

func (c *cudaContext) SyncEvent(e Event) error {
	return c.call("cuEventSynchronize", c.EventSynchronize, uintptr(e))
}

// cString is the text before the first zero.
func cString(b []byte) string {
	text, _, _ := bytes.Cut(b, []byte{0})
	return string(text)
}
