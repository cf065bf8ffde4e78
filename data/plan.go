package data

import (
	"cmp"
	"fmt"
	"slices"
)

// A Cursor is where a Loader has got to. It is saved as JSON, or as the three numbers that it is.
type Cursor struct {
	// Seed determines the order of every epoch.
	Seed uint64 `json:"seed"`
	// Epoch counts from 0; Position is the samples of it that have been handed over.
	Epoch    int `json:"epoch"`
	Position int `json:"position"`
}

// A planner chooses the samples of batches, by their indices.
type planner struct {
	c     *Config
	total int // samples of the source
	n     int // those of an epoch

	order   []int32 // of the epoch orderOf, nil before the first
	orderOf Cursor

	window   [][]int32 // the batches of the window that begins at windowOf, nil before the first
	windowOf Cursor
}

func newPlanner(c *Config, total int) *planner {
	p := &planner{c: c, total: total, n: total}
	if c.DropLast {
		p.n -= total % c.Batch
	}
	return p
}

// next is the samples of the batch at a cursor, and the cursor behind it.
func (p *planner) next(at Cursor) (batch []int32, after Cursor, err error) {
	if p.c.Window > 0 {
		batch, err = p.ofWindow(at)
	} else {
		batch, err = p.cut(p.n-at.Position, func(i int) int32 { return p.index(at, at.Position+i) })
	}
	if err != nil {
		return nil, at, err
	}
	after = at
	if after.Position += len(batch); after.Position >= p.n {
		after.Epoch, after.Position = at.Epoch+1, 0
	}
	return batch, after, nil
}

// index is the sample at a position of the cursor's epoch.
func (p *planner) index(at Cursor, position int) int32 {
	if !p.c.Shuffle {
		return int32(position)
	}
	if of := (Cursor{Seed: at.Seed, Epoch: at.Epoch}); p.order == nil || p.orderOf != of {
		p.order, p.orderOf = Order(at.Seed, at.Epoch, p.total), of
	}
	return p.order[position]
}

// cut is as many of the first of n samples as a batch takes.
func (p *planner) cut(n int, sample func(i int) int32) (batch []int32, err error) {
	if p.c.Batch > 0 {
		n = min(n, p.c.Batch)
	}
	longest, sum := 0, 0
	for i := range n {
		index := sample(i)
		if p.c.Tokens > 0 {
			l := p.c.Length(int(index))
			if l > p.c.Tokens {
				return nil, fmt.Errorf("data: sample %d has %d tokens, more than the %d of a batch: raise Tokens, or leave it out", index, l, p.c.Tokens)
			}
			longest, sum = max(longest, l), sum+l
			if tokens := longest * (i + 1); !p.c.Packed && tokens > p.c.Tokens || p.c.Packed && sum > p.c.Tokens {
				break
			}
		}
		batch = append(batch, index)
	}
	return batch, nil
}

// ofWindow is the batch at a cursor, of the window around it.
func (p *planner) ofWindow(at Cursor) ([]int32, error) {
	of := at
	of.Position -= at.Position % p.c.Window
	if p.window == nil || p.windowOf != of {
		w, err := p.plan(of)
		if err != nil {
			return nil, err
		}
		p.window, p.windowOf = w, of
	}
	position := of.Position
	for _, batch := range p.window {
		if position == at.Position {
			return batch, nil
		}
		position += len(batch)
	}
	return nil, fmt.Errorf("data: position %d of epoch %d is inside a batch: the cursor was saved under another configuration", at.Position, at.Epoch)
}

// plan cuts the window that begins at a cursor into batches of like length, in random order.
func (p *planner) plan(at Cursor) (batches [][]int32, err error) {
	type sample struct {
		index  int32
		length int
	}
	rest := make([]sample, min(p.c.Window, p.n-at.Position))
	for i := range rest {
		index := p.index(at, at.Position+i)
		rest[i] = sample{index, p.c.Length(int(index))}
	}
	slices.SortStableFunc(rest, func(a, b sample) int { return cmp.Compare(a.length, b.length) })
	for len(rest) > 0 {
		batch, err := p.cut(len(rest), func(i int) int32 { return rest[i].index })
		if err != nil {
			return nil, err
		}
		batches, rest = append(batches, batch), rest[len(batch):]
	}
	if p.c.Shuffle {
		shuffle(epochRand(at.Seed, at.Epoch).Split(uint64(at.Position)), batches)
	}
	return batches, nil
}
