package main

import (
	"context"
	"fmt"
	"time"

	"github.com/hone-ml/hone/examples/text2sql/internal/report"
	"github.com/hone-ml/hone/examples/text2sql/internal/sqlexec"
)

// The rows that a report shows: so many of a query, of so many wrong answers, looked up within so much time.
const (
	reportedRows  = 5
	reportedWrong = 200
	reportedTime  = 20 * time.Second
)

// addRows adds what gold and predicted query return to wrong answers, and the gold's rows to those that failed.
// It does what it can: an answer that was judged has been executed before, and a page without rows is better
// than none.
func (sp *split) addRows(examples []report.Example) {
	exec := sp.exam.exec
	if sp.of != nil {
		exec = sp.of.exam.exec
	}
	if exec == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), reportedTime)
	defer cancel()
	n := 0
	for i := range examples {
		e := &examples[i]
		if e.Verdict == report.Correct || n == reportedWrong {
			continue
		}
		n++
		if r, err := exec.Query(ctx, e.DB, e.Gold); err == nil {
			e.GoldRows = firstRows(r)
		}
		if e.Verdict == report.Wrong {
			if r, err := exec.Query(ctx, e.DB, e.Predicted); err == nil {
				e.PredictedRows = firstRows(r)
			}
		}
	}
}

func firstRows(r *sqlexec.Result) *report.Rows {
	out := &report.Rows{Columns: r.Columns, Total: len(r.Rows), First: [][]*string{}}
	for _, row := range r.Rows[:min(len(r.Rows), reportedRows)] {
		cells := make([]*string, len(row))
		for i, cell := range row {
			if cell != nil {
				cells[i] = new(fmt.Sprint(cell))
			}
		}
		out.First = append(out.First, cells)
	}
	return out
}
