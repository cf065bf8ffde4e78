package train

import (
	"context"
	"fmt"

	"github.com/hone-ml/hone/data"
)

// place is where the data has got to: the next sample is the position-th in the order of the epoch.
type place struct {
	Epoch    int `json:"epoch"`
	Position int `json:"position"`
	// samples of the first epoch so far that were left out, and cut: every sample comes up in it once
	Dropped   int `json:"dropped"`
	Truncated int `json:"truncated"`
}

// stream cuts the data into windows.
type stream struct {
	data   Data
	config *Config
	vocab  int
	at     place

	order   []int32 // of the epoch orderOf
	orderOf int     // -1 before the first

	last readSample // what a micro-batch had no room for is wanted again for the next
}

type readSample struct {
	indexed
	ok, isLong bool
}

func newStream(d Data, c *Config, vocab int) *stream {
	return &stream{data: d, config: c, vocab: vocab, orderOf: -1, last: readSample{indexed: indexed{index: -1}}}
}

// epochOrder is the order of the samples in an epoch.
func (s *stream) epochOrder(epoch int) []int32 {
	if s.orderOf != epoch {
		if s.config.Sequential {
			s.order = sequential(s.data.Len())
		} else {
			s.order = data.Order(s.config.Seed, epoch, s.data.Len())
		}
		s.orderOf = epoch
	}
	return s.order
}

// fill chooses the samples of the window that begins at position from of an epoch with the given order.
// length is the number of tokens of a sample, 0 for one that is dropped; take is told which sample goes
// to which row of which micro-batch. The result is the position after the window.
func (c *Config) fill(order []int32, from int, length func(index int) (int, error), take func(micro, row, index int)) (int, error) {
	for micro := range c.Accum {
		p := packer{rows: c.Batch, length: c.MaxLength, packing: c.Packing}
		for from < len(order) {
			index := int(order[from])
			n, err := length(index)
			if err != nil {
				return from, err
			}
			if n > 0 {
				row, ok := p.place(n)
				if !ok {
					break
				}
				take(micro, row, index)
			}
			from++
		}
	}
	return from, nil
}

// next is the next window, or nil at the end of the last epoch.
func (s *stream) next(ctx context.Context) (*window, error) {
	for s.config.Epochs == 0 || s.at.Epoch < s.config.Epochs {
		began := s.at.Position
		w, err := s.window(ctx)
		if err != nil || len(w.micros) > 0 {
			return w, err
		}
		if began == 0 { // otherwise the epoch ended in samples that are dropped
			return nil, fmt.Errorf("train: every one of the %d samples is longer than the maximum of %d tokens: raise it, or truncate", s.data.Len(), s.config.MaxLength)
		}
	}
	return nil, nil
}

// window takes the samples of one window, none if only dropped ones are left in the epoch.
func (s *stream) window(ctx context.Context) (*window, error) {
	rows := make([][][]indexed, s.config.Accum)
	length := func(index int) (int, error) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		if s.last.index != index {
			sample, ok, isLong, err := read(s.data, index, s.vocab, s.config.MaxLength, s.config.Long)
			if err != nil {
				return 0, err
			}
			s.last = readSample{indexed{index, sample}, ok, isLong}
		}
		if s.last.ok {
			return len(s.last.sample.Tokens), nil
		}
		if s.at.Epoch == 0 {
			s.at.Dropped++
		}
		return 0, nil
	}
	take := func(micro, row, _ int) {
		if row == len(rows[micro]) {
			rows[micro] = append(rows[micro], nil)
		}
		rows[micro][row] = append(rows[micro][row], s.last.indexed)
		if s.last.isLong && s.at.Epoch == 0 {
			s.at.Truncated++
		}
	}
	position, err := s.config.fill(s.epochOrder(s.at.Epoch), s.at.Position, length, take)
	if err != nil {
		return nil, err
	}
	w := &window{}
	for _, micro := range rows {
		var m microBatch
		for _, row := range micro {
			for i := range row {
				m.add(&row[i].sample)
			}
			w.samples = append(w.samples, row...)
		}
		if len(m.ids) > 0 {
			w.micros = append(w.micros, m)
			w.tokens += len(m.ids)
			w.completions += len(m.completion.rows)
			w.prompts += len(m.prompt.rows)
		}
	}
	s.at.Position = position
	if position == s.data.Len() {
		s.at.Epoch, s.at.Position = s.at.Epoch+1, 0
	}
	w.after = s.at
	return w, nil
}
