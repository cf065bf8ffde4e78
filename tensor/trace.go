package tensor

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/backend/observed"
)

// A Trace records every kernel that a device runs, with its time, bytes and arithmetic. It writes the
// events as they come, in Chrome's trace format (Trace Event Format, Google 2016), which
// chrome://tracing and ui.perfetto.dev show. It may be used by several goroutines.
type Trace struct {
	dev     *Device
	started time.Time

	mu    sync.Mutex
	w     *bufio.Writer
	err   error // the first that writing met
	wrote bool  // an event
	stats map[[2]string]*KernelTime
}

// KernelTime is what one kernel of one op took in all.
type KernelTime struct {
	Op     string // "Linear (backward)"; the kernel's own name outside of ops
	Kernel string // "MatMul"
	Calls  int
	Time   time.Duration
	Bytes  int     // read and written, each operand counted once a call
	FLOPs  float64 // arithmetic operations, a division or an exponential counted as one
}

// StartTrace begins to record what the device computes and to write it to w, until Stop. A device has one
// trace at a time: a second one panics. Start and stop while nothing computes.
func (d *Device) StartTrace(w io.Writer) *Trace {
	t := &Trace{dev: d, started: time.Now(), w: bufio.NewWriter(w), stats: map[[2]string]*KernelTime{}}
	d.observe(func(watch *watch) {
		if watch.trace != nil {
			panic(&Error{Op: "StartTrace", Reason: "the device has a trace already: stop that first"})
		}
		watch.trace = t
	})
	_, t.err = t.w.WriteString(`{"displayTimeUnit":"ms","traceEvents":[`)
	return t
}

// Stop ends the trace and returns the first error that writing met. It does not close the writer. A second
// Stop does nothing.
func (t *Trace) Stop() error {
	t.dev.observe(func(w *watch) {
		if w.trace == t {
			w.trace = nil
		}
	})
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.w == nil {
		return t.err
	}
	if _, err := t.w.WriteString("\n]}\n"); t.err == nil {
		t.err = err
	}
	if err := t.w.Flush(); t.err == nil {
		t.err = err
	}
	t.w = nil
	return t.err
}

// traceEvent is a complete event ("X"); times are in microseconds.
type traceEvent struct {
	Name     string         `json:"name"`
	Category string         `json:"cat"`
	Phase    string         `json:"ph"`
	Start    float64        `json:"ts"`
	Duration float64        `json:"dur"`
	Process  int            `json:"pid"`
	Thread   int            `json:"tid"`
	Args     map[string]any `json:"args"`
}

// add records one call.
func (t *Trace) add(op string, c *observed.Call, start time.Time, took time.Duration) {
	bytes := c.Bytes()
	args := map[string]any{"op": op, "bytes": bytes, "flops": c.FLOPs, "out": names(c.Out), "in": names(c.In)}
	if s := took.Seconds(); s > 0 {
		args["GB/s"], args["GFLOP/s"] = float64(bytes)/s/1e9, c.FLOPs/s/1e9
	}
	line, err := json.Marshal(traceEvent{Name: c.Kernel, Category: op, Phase: "X", Process: 1, Thread: 1, Args: args,
		Start: float64(start.Sub(t.started).Nanoseconds()) / 1e3, Duration: float64(took.Nanoseconds()) / 1e3})
	if err != nil {
		panic(err) // these types always marshal
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	key := [2]string{op, c.Kernel}
	s := t.stats[key]
	if s == nil {
		s = &KernelTime{Op: op, Kernel: c.Kernel}
		t.stats[key] = s
	}
	s.Calls++
	s.Time += took
	s.Bytes += bytes
	s.FLOPs += c.FLOPs
	if t.w == nil || t.err != nil {
		return
	}
	separator := ",\n"
	if !t.wrote {
		separator, t.wrote = "\n", true
	}
	if _, t.err = t.w.WriteString(separator); t.err == nil {
		_, t.err = t.w.Write(line)
	}
}

func names(vs []*backend.View) []string {
	s := make([]string, len(vs))
	for i, v := range vs {
		s[i] = v.String()
	}
	return s
}

// Kernels is the time of each kernel of each op, the longest first.
func (t *Trace) Kernels() []KernelTime {
	t.mu.Lock()
	defer t.mu.Unlock()
	var list []KernelTime
	for _, s := range t.stats {
		list = append(list, *s)
	}
	slices.SortFunc(list, func(a, b KernelTime) int {
		if a.Time != b.Time {
			return int(b.Time - a.Time)
		}
		return strings.Compare(a.Op+a.Kernel, b.Op+b.Kernel)
	})
	return list
}

// String is a table of Kernels.
func (t *Trace) String() string {
	list := t.Kernels()
	var all time.Duration
	for _, k := range list {
		all += k.Time
	}
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "share\ttime\tcalls\tGB/s\tGFLOP/s\t  op: kernel")
	for _, k := range list {
		s := k.Time.Seconds()
		fmt.Fprintf(w, "%.1f %%\t%v\t%d\t%.1f\t%.1f\t  %s: %s\n", 100*s/max(all.Seconds(), 1e-9), k.Time.Round(time.Microsecond), k.Calls,
			float64(k.Bytes)/max(s, 1e-9)/1e9, k.FLOPs/max(s, 1e-9)/1e9, k.Op, k.Kernel)
	}
	_ = w.Flush() // a strings.Builder takes everything
	return b.String()
}
