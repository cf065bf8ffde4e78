package data

import (
	"context"
	"errors"
	"fmt"
	"iter"
)

// A Loader makes batches B of samples T. It is for one goroutine at a time; with Config.Prefetch it has one
// of its own while somebody iterates.
type Loader[T, B any] struct {
	src     Source[T]
	config  Config
	collate func(samples []T) (B, error)
	plan    *planner
	at      Cursor
	running bool
}

// New is a loader over src, at the beginning of the first epoch. collate makes a batch of samples: Collect
// keeps the slice, Pad helps with sequences. With Config.Prefetch another goroutine calls src and collate,
// so they must not touch tensors of a scope that is in use: let collate give slices, and make tensors of
// them in the loop.
//
// The error says what makes no sense in the configuration.
func New[T, B any](src Source[T], c Config, collate func(samples []T) (B, error)) (*Loader[T, B], error) {
	if src == nil || collate == nil {
		return nil, errors.New("data: a loader needs a source and a function that collates")
	}
	n := src.Len()
	if err := c.check(n); err != nil {
		return nil, err
	}
	l := &Loader[T, B]{src: src, config: c, collate: collate, at: Cursor{Seed: c.Seed}}
	l.plan = newPlanner(&l.config, n)
	return l, nil
}

// Cursor is where the loader has got to: behind the batch that was handed over last. In the body of a loop
// that is the batch of this turn.
func (l *Loader[T, B]) Cursor() Cursor { return l.at }

// Seek goes to where another loader over the same source, of the same Config, had got to. It takes the
// cursor's seed. The error says that there is no such place. It panics inside a loop over the loader.
func (l *Loader[T, B]) Seek(c Cursor) error {
	if l.running {
		panic("data: Loader.Seek inside a loop over the loader")
	}
	if c.Epoch < 0 || c.Position < 0 || c.Position >= l.plan.n {
		return fmt.Errorf("data: no cursor can be at position %d of epoch %d: an epoch has %d samples", c.Position, c.Epoch, l.plan.n)
	}
	if l.config.Window > 0 {
		if _, err := l.plan.ofWindow(c); err != nil {
			return err
		}
	}
	l.at = c
	return nil
}

// Steps is the number of batches in an epoch under the cursor's seed. It asks Config.Length for every
// sample where lengths matter.
func (l *Loader[T, B]) Steps(epoch int) (int, error) {
	p := newPlanner(&l.config, l.plan.total)
	steps := 0
	for at := (Cursor{Seed: l.at.Seed, Epoch: epoch}); at.Epoch == epoch; steps++ {
		var err error
		if _, at, err = p.next(at); err != nil {
			return 0, err
		}
	}
	return steps, nil
}

// All iterates over the batches from the cursor to the end of the last epoch. A sample that cannot be read,
// or a batch that cannot be made, is the last pair, with the error; so is ctx when it ends. The cursor
// stays before that batch. A loop that is left by break can be gone on with by another.
func (l *Loader[T, B]) All(ctx context.Context) iter.Seq2[B, error] {
	return l.until(ctx, func(at Cursor) bool { return l.config.Epochs > 0 && at.Epoch >= l.config.Epochs })
}

// Epoch iterates as All does, to the end of the epoch in which the cursor is.
func (l *Loader[T, B]) Epoch(ctx context.Context) iter.Seq2[B, error] {
	return func(yield func(B, error) bool) {
		epoch := l.at.Epoch
		l.until(ctx, func(at Cursor) bool {
			return at.Epoch > epoch || l.config.Epochs > 0 && at.Epoch >= l.config.Epochs
		})(yield)
	}
}

// A made is a batch, or why there is none.
type made[B any] struct {
	batch    B
	after    Cursor
	err      error
	panicked any
}

// until iterates until the cursor is at the end.
func (l *Loader[T, B]) until(ctx context.Context, end func(at Cursor) bool) iter.Seq2[B, error] {
	return func(yield func(B, error) bool) {
		var none B
		if l.running {
			yield(none, errors.New("data: the loader is in a loop already"))
			return
		}
		l.running = true
		defer func() { l.running = false }()
		for m := range l.makes(ctx, end) {
			if m.panicked != nil {
				panic(m.panicked)
			}
			if err := ctx.Err(); err != nil {
				m.err = fmt.Errorf("data: interrupted: %w", err)
			}
			if m.err != nil {
				yield(none, m.err)
				return
			}
			if l.at = m.after; !yield(m.batch, nil) {
				return
			}
		}
		if !end(l.at) {
			yield(none, errors.New("data: the goroutine that makes batches was ended by runtime.Goexit"))
		}
	}
}

// makes are the batches until the end, made when they are asked for or ahead. The last may have an error.
func (l *Loader[T, B]) makes(ctx context.Context, end func(at Cursor) bool) iter.Seq[made[B]] {
	ctx, cancel := context.WithCancel(ctx)
	serial := func(yield func(made[B]) bool) {
		defer cancel()
		for at := l.at; !end(at); {
			m := l.make(ctx, at)
			if !yield(m) || m.err != nil || m.panicked != nil {
				return
			}
			at = m.after
		}
	}
	if l.config.Prefetch == 0 {
		return serial
	}
	return ahead(serial, l.config.Prefetch, cancel)
}

// make makes the batch at a cursor.
func (l *Loader[T, B]) make(ctx context.Context, at Cursor) (m made[B]) {
	if l.config.Prefetch > 0 { // a panic on the other goroutine is the loop's
		defer func() { m.panicked = recover() }()
	}
	indices, after, err := l.plan.next(at)
	if err != nil {
		return made[B]{err: err}
	}
	samples := make([]T, len(indices))
	for i, index := range indices {
		if err := ctx.Err(); err != nil {
			return made[B]{err: err} // told by the loop
		}
		if samples[i], err = l.src.At(int(index)); err != nil {
			return made[B]{err: fmt.Errorf("data: sample %d: %w", index, err)}
		}
	}
	b, err := l.collate(samples)
	if err != nil {
		return made[B]{err: fmt.Errorf("data: the batch of %d samples from sample %d on: %w", len(indices), indices[0], err)}
	}
	return made[B]{batch: b, after: after}
}
