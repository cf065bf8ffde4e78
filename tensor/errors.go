package tensor

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hone-ml/hone/internal/backend"
)

// An Error is the panic of a misused op. Its text names the op, every shape and what was expected.
type Error struct {
	Op     string
	Shapes [][]int
	DTypes []DType
	Reason string
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("tensor: " + e.Op)
	for i, s := range e.Shapes {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, " %v%v", e.DTypes[i], s)
	}
	b.WriteString(": " + e.Reason)
	return b.String()
}

// An OOMError is the panic of an allocation that the device's budget or the machine does not allow.
// Nothing was touched: what existed before is intact.
type OOMError struct {
	Device    string
	Requested int // bytes
	InUse     int // bytes taken from the device by this process
	Budget    int // bytes that may be taken, 0 if unlimited
	Cause     error
}

func (e *OOMError) Error() string {
	s := fmt.Sprintf("tensor: out of memory on %s: %s asked for", e.Device, mebibytes(e.Requested))
	if e.Budget > 0 {
		s += fmt.Sprintf(", %s of %s in use", mebibytes(e.InUse), mebibytes(e.Budget))
	}
	if e.Cause != nil {
		s += ": " + e.Cause.Error()
	}
	return s + "; use a smaller batch or shorter sequences, checkpoint activations, or raise the memory limit"
}

// Unwrap is the device's own error, if there is one.
func (e *OOMError) Unwrap() error { return e.Cause }

func mebibytes(n int) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

// A DeviceError is the panic of a device that failed: its driver refused a call, or a kernel that was issued earlier
// went wrong. What was computed since the last wait is lost. The CPU has none.
type DeviceError = backend.DeviceError

// Try runs fn and returns its *Error, *OOMError or *DeviceError panic as an error. Other panics go on.
//
// The tensors made by fn stay in their scope; close or reset it as usual.
func Try(fn func()) (err error) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case *Error:
			err = p
		case *OOMError:
			err = p
		case *DeviceError:
			err = p
		default:
			panic(p)
		}
	}()
	fn()
	return nil
}

// indexed runs a kernel that looks up indices, the first of which is at position first of the operand,
// and makes its complaint about one of them an *Error about ts.
func indexed(op string, ts []*Tensor, first int, kernel func()) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case *backend.IndexError:
			fail(op, ts, "index %d at position %d is not in [0, %d)", p.Index, first+p.Position, p.Limit)
		default:
			panic(p)
		}
	}()
	kernel()
}

// badShape panics with an *Error about a tensor that cannot be made.
func badShape(op string, dt DType, shape []int, format string, args ...any) {
	panic(&Error{Op: op, Shapes: [][]int{slices.Clone(shape)}, DTypes: []DType{dt}, Reason: fmt.Sprintf(format, args...)})
}

// fail panics with an *Error about ts.
func fail(op string, ts []*Tensor, format string, args ...any) {
	e := &Error{Op: op, Reason: fmt.Sprintf(format, args...)}
	for _, t := range ts {
		if t != nil {
			e.Shapes = append(e.Shapes, t.Shape())
			e.DTypes = append(e.DTypes, t.DType())
		}
	}
	panic(e)
}
