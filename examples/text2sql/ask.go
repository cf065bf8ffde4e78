package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"math"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/hone-ml/hone/examples/text2sql/internal/data"
	"github.com/hone-ml/hone/examples/text2sql/internal/score"
	"github.com/hone-ml/hone/examples/text2sql/internal/sqlexec"
)

var askCommand = command{
	name: "ask", args: "-model MODEL -db FILE.sqlite|postgres://… \"question\"", summary: "answers one question: the SQL, then the rows",
	help: "The query runs read-only, within limits of time, rows and bytes.", run: runAsk,
}

// shownRows is how many rows ask prints.
const shownRows = 50

func runAsk(ctx context.Context, p *program, args []string) error {
	var c common
	fs := flag.NewFlagSet("ask", flag.ContinueOnError)
	c.register(fs)
	var chat chatTemplate
	chat.register(fs)
	model := fs.String("model", "", modelHelp)
	var db string
	fs.StringVar(&db, "db", "", "SQLite `FILE`, or a PostgreSQL database, postgres://user@host/name")
	fs.StringVar(&db, "dsn", "", "the same as -db")
	schemaName := fs.String("db-id", "", "`SCHEMA` to ask, of a PostgreSQL database (default: the first of the DSN's search_path, or public)")
	most := fs.Int("max-tokens", 256, "longest answer in tokens")
	var more improvement
	more.register(fs)
	rest, err := p.parse(fs, args)
	if err != nil {
		return err
	}
	if err := required("ask", fs, "model", "db"); err != nil {
		return err
	}
	if len(rest) == 0 {
		return usagef("ask: the question is missing")
	}
	if err := cmp.Or(c.check(), chat.check(), more.check()); err != nil {
		return err
	}
	exec, id, err := openOne(ctx, db, *schemaName)
	if err != nil {
		return err
	}
	defer exec.Close()
	what := db
	if isDSN(what) {
		what = fmt.Sprintf("schema %q", id) // the DSN may hold a password
	}
	schema, err := exec.Schema(ctx, id)
	if err != nil {
		return err
	}
	switch {
	case schema == "" && exec.Dialect() == "postgres":
		return fmt.Errorf("%s holds no tables that text2sql may read; if it is your own, text2sql data load -dsn … -grant %s lets it", what, id)
	case schema == "":
		return fmt.Errorf("%s holds no tables", what)
	}
	from, err := p.findSource(ctx, *model)
	if err != nil {
		return err
	}
	a, err := c.loadAnswerer(p, from, &chat, *most)
	if err != nil {
		return err
	}
	row := data.Row{ID: "question", DBID: id, Schema: schema, Question: strings.Join(rest, " "), Dialect: exec.Dialect()}
	preds, tooLong, err := a.answer(ctx, []data.Row{row}, func(int) {})
	if err != nil {
		return err
	}
	if tooLong > 0 {
		return fmt.Errorf("the schema of %s and the question are longer than the model's longest sequence", what)
	}
	if err := more.improve(ctx, a, exec, []data.Row{row}, preds, c.seed); err != nil {
		return err
	}
	query, err := score.ExtractSQL(preds[0].SQL)
	if err != nil {
		return fmt.Errorf("%w: %s", err, beginning(preds[0].SQL))
	}
	result, err := exec.Query(ctx, id, query)
	if c.json {
		answer := struct {
			SQL     string   `json:"sql"`
			Columns []string `json:"columns"`
			Rows    [][]any  `json:"rows"`
			Error   string   `json:"error,omitempty"`
		}{SQL: query}
		if err != nil {
			answer.Error = err.Error()
		} else {
			answer.Columns, answer.Rows = result.Columns, encodable(result.Rows)
		}
		if printErr := p.printJSON(answer); printErr != nil {
			return printErr
		}
		return err
	}
	fmt.Fprintf(p.stdout, "%s\n\n", query)
	if err != nil {
		return fmt.Errorf("the query failed: %w", err)
	}
	return p.printRows(result)
}

// beginning is what an answer begins with, quoted: a model that knows nothing may go on for long.
func beginning(answer string) string {
	const shown = 100
	if len(answer) <= shown {
		return strconv.Quote(answer)
	}
	return fmt.Sprintf("%q… (%d bytes)", strings.ToValidUTF8(answer[:shown], ""), len(answer))
}

// encodable replaces the numbers that JSON cannot write by their names.
func encodable(rows [][]any) [][]any {
	for _, row := range rows {
		for i, cell := range row {
			if f, ok := cell.(float64); ok && (math.IsNaN(f) || math.IsInf(f, 0)) {
				row[i] = fmt.Sprint(f)
			}
		}
	}
	return rows
}

// printRows prints a result as a table.
func (p *program) printRows(r *sqlexec.Result) error {
	w := tabwriter.NewWriter(p.stdout, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, strings.Join(r.Columns, "\t"))
	for i, row := range r.Rows {
		if i == shownRows {
			break
		}
		cells := make([]string, len(row))
		for j, cell := range row {
			if cell == nil {
				cells[j] = "NULL"
			} else {
				cells[j] = strings.NewReplacer("\t", " ", "\n", " ").Replace(fmt.Sprint(cell))
			}
		}
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if n := len(r.Rows); n > shownRows {
		fmt.Fprintf(p.stdout, "… and %d more rows\n", n-shownRows)
	}
	return nil
}
