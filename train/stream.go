package train

import (
	"context"
	"fmt"
)

// cursor is a place in the data: the next sample is the position-th in the order of the epoch.
type cursor struct {
	Epoch    int `json:"epoch"`
	Position int `json:"position"`
}

// stream cuts the data into windows.
type stream struct {
	data   Data
	config *Config
	vocab  int
	at     cursor

	order []int32 // of epoch orderOf
	valid bool
	of    int

	cached cachedSample // the sample that the last micro-batch had no room for
}

type cachedSample struct {
	index      int32
	valid      bool
	sample     Sample
	ok, isLong bool
}

// epochOrder is the order of the samples in an epoch.
func (s *stream) epochOrder(epoch int) []int32 {
	if !s.valid || s.of != epoch {
		if s.config.Sequential {
			s.order = sequential(s.data.Len())
		} else {
			s.order = shuffled(s.config.Seed, epoch, s.data.Len())
		}
		s.valid, s.of = true, epoch
	}
	return s.order
}

// fill chooses the samples of the window that begins at position from of an epoch with the given order.
// length is the number of tokens of a sample, 0 for one that is dropped; take is told which sample goes
// to which row of which micro-batch. The result is the position after the window.
func (c *Config) fill(order []int32, from int, length func(index int32) (int, error), take func(micro, row int, index int32)) (int, error) {
	for micro := range c.Accum {
		p := packer{rows: c.Batch, length: c.MaxLength, packing: c.Packing}
		for from < len(order) {
			n, err := length(order[from])
			if err != nil {
				return from, err
			}
			if n > 0 {
				row, ok := p.place(n)
				if !ok {
					break
				}
				take(micro, row, order[from])
			}
			from++
		}
	}
	return from, nil
}

// next is the next window, or nil at the end of the last epoch.
func (s *stream) next(ctx context.Context) (*window, error) {
	for fruitless := 0; s.config.Epochs == 0 || s.at.Epoch < s.config.Epochs; {
		began := s.at.Position
		w, err := s.window(ctx)
		if err != nil || len(w.micros) > 0 {
			return w, err
		}
		// the epoch ended in samples that are dropped
		if fruitless++; began == 0 || fruitless > 1 {
			return nil, fmt.Errorf("train: every one of the %d samples is longer than the maximum of %d tokens: raise it, or truncate", s.data.Len(), s.config.MaxLength)
		}
	}
	return nil, nil
}

// window takes the samples of one window.
func (s *stream) window(ctx context.Context) (*window, error) {
	w := &window{}
	rows := make([][][]Sample, s.config.Accum)
	var current Sample
	length := func(index int32) (int, error) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		c := &s.cached
		if !c.valid || c.index != index {
			sample, ok, isLong, err := read(s.data, int(index), s.vocab, s.config.MaxLength, s.config.Long)
			if err != nil {
				return 0, err
			}
			*c = cachedSample{index, true, sample, ok, isLong}
		}
		current = c.sample
		if c.ok {
			return len(current.Tokens), nil
		}
		if s.at.Epoch == 0 {
			w.dropped++
		}
		return 0, nil
	}
	take := func(micro, row int, index int32) {
		if row == len(rows[micro]) {
			rows[micro] = append(rows[micro], nil)
		}
		rows[micro][row] = append(rows[micro][row], current)
		w.samples = append(w.samples, current.name(int(index)))
		if s.cached.isLong && s.at.Epoch == 0 {
			w.truncated++
		}
	}
	position, err := s.config.fill(s.epochOrder(s.at.Epoch), s.at.Position, length, take)
	if err != nil {
		return nil, err
	}
	for _, micro := range rows {
		var m microBatch
		for _, row := range micro {
			for i := range row {
				m.add(&row[i])
			}
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
		s.at = cursor{Epoch: s.at.Epoch + 1}
	}
	w.after = s.at
	return w, nil
}
