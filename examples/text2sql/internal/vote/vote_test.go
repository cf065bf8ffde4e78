package vote_test

import (
	"context"
	"errors"
	"testing"

	"github.com/hone-ml/hone/examples/text2sql/internal/sqlexec"
	"github.com/hone-ml/hone/examples/text2sql/internal/vote"
)

// fake answers queries from a table and counts them.
type fake struct {
	results map[string][][]any
	asked   map[string]int
	err     error
}

func (f *fake) Query(_ context.Context, _, sql string) (*sqlexec.Result, error) {
	f.asked[sql]++
	rows, ok := f.results[sql]
	if f.err != nil || !ok {
		return nil, errors.Join(f.err, errors.New("no such column"))
	}
	return &sqlexec.Result{Columns: []string{"x"}, Rows: rows}, nil
}
func (f *fake) Dialect() string { return "sqlite" }
func (f *fake) Close() error    { return nil }

func TestTheLargestGroupOfEqualResultsWins(t *testing.T) {
	one, two := [][]any{{int64(1)}, {int64(2)}}, [][]any{{int64(2)}, {int64(1)}}
	ex := &fake{results: map[string][][]any{"SELECT a": one, "SELECT b": two, "SELECT c": {{"x"}}, "SELECT a ORDER BY 1": one, "SELECT b ORDER BY 1": two}}
	for _, test := range []struct {
		candidates []string
		winner     int
		votes      int
	}{
		{[]string{"SELECT c", "SELECT a", "SELECT b"}, 1, 2}, // the same rows in another order
		{[]string{"SELECT c", "SELECT c", "SELECT a"}, 0, 2},
		{[]string{"SELECT c", "SELECT a"}, 0, 1}, // the greedy answer, which comes first, wins a tie
		{[]string{"SELECT c", "SELECT a ORDER BY 1", "SELECT b ORDER BY 1"}, 0, 1},
		{[]string{"SELECT none", "SELECT none", "SELECT none", "SELECT a"}, 3, 1}, // what fails has no vote
		{[]string{"no query at all; SELECT", "```sql\nSELECT a\n```"}, 1, 1},
		{[]string{"SELECT none", "nothing"}, 0, 0},
		{nil, 0, 0},
	} {
		ex.asked = map[string]int{}
		got, err := vote.On(t.Context(), ex, "db", test.candidates)
		if err != nil || got.Winner != test.winner || got.Votes != test.votes {
			t.Errorf("%q: %+v, %v; want %d with %d votes", test.candidates, got, err, test.winner, test.votes)
		}
		for sql, n := range ex.asked {
			if n > 1 {
				t.Errorf("%q was executed %d times", sql, n)
			}
		}
	}
}

func TestAVoteOnADatabaseThatWentAwayIsAnError(t *testing.T) {
	ex := &fake{asked: map[string]int{}, err: sqlexec.ErrUnavailable}
	if _, err := vote.On(t.Context(), ex, "db", []string{"SELECT a"}); !errors.Is(err, sqlexec.ErrUnavailable) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := vote.On(ctx, ex, "db", []string{"SELECT a"}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
