package report

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/hone-ml/hone/internal/atomicfile"
)

// The files of a run directory that this package reads and writes.
const (
	MetricsFile     = "metrics.jsonl"
	EvaluationsFile = "evaluations.jsonl"
	ResultsFile     = "results.json"
	PredictionsFile = "predictions.jsonl"
	HTMLFile        = "report.html"
	PNGFile         = "loss.png"
)

const (
	maxLine    = 16 << 20 // bytes of a JSONL line; a longer one is not ours
	maxResults = 64 << 20 // bytes of results.json
)

// results is results.json. The scores of the first split that is not Unseen carry the plain names.
type results struct {
	Before         *Score `json:"before,omitempty"`
	After          *Score `json:"after,omitempty"`
	Baseline       *Score `json:"baseline,omitempty"`
	BeforeUnseen   *Score `json:"before_unseen,omitempty"`
	AfterUnseen    *Score `json:"after_unseen,omitempty"`
	BaselineUnseen *Score `json:"baseline_unseen,omitempty"`
	Usage
	Report *reportInfo `json:"report,omitempty"`
}

// reportInfo is what the page tells beyond the figures, kept in results.json so that the page can be made again.
type reportInfo struct {
	About
	Splits []Split `json:"splits,omitempty"`
}

// WriteResults writes results.json: the scores of the run's first split and of its Unseen one, each as eval prints it,
// then what the run cost and what the report says of it.
func WriteResults(w io.Writer, r *Run) error {
	out := results{Usage: r.Usage, Report: &reportInfo{r.About, r.Splits}}
	for _, v := range []*float64{&out.TokensPerSecond, &out.Seconds, &out.TrainSeconds, &out.EvalSeconds} {
		*v = orZero(*v)
	}
	plain := false
	for _, s := range r.Splits {
		before, after, baseline := encodable(s.Before), encodable(s.After), encodable(s.Baseline)
		switch {
		case s.Key == Unseen:
			out.BeforeUnseen, out.AfterUnseen, out.BaselineUnseen = before, after, baseline
		case !plain:
			out.Before, out.After, out.Baseline, plain = before, after, baseline, true
			if s.NoneSeen {
				out.BeforeUnseen, out.AfterUnseen, out.BaselineUnseen = before, after, baseline
			}
		}
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(out)
}

// readResults fills r from results.json.
func readResults(path string, r *Run) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxResults+1))
	if err != nil {
		return err
	}
	if len(data) > maxResults {
		return fmt.Errorf("%s: larger than %d MiB: not a results file of this program", path, maxResults>>20)
	}
	var in results
	if err := json.Unmarshal(data, &in); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	r.Usage = in.Usage
	if in.Report != nil {
		r.About, r.Splits = in.Report.About, in.Report.Splits
	}
	attach := func(unseen bool, name string, before, after, baseline *Score) {
		if before == nil && after == nil && baseline == nil {
			return
		}
		if unseen && len(r.Splits) > 0 && r.Splits[0].NoneSeen {
			return // the same once more
		}
		i := 0
		for i < len(r.Splits) && (r.Splits[i].Key == Unseen) != unseen {
			i++
		}
		if i == len(r.Splits) { // written by another program: the figures speak for themselves
			r.Splits = append(r.Splits, Split{Name: name})
			if unseen {
				r.Splits[i].Key = Unseen
			}
		}
		s := &r.Splits[i]
		s.Before, s.After, s.Baseline = before, after, baseline
	}
	attach(false, "validation questions", in.Before, in.After, in.Baseline)
	attach(true, "questions on unseen schemas", in.BeforeUnseen, in.AfterUnseen, in.BaselineUnseen)
	return nil
}

// WritePredictions writes one example a line.
func WritePredictions(w io.Writer, examples []Example) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	for i := range examples {
		if err := e.Encode(&examples[i]); err != nil {
			return err
		}
	}
	return nil
}

// ReadPredictions reads predictions.jsonl. An error names the file and the line.
func ReadPredictions(path string) ([]Example, error) {
	var examples []Example
	err := eachLine(path, func(line []byte) error {
		var e Example
		if err := json.Unmarshal(line, &e); err != nil {
			return err
		}
		examples = append(examples, e)
		return nil
	})
	return examples, err
}

// Save writes results.json, predictions.jsonl, loss.png and report.html into dir, each whole or not at all. It leaves
// metrics.jsonl and evaluations.jsonl alone, which training writes as it goes.
func Save(dir string, r *Run) error {
	return errors.Join(
		atomicfile.WriteFile(filepath.Join(dir, ResultsFile), func(w io.Writer) error { return WriteResults(w, r) }),
		atomicfile.WriteFile(filepath.Join(dir, PredictionsFile), func(w io.Writer) error { return WritePredictions(w, r.Examples) }),
		atomicfile.WriteFile(filepath.Join(dir, PNGFile), func(w io.Writer) error { return WritePNG(w, r) }),
		atomicfile.WriteFile(filepath.Join(dir, HTMLFile), func(w io.Writer) error { return WriteHTML(w, r) }),
	)
}

// Load reads back what Save and training wrote into dir. A file that is not there yet leaves its part of the run
// empty, but a directory with none of them is an error.
func Load(dir string) (*Run, error) {
	r := new(Run)
	var missing []string
	read := func(name string, fill func(path string) error) error {
		err := fill(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			missing = append(missing, name)
			return nil
		}
		return err
	}
	err := errors.Join(
		read(ResultsFile, func(path string) error { return readResults(path, r) }),
		read(MetricsFile, func(path string) (err error) { r.Steps, err = ReadMetrics(path); return err }),
		read(EvaluationsFile, func(path string) (err error) { r.Evals, err = ReadEvaluations(path); return err }),
		read(PredictionsFile, func(path string) (err error) { r.Examples, err = ReadPredictions(path); return err }),
	)
	if err != nil {
		return nil, err
	}
	if len(missing) == 4 {
		return nil, fmt.Errorf("%s: not a run directory: it has no %s or %s", dir, ResultsFile, MetricsFile)
	}
	return r, nil
}

// eachLine calls fn for every line of a JSONL file that is not blank. A last line without its line end that does not
// parse is what a killed run leaves behind, and is skipped.
func eachLine(path string, fn func(line []byte) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, 64<<10)
	for n := 1; ; n++ {
		line, readErr := readLine(r)
		if readErr != nil && readErr != io.EOF {
			return fmt.Errorf("%s:%d: %w", path, n, readErr)
		}
		if trimmed := bytes.TrimSpace(line); len(trimmed) > 0 {
			if err := fn(trimmed); err != nil && readErr != io.EOF {
				return fmt.Errorf("%s:%d: %w", path, n, err)
			}
		}
		if readErr == io.EOF {
			return nil
		}
	}
}

// readLine reads up to and with the next line end, but never more than maxLine bytes.
func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		if len(line)+len(part) > maxLine {
			return nil, fmt.Errorf("a line longer than %d MiB", maxLine>>20)
		}
		line = append(line, part...)
		if err != bufio.ErrBufferFull {
			return line, err
		}
	}
}
