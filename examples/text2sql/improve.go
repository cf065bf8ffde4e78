package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math"
	"slices"

	"github.com/hone-ml/hone/examples/text2sql/internal/data"
	"github.com/hone-ml/hone/examples/text2sql/internal/progress"
	"github.com/hone-ml/hone/examples/text2sql/internal/score"
	"github.com/hone-ml/hone/examples/text2sql/internal/sqlexec"
	"github.com/hone-ml/hone/examples/text2sql/internal/vote"
	"github.com/hone-ml/hone/models"
	"github.com/hone-ml/hone/tokenizer"
)

// improvement is what is made of a greedy answer with the help of the database: the flags of eval and ask.
type improvement struct {
	samples     int
	temperature float64
	repair      int

	count func(progress.Count) // told how far it is, if not nil
}

func (o *improvement) register(fs *flag.FlagSet) {
	fs.IntVar(&o.samples, "samples", 0, "sample `K` more answers a question, execute all, and take one whose rows most of them return (0: the greedy answer)")
	fs.Float64Var(&o.temperature, "temperature", 0.7, "of -samples: higher ones differ more")
	fs.IntVar(&o.repair, "repair", 0, "show a query that fails to the model with the database's message, up to `N` times, and take what runs")
}

func (o *improvement) check() error {
	switch {
	case o.samples < 0 || o.samples > 1000:
		return usagef("-samples is %d, want 0 to 1000", o.samples)
	case !(o.temperature > 0 && o.temperature <= 10):
		return usagef("-temperature is %g, want more than 0, and 10 at most", o.temperature)
	case o.repair < 0 || o.repair > 10:
		return usagef("-repair is %d, want 0 to 10", o.repair)
	}
	return nil
}

// improve makes better answers of the greedy ones, in place: first by vote, then by repairing what still fails.
func (o *improvement) improve(ctx context.Context, a *answerer, exec sqlexec.Executor, rows []data.Row, preds []data.Prediction, seed uint64) error {
	if o.samples > 0 {
		if err := o.vote(ctx, a, exec, rows, preds, seed); err != nil {
			return err
		}
	}
	for range o.repair {
		if err := o.mend(ctx, a, exec, rows, preds); err != nil {
			return err
		}
	}
	return nil
}

// vote samples answers and takes those that win by what they return; the greedy one is a candidate, too.
func (o *improvement) vote(ctx context.Context, a *answerer, exec sqlexec.Executor, rows []data.Row, preds []data.Prediction, seed uint64) error {
	candidates := make([][]string, len(rows))
	var asked []question
	for i, r := range rows {
		candidates[i] = []string{preds[i].SQL}
		prompt, err := a.format.prompt(r)
		if err != nil {
			return fmt.Errorf("row %s: %w", r.ID, err)
		}
		asked = append(asked, question{i, prompt})
	}
	err := a.generate(ctx, asked, models.Options{Temperature: o.temperature, Samples: o.samples, Seed: seed}, o.counting("sampling"), func(row int, text string) {
		candidates[row] = append(candidates[row], text)
	})
	if err != nil {
		return err
	}
	for i, r := range rows {
		choice, err := vote.On(ctx, exec, r.DBID, candidates[i])
		if err != nil {
			return err
		}
		preds[i].SQL = candidates[i][choice.Winner]
	}
	return nil
}

// mend asks once more about queries that do not run, and takes answers that do.
func (o *improvement) mend(ctx context.Context, a *answerer, exec sqlexec.Executor, rows []data.Row, preds []data.Prediction) error {
	// complain says why an answer is none, nil if it runs; err is that nothing can be known
	complain := func(row int, text string) (complaint, err error) {
		query, complaint := score.ExtractSQL(text)
		if complaint == nil {
			_, complaint = exec.Query(ctx, rows[row].DBID, query)
		}
		if errors.Is(complaint, sqlexec.ErrUnavailable) {
			return nil, complaint
		}
		return complaint, ctx.Err()
	}
	var asked []question
	for i, r := range rows {
		complaint, err := complain(i, preds[i].SQL)
		if err != nil {
			return err
		}
		if complaint == nil {
			continue
		}
		prompt, err := a.format.repair(r, preds[i].SQL, complaint.Error())
		if err != nil {
			return fmt.Errorf("row %s: %w", r.ID, err)
		}
		asked = append(asked, question{i, prompt})
	}
	second := map[int]string{}
	if err := a.generate(ctx, asked, models.Options{}, o.counting("repairing"), func(row int, text string) { second[row] = text }); err != nil {
		return err
	}
	for _, q := range asked {
		text, ok := second[q.row]
		if !ok {
			continue // too long to be asked
		}
		complaint, err := complain(q.row, text)
		if err != nil {
			return err
		}
		if complaint == nil {
			preds[q.row].SQL = text
		}
	}
	return nil
}

// A question is a prompt about a row.
type question struct {
	row    int
	prompt []int32
}

// counting is what tells how many of some questions are done.
func (o *improvement) counting(label string) func(done, total int) {
	if o.count == nil {
		return func(int, int) {}
	}
	return func(done, total int) { o.count(progress.Count{Label: label, Done: done, Total: total}) }
}

// generate answers questions, each as often as o.Samples says. Those that leave no room for an answer are left out.
func (a *answerer) generate(ctx context.Context, asked []question, o models.Options, count func(done, total int), told func(row int, text string)) error {
	limit := math.MaxInt
	if l, ok := a.model.(models.ContextLimited); ok {
		limit = l.MaxPositions()
	}
	asked = slices.DeleteFunc(asked, func(q question) bool { return len(q.prompt) >= limit })
	o.MaxTokens, o.Stop = a.most, a.format.stop()
	samples, done := max(o.Samples, 1), 0
	for group := range slices.Chunk(asked, max(together/samples, 1)) {
		prompts := make([][]int32, len(group))
		for i, q := range group {
			prompts[i] = q.prompt
		}
		ids, err := generateAll(ctx, a.model, prompts, o)
		if err != nil {
			return err
		}
		for i, answer := range ids {
			told(group[i/samples].row, a.tok.DecodeSkipSpecial(answer))
		}
		done += len(group)
		count(done, len(asked))
		o.Seed++ // the next group draws other numbers
	}
	return nil
}

// repair is the conversation so far, and what the database said.
func (c *chat) repair(row data.Row, answer, complaint string) ([]int32, error) {
	return c.t.EncodeChat([]tokenizer.Message{
		{Role: tokenizer.RoleUser, Content: promptText(row)},
		{Role: tokenizer.RoleAssistant, Content: answer},
		{Role: tokenizer.RoleUser, Content: fmt.Sprintf("The query fails: %s\nWrite the corrected query.", complaint)},
	}, tokenizer.ChatOptions{Template: c.template, AddGenerationPrompt: true, Thinking: tokenizer.ThinkingOff})
}

// repair asks the question once more behind the answer and what the database said.
func (c *compact) repair(row data.Row, answer, complaint string) ([]int32, error) {
	prompt, err := c.prompt(row)
	if err != nil {
		return nil, err
	}
	prompt = append(prompt, c.completion(answer)...)
	return c.ask(prompt, complaint+". "+row.Question), nil
}
