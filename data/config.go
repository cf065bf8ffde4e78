package data

import (
	"errors"
	"fmt"
	"math"
)

// Config says how a Loader makes batches.
type Config struct {
	// Batch is the most samples of a batch. It may be 0 beside Tokens: no limit.
	Batch int
	// Shuffle takes the samples of each epoch in another order, which Seed determines; see Order.
	Shuffle bool
	Seed    uint64
	// DropLast leaves out the last samples of an epoch where they do not fill a batch.
	DropLast bool
	// Epochs is how many times the source is gone through; 0 means without end.
	Epochs int

	// Length is the length of sample i, in tokens or whatever is padded. Each planning of an epoch asks
	// for it, without reading samples, so it should be cheap.
	Length func(i int) int
	// Window is how many samples, in the order of the epoch, are sorted by Length before they are cut into
	// batches; 0 means none. Without Tokens it is a multiple of Batch.
	Window int
	// Tokens is the most tokens of a batch, 0 for no limit: the samples' number times the longest, or the
	// sum of their lengths if Packed, that is if the batch is not padded.
	Tokens int
	Packed bool

	// Prefetch is how many batches another goroutine makes ahead; 0 makes each when it is asked for.
	Prefetch int
}

// check reports a configuration that makes no sense for n samples.
func (c *Config) check(n int) error {
	for _, x := range []struct {
		name  string
		value int
	}{{"Batch", c.Batch}, {"Epochs", c.Epochs}, {"Window", c.Window}, {"Tokens", c.Tokens}, {"Prefetch", c.Prefetch}} {
		if x.value < 0 {
			return fmt.Errorf("data: %s is %d, want 0 or more", x.name, x.value)
		}
	}
	switch {
	case n == 0:
		return errors.New("data: the source has no samples")
	case n > math.MaxInt32:
		return fmt.Errorf("data: the source has %d samples, more than the %d that an order can hold", n, math.MaxInt32)
	case c.Batch == 0 && c.Tokens == 0:
		return errors.New("data: the batches have no limit: set Batch, or Tokens and Length")
	case c.Length == nil && (c.Window > 0 || c.Tokens > 0):
		return errors.New("data: Window and Tokens need Length, the length of a sample by its index")
	case c.Packed && c.Tokens == 0:
		return errors.New("data: Packed says how Tokens are counted: set Tokens, too")
	case c.DropLast && c.Tokens > 0:
		return errors.New("data: DropLast is for batches of one size, which Tokens does not make")
	case c.DropLast && n < c.Batch:
		return fmt.Errorf("data: %d samples do not fill a batch of %d, and DropLast leaves them out", n, c.Batch)
	case c.Tokens == 0 && c.Window%max(c.Batch, 1) != 0:
		return fmt.Errorf("data: Window is %d, want a multiple of Batch, %d", c.Window, c.Batch)
	}
	return nil
}
