package cuda

import (
	"errors"
	"fmt"
	"unsafe"
)

// A Driver is the part of the CUDA driver API that hone uses to find devices. There are two: NVIDIA's own, and a
// simulated one over package ptxsim.
type Driver interface {
	Version() (int, error) // 12040 for 12.4
	DeviceCount() (int, error)
	Properties(device int) (Properties, error)
	Open(device int) (Context, error) // retains the device's primary context
}

// Properties are what a device says of itself.
type Properties struct {
	Name            string
	Capability      int    // 80 for compute capability 8.0
	Memory          uint64 // bytes
	Multiprocessors int
	SharedPerBlock  int // bytes of dynamic shared memory that a kernel may ask for
}

// A Context is the part of the driver API that works on one device. Addresses on the device are unsafe.Pointer values
// that nobody dereferences. Methods may be called from several goroutines. What takes a Stream is asynchronous: it
// happens after everything issued to the stream before, and memory on the host that it names must not be touched until
// then.
type Context interface {
	Close() error // releases the primary context

	MemInfo() (free, total uint64, err error)
	MemAlloc(bytes int) (unsafe.Pointer, error)
	MemFree(p unsafe.Pointer) error              // waits for the device
	HostAlloc(bytes int) (unsafe.Pointer, error) // pinned memory of the host
	HostFree(p unsafe.Pointer) error

	CopyIn(dst, src unsafe.Pointer, bytes int, s Stream) error // src is pinned
	CopyOut(dst, src unsafe.Pointer, bytes int, s Stream) error
	Copy(dst, src unsafe.Pointer, bytes int, s Stream) error
	Set(dst unsafe.Pointer, value byte, bytes int, s Stream) error

	LoadModule(ptx string) (Module, error)
	Function(m Module, name string) (Function, error)
	SetDynamicShared(f Function, bytes int) error // needed above 48 KiB
	// Launch runs a kernel with a packed parameter buffer, which it copies.
	Launch(f Function, grid [3]int, block, dynamicShared int, s Stream, params []byte) error

	NewStream() (Stream, error)
	NewEvent() (Event, error)
	Record(e Event, s Stream) error
	Wait(s Stream, e Event) error // what is issued to s from now on happens after e
	SyncStream(s Stream) error
	SyncEvent(e Event) error
}

// Handles of the driver.
type (
	Stream   uintptr
	Event    uintptr
	Module   uintptr
	Function uintptr
)

// A DriverError is a call of the driver that failed.
type DriverError struct {
	Call string // "cuMemAlloc"
	Code int    // CUresult
	Name string // "CUDA_ERROR_OUT_OF_MEMORY"
	Text string // the driver's description, and for a module the compiler's log
}

// Results of driver calls that mean something to hone (cuda.h, CUresult).
const codeOutOfMemory = 2

// advice says what to do about a result.
var advice = map[int]string{
	codeOutOfMemory: "nvidia-smi tells which programs hold the card's memory",
	34:              "the library found is a stub of the toolkit: install NVIDIA's driver, or take the stub from the library path",
	46:              "another program has the card for itself: wait for it, or choose another card",
	100:             "no card is there that this process may use: look at nvidia-smi and CUDA_VISIBLE_DEVICES",
	209:             "the card is not one that the kernels were made for, Ampere or newer",
	214:             "the card's memory has a fault that was not corrected: look at nvidia-smi -q",
	218:             "the driver refuses the kernels: update it",
	222:             "the driver is too old for the kernels: update it",
	700:             lost,
	702:             lost,
	709:             lost,
	716:             lost,
	719:             lost,
	802:             "the system is not ready: start NVIDIA's services (fabric manager), then try again",
	803:             "the driver's library and its kernel module differ: restart the machine",
	999:             "load the driver's kernel modules (nvidia-smi, nvidia-modprobe) or restart the machine",
}

const lost = "the card's context is lost, and with it what was in its memory: start the program again, from its last checkpoint"

func (e *DriverError) Error() string {
	name := e.Name
	if name == "" {
		name = fmt.Sprintf("CUDA error %d", e.Code)
	}
	s := e.Call + ": " + name
	if e.Text != "" {
		s += ": " + e.Text
	}
	if todo := advice[e.Code]; todo != "" {
		s += " (" + todo + ")"
	}
	return s
}

// hasCode reports whether err is a driver call that failed with code.
func hasCode(err error, code int) bool {
	var e *DriverError
	return errors.As(err, &e) && e.Code == code
}
