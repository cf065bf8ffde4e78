package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/hone-ml/hone/examples/text2sql/internal/data"
	"github.com/hone-ml/hone/examples/text2sql/internal/progress"
	"github.com/hone-ml/hone/examples/text2sql/internal/score"
	"github.com/hone-ml/hone/examples/text2sql/internal/sqlexec"
	"github.com/hone-ml/hone/models"
	"github.com/hone-ml/hone/tokenizer"
)

var dataCheckCommand = command{
	name: "data check", args: "-data FILE [-db-dir DIR | -dsn DSN] [-against FILE] [-tokenizer DIR]", summary: "executes every gold query and tells what a data set holds",
	help: "It names every line that holds no row and every gold query that fails, then says what another split gives away, how long\n" +
		"the rows are, and which tokens carry loss. It fails if a line has a mistake.",
	run: runDataCheck,
}

// shownProblems is how many mistakes are printed; -json has all.
const shownProblems = 20

func runDataCheck(ctx context.Context, p *program, args []string) error {
	var c common
	fs := flag.NewFlagSet("data check", flag.ContinueOnError)
	c.register(fs)
	var chat chatTemplate
	chat.register(fs)
	file := fs.String("data", "", "`FILE` of rows: .jsonl, .json, .csv, .tsv or .parquet")
	against := fs.String("against", "", "`FILE` of another split, whose rows must not give this one's away")
	var dbs databases
	dbs.register(fs)
	var source rowSource
	source.register(fs)
	tok := fs.String("tokenizer", "", "`DIR` of a model or a tokenizer, or .gguf file, to count tokens and show which carry loss")
	maxLength := fs.Int("max-length", 1024, "tokens of a row in training; longer rows are counted")
	preview := fs.Int("preview", 1, "rows to show token by token")
	color := fs.String("color", "auto", "of the preview: auto, always or never")
	if rest, err := p.parse(fs, args); err != nil || len(rest) > 0 {
		return orUnexpected(err, rest)
	}
	if err := required("data check", fs, "data"); err != nil {
		return err
	}
	if err := cmp.Or(c.check(), chat.check(), source.check(), oneOf("color", *color, "auto", "always", "never")); err != nil {
		return err
	}
	if dbs.given() {
		exec, err := dbs.open(ctx)
		if err != nil {
			return err
		}
		defer exec.Close()
		source.exec = exec
	}
	n := needs{schema: *tok != "", database: dbs.given()}
	lines, report, err := readLines(ctx, *file, &source, n)
	if err != nil {
		return err
	}
	var format format
	var t *tokenizer.Tokenizer
	if *tok != "" {
		if t, err = models.LoadTokenizer(*tok); err != nil {
			return err
		}
		if format, err = chat.formatOf(t); err != nil {
			return err
		}
	}
	if dbs.given() && !report.Conversations {
		if err := report.execute(ctx, p, source.exec, lines); err != nil {
			return err
		}
	}
	rows := make([]data.Row, len(lines))
	for i, l := range lines {
		rows[i] = l.Row
	}
	report.Repeated = len(data.Repeated(rows))
	if *against != "" {
		others, err := source.read(ctx, *against, 0, n)
		if err != nil {
			return err
		}
		o := data.Overlapping(rows, others, score.Normalize)
		report.Overlap = &o
	}
	if format != nil {
		if report.Tokens, err = countTokens(format, lines, *maxLength); err != nil {
			return err
		}
	}
	slices.SortStableFunc(report.Problems, func(a, b problem) int { return cmp.Compare(a.Line, b.Line) })
	if c.json {
		if err := p.printJSON(report); err != nil {
			return err
		}
	} else {
		report.print(p.stdout, *file, *against)
		if format != nil {
			painted := *color == "always" || *color == "auto" && isTerminal(p.stdout) && os.Getenv("NO_COLOR") == ""
			if err := showTokens(p.stdout, t, format, rows[:min(*preview, len(rows))], painted); err != nil {
				return err
			}
		}
	}
	if n := len(report.Problems); n > 0 {
		return fmt.Errorf("%s: %s", *file, plural(n, "mistake"))
	}
	return nil
}

// A problem is a line that training or an evaluation would refuse.
type problem struct {
	Line  int    `json:"line"`
	ID    string `json:"id,omitempty"`
	Error string `json:"error"`
}

// dataReport is what data check finds; its JSON is what it prints.
type dataReport struct {
	N         int            `json:"n"` // rows that can be read
	Databases int            `json:"databases"`
	Dialects  map[string]int `json:"dialects"`

	Conversations bool `json:"conversations"` // the rows are, or prompts and completions, with nothing to execute

	BadRows      int           `json:"bad_rows"`
	Executed     int           `json:"executed"`      // rows whose golds were executed
	FailedGolds  int           `json:"failed_golds"`  // rows of which a gold gives no result
	WrongDialect int           `json:"wrong_dialect"` // rows in another dialect than the databases'
	EmptyGolds   int           `json:"empty_golds"`
	Repeated     int           `json:"repeated"` // rows that ask what an earlier one asks of the same database
	Overlap      *data.Overlap `json:"overlap,omitempty"`
	Tokens       *tokenReport  `json:"tokens,omitempty"`
	Problems     []problem     `json:"problems"`
}

// readLines reads all lines that hold rows, completed, and reports the others.
func readLines(ctx context.Context, path string, source *rowSource, n needs) ([]data.Line, *dataReport, error) {
	r := &dataReport{Dialects: map[string]int{}, Problems: []problem{}}
	var lines []data.Line
	databases := map[string]bool{}
	for l, err := range source.reader.Lines(path) {
		if err != nil && l.Number == 0 {
			return nil, nil, err
		}
		if err == nil {
			err = source.complete(ctx, &l.Row, n)
		}
		if errors.Is(err, sqlexec.ErrUnavailable) || ctx.Err() != nil {
			return nil, nil, cmp.Or(context.Cause(ctx), err)
		}
		if err != nil {
			r.BadRows++
			r.Problems = append(r.Problems, problem{l.Number, l.ID, err.Error()})
			continue
		}
		lines = append(lines, l)
		if l.DBID != "" {
			databases[l.DBID] = true
		}
		if r.Conversations = l.IsChat(); !r.Conversations {
			r.Dialects[l.Dialect]++
		}
	}
	if r.N, r.Databases = len(lines), len(databases); r.N+r.BadRows == 0 {
		return nil, nil, fmt.Errorf("%s holds no rows", path)
	}
	return lines, r, nil
}

// execute runs every gold query.
func (r *dataReport) execute(ctx context.Context, p *program, exec sqlexec.Executor, lines []data.Line) error {
	line := p.newLine()
	defer line.Done()
	var mu sync.Mutex
	var taken, done atomic.Int64
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := int(taken.Add(1)) - 1; i < len(lines) && ctx.Err() == nil; i = int(taken.Add(1)) - 1 {
				empty, err := executeGolds(ctx, exec, lines[i].Row)
				if errors.Is(err, sqlexec.ErrUnavailable) {
					cancel(fmt.Errorf("line %d: %w", lines[i].Number, err))
				}
				if ctx.Err() != nil {
					return
				}
				mu.Lock()
				switch {
				case errors.Is(err, errDialect):
					r.WrongDialect++
				case err != nil:
					r.FailedGolds++
					r.Executed++
				default:
					r.Executed++
					r.EmptyGolds += truth(empty)
				}
				if err != nil {
					r.Problems = append(r.Problems, problem{lines[i].Number, lines[i].ID, err.Error()})
				}
				mu.Unlock()
				line.Count(progress.Count{Label: "executing", Done: int(done.Add(1)), Total: len(lines)})
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

func truth(b bool) int {
	if b {
		return 1
	}
	return 0
}

// errDialect marks a row in another dialect than the databases'.
var errDialect = errors.New("dialect")

// executeGolds runs a row's gold queries; empty is about the first.
func executeGolds(ctx context.Context, exec sqlexec.Executor, row data.Row) (empty bool, err error) {
	if row.Dialect != exec.Dialect() {
		return false, fmt.Errorf("the %w is %q, the databases speak %q", errDialect, row.Dialect, exec.Dialect())
	}
	for i, sql := range append([]string{row.SQL}, row.Golds...) {
		res, err := exec.Query(ctx, row.DBID, sql)
		if err != nil {
			return false, fmt.Errorf("the gold query on %q: %w", row.DBID, err)
		}
		empty = empty || i == 0 && len(res.Rows) == 0
	}
	return empty, nil
}

// print prints the report for a person.
func (r *dataReport) print(w io.Writer, file, against string) {
	var dialects []string
	for _, d := range slices.Sorted(maps.Keys(r.Dialects)) {
		dialects = append(dialects, fmt.Sprintf("%d %s", r.Dialects[d], d))
	}
	about, sameAnswer := fmt.Sprintf("on %s (%s)", plural(r.Databases, "database"), strings.Join(dialects, ", ")), "SQL"
	if r.Conversations {
		about, sameAnswer = "of conversations", "answer"
	}
	fmt.Fprintf(w, "%s: %s %s, %s\n", file, plural(r.N, "row"), about, plural(r.BadRows, "bad line"))
	if r.Conversations {
		fmt.Fprintln(w, "golds     not executed: the answers are texts")
	} else if r.Executed+r.WrongDialect > 0 {
		fmt.Fprintf(w, "golds     %d executed, %d fail, %d return no rows; %d in another dialect\n", r.Executed, r.FailedGolds, r.EmptyGolds, r.WrongDialect)
	} else if r.N > 0 {
		fmt.Fprintln(w, "golds     not executed: give -db-dir or -dsn")
	}
	of := " of the same database"
	if r.Conversations {
		of = ""
	}
	fmt.Fprintf(w, "repeated  %s ask what an earlier one asks%s\n", plural(r.Repeated, "row"), of)
	if o := r.Overlap; o != nil {
		fmt.Fprintf(w, "leakage   of %d rows, in %s there is the same question for %d, the same %s for %d, the same schema for %d,\n          the same question about the same schema for %d",
			r.N, against, o.Question, sameAnswer, o.SQL, o.Schema, o.Row)
		if len(o.Examples) > 0 {
			fmt.Fprintf(w, "; the questions of %s", strings.Join(o.Examples, ", "))
		}
		fmt.Fprintln(w)
	}
	if r.Tokens != nil {
		r.Tokens.print(w)
	}
	for i, p := range r.Problems {
		if i == shownProblems {
			fmt.Fprintf(w, "… and %d more (-json has all)\n", len(r.Problems)-i)
			break
		}
		if p.ID != "" && p.ID != strconv.Itoa(p.Line) {
			p.Error = "row " + p.ID + ": " + p.Error
		}
		fmt.Fprintf(w, "%s:%d: %s\n", file, p.Line, oneLine(errors.New(p.Error)))
	}
}
