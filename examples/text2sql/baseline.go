package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hone-ml/hone/examples/text2sql/internal/chatapi"
	"github.com/hone-ml/hone/examples/text2sql/internal/data"
	"github.com/hone-ml/hone/examples/text2sql/internal/progress"
)

var baselineCommand = command{
	name: "baseline", args: "-url URL -model NAME -data FILE -out FILE", summary: "asks another model, behind an OpenAI-compatible endpoint, the same questions",
	help: "The prompt is the one that this program trains with. The answers are predictions for score and compare;\n" +
		"after an interruption the same command goes on from there. The key comes from the environment.",
	run: runBaseline,
}

// baselineSystem is what a model that was not trained for it is told.
const baselineSystem = "Answer with one SQL query and nothing else."

func runBaseline(ctx context.Context, p *program, args []string) error {
	var c common
	fs := flag.NewFlagSet("baseline", flag.ContinueOnError)
	c.register(fs)
	var client chatapi.Client
	fs.StringVar(&client.URL, "url", "", "`URL` of the endpoint up to /v1, such as https://api.openai.com/v1")
	fs.StringVar(&client.Model, "model", "", "`NAME` of the model there")
	file := fs.String("data", "", "`FILE` of questions")
	out := fs.String("out", "", "`FILE` of predictions to write, a line an answer")
	keyEnv := fs.String("key-env", "OPENAI_API_KEY", "environment `VARIABLE` that holds the key; it may be empty")
	limit := fs.Int("limit", 0, "ask the first `N` questions only (0: all)")
	workers := fs.Int("concurrency", 4, "requests at a time")
	rpm := fs.Float64("rpm", 0, "requests a minute at most (0: no limit)")
	temperature := fs.Float64("temperature", 0, "of sampling; below 0 it is not sent, for models that refuse it")
	fs.IntVar(&client.MaxTokens, "max-tokens", 0, "longest answer in tokens (0: not sent)")
	fs.IntVar(&client.Retries, "retries", 6, "of a request that fails for now")
	fs.DurationVar(&client.Timeout, "timeout", 2*time.Minute, "of a request")
	var dbs databases
	dbs.register(fs)
	var source rowSource
	source.register(fs)
	system := fs.String("system", baselineSystem, "system message (\"\": none)")
	if rest, err := p.parse(fs, args); err != nil || len(rest) > 0 {
		return orUnexpected(err, rest)
	}
	if err := required("baseline", fs, "url", "model", "data", "out"); err != nil {
		return err
	}
	if err := cmp.Or(c.check(), source.check()); err != nil {
		return err
	}
	if *workers < 1 || *rpm < 0 || client.Retries < 0 || client.MaxTokens < 0 || *limit < 0 {
		return usagef("baseline: -concurrency must be 1 or more, -rpm, -retries, -max-tokens and -limit 0 or more")
	}
	if *temperature >= 0 {
		client.Temperature = temperature
	}
	client.Key, client.Wait = os.Getenv(*keyEnv), time.Second
	if err := client.Check(); err != nil {
		return usageError{err}
	}
	if dbs.given() {
		exec, err := dbs.open(ctx)
		if err != nil {
			return err
		}
		defer exec.Close()
		source.exec = exec
	}
	rows, err := source.read(ctx, *file, *limit, needs{schema: true})
	if err != nil {
		return err
	}
	for _, r := range rows {
		if len(r.Tools) > 0 {
			return fmt.Errorf("%s: row %s has tools, which are not sent to endpoints", *file, r.ID)
		}
	}
	if rows[0].IsChat() && !given(fs, "system") {
		*system = "" // the default one is about SQL
	}
	answers, err := openAnswers(*out)
	if err != nil {
		return fmt.Errorf("-out: %w", err)
	}
	b := &baseline{client: &client, system: *system, answers: answers, line: p.newLine(), total: len(rows), temperature: *temperature}
	if *rpm > 0 {
		b.pace = time.Duration(float64(time.Minute) / *rpm)
	}
	client.Retrying = b.retrying
	defer b.line.Done()
	err = b.run(ctx, rows, *workers)
	if closeErr := answers.done(); closeErr != nil {
		err = errors.Join(err, closeErr)
	}
	b.line.Done()
	if err != nil {
		if ctx.Err() != nil {
			err = errors.New("interrupted")
		}
		return fmt.Errorf("%w; %s in %s, and the same command goes on from there", err, plural(int(b.done.Load()), "answer"), *out)
	}
	return p.printBaseline(b, *out, c.json)
}

// A baseline asks the questions of a data set.
type baseline struct {
	client  *chatapi.Client
	system  string
	answers *answerFile
	line    *progress.Line
	total   int
	pace    time.Duration // between the beginnings of two requests

	temperature float64

	mu   sync.Mutex
	next time.Time // when a request may begin
	told time.Time // when it was last said that the endpoint is waited for

	done, cut, empty  atomic.Int64
	prompt, completed atomic.Int64 // tokens
}

// run asks what has no answer yet. The first error ends it.
func (b *baseline) run(ctx context.Context, rows []data.Row, workers int) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var taken atomic.Int64
	var wg sync.WaitGroup
	for range min(workers, len(rows)) {
		wg.Go(func() {
			for i := int(taken.Add(1)) - 1; i < len(rows) && ctx.Err() == nil; i = int(taken.Add(1)) - 1 {
				if err := b.ask(ctx, rows[i]); err != nil {
					cancel(err)
				}
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// ask gets one answer, unless it is there.
func (b *baseline) ask(ctx context.Context, row data.Row) error {
	var messages []chatapi.Message
	if b.system != "" {
		messages = append(messages, chatapi.Message{Role: "system", Content: b.system})
	}
	for _, m := range promptMessages(row) {
		messages = append(messages, chatapi.Message{Role: m.Role, Content: m.Content})
	}
	asked, err := json.Marshal(messages)
	if err != nil {
		return err
	}
	of := digest([]byte(b.client.URL), []byte(b.client.Model), fmt.Append(nil, b.client.MaxTokens, b.temperature), asked)
	_, known, err := b.answers.answer(row.ID, of)
	if err != nil {
		return err
	}
	if !known {
		if err := b.takeTurn(ctx); err != nil {
			return err
		}
		a, err := b.client.Ask(ctx, messages)
		if err != nil {
			return fmt.Errorf("question %q: %w", row.ID, err)
		}
		b.prompt.Add(int64(a.PromptTokens))
		b.completed.Add(int64(a.CompletionTokens))
		if a.Finish == "length" {
			b.cut.Add(1)
		}
		if a.Text == "" {
			b.empty.Add(1)
		}
		b.answers.add(answerLine{row.ID, a.Text, of})
		if err := b.answers.failed(); err != nil {
			return err
		}
	}
	b.line.Count(progress.Count{Label: "asking", Done: int(b.done.Add(1)), Total: b.total})
	return nil
}

// retryNotice is how often it is said at most that the endpoint is waited for.
const retryNotice = 10 * time.Second

// retrying says why the endpoint is waited for.
func (b *baseline) retrying(err error, in time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if now := time.Now(); now.Sub(b.told) >= retryNotice {
		b.told = now
		b.line.Log("%s; asking again in %s", oneLine(err), in.Round(time.Second/10))
	}
}

// takeTurn waits until the next request may begin.
func (b *baseline) takeTurn(ctx context.Context) error {
	if b.pace == 0 {
		return nil
	}
	b.mu.Lock()
	at := b.next
	if now := time.Now(); at.Before(now) {
		at = now
	}
	b.next = at.Add(b.pace)
	b.mu.Unlock()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Until(at)):
		return nil
	}
}

// printBaseline says what was asked and what it took.
func (p *program) printBaseline(b *baseline, out string, asJSON bool) error {
	if asJSON {
		return p.printJSON(map[string]any{"n": b.total, "out": out, "cut_off": b.cut.Load(), "empty": b.empty.Load(),
			"prompt_tokens": b.prompt.Load(), "completion_tokens": b.completed.Load()})
	}
	_, err := fmt.Fprintf(p.stdout, "%s in %s, %d cut off, %d empty; %d tokens of prompts and %d of answers now\n",
		plural(b.total, "answer"), out, b.cut.Load(), b.empty.Load(), b.prompt.Load(), b.completed.Load())
	return err
}
