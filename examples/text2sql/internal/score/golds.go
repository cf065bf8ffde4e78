package score

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/hone-ml/hone/examples/text2sql/internal/data"
	"github.com/hone-ml/hone/examples/text2sql/internal/sqlexec"
)

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

// A FailingGold is a row of which a gold query gives no result.
type FailingGold struct {
	ID, DBID string
	Err      error
}

// A GoldError names the rows of which a gold query gives no result, in their
// order: nothing can be judged by them.
type GoldError []FailingGold

// namedGolds is how many a GoldError's text names.
const namedGolds = 10

// Error names the first ten rows and says how many there are.
func (e GoldError) Error() string {
	name := func(f FailingGold) string { return fmt.Sprintf("row %q (database %q): %v", f.ID, f.DBID, f.Err) }
	if len(e) == 1 {
		return "gold query of " + name(e[0])
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d rows have gold queries that fail: ", len(e))
	for i, f := range e[:min(len(e), namedGolds)] {
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(name(f))
	}
	if more := len(e) - namedGolds; more > 0 {
		fmt.Fprintf(&b, "; and %d more", more)
	}
	return b.String()
}

// Unwrap returns what failed, so that errors.Is finds it.
func (e GoldError) Unwrap() []error {
	errs := make([]error, len(e))
	for i, f := range e {
		errs[i] = f.Err
	}
	return errs
}

// Without returns the rows that the error does not name.
func (e GoldError) Without(rows []data.Row) []data.Row {
	named := map[string]bool{}
	for _, f := range e {
		named[f.ID] = true
	}
	var kept []data.Row
	for _, r := range rows {
		if !named[r.ID] {
			kept = append(kept, r)
		}
	}
	return kept
}
