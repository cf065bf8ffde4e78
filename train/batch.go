package train

import (
	"fmt"
	"strings"

	"github.com/hone-ml/hone/models"
	"github.com/hone-ml/hone/tensor"
)

// microBatch is what one forward and backward pass computes: samples end to end.
type microBatch struct {
	ids    []int32 // [N]
	starts []int32 // where the samples begin
	// rows of the hidden states that carry loss, and the tokens that they are to predict
	completion, prompt targets
}

// targets are rows of hidden states and the tokens that follow them.
type targets struct{ rows, ids []int32 }

func (t *targets) add(row, id int32) {
	t.rows = append(t.rows, row)
	t.ids = append(t.ids, id)
}

// add appends a sample. Its last row predicts nothing.
func (m *microBatch) add(s *Sample) {
	base := int32(len(m.ids))
	m.starts = append(m.starts, base)
	m.ids = append(m.ids, s.Tokens...)
	spans := s.Completion
	for i := 1; i < len(s.Tokens); i++ {
		for len(spans) > 0 && spans[0].End <= i {
			spans = spans[1:]
		}
		row := base + int32(i) - 1
		if len(spans) > 0 && spans[0].Start <= i {
			m.completion.add(row, s.Tokens[i])
		} else {
			m.prompt.add(row, s.Tokens[i])
		}
	}
}

// input is what the model computes from.
func (m *microBatch) input(scope *tensor.Scope) models.Batch {
	return models.Batch{IDs: tensor.FromSlice(scope, m.ids, 1, len(m.ids)), SeqStarts: m.starts}
}

// hidden is the model's hidden states, [N, H].
func (m *microBatch) hidden(scope *tensor.Scope, model models.CausalLM) *tensor.Tensor {
	h := model.Hidden(m.input(scope), nil)
	return h.Reshape(len(m.ids), h.Dim(-1))
}

// hiddenAux is hidden, and the loss that the model adds itself, nil if none.
func (m *microBatch) hiddenAux(scope *tensor.Scope, model models.CausalLM) (hidden, loss *tensor.Tensor) {
	a, ok := model.(models.Auxiliary)
	if !ok || !a.HasAuxLoss() {
		return m.hidden(scope, model), nil
	}
	hidden, loss = a.HiddenAux(m.input(scope))
	return hidden.Reshape(len(m.ids), hidden.Dim(-1)), loss
}

// loss is the sum of the losses of the targets, divided; nil if there are none. Rows of hidden that carry
// no loss never meet the model's head.
func (t *targets) loss(hidden *tensor.Tensor, model models.CausalLM, divisor float64) *tensor.Tensor {
	if len(t.rows) == 0 {
		return nil
	}
	scope := hidden.Scope()
	rows := hidden.Gather(tensor.FromSlice(scope, t.rows))
	recomputer, ok := model.(models.Recomputer)
	return tensor.LinearCrossEntropy(rows, model.Head(), tensor.FromSlice(scope, t.ids), tensor.CrossEntropyOptions{
		Divisor:    divisor,
		KeepLogits: ok && recomputer.Recompute() == tensor.RecomputeNone,
	})
}

// window is the micro-batches of one step.
type window struct {
	micros               []microBatch
	tokens               int
	completions, prompts int // targets of the whole window
	samples              []indexed
	after                place // of the window that follows
}

// indexed is a sample and where the data has it.
type indexed struct {
	index  int
	sample Sample
}

// check reports a window from which nothing can be learned.
func (w *window) check(promptLoss float64) error {
	if w.completions > 0 || promptLoss > 0 && w.prompts > 0 {
		return nil
	}
	var names []string
	for i, s := range w.samples {
		if i == 5 {
			names = append(names, "…")
			break
		}
		names = append(names, s.sample.name(s.index))
	}
	return fmt.Errorf("train: labels that are all masked: none of the %d samples of this step has a completion token (%s); mark the completions, truncate less, or give the prompt a loss",
		len(w.samples), strings.Join(names, ", "))
}

// packer chooses the row of a micro-batch in which a sample goes. Rows are only book-keeping: they bound
// the tokens of a micro-batch and fix its order.
type packer struct {
	rows, length int
	packing      bool
	fill         []int // tokens in each row so far
}

// place is the first row that has room for n tokens; without packing, an empty one.
func (p *packer) place(n int) (row int, ok bool) {
	for row := range p.fill {
		if p.packing && p.fill[row]+n <= p.length {
			p.fill[row] += n
			return row, true
		}
	}
	if len(p.fill) == p.rows {
		return 0, false
	}
	p.fill = append(p.fill, n)
	return len(p.fill) - 1, true
}
