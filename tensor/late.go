package tensor

import (
	"fmt"
	"runtime"
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
)

// Sync waits until the device has done everything that was asked of it. It returns what went wrong since the last wait:
// a *DeviceError, or an *Error about an index out of range. On the CPU there is nothing to wait for.
func (d *Device) Sync() (err error) {
	defer func() {
		if p := late(recover()); p != nil {
			e, known := p.(*Error)
			if !known {
				panic(p)
			}
			err = e
		}
	}()
	return d.backend.Sync()
}

// copyOut copies from the device and waits for it.
func (d *Device) copyOut(dst []byte, src unsafe.Pointer) {
	defer func() {
		if p := late(recover()); p != nil {
			panic(p)
		}
	}()
	d.backend.CopyOut(dst, src)
}

// late makes an *Error of what a device that computes behind the program panics with when it is waited for: the op
// that was wrong has long returned.
func late(p any) any {
	const reason = "; the device found it after the op had returned, on the CPU the error names the op"
	switch p := p.(type) {
	case *backend.IndexError:
		return &Error{Op: "an op that looks up indices", Reason: fmt.Sprintf("index %d at position %d is not in [0, %d)", p.Index, p.Position, p.Limit) + reason}
	case runtime.Error:
		if p.Error() == divideError {
			return &Error{Op: "an op that divides", Reason: "integers cannot be divided by 0" + reason}
		}
	}
	return p
}

// divideError is what Go says of an integer that is divided by zero.
var divideError = func() (text string) {
	defer func() { text = recover().(runtime.Error).Error() }()
	zero := 0
	return fmt.Sprint(1 / zero)
}()
