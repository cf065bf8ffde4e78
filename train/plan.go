package train

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/fnv"
)

// plan is what a look at every sample finds before training starts.
type plan struct {
	lengths     []int32 // tokens that count; 0 for a sample that is dropped
	tokens      int
	longest     int
	long        int // samples longer than the maximum
	unlabelled  int // samples kept without a completion target
	fingerprint uint64
}

// scan reads all samples once. Its error is that of the first bad one.
func scan(ctx context.Context, d Data, c *Config, vocab int) (*plan, error) {
	p := &plan{lengths: make([]int32, d.Len())}
	hash := fnv.New64a()
	for i := range p.lengths {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("train: interrupted before the first step: %w", err)
		}
		s, ok, isLong, err := read(d, i, vocab, c.MaxLength, DropLong)
		if err != nil {
			return nil, err
		}
		p.longest = max(p.longest, len(s.Tokens))
		_ = binary.Write(hash, binary.LittleEndian, s.Tokens) // a hash takes everything
		for _, span := range s.Completion {
			_ = binary.Write(hash, binary.LittleEndian, [2]int64{int64(span.Start), int64(span.End)})
		}
		if isLong {
			p.long++
			if c.Long == TruncateLong {
				s.truncate(c.MaxLength)
				ok = true
			}
		}
		if !ok {
			continue
		}
		p.lengths[i] = int32(len(s.Tokens))
		p.tokens += len(s.Tokens)
		if s.completions() == 0 {
			p.unlabelled++
		}
	}
	p.fingerprint = hash.Sum64()
	if p.tokens == 0 {
		return nil, fmt.Errorf("train: every one of the %d samples is longer than the maximum of %d tokens (the longest has %d): raise it, or truncate", len(p.lengths), c.MaxLength, p.longest)
	}
	return p, nil
}

// steps is the number of windows in all epochs.
func (p *plan) steps(s *stream) int {
	length := func(i int) (int, error) { return int(p.lengths[i]), nil }
	steps := 0
	for epoch := range s.config.Epochs {
		order := s.epochOrder(epoch)
		for at := 0; at < len(order); {
			took := false
			at, _ = s.config.fill(order, at, length, func(int, int, int) { took = true }) // length has no error
			if took {
				steps++
			}
		}
	}
	return steps
}
