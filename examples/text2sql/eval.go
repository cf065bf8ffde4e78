package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"slices"

	"github.com/hone-ml/hone/examples/text2sql/internal/data"
	"github.com/hone-ml/hone/examples/text2sql/internal/score"
	"github.com/hone-ml/hone/models"
	_ "github.com/hone-ml/hone/models/all"
)

var evalCommand = command{
	name: "eval", args: "-model MODEL -data FILE -db-dir DIR | -dsn DSN", summary: "answers every question of a data set, executes and scores the answers",
	help: "The databases are DIR/<db_id>.sqlite, or the schemas <db_id> of a PostgreSQL database. Of conversations, which need\n" +
		"none, it tells exact matches and the loss.", run: runEval,
}

func runEval(ctx context.Context, p *program, args []string) error {
	var c common
	fs := flag.NewFlagSet("eval", flag.ContinueOnError)
	c.register(fs)
	var chat chatTemplate
	chat.register(fs)
	model := fs.String("model", "", modelHelp)
	file := fs.String("data", "", "`FILE` of questions with gold queries")
	var s scoring
	s.dbs.register(fs)
	s.register(fs)
	limit := fs.Int("limit", 0, "evaluate the first `N` questions only (0: all)")
	most := fs.Int("max-tokens", 256, "longest answer in tokens")
	fs.StringVar(&s.out, "out", "", "write the judged answers to `FILE`, a line a question")
	answers := fs.String("answers", "", "keep each answer in `FILE` as it comes; the same command goes on from there after an interruption")
	var more improvement
	more.register(fs)
	var source rowSource
	source.register(fs)
	if rest, err := p.parse(fs, args); err != nil || len(rest) > 0 {
		return orUnexpected(err, rest)
	}
	if err := cmp.Or(required("eval", fs, "model", "data"), s.check()); err != nil {
		return err
	}
	if err := cmp.Or(c.check(), chat.check(), more.check(), source.check()); err != nil {
		return err
	}
	exec, err := s.dbs.openFor(ctx, source.reader, *file)
	if err != nil {
		return err
	}
	defer closeDatabases(exec)
	source.exec = exec
	rows, err := source.read(ctx, *file, *limit, needs{schema: true, database: true})
	if err != nil {
		return err
	}
	exam := examination{label: "answering", file: *file, rows: rows, exec: exec, skipFailing: s.skipFailing}
	if exam.texts() && (more.samples > 0 || more.repair > 0 || s.copies > 0) {
		return usagef("eval: -samples, -repair and -perturb need a database; the rows of %s are conversations", *file)
	}
	line := p.newLine()
	defer line.Done()
	if err := exam.prepare(ctx, line); err != nil {
		return err
	}
	rows = exam.rows
	from, err := p.findSource(ctx, *model)
	if err != nil {
		return err
	}
	a, err := c.loadAnswerer(p, from, &chat, *most)
	if err != nil {
		return err
	}
	if *answers != "" {
		if a.name, err = from.digest(); err != nil {
			return err
		}
		if a.kept, err = openAnswers(*answers); err != nil {
			return fmt.Errorf("-answers: %w", err)
		}
		defer a.kept.done()
	}
	preds, err := exam.ask(ctx, a, line)
	if err != nil {
		if *answers != "" && ctx.Err() != nil {
			return fmt.Errorf("interrupted; the answers so far are in %s, and the same command goes on from there", *answers)
		}
		return err
	}
	more.count = line.Count
	if err := more.improve(ctx, a, exec, rows, preds, c.seed); err != nil {
		return err
	}
	var loss *float64
	if exam.texts() {
		if loss, err = a.loss(ctx, rows); err != nil {
			return err
		}
	}
	line.Done()
	s.exec, s.golds, s.seed, s.skipped, s.line = exec, &exam.golds, c.seed, exam.skipped, line
	summary, err := s.run(ctx, rows, preds)
	if err != nil {
		if *answers != "" {
			err = fmt.Errorf("%w; the answers are in %s", err, *answers)
		}
		return err
	}
	summary.Loss = loss
	return p.printSummary(summary, c.json)
}

var scoreCommand = command{
	name: "score", args: "-pred FILE -data FILE -db-dir DIR | -dsn DSN", summary: "scores predictions made elsewhere, a line {\"id\",\"sql\"} each",
	help: "A missing id counts as wrong; an unknown or doubled one is an error.", run: runScore,
}

func runScore(ctx context.Context, p *program, args []string) error {
	var c common
	fs := flag.NewFlagSet("score", flag.ContinueOnError)
	c.register(fs)
	pred := fs.String("pred", "", "JSONL `FILE` of predictions")
	file := fs.String("data", "", "`FILE` of questions with gold queries")
	var s scoring
	s.dbs.register(fs)
	s.register(fs)
	fs.StringVar(&s.out, "out", "", "write the judged answers to `FILE`, a line a question")
	var source rowSource
	source.register(fs)
	if rest, err := p.parse(fs, args); err != nil || len(rest) > 0 {
		return orUnexpected(err, rest)
	}
	if err := cmp.Or(required("score", fs, "pred", "data"), s.check()); err != nil {
		return err
	}
	if err := cmp.Or(c.check(), source.check()); err != nil {
		return err
	}
	exec, err := s.dbs.openFor(ctx, source.reader, *file)
	if err != nil {
		return err
	}
	defer closeDatabases(exec)
	source.exec = exec
	rows, err := source.read(ctx, *file, 0, needs{database: true})
	if err != nil {
		return err
	}
	preds, err := data.ReadPredictions(*pred)
	if err != nil {
		return err
	}
	exam := examination{file: *file, rows: rows, exec: exec, skipFailing: s.skipFailing}
	line := p.newLine()
	defer line.Done()
	if s.skipFailing && !exam.texts() {
		if err := exam.prepare(ctx, line); err != nil {
			return err
		}
		preds = answersTo(exam.rows, rows, preds)
		rows = exam.rows
	}
	s.exec, s.golds, s.seed, s.skipped, s.line = exec, &exam.golds, c.seed, exam.skipped, line
	summary, err := s.run(ctx, rows, preds)
	line.Done()
	if err != nil {
		return fmt.Errorf("%s, by %s: %w", *pred, *file, withGoldAdvice(err))
	}
	return p.printSummary(summary, c.json)
}

// answersTo leaves out the predictions for rows that were left out; those for none at all stay, to be refused.
func answersTo(kept, all []data.Row, preds []data.Prediction) []data.Prediction {
	left := map[string]bool{}
	for _, r := range all {
		left[r.ID] = true
	}
	for _, r := range kept {
		delete(left, r.ID)
	}
	return slices.DeleteFunc(preds, func(p data.Prediction) bool { return left[p.ID] })
}

// printSummary prints a score for a person or a program.
func (p *program) printSummary(s *score.Summary, asJSON bool) error {
	if asJSON {
		return p.printJSON(s)
	}
	if s.IsText() {
		_, err := fmt.Fprintf(p.stdout, "exact match  %s\n", percent(s))
		if s.Loss != nil && err == nil {
			_, err = fmt.Fprintf(p.stdout, "loss         %.4f nats a token of the answers\n", *s.Loss)
		}
		return err
	}
	_, err := fmt.Fprintf(p.stdout, `execution accuracy  %s
set accuracy        %.1f %%   (BIRD's rule)
exact match         %.1f %%
valid SQL           %.1f %%   (%s, %s)
empty golds         %d
`, percent(s), 100*s.SetAccuracy, 100*s.ExactMatch, 100*s.ValidSQL, plural(s.Errors, "error"), plural(s.Timeouts, "timeout"), s.EmptyGolds)
	if s.SkippedGolds > 0 && err == nil {
		_, err = fmt.Fprintf(p.stdout, "left out            %s, whose gold queries fail\n", plural(s.SkippedGolds, "question"))
	}
	if s.RobustAccuracy != nil && err == nil {
		_, err = fmt.Fprintf(p.stdout, "robust accuracy     %.1f %%   (right on the perturbed copies too)\n", 100**s.RobustAccuracy)
	}
	return err
}

// orUnexpected is err, or the complaint that rest was not expected.
func orUnexpected(err error, rest []string) error {
	if err != nil {
		return err
	}
	return usagef("unexpected argument %q", rest[0])
}

// loadAnswerer loads a model and its tokenizer.
func (c *common) loadAnswerer(p *program, from source, chat *chatTemplate, most int) (*answerer, error) {
	dev, err := c.open(p)
	if err != nil {
		return nil, err
	}
	t, err := models.LoadTokenizer(from.tokenizer())
	if err != nil {
		return nil, err
	}
	f, err := chat.formatOf(t)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", from.tokenizer(), err)
	}
	m, err := from.load(dev, c.dtypeFlag())
	if err != nil {
		return nil, err
	}
	if err := checkVocabulary(from.tokenizer(), t, m); err != nil {
		return nil, err
	}
	return newAnswerer(m, t, f, most), nil
}
