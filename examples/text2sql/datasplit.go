package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/hone-ml/hone/examples/text2sql/internal/data"
	"github.com/hone-ml/hone/examples/text2sql/internal/score"
)

var dataSplitCommand = command{
	name: "data split", args: "-data FILE -out-dir DIR [-valid 0.1] [-test 0] [-by db_id]", summary: "splits a data set so that no database and no question is in two parts",
	help: "It writes train.jsonl, valid.jsonl and, with -test, test.jsonl. Databases that share a question stay together. The\n" +
		"parts depend on the rows and on -seed alone.",
	run: runDataSplit,
}

// A splitPart is one of the files that data split writes.
type splitPart struct {
	File   string `json:"file"`
	N      int    `json:"n"`
	Groups int    `json:"groups"` // values of the field of -by

	rows   []data.Row
	fields []map[string]any
}

func runDataSplit(_ context.Context, p *program, args []string) error {
	var c common
	fs := flag.NewFlagSet("data split", flag.ContinueOnError)
	c.register(fs)
	file := fs.String("data", "", "`FILE` of rows: .jsonl, .json, .csv, .tsv or .parquet")
	dir := fs.String("out-dir", "", "`DIR` to write the parts to")
	valid := fs.Float64("valid", 0.1, "fraction of the rows for validation")
	test := fs.Float64("test", 0, "fraction of the rows for a test set (0: none)")
	var source rowSource
	source.registerFields(fs)
	by := fs.String("by", "db_id", "`FIELD` whose values stay in one part each (\"\": none; the same questions still stay together)")
	if rest, err := p.parse(fs, args); err != nil || len(rest) > 0 {
		return orUnexpected(err, rest)
	}
	if err := required("data split", fs, "data", "out-dir"); err != nil {
		return err
	}
	if err := cmp.Or(c.check(), source.check()); err != nil {
		return err
	}
	if !(*valid > 0 && *test >= 0 && *valid+*test < 1) {
		return usagef("data split: -valid %g and -test %g must be fractions that leave something to learn from", *valid, *test)
	}
	lines, err := goodLines(source.reader, *file)
	if err != nil {
		return err
	}
	shares, names := []float64{*valid}, []string{"train.jsonl", "valid.jsonl"}
	if *test > 0 {
		shares, names = append(shares, *test), append(names, "test.jsonl")
	}
	sets, err := data.Split(lines, *by, shares, c.seed)
	if err != nil {
		return fmt.Errorf("%s: %w; choose another field with -by", *file, err)
	}
	parts := make([]splitPart, len(names))
	groups := make([]map[string]bool, len(names))
	for i, name := range names {
		parts[i].File, groups[i] = filepath.Join(*dir, name), map[string]bool{}
		if _, err := os.Stat(parts[i].File); err == nil {
			return fmt.Errorf("-out-dir: %s is there already; remove it, or choose another folder", parts[i].File)
		}
	}
	for i, l := range lines {
		part, fields := &parts[sets[i]], l.Fields()
		part.rows, part.fields = append(part.rows, l.Row), append(part.fields, fields)
		part.N++
		groups[sets[i]][fmt.Sprintf("%s", fields[*by])] = true
	}
	if err := os.MkdirAll(*dir, 0o777); err != nil {
		return err
	}
	for i := range parts {
		if *by != "" {
			parts[i].Groups = len(groups[i])
		}
		if err := data.Write(parts[i].File, parts[i].fields); err != nil {
			return err
		}
	}
	overlap := data.Overlapping(parts[1].rows, parts[0].rows, score.Normalize)
	if c.json {
		return p.printJSON(map[string]any{"parts": parts, "valid_in_train": overlap})
	}
	for _, part := range parts {
		fmt.Fprintf(p.stdout, "%s: %s", part.File, plural(part.N, "row"))
		if *by != "" {
			fmt.Fprintf(p.stdout, " of %s", plural(part.Groups, *by))
		}
		fmt.Fprintln(p.stdout)
	}
	_, err = fmt.Fprintf(p.stdout, "no question is in two parts; the answers of %d rows of valid.jsonl are in train.jsonl too\n", overlap.SQL)
	return err
}

// shownBadLines is how many an error names.
const shownBadLines = 10

// goodLines reads a data set all of whose lines must hold a row.
func goodLines(r data.Reader, path string) (lines []data.Line, err error) {
	bad := 0
	var first error
	for l, err := range r.Lines(path) {
		switch {
		case err != nil && l.Number == 0:
			return nil, err
		case err == nil:
			lines = append(lines, l)
			continue
		}
		if bad++; bad <= shownBadLines {
			first = errors.Join(first, fmt.Errorf("%s:%d: %w", path, l.Number, err))
		}
	}
	switch {
	case bad > shownBadLines:
		return nil, errors.Join(first, fmt.Errorf("and %d more bad lines", bad-shownBadLines))
	case bad > 0:
		return nil, first
	case len(lines) == 0:
		return nil, fmt.Errorf("%s holds no rows", path)
	}
	return lines, nil
}
