package train

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/hone-ml/hone/models"
	"github.com/hone-ml/hone/optim"
	"github.com/hone-ml/hone/tensor"
)

// Footprint is the memory that tensors hold at the peak of a training step, in bytes. Evaluation and what
// a program keeps beside tensors come on top.
type Footprint struct {
	Parameters int
	Gradients  int
	Optimizer  int // moments, masters and what else the optimizer keeps
	// Activations is what a step holds beside: activations, logits and the gradients of both, or what the
	// optimizer computes with.
	Activations int

	// Reserved is what the device takes for them in larger pieces; Limit what it may take, 0 if there is
	// no limit.
	Reserved, Limit int

	tokens     int // of the largest micro-batch
	gradients  tensor.DType
	recomputes []alternative
}

// alternative is what a step needs if more is computed again in backward.
type alternative struct {
	recompute tensor.Recompute
	bytes     int
}

// A Build makes a model and its optimizer on a device. For Predict they need no values.
type Build = func(dev *tensor.Device) (models.CausalLM, optim.Optimizer, error)

// Predict tells the memory of a training step on dev before any of it is taken. It makes one step, on a
// device that stands for dev and computes nothing (tensor.Device.Dry), with the micro-batches of the data's
// first epoch that have the most tokens and the most targets: so it knows every model, op and optimizer.
// The error is one of the data, of build, or says that the model cannot make the step.
func Predict(ctx context.Context, dev *tensor.Device, build Build, d Data, c Config) (*Footprint, error) {
	limit := dev.Memory().Limit
	t := trial{dev: dev, build: build, config: c}
	f, err := t.run(ctx, d, 0, nil)
	if oom, ok := errors.AsType[*tensor.OOMError](err); ok {
		return nil, fmt.Errorf("train: training needs about %s in one piece, more than this system can address; what helps: a smaller model", gibibytes(oom.Requested))
	}
	if err != nil {
		return nil, err
	}
	f.Limit = limit
	if limit == 0 || f.Reserved <= limit {
		return f, nil
	}
	if f.Total() <= limit { // short of room the device takes smaller pieces
		if tight, err := t.run(ctx, d, limit, nil); err == nil {
			f.Reserved = tight.Reserved
			return f, nil
		} else if !errors.As(err, new(*tensor.OOMError)) {
			return nil, err
		}
	}
	for _, r := range []tensor.Recompute{tensor.RecomputeSelective, tensor.RecomputeBlock} {
		if !t.recomputes {
			break
		}
		other, err := t.run(ctx, d, 0, &r)
		if err != nil {
			return nil, err
		}
		if n := other.Total(); n < f.Total() {
			f.recomputes = append(f.recomputes, alternative{r, n})
		}
	}
	return f, nil
}

// A trial makes a step on a dry device.
type trial struct {
	dev        *tensor.Device
	build      Build
	config     Config
	micros     []microBatch // the largest
	recomputes bool         // the model is a models.Recomputer
}

// run makes the step, within limit bytes if that is not 0, and with another way of recomputing if that is
// not nil.
func (t *trial) run(ctx context.Context, d Data, limit int, recompute *tensor.Recompute) (f *Footprint, err error) {
	dev := t.dev.Dry()
	dev.SetMemoryLimit(limit)
	var m models.CausalLM
	var o optim.Optimizer
	if tryErr := tensor.Try(func() { m, o, err = t.build(dev) }); tryErr != nil || err != nil {
		return nil, cmp.Or(err, tryErr)
	}
	var recomputer models.Recomputer
	if recomputer, t.recomputes = m.(models.Recomputer); t.recomputes && recompute != nil {
		recomputer.SetRecompute(*recompute)
	}
	if t.micros == nil {
		if t.micros, err = largest(ctx, d, t.config, m.Head().Dim(0)); err != nil {
			return nil, err
		}
	}
	dev.ResetPeak() // a step begins when the model is made: Reserved tells what making it took
	f = &Footprint{gradients: t.config.Gradients}
	for _, p := range m.Parameters() {
		f.Parameters += p.DType().Bytes(p.Len())
	}
	f.Optimizer = dev.Memory().InUse - f.Parameters
	r := &run{o: Options{Model: m, Optimizer: o, Config: t.config}}
	r.o.Config.OutDir = ""
	var stepErr error
	err = tensor.Try(func() {
		r.allocate()
		for _, b := range t.micros {
			f.tokens = max(f.tokens, len(b.ids))
			w := window{completions: len(b.completion.ids), prompts: len(b.prompt.ids)}
			r.accumulate(&b, &w, r.losses.Index(0))
			r.tape.Reset()
		}
		r.grads.Norm()
		stepErr = o.Step(r.grads)
	})
	if err = cmp.Or(err, stepErr); err != nil {
		return nil, fmt.Errorf("train: predicting memory: %w", err)
	}
	memory := dev.Memory()
	f.Gradients = memory.InUse - f.Parameters - f.Optimizer
	f.Activations = memory.MaxInUse - memory.InUse
	f.Reserved = memory.Peak
	return f, r.close()
}

// largest are the micro-batches of the first epoch that have the most tokens, and the most targets.
func largest(ctx context.Context, d Data, c Config, vocab int) ([]microBatch, error) {
	c.Epochs = 1
	targets := func(b *microBatch) int {
		n := len(b.completion.ids)
		if c.PromptLoss > 0 {
			n = max(n, len(b.prompt.ids))
		}
		return n
	}
	var longest, busiest microBatch
	for s := newStream(d, &c, vocab); ; {
		w, err := s.next(ctx)
		if err != nil {
			return nil, err
		}
		if w == nil {
			break
		}
		for _, b := range w.micros {
			if n, m := len(b.ids), len(longest.ids); n > m || n == m && targets(&b) > targets(&longest) {
				longest = b
			}
			if targets(&b) > targets(&busiest) {
				busiest = b
			}
		}
	}
	if len(longest.ids) == len(busiest.ids) && targets(&longest) == targets(&busiest) {
		return []microBatch{longest}, nil
	}
	return []microBatch{longest, busiest}, nil
}

// Total is the sum of all parts, in bytes.
func (f *Footprint) Total() int { return f.Parameters + f.Gradients + f.Optimizer + f.Activations }

// String is a small table.
func (f *Footprint) String() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, row := range f.rows() {
		fmt.Fprintf(w, "%s\t%s\t\n", row.name, gibibytes(row.bytes))
	}
	fmt.Fprintf(w, "total\t%s\t\n", gibibytes(f.Total()))
	_ = w.Flush() // a strings.Builder takes everything
	return b.String()
}

type footprintRow struct {
	name  string
	bytes int
}

func (f *Footprint) rows() []footprintRow {
	return []footprintRow{{"parameters", f.Parameters}, {"gradients", f.Gradients}, {"optimizer", f.Optimizer}, {"activations", f.Activations}}
}

// Parts is the rows of the table in one line.
func (f *Footprint) Parts() string {
	var parts []string
	for _, row := range f.rows() {
		parts = append(parts, row.name+" "+gibibytes(row.bytes))
	}
	return strings.Join(parts, ", ")
}

// Fits returns an error, with the numbers and what can be done, if the limit does not allow the step.
func (f *Footprint) Fits() error {
	if f.Limit <= 0 || f.Reserved <= f.Limit {
		return nil
	}
	var knobs []string
	if f.Total()-f.Activations < f.Limit {
		knobs = append(knobs, fmt.Sprintf("fewer tokens in a micro-batch (now %d: a smaller batch or maximum length, more accumulation)", f.tokens))
		for _, r := range f.recomputes {
			knobs = append(knobs, fmt.Sprintf("computing more again in backward (%s: %s)", r.recompute, gibibytes(r.bytes)))
		}
	} else {
		knobs = append(knobs, "a smaller model", "an optimizer that keeps less")
	}
	if f.gradients == tensor.F32 {
		knobs = append(knobs, fmt.Sprintf("gradients in bf16 (%s less)", gibibytes(f.Gradients/2)))
	}
	knobs = append(knobs, "a higher memory limit")
	return fmt.Errorf("train: training needs about %s (%s), but only %s may be used; what helps: %s",
		gibibytes(max(f.Total(), min(f.Reserved, f.Limit+1))), f.Parts(), gibibytes(f.Limit), strings.Join(knobs, ", "))
}

func gibibytes(n int) string {
	if n < 100<<20 {
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.2f GiB", float64(n)/(1<<30))
}
