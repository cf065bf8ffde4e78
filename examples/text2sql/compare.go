package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/hone-ml/hone/examples/text2sql/internal/data"
	"github.com/hone-ml/hone/examples/text2sql/internal/report"
	"github.com/hone-ml/hone/examples/text2sql/internal/score"
)

var compareCommand = command{
	name: "compare", args: "A B [-data FILE -db-dir DIR | -dsn DSN]", summary: "says whether B's answers are better than A's, or the difference may be chance",
	help: "A and B are runs of train, files of judged answers (eval -out, score -out), or, with -data and the databases,\n" +
		"files of predictions. They are paired question by question: McNemar's exact test. -losses draws how both learned.",
	run: runCompare,
}

// judgedAnswers are the verdicts on one set of answers, by id.
type judgedAnswers struct {
	path  string
	ids   []string
	right map[string]bool
}

func runCompare(ctx context.Context, p *program, args []string) error {
	var c common
	fs := flag.NewFlagSet("compare", flag.ContinueOnError)
	c.register(fs)
	file := fs.String("data", "", "`FILE` of questions with gold queries, for predictions that are not judged")
	losses := fs.String("losses", "", "draw the losses of two runs in one picture, `FILE`.svg or .png")
	var dbs databases
	dbs.register(fs)
	rest, err := p.parse(fs, args)
	if err != nil {
		return err
	}
	if len(rest) != 2 {
		return usagef("compare: want two runs or files, got %d", len(rest))
	}
	if ext := filepath.Ext(*losses); *losses != "" && ext != ".svg" && ext != ".png" {
		return usagef("compare: -losses %s: want a name that ends in .svg or .png", *losses)
	}
	if err := c.check(); err != nil {
		return err
	}
	var both [2]*judgedAnswers
	for i, path := range rest {
		if both[i], err = readJudged(ctx, path, *file, dbs); err != nil {
			return err
		}
	}
	if *losses != "" {
		if err := drawLosses(*losses, rest[0], rest[1]); err != nil {
			return err
		}
	}
	a, b := both[0], both[1]
	if err := samePlaces(a, b); err != nil {
		return err
	}
	rightA, rightB := make([]bool, len(a.ids)), make([]bool, len(a.ids))
	for i, id := range a.ids {
		rightA[i], rightB[i] = a.right[id], b.right[id]
	}
	return p.printPaired(score.Pair(rightA, rightB), a, b, c.json)
}

// drawLosses draws the losses of runs a and b.
func drawLosses(path, a, b string) error {
	var curves [2]report.LossCurve
	for i, dir := range []string{a, b} {
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			return fmt.Errorf("-losses: %s is no run of train, whose %s has the losses", dir, report.MetricsFile)
		}
		steps, err := report.ReadMetrics(filepath.Join(dir, report.MetricsFile))
		if err != nil {
			return fmt.Errorf("-losses: %w", err)
		}
		curves[i] = report.LossCurve{Name: dir, Steps: steps}
	}
	return report.SaveLosses(path, curves)
}

// samePlaces checks that two sets of answers are about the same questions.
func samePlaces(a, b *judgedAnswers) error {
	for _, pair := range [][2]*judgedAnswers{{a, b}, {b, a}} {
		for _, id := range pair[0].ids {
			if _, ok := pair[1].right[id]; !ok {
				return fmt.Errorf("%s answers the question %q, %s does not: only answers to the same questions can be compared", pair[0].path, id, pair[1].path)
			}
		}
	}
	return nil
}

// readJudged reads verdicts, or judges predictions that have none.
func readJudged(ctx context.Context, path, file string, dbs databases) (*judgedAnswers, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, report.PredictionsFile)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	j := &judgedAnswers{path: path, right: map[string]bool{}}
	s := bufio.NewScanner(bytes.NewReader(raw))
	s.Buffer(nil, 16<<20)
	for number := 1; s.Scan(); number++ {
		if len(bytes.TrimSpace(s.Bytes())) == 0 {
			continue
		}
		var l struct {
			ID      string        `json:"id"`
			Verdict score.Verdict `json:"verdict"`
		}
		if err := json.Unmarshal(s.Bytes(), &l); err != nil || l.ID == "" {
			return nil, fmt.Errorf("%s:%d: not an answer with an id", path, number)
		}
		if l.Verdict == "" {
			return judge(ctx, path, file, dbs)
		}
		if _, doubled := j.right[l.ID]; doubled {
			return nil, fmt.Errorf("%s:%d: there are two answers for the id %q", path, number, l.ID)
		}
		j.ids = append(j.ids, l.ID)
		j.right[l.ID] = l.Verdict == score.Correct
	}
	switch {
	case s.Err() != nil:
		return nil, fmt.Errorf("%s: %w", path, s.Err())
	case len(j.ids) == 0:
		return nil, fmt.Errorf("%s holds no answers", path)
	}
	return j, nil
}

// judge scores predictions for the comparison.
func judge(ctx context.Context, path, file string, dbs databases) (*judgedAnswers, error) {
	if file == "" {
		return nil, fmt.Errorf("%s holds predictions without verdicts: give -data and the databases too, or judge them with score -out", path)
	}
	exec, err := dbs.openFor(ctx, data.Reader{}, file)
	if err != nil {
		return nil, err
	}
	defer closeDatabases(exec)
	source := rowSource{exec: exec}
	rows, err := source.read(ctx, file, 0, needs{database: true})
	if err != nil {
		return nil, err
	}
	preds, err := data.ReadPredictions(path)
	if err != nil {
		return nil, err
	}
	exam := examination{rows: rows, exec: exec}
	_, items, err := exam.score(ctx, preds)
	if err != nil {
		return nil, fmt.Errorf("%s, by %s: %w", path, file, err)
	}
	j := &judgedAnswers{path: path, right: map[string]bool{}}
	for _, it := range items {
		j.ids = append(j.ids, it.ID)
		j.right[it.ID] = it.Verdict == score.Correct
	}
	return j, nil
}

// printPaired prints a comparison for a person or a program.
func (p *program) printPaired(r score.Paired, a, b *judgedAnswers, asJSON bool) error {
	type side struct {
		Path     string     `json:"path"`
		Accuracy float64    `json:"execution_accuracy"`
		CI95     [2]float64 `json:"ci95"`
	}
	of := func(path string, right int) side {
		s := side{Path: path, Accuracy: float64(right) / float64(r.N)}
		s.CI95[0], s.CI95[1] = score.Wilson(right, r.N)
		return s
	}
	sideA, sideB := of(a.path, r.Both+r.OnlyA), of(b.path, r.Both+r.OnlyB)
	if asJSON {
		return p.printJSON(struct {
			A side `json:"a"`
			B side `json:"b"`
			score.Paired
		}{sideA, sideB, r})
	}
	for i, s := range []side{sideA, sideB} {
		fmt.Fprintf(p.stdout, "%c  %5.1f %%  (95 %% interval %.1f to %.1f)  %s\n", 'A'+i, 100*s.Accuracy, 100*s.CI95[0], 100*s.CI95[1], s.Path)
	}
	says := "B is better than A"
	switch {
	case r.P >= 0.05:
		says = "the difference may well be chance"
	case r.Diff < 0:
		says = "A is better than B"
	}
	_, err := fmt.Fprintf(p.stdout, `
of %s: both right %d, only A %d, only B %d, neither %d
B − A  %+.1f points  (95 %% interval %+.1f to %+.1f)
McNemar's exact test, two-sided: p = %.3g: %s
`, plural(r.N, "question"), r.Both, r.OnlyA, r.OnlyB, r.Neither, 100*r.Diff, 100*r.CI95[0], 100*r.CI95[1], r.P, says)
	return err
}
