package tensor

import (
	"bytes"
	"context"
	"fmt"
	"runtime/pprof"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/backend/observed"
	"github.com/hone-ml/hone/internal/cpu/pool"
)

// A watch sees every kernel of a device while somebody wants to know: a trace, labels for profiles, or a
// search for NaNs. A device that nobody watches has none, and its kernels are called directly.
type watch struct {
	bare   backend.Backend
	op     atomic.Pointer[string] // the op that is at work: "Linear", "Linear (backward)"
	trace  *Trace
	labels bool
	nan    bool
}

// LabelProfiles makes CPU profiles (runtime/pprof) tell which op and kernel the time goes to, by the
// labels "op" and "kernel": go tool pprof -tags, or -tagfocus op=Attention. It costs about a microsecond
// a kernel. Turn it on and off while nothing computes.
func (d *Device) LabelProfiles(on bool) { d.observe(func(w *watch) { w.labels = on }) }

// DetectNaN makes every kernel look at what it wrote: the first NaN is a panic of *Error that names the
// op, forward or backward, and says whether the NaN was already in what the op was given. It costs a pass
// over every result. Turn it on and off while nothing computes. (torch.autograd.set_detect_anomaly.)
func (d *Device) DetectNaN(on bool) { d.observe(func(w *watch) { w.nan = on }) }

// observe changes what is watched, and wraps or unwraps the backend.
func (d *Device) observe(change func(w *watch)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	bare := d.backend
	w := d.watch
	if o, ok := bare.(*observed.Backend); ok {
		bare = o.Unwrap()
	}
	if w == nil {
		w = &watch{bare: bare}
	}
	change(w)
	if w.trace == nil && !w.labels && !w.nan {
		d.watch, d.backend = nil, bare
		return
	}
	d.watch, d.backend = w, observed.New(bare, w)
}

// at notes the op at work; the device must be watched.
func (d *Device) at(op string) { d.watch.op.Store(&op) }

// opName is the op at work, empty outside of ops.
func (w *watch) opName() string {
	if op := w.op.Load(); op != nil {
		return *op
	}
	return ""
}

// Around implements observed.Observer.
func (w *watch) Around(c *observed.Call, run func()) {
	op := w.opName()
	if op == "" {
		op = c.Kernel
	}
	if w.labels {
		ctx := pprof.WithLabels(context.Background(), pprof.Labels("op", op, "kernel", c.Kernel))
		pprof.SetGoroutineLabels(ctx)
		pool.Label(ctx)
		defer func() {
			pprof.SetGoroutineLabels(context.Background())
			pool.Unlabel()
		}()
	}
	had := w.nan && inPlace(c) && w.anyNaN(c.Out)
	start := time.Now()
	run()
	if w.trace != nil {
		w.trace.add(op, c, start, time.Since(start))
	}
	if w.nan {
		w.look(op, c, had)
	}
}

// inPlace reports whether the kernel overwrites something that it reads.
func inPlace(c *observed.Call) bool {
	for _, o := range c.Out {
		for _, i := range c.In {
			if o.Ptr == i.Ptr {
				return true
			}
		}
	}
	return false
}

// look panics if the kernel wrote a NaN. had says that its operand, which it has overwritten, had one.
func (w *watch) look(op string, c *observed.Call, had bool) {
	for _, o := range c.Out {
		n := w.countNaN(o)
		if n == 0 {
			continue
		}
		where := fmt.Sprintf("kernel %s wrote %d NaN into %s", c.Kernel, n, o)
		var from []string
		for i, v := range c.In {
			if m := w.countNaN(v); m > 0 {
				from = append(from, fmt.Sprintf("operand %d, %s, has %d", i, v, m))
			}
		}
		switch {
		case len(from) > 0:
			where += ": NaN came in (" + strings.Join(from, "; ") + ")"
		case had:
			where += ": NaN came in with the operand that it overwrites"
		default:
			where += ", none of whose operands has one"
		}
		panic(&Error{Op: op, Reason: where})
	}
}

func (w *watch) anyNaN(vs []*backend.View) bool {
	for _, v := range vs {
		if w.countNaN(v) > 0 {
			return true
		}
	}
	return false
}

// countNaN is the number of NaNs in a view, 0 for dtypes that have none.
func (w *watch) countNaN(v *backend.View) int {
	n := v.Len()
	if n == 0 || !v.DType.IsFloat() {
		return 0
	}
	p, err := w.bare.Alloc(n)
	if err != nil {
		panic(err)
	}
	defer w.bare.Free(p, n)
	unequal := backend.NewView(p, Bool, v.Dims()...)
	w.bare.Binary(backend.Ne, &unequal, v, v) // a NaN is the one number that differs from itself
	mask := make([]byte, n)
	w.bare.CopyOut(mask, p)
	return bytes.Count(mask, []byte{1})
}
