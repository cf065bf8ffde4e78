// Package score says how good predicted SQL is, by running it.
//
// [Evaluate] runs the gold query and the predicted one of every row and
// compares what they return: the strict rule is [Equal], BIRD's is [SetEqual],
// and [ExactMatch] compares the texts. [ExtractSQL] finds the query in what a
// model wrote.
package score

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hone-ml/hone/examples/text2sql/internal/data"
	"github.com/hone-ml/hone/examples/text2sql/internal/sqlexec"
)

// A Verdict says what became of a prediction.
type Verdict string

// The verdicts. Only Correct counts for the execution accuracy.
const (
	Correct   Verdict = "correct"
	Wrong     Verdict = "wrong"     // it ran and returned something else
	Failed    Verdict = "error"     // the database refused it, Error says why
	Timeout   Verdict = "timeout"   // it ran into the time limit
	TooLarge  Verdict = "too_large" // it ran into another limit
	Forbidden Verdict = "forbidden" // it is not only a query
	NoQuery   Verdict = "no_query"  // the output holds no single query
	Missing   Verdict = "missing"   // there is no prediction for the row
)

// An Item is the score of one row; its JSON is a line of predictions.jsonl.
type Item struct {
	ID        string  `json:"id"`
	Question  string  `json:"question"`
	Gold      string  `json:"gold"`
	Predicted string  `json:"predicted"` // the query, or the whole output when it holds none
	Verdict   Verdict `json:"verdict"`
	Error     string  `json:"error"`

	SetMatch   bool `json:"-"` // right by BIRD's rule
	ExactMatch bool `json:"-"` // the same text
	EmptyGold  bool `json:"-"`
	Text       bool `json:"-"` // of a conversation: nothing was executed
}

// Options are what Evaluate may be told.
type Options struct {
	Workers int             // queries at a time; 0 means GOMAXPROCS
	Golds   *Golds          // keeps results of gold queries between evaluations; nil keeps none
	Known   map[string]Item // rows judged before, by id: taken as they are where question, gold and prediction are the same
	Judged  func(Item)      // hears of each row that is judged now, one at a time, so that a run can go on where it stopped
}

// Evaluate scores predictions against the rows that they answer, and returns
// the items in the order of the rows. A row without a prediction counts as
// wrong. The result is the same for any number of workers.
//
// It fails, naming the id, when a prediction's id is no row's or comes twice, or
// a row's dialect is not the executor's; with a [GoldError] when gold queries
// give no result; with [sqlexec.ErrUnavailable] when the database goes away; and with the context's
// error when that is done.
func Evaluate(ctx context.Context, ex sqlexec.Executor, rows []data.Row, preds []data.Prediction, o Options) (*Summary, []Item, error) {
	start := time.Now()
	outputs, err := match(rows, preds)
	if err != nil {
		return nil, nil, err
	}
	for _, row := range rows {
		switch {
		case row.IsChat():
			return nil, nil, fmt.Errorf("row %q is a conversation, which cannot be executed", row.ID)
		case row.Dialect != ex.Dialect():
			return nil, nil, fmt.Errorf("row %q is in the dialect %q, the databases speak %q", row.ID, row.Dialect, ex.Dialect())
		}
	}
	golds := o.Golds
	if golds == nil {
		golds = new(Golds)
	}
	workers := o.Workers
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	items, errs := make([]Item, len(rows)), make([]error, len(rows))
	var taken atomic.Int64
	var gone atomic.Bool // the database
	var telling sync.Mutex
	var wg sync.WaitGroup
	for range min(workers, len(rows)) {
		wg.Go(func() {
			for i := int(taken.Add(1)) - 1; i < len(rows) && ctx.Err() == nil && !gone.Load(); i = int(taken.Add(1)) - 1 {
				if known, ok := o.Known[rows[i].ID]; ok && known.answers(rows[i], outputs[i]) {
					items[i] = known
					continue
				}
				items[i], errs[i] = judge(ctx, ex, golds, rows[i], outputs[i])
				switch {
				case errors.Is(errs[i], sqlexec.ErrUnavailable):
					gone.Store(true)
				case errs[i] == nil && o.Judged != nil && ctx.Err() == nil:
					telling.Lock()
					o.Judged(items[i])
					telling.Unlock()
				}
			}
		})
	}
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	var failing GoldError
	for i, err := range errs {
		switch {
		case err == nil:
		case errors.Is(err, sqlexec.ErrUnavailable):
			return nil, nil, fmt.Errorf("at row %q (database %q): %w", rows[i].ID, rows[i].DBID, err)
		default:
			failing = append(failing, FailingGold{rows[i].ID, rows[i].DBID, err})
		}
	}
	if len(failing) > 0 {
		return nil, nil, failing
	}
	sum := Summarize(items)
	sum.Seconds = time.Since(start).Seconds()
	return sum, items, nil
}

// answers reports whether the item is what became of this output to this row.
func (it Item) answers(row data.Row, output *string) bool {
	if it.Question != row.Question || it.Gold != row.SQL || (output == nil) != (it.Verdict == Missing) {
		return false
	}
	if output == nil {
		return true
	}
	sql, err := ExtractSQL(*output)
	if err != nil {
		sql = *output
	}
	return it.Predicted == sql
}

// judge runs a row's queries. The error is a gold query's, or tells that the
// database is gone.
func judge(ctx context.Context, ex sqlexec.Executor, golds *Golds, row data.Row, output *string) (Item, error) {
	item := Item{ID: row.ID, Question: row.Question, Gold: row.SQL}
	accepted, err := golds.all(ctx, ex, row)
	if err != nil {
		return item, err
	}
	item.EmptyGold = len(accepted[0].Rows) == 0
	if output == nil {
		item.Verdict, item.Error = Missing, "there is no prediction"
		return item, nil
	}
	item.Predicted = *output
	sql, err := ExtractSQL(*output)
	if err != nil {
		item.Verdict, item.Error = NoQuery, err.Error()
		return item, nil
	}
	item.Predicted = sql
	for _, gold := range goldsOf(row) {
		item.ExactMatch = item.ExactMatch || ExactMatch(gold, sql)
	}
	pred, err := ex.Query(ctx, row.DBID, sql)
	if errors.Is(err, sqlexec.ErrUnavailable) {
		return item, err
	}
	if err != nil {
		item.Verdict, item.Error = verdictOf(err), err.Error()
		return item, nil
	}
	item.Verdict = Wrong
	for i, gold := range goldsOf(row) {
		item.SetMatch = item.SetMatch || SetEqual(accepted[i], pred)
		if item.Verdict == Wrong && Equal(accepted[i], pred, Ordered(gold)) {
			item.Verdict = Correct
		}
	}
	return item, nil
}

func verdictOf(err error) Verdict {
	switch {
	case errors.Is(err, sqlexec.ErrTimeout):
		return Timeout
	case errors.Is(err, sqlexec.ErrTooLarge):
		return TooLarge
	case errors.Is(err, sqlexec.ErrForbidden):
		return Forbidden
	}
	return Failed
}
