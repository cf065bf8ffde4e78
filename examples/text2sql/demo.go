package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"iter"
	"path/filepath"
	"time"

	"github.com/hone-ml/hone/examples/text2sql/internal/data"
	"github.com/hone-ml/hone/examples/text2sql/internal/demodata"
	"github.com/hone-ml/hone/examples/text2sql/internal/nearest"
	"github.com/hone-ml/hone/examples/text2sql/internal/report"
	"github.com/hone-ml/hone/examples/text2sql/internal/score"
	"github.com/hone-ml/hone/models"
	"github.com/hone-ml/hone/models/qwen"
	"github.com/hone-ml/hone/optim"
	"github.com/hone-ml/hone/tensor"
	"github.com/hone-ml/hone/tokenizer"
	"github.com/hone-ml/hone/train"
)

var demoCommand = command{
	name: "demo", args: "[-out RUN]", summary: "makes data, trains a small model from scratch, and reports (the default)",
	help: "It needs nothing but this program, and under three minutes on two cores.", run: runDemo,
}

// The demo's recipe: a small model and many steps, Muon on matrices, and loss on the prompt too, from
// which copying of names and numbers forms.
const (
	demoVocab   = 1024
	demoTurns   = 1 // questions that share a schema in a sample
	demoSamples = 15000
	demoBatch   = 12
	demoMuonLR  = 0.03
	demoAdamLR  = 5e-3
)

// demoModel is the model's shape.
func demoModel(vocab int, eos int32) qwen.Config {
	return qwen.Config{
		VocabSize: vocab, HiddenSize: 128, IntermediateSize: 384, NumHiddenLayers: 4, NumAttentionHeads: 4, NumKeyValueHeads: 2, HeadDim: 32,
		MaxPositionEmbeddings: 512, RMSNormEps: 1e-6, RopeTheta: 1e4, TieWordEmbeddings: true, DType: "float32", EOSTokenID: []int32{eos},
	}
}

func runDemo(ctx context.Context, p *program, args []string) error {
	started := time.Now()
	var c common
	fs := flag.NewFlagSet("demo", flag.ContinueOnError)
	c.register(fs)
	out := fs.String("out", "", "run `DIR` to make (default: runs/demo-<time>)")
	maxTime := fs.Duration("max-time", 160*time.Second, "time for training at most")
	maxSteps := fs.Int("max-steps", 2200, "steps at most")
	evalLimit := fs.Int("eval-limit", 0, "ask the first `N` questions of each kind only (0: all)")
	if rest, err := p.parse(fs, args); err != nil || len(rest) > 0 {
		return orUnexpected(err, rest)
	}
	if *maxSteps < 1 || *maxTime <= 0 || *evalLimit < 0 {
		return usagef("demo: -max-steps and -max-time must be above 0, -eval-limit not below")
	}
	if *out == "" {
		*out = filepath.Join("runs", "demo-"+started.Format("20060102-150405"))
	}
	if err := c.check(); err != nil {
		return err
	}
	if err := checkRunDir(*out, false, "choose another -out"); err != nil {
		return err
	}
	if c.dtype == "bf16" {
		return errors.New("the demo trains in f32; -dtype bf16 is for train")
	}
	dev, err := c.open(p)
	if err != nil {
		return err
	}
	line := p.newLine()
	defer line.Done()
	line.Log("making data: databases, questions and their SQL, seed %d", c.seed)
	d, err := demodata.New(ctx, demodata.Options{Seed: c.seed})
	if err != nil {
		return err
	}
	tok, err := demoTokenizer(d)
	if err != nil {
		return err
	}
	form, ok := newCompact(tok)
	if !ok {
		return errors.New("the tokenizer lacks its control tokens")
	}
	exec, err := d.Executor()
	if err != nil {
		return err
	}
	defer exec.Close()

	m, err := qwen.New(demoModel(tok.VocabSize(), form.end), dev)
	if err != nil {
		return err
	}
	m.InitFanIn(tensor.NewRand(c.seed))
	s := session{program: p, line: line, model: m, tok: tok, out: *out, started: started, answerer: &answerer{model: m, tok: tok, format: form, most: 96}}
	heldOut := &split{key: "held_out", name: "held-out questions on seen schemas",
		note: "Databases that training knows; no query of training differs from these in its literals only."}
	unseen := &split{key: report.Unseen, name: "questions on unseen schemas",
		note: "Databases whose tables training never names."}
	for sp, examples := range map[*split][]demodata.Example{heldOut: d.HeldOut, unseen: d.OnUnseen} {
		if *evalLimit > 0 {
			examples = examples[:min(*evalLimit, len(examples))]
		}
		rows, err := d.Rows(examples)
		if err != nil {
			return err
		}
		sp.exam = examination{label: sp.name, rows: rows, exec: exec}
		sp.families, sp.schemas = map[string]string{}, map[string]string{}
		for _, e := range examples {
			sp.families[e.ID], sp.schemas[e.ID] = e.Family, e.Schema
		}
	}
	s.splits = []*split{heldOut, unseen}
	line.Log("a Qwen3 of %d parameters, %d tokens of vocabulary, on %s", parameters(m), tok.VocabSize(), describeDevice(dev))
	if err := s.baseline(ctx, d); err != nil {
		return err
	}
	opt := demoOptimizer(m)
	stream := &demoStream{d, form, *maxSteps * demoBatch}
	config := train.Config{
		MaxSteps: *maxSteps, MaxTime: *maxTime, Epochs: 1, Batch: demoBatch, Accum: 1, Sequential: true, PromptLoss: 1, LR: demoMuonLR,
		Schedule: "linear", WarmupSteps: 60, Floor: 0.02, FollowTime: true, Seed: c.seed, OutDir: *out,
	}
	if s.footprint, err = train.Predict(ctx, dev, func(dry *tensor.Device) (models.CausalLM, optim.Optimizer, error) {
		m, err := qwen.New(m.Config, dry)
		if err != nil {
			return nil, nil, err
		}
		return m, demoOptimizer(m), nil
	}, stream, config); err != nil {
		return err
	}
	s.about = report.About{
		Title: "A small Qwen3 learns SQL from scratch", Method: "trained from scratch", Seed: c.seed, Device: describeDevice(dev), Version: version(), Started: started,
		Model:   describeModel("A small Qwen3", m),
		Data:    report.Data{Description: "made by the program: questions over databases of its own and over schemas invented on the spot", Databases: len(d.Seen)},
		Command: shellCommand("demo", args),
		Options: []report.Option{{Name: "optimizer", Value: fmt.Sprintf("Muon %g on matrices, AdamW %g on the rest", demoMuonLR, demoAdamLR)},
			{Name: "batch", Value: fmt.Sprintf("%d conversations of %d questions", demoBatch, demoTurns)}, {Name: "schedule", Value: "linear, 60 steps of warm-up"}},
	}
	err = s.run(ctx, train.Options{Model: m, Optimizer: opt, Data: stream, Config: config})
	if err != nil {
		return err
	}
	s.about.Data.Train = s.result.Step * demoBatch * demoTurns
	return s.finish(c.json)
}

// demoOptimizer is Muon for the matrices, AdamW for embeddings and norms.
func demoOptimizer(m *qwen.Model) optim.Optimizer {
	var matrices, others []*tensor.Tensor
	for _, p := range m.Parameters() {
		if p.Rank() == 2 && p != m.Head() {
			matrices = append(matrices, p)
		} else {
			others = append(others, p)
		}
	}
	return optim.Join(
		optim.NewMuon([]optim.Group{{Params: matrices, LR: demoMuonLR, WeightDecay: 0.05}}, optim.MuonConfig{}),
		optim.NewAdamW([]optim.Group{{Params: others, LR: demoAdamLR}}, optim.AdamWConfig{Beta2: 0.98}))
}

// demoTokenizer learns a small vocabulary from the training stream.
func demoTokenizer(d *demodata.Demo) (*tokenizer.Tokenizer, error) {
	var texts iter.Seq[string] = func(yield func(string) bool) {
		for i := range demoSamples {
			c := d.Conversation(i, 1)
			if !yield(c.Schema) || !yield(" "+c.Turns[0].Question) || !yield(" "+c.Turns[0].SQL) {
				return
			}
		}
	}
	return tokenizer.Train(texts, tokenizer.TrainOptions{
		VocabSize: demoVocab, MinFrequency: 3, Pattern: tokenizer.PatternQwen2Plural, EOS: tokenEnd, Pad: tokenEnd,
		AddedTokens: tokenizer.ControlTokens(tokenEnd, tokenQuestion, tokenAnswer),
	})
}

// demoStream is the training stream as samples: a schema and several questions about it.
type demoStream struct {
	demo *demodata.Demo
	form *compact
	n    int
}

func (s *demoStream) Len() int { return s.n }

func (s *demoStream) Sample(i int) (train.Sample, error) {
	c := s.demo.Conversation(i, demoTurns)
	out := train.Sample{Tokens: s.form.t.EncodeOrdinary(c.Schema)}
	for _, turn := range c.Turns {
		out.Tokens = s.form.ask(out.Tokens, turn.Question)
		start := len(out.Tokens)
		out.Tokens = append(out.Tokens, s.form.completion(turn.SQL)...)
		out.Completion = append(out.Completion, train.Span{Start: start, End: len(out.Tokens)})
	}
	return out, nil
}

// baseline scores the SQL of the nearest training question.
func (s *session) baseline(ctx context.Context, d *demodata.Demo) error {
	index := nearest.New(trainingEntries(d))
	for _, sp := range s.splits {
		preds := make([]data.Prediction, len(sp.exam.rows))
		for i, r := range sp.exam.rows {
			preds[i] = data.Prediction{ID: r.ID, SQL: index.Answer(r.DBID, sp.schemas[r.ID], r.Question)}
		}
		var err error
		if sp.baseline, _, err = score.Evaluate(ctx, sp.exam.exec, sp.exam.rows, preds, score.Options{Golds: &sp.exam.golds}); err != nil {
			return err
		}
	}
	return nil
}

// trainingEntries are the questions that the baseline knows.
func trainingEntries(d *demodata.Demo) []nearest.Entry {
	entries := make([]nearest.Entry, 0, demoSamples*demoTurns)
	for i := range demoSamples {
		c := d.Conversation(i, demoTurns)
		for _, t := range c.Turns {
			entries = append(entries, nearest.Entry{DBID: c.DBID, Schema: c.Schema, Question: t.Question, SQL: t.SQL})
		}
	}
	return entries
}
