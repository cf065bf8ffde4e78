package data_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hone-ml/hone/data"
)

// numbers is a source of 0 … n−1.
func numbers(n int) data.Slice[int] {
	s := make(data.Slice[int], n)
	for i := range s {
		s[i] = i
	}
	return s
}

func newLoader(t *testing.T, src data.Source[int], c data.Config) *data.Loader[int, []int] {
	t.Helper()
	l, err := data.New(src, c, data.Collect[int])
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// all is the batches from the cursor on, at most so many.
func all(t *testing.T, l *data.Loader[int, []int], most int) (batches [][]int) {
	t.Helper()
	if most == 0 {
		return nil
	}
	for b, err := range l.All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if batches = append(batches, b); len(batches) == most {
			break
		}
	}
	return batches
}

// length makes lengths from 1 to 40 of indices.
func length(i int) int { return 1 + i*7919%40 }

// loaders are configurations of every kind, for 103 samples.
var loaders = map[string]data.Config{
	"in order":           {Batch: 10, Epochs: 3},
	"shuffled":           {Batch: 10, Epochs: 3, Shuffle: true, Seed: 5},
	"drop last":          {Batch: 10, Epochs: 3, Shuffle: true, DropLast: true},
	"by tokens":          {Tokens: 150, Length: length, Epochs: 3, Shuffle: true},
	"packed":             {Tokens: 150, Packed: true, Batch: 7, Length: length, Epochs: 3},
	"windows":            {Batch: 5, Window: 30, Length: length, Epochs: 3, Shuffle: true, Seed: 9},
	"windows, drop last": {Batch: 5, Window: 30, Length: length, Epochs: 3, Shuffle: true, DropLast: true},
	"windows by tokens":  {Tokens: 200, Window: 40, Length: length, Epochs: 3, Shuffle: true},
	"windows in order":   {Tokens: 200, Batch: 9, Window: 40, Packed: true, Length: length, Epochs: 3},
}

func TestAnEpochHasEverySampleOnce(t *testing.T) {
	const n = 103
	for name, c := range loaders {
		l := newLoader(t, numbers(n), c)
		used := n
		if c.DropLast {
			used -= n % c.Batch
		}
		var orders [][]int
		for epoch := range c.Epochs {
			var seen []int
			steps := 0
			for b, err := range l.Epoch(t.Context()) {
				if err != nil {
					t.Fatal(err)
				}
				if len(b) == 0 || c.Batch > 0 && len(b) > c.Batch || c.DropLast && len(b) != c.Batch {
					t.Errorf("%s: a batch of %d", name, len(b))
				}
				seen = append(seen, b...)
				steps++
			}
			if want := (data.Cursor{Seed: c.Seed, Epoch: epoch + 1}); l.Cursor() != want {
				t.Errorf("%s: the cursor is %+v, want %+v", name, l.Cursor(), want)
			}
			if planned, err := l.Steps(epoch); err != nil || planned != steps {
				t.Errorf("%s: %d steps were planned for epoch %d, which had %d (%v)", name, planned, epoch, steps, err)
			}
			distinct := slices.Compact(slices.Sorted(slices.Values(seen)))
			if len(seen) != used || len(distinct) != used || distinct[0] < 0 || distinct[used-1] >= n {
				t.Errorf("%s: epoch %d has %d samples, %d different ones, want %d", name, epoch, len(seen), len(distinct), used)
			}
			orders = append(orders, seen)
		}
		if same := slices.Equal(orders[0], orders[1]); same == c.Shuffle {
			t.Errorf("%s: the order of two epochs is the same: %v", name, same)
		}
		for range l.Epoch(t.Context()) {
			t.Errorf("%s: there is a batch after the last epoch", name)
		}
		if rest := all(t, l, -1); rest != nil {
			t.Errorf("%s: %v after the last epoch", name, rest)
		}
	}
}

func TestALoaderSetToACursorGoesOnWithTheSameBatches(t *testing.T) {
	for name, c := range loaders {
		for _, prefetch := range []int{0, 1, 3} {
			c.Prefetch = prefetch
			whole := all(t, newLoader(t, numbers(103), c), -1)
			for _, stop := range []int{0, 1, 2, 7, len(whole) - 2, len(whole) - 1, len(whole)} {
				l := newLoader(t, numbers(103), c)
				begun := all(t, l, stop)
				// Another loader, of another seed of its own, and the same one.
				other := c
				other.Seed++
				resumed := newLoader(t, numbers(103), other)
				if err := resumed.Seek(l.Cursor()); err != nil {
					t.Fatalf("%s, stopped after %d: %v", name, stop, err)
				}
				for _, rest := range [][][]int{all(t, resumed, -1), all(t, l, -1)} {
					if got := slices.Concat(begun, rest); !slices.EqualFunc(got, whole, slices.Equal[[]int]) {
						t.Fatalf("%s, prefetching %d, stopped after %d batches: %v, want %v", name, prefetch, stop, got, whole)
					}
				}
			}
		}
	}
}

func TestPrefetchingChangesNothing(t *testing.T) {
	for name, c := range loaders {
		want := all(t, newLoader(t, numbers(103), c), -1)
		c.Prefetch = 4
		if got := all(t, newLoader(t, numbers(103), c), -1); !slices.EqualFunc(got, want, slices.Equal[[]int]) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}

func TestTheCursorCountsTheBatchOfThisTurnAndNothingThatWasMadeAhead(t *testing.T) {
	for _, prefetch := range []int{0, 5} {
		l := newLoader(t, numbers(20), data.Config{Batch: 4, Prefetch: prefetch, Seed: 3})
		turn := 0
		for range l.All(t.Context()) {
			turn++
			if want := (data.Cursor{Seed: 3, Epoch: turn / 5, Position: 4 * turn % 20}); l.Cursor() != want {
				t.Fatalf("prefetching %d: the cursor in turn %d is %+v, want %+v", prefetch, turn, l.Cursor(), want)
			}
			if turn == 13 {
				break
			}
		}
	}
}

func TestBatchesStayWithinTheirTokensAndWindowsSavePadding(t *testing.T) {
	const n, tokens = 2000, 300
	padding := func(c data.Config) (waste float64) {
		batched, real := 0, 0
		for _, b := range all(t, newLoader(t, numbers(n), c), -1) {
			longest, sum := 0, 0
			for _, i := range b {
				longest, sum = max(longest, length(i)), sum+length(i)
			}
			size := longest * len(b)
			if c.Packed {
				size = sum
			}
			if size > tokens {
				t.Errorf("a batch of %d tokens", size)
			}
			batched, real = batched+longest*len(b), real+sum
		}
		return float64(batched)/float64(real) - 1
	}
	c := data.Config{Tokens: tokens, Length: length, Shuffle: true, Epochs: 1}
	plain := padding(c)
	c.Window = 500
	sorted := padding(c)
	if sorted > 0.05 || plain < 0.5 {
		t.Errorf("padding is %.2f of the tokens with windows and %.2f without, want at most 0.05, and 0.5 or more", sorted, plain)
	}
	c.Packed = true
	padding(c)
}

func TestBatchesOfAWindowComeInRandomOrder(t *testing.T) {
	c := data.Config{Batch: 10, Window: 400, Length: length, Shuffle: true, Epochs: 2}
	batches := all(t, newLoader(t, numbers(400), c), -1)
	longest := func(b []int) int {
		l := 0
		for _, i := range b {
			l = max(l, length(i))
		}
		return l
	}
	rising := 0
	for i := range 39 {
		if longest(batches[i+1]) >= longest(batches[i]) {
			rising++
		}
	}
	if rising < 8 || rising > 31 {
		t.Errorf("%d of 39 batches are followed by a longer one: that is no random order", rising)
	}
	if slices.EqualFunc(batches[:40], batches[40:], slices.Equal[[]int]) {
		t.Error("two epochs are the same")
	}
}

// failing is a source in which one sample cannot be read.
type failing struct {
	data.Slice[int]
	bad int
}

var errDisk = errors.New("disk on fire")

func (f failing) At(i int) (int, error) {
	if i == f.bad {
		return 0, errDisk
	}
	return i, nil
}

func TestErrorsReachTheConsumerAndTheCursorStaysBeforeTheBatch(t *testing.T) {
	for _, prefetch := range []int{0, 1, 8} {
		src := &failing{numbers(30), 17}
		l := newLoader(t, src, data.Config{Batch: 5, Prefetch: prefetch})
		var got []int
		var failure error
		for b, err := range l.All(t.Context()) {
			if failure != nil {
				t.Error("the loop goes on after an error")
			}
			got, failure = append(got, b...), err
		}
		if !errors.Is(failure, errDisk) || failure.Error() != "data: sample 17: disk on fire" {
			t.Errorf("prefetching %d: error %v", prefetch, failure)
		}
		if len(got) != 15 || l.Cursor() != (data.Cursor{Position: 15}) {
			t.Errorf("prefetching %d: %d samples, then the cursor is %+v", prefetch, len(got), l.Cursor())
		}
		src.bad = -1
		if again := all(t, l, 1); !slices.Equal(again[0], []int{15, 16, 17, 18, 19}) {
			t.Errorf("prefetching %d: tried again, the batch is %v", prefetch, again)
		}
	}
}

func TestACollateThatFailsOrPanicsDoesSoInTheLoop(t *testing.T) {
	for _, prefetch := range []int{0, 2} {
		c := data.Config{Batch: 5, Prefetch: prefetch}
		l, err := data.New(numbers(30), c, func(b []int) (int, error) {
			if b[0] == 10 {
				return 0, errDisk
			}
			return len(b), nil
		})
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, err := range l.All(t.Context()) {
			if n++; err != nil && err.Error() != "data: the batch of 5 samples from sample 10 on: disk on fire" {
				t.Errorf("error %v", err)
			}
		}
		if n != 3 {
			t.Errorf("%d turns", n)
		}

		l, err = data.New(numbers(30), c, func(b []int) (int, error) {
			if b[0] == 10 {
				panic("a misshapen sample")
			}
			return len(b), nil
		})
		if err != nil {
			t.Fatal(err)
		}
		func() {
			defer func() {
				if r := recover(); r != "a misshapen sample" {
					t.Errorf("prefetching %d: panic %v", prefetch, r)
				}
			}()
			for range l.All(t.Context()) {
			}
			t.Errorf("prefetching %d: no panic", prefetch)
		}()
		if l.Cursor().Position != 10 {
			t.Errorf("prefetching %d: the cursor is %+v", prefetch, l.Cursor())
		}
	}
}

func TestACollateThatExitsItsGoroutineIsAnError(t *testing.T) {
	l, err := data.New(numbers(30), data.Config{Batch: 5, Prefetch: 2}, func(b []int) (int, error) {
		if b[0] == 10 {
			runtime.Goexit()
		}
		return len(b), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var failure error
	for _, err := range l.All(t.Context()) {
		failure = err
	}
	if failure == nil || !strings.Contains(failure.Error(), "runtime.Goexit") {
		t.Errorf("error %v", failure)
	}
}

func TestAContextThatEndsEndsTheLoop(t *testing.T) {
	for _, prefetch := range []int{0, 3} {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		l := newLoader(t, numbers(30), data.Config{Batch: 5, Prefetch: prefetch})
		turns := 0
		var failure error
		for _, err := range l.All(ctx) {
			if turns++; turns == 2 {
				cancel()
			}
			failure = err
		}
		if !errors.Is(failure, context.Canceled) || failure.Error() != "data: interrupted: context canceled" || turns != 3 || l.Cursor().Position != 10 {
			t.Errorf("prefetching %d: error %v after %d turns, cursor %+v", prefetch, failure, turns, l.Cursor())
		}
	}
}

// counted notes which samples were asked for.
type counted struct {
	data.Slice[int]
	asked chan int
}

func (c counted) At(i int) (int, error) {
	c.asked <- i
	return i, nil
}

func TestPrefetchMakesSoManyBatchesAheadAndNoMore(t *testing.T) {
	src := counted{numbers(1000), make(chan int, 1000)}
	l := newLoader(t, src, data.Config{Batch: 2, Prefetch: 3})
	for range l.All(t.Context()) {
		deadline := time.Now().Add(10 * time.Second)
		for len(src.asked) < 2*4 && time.Now().Before(deadline) { // this one and three ahead
			time.Sleep(time.Millisecond)
		}
		time.Sleep(20 * time.Millisecond)
		if n := len(src.asked); n != 2*4 {
			t.Errorf("%d samples were read in the first turn, want 8", n)
		}
		break
	}
}

func TestNoGoroutineOutlivesTheLoop(t *testing.T) {
	before := runtime.NumGoroutine()
	for i := range 50 {
		src := &failing{numbers(30), -1}
		if i%5 == 1 {
			src.bad = 20
		}
		l := newLoader(t, src, data.Config{Batch: 2, Prefetch: 1 + i%4})
		func() {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			defer func() { _ = recover() }()
			for range l.All(ctx) {
				switch i % 5 {
				case 2:
					cancel()
				case 3:
					panic("in the body of the loop")
				case 4:
					return
				}
				if l.Cursor().Epoch == 1 {
					break
				}
			}
		}()
		// The loop has waited for the last that its goroutine did: what it uses may be closed now. The goroutine itself
		// still has to end.
		for wait := time.Millisecond; runtime.NumGoroutine() > before && wait < time.Second; wait *= 2 {
			time.Sleep(wait)
		}
		if n := runtime.NumGoroutine(); n > before {
			buf := make([]byte, 1<<16)
			t.Fatalf("%d goroutines after loop %d, %d before:\n%s", n, i, before, buf[:runtime.Stack(buf, true)])
		}
	}
}

func TestMappedSamplesAreMadeOfTheOthers(t *testing.T) {
	src := data.Map(&failing{numbers(4), 3}, func(i, x int) (string, error) {
		if i == 2 {
			return "", errors.New("no such word")
		}
		return fmt.Sprint(i, x), nil
	})
	if s, err := src.At(1); s != "1 1" || err != nil || src.Len() != 4 {
		t.Errorf("%q, %v, %d samples", s, err, src.Len())
	}
	if _, err := src.At(2); err == nil || err.Error() != "no such word" {
		t.Errorf("error %v", err)
	}
	if _, err := src.At(3); err != errDisk {
		t.Errorf("error %v", err)
	}
}

func TestPaddedRowsEndInThePadding(t *testing.T) {
	m, columns := data.Pad([][]int32{{1, 2}, nil, {3, 4, 5}}, -1)
	if columns != 3 || !slices.Equal(m, []int32{1, 2, -1, -1, -1, -1, 3, 4, 5}) {
		t.Errorf("%v, %d columns", m, columns)
	}
	if m, columns := data.Pad[int32](nil, 0); len(m) != 0 || columns != 0 {
		t.Errorf("%v, %d columns", m, columns)
	}
}
