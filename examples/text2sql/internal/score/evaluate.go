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
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hone-ml/hone/examples/text2sql/internal/data"
	"github.com/hone-ml/hone/examples/text2sql/internal/sqlexec"
)

// A Summary is the score of a set of predictions; its JSON is what the program
// prints. Accuracies and ValidSQL are fractions of N, from 0 to 1.
//
// ValidSQL, Errors, Timeouts and the missing predictions add up to N: a
// prediction is valid when it ran, and counts as an error when the database
// refused it, it was too large, or it held no single query.
type Summary struct {
	N                 int        `json:"n"`
	ExecutionAccuracy float64    `json:"execution_accuracy"` // the strict rule, see Equal
	CI95              [2]float64 `json:"ci95"`               // Wilson's interval of ExecutionAccuracy
	SetAccuracy       float64    `json:"set_accuracy"`       // BIRD's rule, see SetEqual
	ExactMatch        float64    `json:"exact_match"`        // see ExactMatch
	ValidSQL          float64    `json:"valid_sql"`
	Errors            int        `json:"errors"`
	Timeouts          int        `json:"timeouts"`
	EmptyGolds        int        `json:"empty_golds"` // gold queries that return no rows
	Seconds           float64    `json:"seconds"`

	// RobustAccuracy is the fraction that is right on perturbed copies of the
	// databases too, see Robust; nil where that was not asked for.
	RobustAccuracy *float64 `json:"robust_accuracy,omitempty"`
}

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
}

// Options are what Evaluate may be told.
type Options struct {
	Workers int             // queries at a time; 0 means GOMAXPROCS
	Golds   *Golds          // keeps results of gold queries between evaluations; nil keeps none
	Known   map[string]Item // rows judged before, by id: taken as they are where question, gold and prediction are the same
	Judged  func(Item)      // hears of each row that is judged now, one at a time, so that a run can go on where it stopped
}

// Golds keeps the results of gold queries, so that an evaluation during
// training runs them only once. It may be shared by goroutines; use one for
// each executor. The zero value is ready.
type Golds struct {
	results sync.Map // goldKey → *sqlexec.Result
}

type goldKey struct{ dbID, sql string }

// goldsOf are the queries any of which is right for a row, the row's SQL first.
func goldsOf(row data.Row) []string { return append([]string{row.SQL}, row.Golds...) }

// all returns the results of a row's gold queries.
func (g *Golds) all(ctx context.Context, ex sqlexec.Executor, row data.Row) (results []*sqlexec.Result, err error) {
	for _, sql := range goldsOf(row) {
		res, err := g.query(ctx, ex, row.DBID, sql)
		if err != nil {
			return nil, err
		}
		results = append(results, res)
	}
	return results, nil
}

// query returns a gold query's result from memory or from the executor.
// Failures are not kept.
func (g *Golds) query(ctx context.Context, ex sqlexec.Executor, dbID, sql string) (*sqlexec.Result, error) {
	key := goldKey{dbID, sql}
	if res, ok := g.results.Load(key); ok {
		return res.(*sqlexec.Result), nil
	}
	res, err := ex.Query(ctx, dbID, sql)
	if err == nil {
		g.results.Store(key, res)
	}
	return res, err
}

// Evaluate scores predictions against the rows that they answer, and returns
// the items in the order of the rows. A row without a prediction counts as
// wrong. The result is the same for any number of workers.
//
// It fails, naming the id, when a prediction's id is no row's or comes twice,
// a row's dialect is not the executor's, or a gold query gives no result; with
// [sqlexec.ErrUnavailable] when the database goes away; and with the context's
// error when that is done.
func Evaluate(ctx context.Context, ex sqlexec.Executor, rows []data.Row, preds []data.Prediction, o Options) (*Summary, []Item, error) {
	start := time.Now()
	outputs, err := match(ex, rows, preds)
	if err != nil {
		return nil, nil, err
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
	for i, err := range errs {
		switch {
		case err == nil:
		case errors.Is(err, sqlexec.ErrUnavailable):
			return nil, nil, fmt.Errorf("at row %q (database %q): %w", rows[i].ID, rows[i].DBID, err)
		case !gone.Load():
			return nil, nil, fmt.Errorf("gold query of row %q (database %q): %w", rows[i].ID, rows[i].DBID, err)
		}
	}
	sum := Summarize(items)
	sum.Seconds = time.Since(start).Seconds()
	return sum, items, nil
}

// match finds each row's output; nil where there is none.
func match(ex sqlexec.Executor, rows []data.Row, preds []data.Prediction) ([]*string, error) {
	if len(rows) == 0 {
		return nil, errors.New("there are no rows to score")
	}
	index := make(map[string]int, len(rows))
	for i, row := range rows {
		if _, doubled := index[row.ID]; doubled {
			return nil, fmt.Errorf("two rows have the id %q", row.ID)
		}
		if row.Dialect != ex.Dialect() {
			return nil, fmt.Errorf("row %q is in the dialect %q, the databases speak %q", row.ID, row.Dialect, ex.Dialect())
		}
		index[row.ID] = i
	}
	outputs := make([]*string, len(rows))
	for _, p := range preds {
		i, known := index[p.ID]
		switch {
		case !known:
			return nil, fmt.Errorf("there is a prediction for the id %q, which no row has", p.ID)
		case outputs[i] != nil:
			return nil, fmt.Errorf("there are two predictions for the id %q", p.ID)
		}
		outputs[i] = &p.SQL
	}
	return outputs, nil
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

// Summarize counts the verdicts of items, which may be a part of those that Evaluate returned. Seconds is 0.
func Summarize(items []Item) *Summary {
	s := &Summary{N: len(items)}
	var correct, set, exact, valid int
	for _, it := range items {
		switch it.Verdict {
		case Correct:
			correct++
			valid++
		case Wrong:
			valid++
		case Timeout:
			s.Timeouts++
		case Failed, TooLarge, Forbidden, NoQuery:
			s.Errors++
		}
		set += truth(it.SetMatch)
		exact += truth(it.ExactMatch)
		s.EmptyGolds += truth(it.EmptyGold)
	}
	n := float64(s.N)
	s.ExecutionAccuracy, s.SetAccuracy = float64(correct)/n, float64(set)/n
	s.ExactMatch, s.ValidSQL = float64(exact)/n, float64(valid)/n
	s.CI95[0], s.CI95[1] = Wilson(correct, s.N)
	return s
}

// Wilson returns the 95 % interval of a proportion of which k of n were seen,
// by Wilson's score (Wilson 1927, without correction for continuity). Of n = 0
// nothing is known: it is 0 to 1.
func Wilson(k, n int) (low, high float64) {
	if n == 0 {
		return 0, 1
	}
	const z = 1.959963984540054 // the 97.5 % quantile of the normal distribution
	total := float64(n)
	p := float64(k) / total
	center := (p + z*z/(2*total)) / (1 + z*z/total)
	half := z / (1 + z*z/total) * math.Sqrt(p*(1-p)/total+z*z/(4*total*total))
	low, high = max(0, center-half), min(1, center+half)
	if k == 0 {
		low = 0 // but for rounding
	}
	if k == n {
		high = 1
	}
	return low, high
}
