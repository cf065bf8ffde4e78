package data_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hone-ml/hone/data"
)

func TestAConfigurationThatMakesNoSenseIsAnErrorThatSaysWhatToDo(t *testing.T) {
	for want, c := range map[string]data.Config{
		"data: Batch is -1, want 0 or more":                                        {Batch: -1},
		"data: Epochs is -2, want 0 or more":                                       {Batch: 1, Epochs: -2},
		"data: Window is -1, want 0 or more":                                       {Batch: 1, Window: -1},
		"data: Tokens is -1, want 0 or more":                                       {Tokens: -1},
		"data: Prefetch is -1, want 0 or more":                                     {Batch: 1, Prefetch: -1},
		"data: the batches have no limit: set Batch, or Tokens and Length":         {},
		"data: Window and Tokens need Length, the length of a sample by its index": {Tokens: 5},
		"data: Packed says how Tokens are counted: set Tokens, too":                {Batch: 1, Packed: true},
		"data: DropLast is for batches of one size, which Tokens does not make":    {Tokens: 5, Length: length, DropLast: true},
		"data: 10 samples do not fill a batch of 11, and DropLast leaves them out": {Batch: 11, DropLast: true},
		"data: Window is 7, want a multiple of Batch, 2":                           {Batch: 2, Window: 7, Length: length},
	} {
		if _, err := data.New(numbers(10), c, data.Collect[int]); err == nil || err.Error() != want {
			t.Errorf("error %v, want %s", err, want)
		}
	}
	if _, err := data.New(numbers(0), data.Config{Batch: 1}, data.Collect[int]); err == nil || err.Error() != "data: the source has no samples" {
		t.Errorf("error %v", err)
	}
	if _, err := data.New[int, int](nil, data.Config{Batch: 1}, nil); err == nil || err.Error() != "data: a loader needs a source and a function that collates" {
		t.Errorf("error %v", err)
	}
}

func TestASampleLongerThanABatchIsAnErrorThatNamesIt(t *testing.T) {
	for _, window := range []int{0, 4} {
		c := data.Config{Tokens: 30, Window: window, Length: func(i int) int { return 10 * i }}
		l := newLoader(t, numbers(10), c)
		var failure error
		for _, err := range l.All(t.Context()) {
			failure = err
		}
		if want := "data: sample 4 has 40 tokens, more than the 30 of a batch: raise Tokens, or leave it out"; failure == nil || failure.Error() != want {
			t.Errorf("error %v, want %s", failure, want)
		}
		if _, err := l.Steps(0); err == nil {
			t.Error("the steps can be counted")
		}
	}
}

func TestACursorThatCannotBeIsAnError(t *testing.T) {
	plain := newLoader(t, numbers(10), data.Config{Batch: 5})
	sorted := newLoader(t, numbers(10), data.Config{Batch: 5, Window: 10, Length: length})
	for _, c := range []struct {
		l    *data.Loader[int, []int]
		at   data.Cursor
		want string
	}{
		{plain, data.Cursor{Position: 10}, "data: no cursor can be at position 10 of epoch 0: an epoch has 10 samples"},
		{plain, data.Cursor{Epoch: -1}, "data: no cursor can be at position 0 of epoch -1"},
		{plain, data.Cursor{Position: -1}, "data: no cursor can be at position -1"},
		{sorted, data.Cursor{Epoch: 3, Position: 4}, "data: position 4 of epoch 3 is inside a batch: the cursor was saved under another configuration"},
	} {
		before := c.l.Cursor()
		if err := c.l.Seek(c.at); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("error %v, want %s", err, c.want)
		}
		if c.l.Cursor() != before {
			t.Errorf("%s: and yet the cursor moved", c.want)
		}
	}
}

func TestALoaderIsInOneLoopAtATime(t *testing.T) {
	l := newLoader(t, numbers(10), data.Config{Batch: 5, Epochs: 1})
	turns := 0
	for range l.All(t.Context()) {
		turns++
		for _, err := range l.Epoch(t.Context()) {
			if err == nil || err.Error() != "data: the loader is in a loop already" {
				t.Errorf("error %v", err)
			}
		}
		func() {
			defer func() {
				if r := fmt.Sprint(recover()); r != "data: Loader.Seek inside a loop over the loader" {
					t.Errorf("panic %s", r)
				}
			}()
			_ = l.Seek(data.Cursor{})
		}()
	}
	if turns != 2 {
		t.Errorf("%d turns", turns)
	}
}
