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

// namedGolds is how many rows a GoldError's text names.
const namedGolds = 10

// Error names the first ten rows whose failures differ and says how many there are.
func (e GoldError) Error() string {
	if len(e) == 1 {
		return fmt.Sprintf("gold query of row %q (database %q): %v", e[0].ID, e[0].DBID, e[0].Err)
	}
	type failure struct{ dbID, why string }
	var failures []failure // in the order of their first rows
	rows := map[failure][]string{}
	for _, f := range e {
		same := failure{f.DBID, f.Err.Error()}
		if rows[same] == nil {
			failures = append(failures, same)
		}
		rows[same] = append(rows[same], f.ID)
	}
	var told []string
	rest := len(e)
	for _, f := range failures[:min(len(failures), namedGolds)] {
		ids := rows[f]
		rest -= len(ids)
		others := ""
		if more := len(ids) - 1; more > 0 {
			others = fmt.Sprintf(" and %d more", more)
		}
		told = append(told, fmt.Sprintf("row %q%s (database %q): %s", ids[0], others, f.dbID, f.why))
	}
	if rest > 0 {
		told = append(told, fmt.Sprintf("and %d more", rest))
	}
	return fmt.Sprintf("%d rows have gold queries that fail: %s", len(e), strings.Join(told, "; "))
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
