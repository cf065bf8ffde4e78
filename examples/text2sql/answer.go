package main

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/hone-ml/hone/examples/text2sql/internal/data"
	"github.com/hone-ml/hone/examples/text2sql/internal/progress"
	"github.com/hone-ml/hone/examples/text2sql/internal/score"
	"github.com/hone-ml/hone/examples/text2sql/internal/sqlexec"
	"github.com/hone-ml/hone/models"
	"github.com/hone-ml/hone/tensor"
	"github.com/hone-ml/hone/tokenizer"
	"github.com/hone-ml/hone/train"
)

// answerer turns questions into SQL.
type answerer struct {
	model  models.CausalLM
	tok    *tokenizer.Tokenizer
	format format
	most   int // tokens of an answer

	kept *answerFile // answers as they come, and of an earlier run, or nil
	name string      // with kept: digest of the model
}

func newAnswerer(m models.CausalLM, t *tokenizer.Tokenizer, f format, most int) *answerer {
	return &answerer{model: m, tok: t, format: f, most: most}
}

// together is how many questions are answered at a time.
const together = 64

// answer gives the model's whole output for each row, greedily. Rows whose prompt leaves no room for an
// answer among the model's positions are answered with nothing, and counted.
func (a *answerer) answer(ctx context.Context, rows []data.Row, told func(done int)) (preds []data.Prediction, tooLong int, err error) {
	type item struct {
		row    int
		prompt []int32
		of     string // digest, with kept
	}
	limit := math.MaxInt
	if l, ok := a.model.(models.ContextLimited); ok {
		limit = l.MaxPositions()
	}
	out := make([]data.Prediction, len(rows))
	items := make([]item, 0, len(rows))
	done := 0
	for i, r := range rows {
		p, err := a.format.prompt(r)
		if err != nil {
			return nil, 0, fmt.Errorf("row %s: %w", r.ID, err)
		}
		out[i].ID = r.ID
		if len(p) >= limit {
			tooLong++
			done++
			continue
		}
		it := item{row: i, prompt: p}
		if a.kept != nil {
			it.of = a.digest(p)
			sql, known, err := a.kept.answer(r.ID, it.of)
			if err != nil {
				return nil, 0, err
			}
			if known {
				out[i].SQL = sql
				done++
				continue
			}
		}
		items = append(items, it)
	}
	if done > 0 {
		told(done)
	}
	// those of a length together: they end at about the same time
	slices.SortStableFunc(items, func(x, y item) int { return cmp.Compare(len(x.prompt), len(y.prompt)) })
	for group := range slices.Chunk(items, together) {
		prompts := make([][]int32, len(group))
		for i, it := range group {
			prompts[i] = it.prompt
		}
		ids, err := generateAll(ctx, a.model, prompts, models.Options{MaxTokens: a.most, Stop: a.format.stop()})
		if err != nil {
			return nil, 0, err
		}
		for i, it := range group {
			out[it.row].SQL = a.tok.DecodeSkipSpecial(ids[i])
			if a.kept != nil {
				a.kept.add(answerLine{out[it.row].ID, out[it.row].SQL, it.of})
			}
		}
		if a.kept != nil {
			if err := a.kept.failed(); err != nil {
				return nil, 0, err
			}
		}
		done += len(group)
		told(done)
	}
	return out, tooLong, nil
}

// generateAll continues prompts together or, where the memory does not suffice for that, by halves of the prompts, and of
// the samples of one.
func generateAll(ctx context.Context, m models.CausalLM, prompts [][]int32, o models.Options) ([][]int32, error) {
	ids, err := models.GenerateAll(ctx, m, prompts, o)
	if _, oom := errors.AsType[*tensor.OOMError](err); !oom || len(prompts) == 1 && o.Samples <= 1 {
		return ids, err
	}
	front, back, rest := prompts, prompts, o
	if half := len(prompts) / 2; half > 0 {
		front, back = prompts[:half], prompts[half:]
	} else {
		o.Samples /= 2
		rest.Samples -= o.Samples
	}
	first, err := generateAll(ctx, m, front, o)
	if err != nil {
		return nil, err
	}
	rest.Seed += uint64(len(first)) << 32 // other numbers than the first half's and its halves'
	second, err := generateAll(ctx, m, back, rest)
	return append(first, second...), err
}

// loss is the mean loss of the rows' answers, in nats a token. Rows longer than the model's positions are left out;
// if none is left it is nil.
func (a *answerer) loss(ctx context.Context, rows []data.Row) (*float64, error) {
	limit := math.MaxInt
	if l, ok := a.model.(models.ContextLimited); ok {
		limit = l.MaxPositions()
	}
	var samples train.Samples
	for _, r := range rows {
		s, err := sample(a.format, r)
		if err != nil {
			return nil, err
		}
		if len(s.Tokens) <= limit {
			samples = append(samples, s)
		}
	}
	if len(samples) == 0 {
		return nil, nil
	}
	l, err := train.Loss(ctx, a.model, samples, train.Config{Batch: 1})
	if err != nil {
		return nil, err
	}
	return &l.Completion, nil
}

// digest names the model, the limit and the prompt of an answer.
func (a *answerer) digest(prompt []int32) string {
	tokens := make([]byte, 0, 4*len(prompt))
	for _, id := range prompt {
		tokens = binary.LittleEndian.AppendUint32(tokens, uint32(id))
	}
	return digest([]byte(a.name), []byte(strconv.Itoa(a.most)), tokens)
}

// examination is a set of questions with the databases that decide about answers.
type examination struct {
	label string
	file  string // where the rows come from, for errors
	rows  []data.Row
	exec  sqlexec.Executor
	golds score.Golds

	skipFailing bool // leave rows out whose gold queries fail
	skipped     int  // rows that were
}

// texts reports whether the rows are conversations, whose answers are compared as texts.
func (e *examination) texts() bool { return e.rows[0].IsChat() }

// prepare runs the gold queries, so that a missing database, a query that fails or a row of another
// dialect is found before any question is answered. Their results are kept.
func (e *examination) prepare(ctx context.Context, line *progress.Line) error {
	_, _, err := e.score(ctx, nil)
	if err == nil || ctx.Err() != nil {
		return err
	}
	if golds, ok := errors.AsType[score.GoldError](err); ok && e.skipFailing {
		if kept := golds.Without(e.rows); len(kept) > 0 {
			line.Log("%s: %s left out: %v", e.file, plural(len(golds), "question"), golds)
			e.rows, e.skipped = kept, len(golds)
			return nil
		}
	}
	return fmt.Errorf("%s: %w", e.file, withGoldAdvice(err))
}

// withGoldAdvice says what can be done where err is about gold queries that fail.
func withGoldAdvice(err error) error {
	if _, ok := errors.AsType[score.GoldError](err); ok {
		return fmt.Errorf("%w (data check names the lines of all; -skip-failing-golds leaves such questions out)", err)
	}
	return err
}

// skipFailingFlag is the flag that leaves rows out whose gold queries fail.
func skipFailingFlag(fs *flag.FlagSet, skip *bool) {
	fs.BoolVar(skip, "skip-failing-golds", false, "leave out the questions whose gold queries fail, and count them, instead of refusing them")
}

// examine answers all questions and scores the answers.
func (e *examination) examine(ctx context.Context, a *answerer, line *progress.Line) (*score.Summary, []score.Item, error) {
	preds, err := e.ask(ctx, a, line)
	if err != nil {
		return nil, nil, err
	}
	summary, items, err := e.score(ctx, preds)
	if err == nil && e.texts() {
		summary.Loss, err = a.loss(ctx, e.rows)
	}
	return summary, items, err
}

// ask answers all questions.
func (e *examination) ask(ctx context.Context, a *answerer, line *progress.Line) ([]data.Prediction, error) {
	line.Count(progress.Count{Label: e.label, Total: len(e.rows)})
	preds, tooLong, err := a.answer(ctx, e.rows, func(done int) {
		line.Count(progress.Count{Label: e.label, Done: done, Total: len(e.rows)})
	})
	if err != nil {
		return nil, err
	}
	if tooLong > 0 {
		line.Log("%s, with the schema, are too long for the model and count as wrong", plural(tooLong, "question"))
	}
	return preds, nil
}

// score compares predictions with the golds by what they return.
func (e *examination) score(ctx context.Context, preds []data.Prediction) (*score.Summary, []score.Item, error) {
	if e.texts() {
		return score.Texts(e.rows, preds)
	}
	summary, items, err := score.Evaluate(ctx, e.exec, e.rows, preds, score.Options{Golds: &e.golds})
	if err == nil {
		summary.SkippedGolds = e.skipped
	}
	return summary, items, err
}

// percent is an accuracy with its interval.
func percent(s *score.Summary) string {
	return fmt.Sprintf("%.1f %% (95 %% interval %.1f to %.1f, n = %d)", 100*s.Accuracy(), 100*s.CI95[0], 100*s.CI95[1], s.N)
}

// told is an accuracy with its interval and, of texts, its name and the loss.
func told(s *score.Summary) string {
	if !s.IsText() {
		return percent(s)
	}
	text := s.AccuracyName() + " " + percent(s)
	if s.Loss != nil {
		text += fmt.Sprintf(", loss %.4f", *s.Loss)
	}
	return text
}
