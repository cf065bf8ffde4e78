package train

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/hone-ml/hone/tensor"
)

// ActivationEstimator is implemented by what knows the memory of a model's activations: a model, or its
// configuration before the model is made. Decoder serves the usual architectures.
type ActivationEstimator interface {
	// ActivationBytes is the most that forward and backward of one micro-batch of so many tokens hold at
	// a time, up to the final hidden states; checkpoint says that layers are computed again in backward.
	ActivationBytes(tokens int, checkpoint bool) int
}

// Decoder is the shape of a transformer like Qwen3: pre-norms, grouped-query attention with norms on heads
// of queries and keys, SwiGLU. Its estimate counts what package models/qwen keeps for backward.
type Decoder struct {
	Layers, Hidden, Intermediate, Heads, KVHeads, HeadDim int
	DType                                                 tensor.DType
}

// ActivationBytes implements ActivationEstimator.
func (d Decoder) ActivationBytes(tokens int, checkpoint bool) int {
	q, kv := d.Heads*d.HeadDim, d.KVHeads*d.HeadDim
	size, statistic := d.DType.Size(), d.DType.Accumulator().Size()
	// Kept of a layer: its output; both norms' outputs, and what the second one reads; q and k before and
	// after norm and rotation; v; attention's output; gate, up and their product.
	kept := size*(4*d.Hidden+3*q+3*kv+3*d.Intermediate) + statistic*(2+2*d.Heads+d.KVHeads)
	// Beside that, while a layer is computed: gradients of gate, up and product, of the residual stream
	// and of what attention reads.
	passing := size*(3*d.Hidden+max(3*d.Intermediate, 2*q+2*kv)) + statistic*2*d.HeadDim
	layers := d.Layers * kept
	if checkpoint {
		layers = (d.Layers+1)*size*d.Hidden + kept // the outputs, one of them twice, and one layer
	}
	return tokens * (layers + 2*size*d.Hidden + passing)
}

// The sizes at which tensor.LinearCrossEntropy keeps logits, and cuts them into chunks where it does not.
const (
	keptLogits  = 1 << 23
	chunkLogits = 1 << 25
)

// MemoryPlan is what EstimateMemory needs to know.
type MemoryPlan struct {
	// Parameters is their number, Trainable that of those that are trained; 0 stands for all.
	Parameters, Trainable int
	// DType is the parameters'. Those of BF16 and F16 have F32 masters.
	DType tensor.DType
	// MomentBytes is what the optimizer keeps of a trainable parameter beside its master; 0 stands for
	// AdamW's 8. Muon keeps 4.
	MomentBytes int
	// Tokens is the most that a micro-batch has: Batch·MaxLength.
	Tokens int
	// Targets is how many of them carry loss; 0 stands for all.
	Targets int
	// Hidden and Vocab are the head's shape.
	Hidden, Vocab int
	// Activations knows the rest; nil counts none.
	Activations ActivationEstimator
	// Checkpoint says that layers are computed again in backward.
	Checkpoint bool
}

// Estimate is the memory of a training step, in bytes.
type Estimate struct {
	Parameters  int
	Gradients   int // F32
	Masters     int // F32 copies of BF16 and F16 parameters
	Moments     int
	Activations int
	Head        int // logits and what surrounds them

	plan MemoryPlan
}

// EstimateMemory counts what training will hold at its peak, before anything is allocated. Evaluation
// and the kernels' own workspace come on top.
func EstimateMemory(p MemoryPlan) *Estimate {
	if p.Trainable == 0 {
		p.Trainable = p.Parameters
	}
	if p.MomentBytes == 0 {
		p.MomentBytes = 8
	}
	if p.Targets == 0 {
		p.Targets = p.Tokens
	}
	size, sum := p.DType.Size(), p.DType.Accumulator().Size()
	e := &Estimate{
		Parameters: p.Parameters * size,
		Gradients:  p.Trainable * sum,
		Moments:    p.Trainable * p.MomentBytes,
		plan:       p,
	}
	if size != sum {
		e.Masters = p.Trainable * sum
	}
	if p.Activations != nil {
		e.Activations = p.Activations.ActivationBytes(p.Tokens, p.Checkpoint)
	}
	logits := p.Targets * p.Vocab
	if logits > keptLogits {
		logits = min(max(chunkLogits/max(p.Vocab, 1), 1), p.Targets) * p.Vocab
	}
	e.Head = logits * sum
	if size != sum {
		e.Head += logits * size // the logits' gradient in the weight's dtype
	}
	e.Head += p.Targets*(2*p.Hidden*size+4*sum) + p.Tokens*p.Hidden*size // rows, their gradients, and these scattered
	return e
}

// Total is the sum of all parts, in bytes.
func (e *Estimate) Total() int {
	return e.Parameters + e.Gradients + e.Masters + e.Moments + e.Activations + e.Head
}

// String is a small table.
func (e *Estimate) String() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, row := range e.rows() {
		fmt.Fprintf(w, "%s\t%s\t\n", row.name, gibibytes(row.bytes))
	}
	fmt.Fprintf(w, "total\t%s\t\n", gibibytes(e.Total()))
	_ = w.Flush() // a strings.Builder takes everything
	return b.String()
}

type estimateRow struct {
	name  string
	bytes int
}

// rows are the parts that are there.
func (e *Estimate) rows() []estimateRow {
	rows := []estimateRow{{"parameters", e.Parameters}, {"gradients", e.Gradients}}
	if e.Masters > 0 {
		rows = append(rows, estimateRow{"masters", e.Masters})
	}
	return append(rows, estimateRow{"moments", e.Moments}, estimateRow{"activations", e.Activations}, estimateRow{"head", e.Head})
}

// Fits returns an error, with the numbers and what can be done, if limit bytes are too few. A limit of 0
// fits everything.
func (e *Estimate) Fits(limit int) error {
	if limit <= 0 || e.Total() <= limit {
		return nil
	}
	var parts, knobs []string
	for _, row := range e.rows() {
		parts = append(parts, row.name+" "+gibibytes(row.bytes))
	}
	fixed := e.Total() - e.Activations - e.Head
	if fixed < limit {
		knobs = append(knobs, fmt.Sprintf("fewer tokens in a micro-batch (now %d: a smaller batch or maximum length, more accumulation)", e.plan.Tokens))
		if !e.plan.Checkpoint {
			knobs = append(knobs, "computing layers again in backward")
		}
	} else {
		knobs = append(knobs, "a smaller model")
		if e.Masters > 0 {
			knobs = append(knobs, "f32 parameters, which need no masters")
		}
	}
	knobs = append(knobs, "a higher memory limit")
	return fmt.Errorf("train: training needs about %s (%s), but only %s may be used; what helps: %s",
		gibibytes(e.Total()), strings.Join(parts, ", "), gibibytes(limit), strings.Join(knobs, ", "))
}

func gibibytes(n int) string {
	if n < 100<<20 {
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.2f GiB", float64(n)/(1<<30))
}
