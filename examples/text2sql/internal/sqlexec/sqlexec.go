// Package sqlexec runs SQL that a model wrote, safely: read-only, one
// statement at a time, within limits of time, rows and bytes.
//
// [Executor] is the contract; [SQLite] fulfils it in pure Go, package pgexec on a
// PostgreSQL server. A model's SQL is
// hostile input: it may try to write, to read files, or simply never end. An
// executor refuses the first two with [ErrForbidden] and ends the third with
// [ErrTimeout] or [ErrTooLarge], so that callers can count each.
package sqlexec

import (
	"context"
	"errors"
	"time"
)

// The reasons, other than an error in the SQL itself, for which a query gives
// no result. Test for them with [errors.Is]; the error that a query returns
// says more.
var (
	// ErrTimeout means that the query was interrupted at its time limit, or at
	// the deadline of its context.
	ErrTimeout = errors.New("query timed out")
	// ErrTooLarge means that the result, a value within it, the statement, or
	// the memory to compute it outgrew the limits.
	ErrTooLarge = errors.New("query is too large")
	// ErrForbidden means that the statement may not run at all: it is not a
	// query, is more than one statement, or calls what is not on the list.
	ErrForbidden = errors.New("statement is forbidden")
	// ErrNoDatabase means that there is no database of that name, or that the
	// name could be none.
	ErrNoDatabase = errors.New("no such database")
	// ErrUnavailable means that the database cannot be reached, or no longer:
	// nothing is known about the query.
	ErrUnavailable = errors.New("the database cannot be reached")
)

// An Executor runs queries against named databases.
type Executor interface {
	// Query runs one SELECT, WITH or VALUES statement on the database and
	// returns all of its rows. It never changes the database. It may be called
	// by several goroutines at once.
	//
	// The error is one of this package's when errors.Is says so, the context's
	// when the context was cancelled, and otherwise the database's own.
	Query(ctx context.Context, dbID, sql string) (*Result, error)

	// Dialect names the SQL that Query speaks, as the rows of a data set do:
	// "sqlite" or "postgres".
	Dialect() string

	// Close releases every connection, after the queries under way.
	Close() error
}

// A Result is what a query returned. A cell is nil for NULL, or an int64, a
// float64, a string (text, dates and decimals included), a bool (where the
// dialect has them) or a []byte.
type Result struct {
	Columns []string
	Rows    [][]any
}

// Limits bound one query. A field that is zero takes its default.
type Limits struct {
	Time  time.Duration // how long a query may run: 5 s
	Rows  int           // how many rows it may return: 100,000
	Bytes int           // how many bytes all of its rows may hold: 64 MiB
	Value int           // how many bytes one value may hold, intermediate ones too: 256 KiB
}

// WithDefaults fills in the fields that are zero.
func (l Limits) WithDefaults() Limits {
	if l.Time <= 0 {
		l.Time = 5 * time.Second
	}
	if l.Rows <= 0 {
		l.Rows = 100_000
	}
	if l.Bytes <= 0 {
		l.Bytes = 64 << 20
	}
	if l.Value <= 0 {
		l.Value = 256 << 10
	}
	return l
}
