package score

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/hone-ml/hone/examples/text2sql/internal/data"
	"github.com/hone-ml/hone/examples/text2sql/internal/sqlexec"
)

// Copies are copies of a database with other rows.
type Copies interface {
	N() int
	// Query runs a query on copy k; reversed, the database reads tables in
	// another order.
	Query(ctx context.Context, k int, reversed bool, sql string) (*sqlexec.Result, error)
	Close() error
}

// Robust finds the answers among items that are right on copies of their
// databases too, and returns for each row whether its is. open makes the
// copies of a database.
//
// An answer is robust when it is correct and returns, on every copy, what a
// gold query returns there. Copies on which a gold query fails or is not
// determined, as with LIMIT 1 among equals, do not count.
func Robust(ctx context.Context, open func(ctx context.Context, dbID string) (Copies, error), rows []data.Row, items []Item) ([]bool, error) {
	of := map[string][]int{} // correct rows by database
	for i, row := range rows {
		if items[i].Verdict == Correct {
			of[row.DBID] = append(of[row.DBID], i)
		}
	}
	var names []string
	for name := range of {
		names = append(names, name)
	}
	slices.Sort(names)
	robust := make([]bool, len(rows))
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var taken atomic.Int64
	var wg sync.WaitGroup
	for range min(len(names), runtime.GOMAXPROCS(0)) {
		wg.Go(func() {
			for d := int(taken.Add(1)) - 1; d < len(names) && ctx.Err() == nil; d = int(taken.Add(1)) - 1 {
				copies, err := open(ctx, names[d])
				if err != nil {
					cancel(err)
					return
				}
				for _, i := range of[names[d]] {
					robust[i] = holds(ctx, copies, rows[i], items[i].Predicted)
				}
				copies.Close()
			}
		})
	}
	wg.Wait()
	return robust, context.Cause(ctx)
}

// holds reports whether an answer is right on every copy that can tell.
func holds(ctx context.Context, copies Copies, row data.Row, answer string) bool {
	for k := range copies.N() {
		if ctx.Err() != nil {
			return false
		}
		if right, known := rightOn(ctx, copies, k, row, answer); known && !right {
			return false
		}
	}
	return true
}

// rightOn compares an answer with the golds on one copy.
func rightOn(ctx context.Context, copies Copies, k int, row data.Row, answer string) (right, known bool) {
	var pred *sqlexec.Result
	for _, sql := range goldsOf(row) {
		gold, err := copies.Query(ctx, k, false, sql)
		if err != nil {
			continue
		}
		other, err := copies.Query(ctx, k, true, sql)
		if err != nil || !Equal(gold, other, Ordered(sql)) {
			continue
		}
		known = true
		if pred == nil {
			if pred, err = copies.Query(ctx, k, false, answer); err != nil {
				return false, true
			}
		}
		if Equal(gold, pred, Ordered(sql)) {
			return true, true
		}
	}
	return false, known
}
