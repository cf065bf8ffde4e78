package main

import (
	"context"
	"flag"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hone-ml/hone/examples/text2sql/internal/progress"
	"github.com/hone-ml/hone/examples/text2sql/internal/report"
	"github.com/hone-ml/hone/models"
	"github.com/hone-ml/hone/nn"
	"github.com/hone-ml/hone/nn/lora"
	"github.com/hone-ml/hone/optim"
	"github.com/hone-ml/hone/tensor"
	"github.com/hone-ml/hone/tokenizer"
	"github.com/hone-ml/hone/train"
)

var trainCommand = command{
	name: "train", args: "-model DIR -data train.jsonl [-valid valid.jsonl -db-dir DIR | -dsn DSN] -out RUN", summary: "fine-tunes a model, or an adapter of it",
	help: "Ctrl-C saves a checkpoint and ends; -resume goes on from there. With -valid and -db-dir or -dsn the accuracy is\n" +
		"measured before and after. RUN then holds the model and report.html. With -lora it holds the adapter, as PEFT has it, and\n" +
		"-model RUN finds the model that it is of; export makes one model of both.",
	run: runTrain,
}

func runTrain(ctx context.Context, p *program, args []string) error {
	started := time.Now()
	var f trainFlags
	fs := flag.NewFlagSet("train", flag.ContinueOnError)
	f.register(fs)
	if rest, err := p.parse(fs, args); err != nil || len(rest) > 0 {
		return orUnexpected(err, rest)
	}
	if f.recipe != "" {
		if err := readRecipe(f.recipe, fs); err != nil {
			return err
		}
	}
	needed := []string{"model", "data", "out"}
	if f.plan {
		needed = needed[:2]
	}
	if err := required("train", fs, needed...); err != nil {
		return err
	}
	if err := f.check(fs); err != nil {
		return err
	}
	if f.config.MaxSteps > 0 && !given(fs, "epochs") {
		f.config.Epochs = 0 // the limit that was asked for is the end
	}
	dev, err := f.common.open(p)
	if err != nil {
		return err
	}
	name := f.model
	if f.model, err = p.findModel(ctx, f.model); err != nil {
		return err
	}
	if err := f.look(); err != nil {
		return err
	}
	line := p.newLine()
	defer line.Done()
	tok, err := models.LoadTokenizer(f.model)
	if err != nil {
		return err
	}
	form, err := f.chat.formatOf(tok)
	if err != nil {
		return err
	}
	if f.given() {
		if f.exec, err = f.databases.open(ctx); err != nil {
			return err
		}
		defer f.exec.Close() // only read
	}
	samples, seen, err := f.samples(ctx, form)
	if err != nil {
		return err
	}
	if f.valid == "" && f.given() && !f.asked {
		return usagef("train: -db-dir and -dsn are for the questions of -valid and for rows without a schema: there are neither")
	}
	if err := f.lengths(line, samples); err != nil {
		return err
	}
	footprint, err := f.predict(ctx, dev, tok, samples, name)
	if err != nil {
		return err
	}
	if f.plan {
		line.Done()
		return p.printPlan(footprint, f.json)
	}
	if err := fits(footprint); err != nil {
		return err
	}
	splits, err := f.validation(ctx, line, seen)
	if err != nil {
		return err
	}
	m, err := models.Load(f.model, models.LoadOptions{Device: dev, DType: f.parameterDType()})
	if err != nil {
		return err
	}
	if l, ok := m.(models.ContextLimited); ok && f.config.MaxLength > l.MaxPositions() {
		return fmt.Errorf("-max-length %d exceeds the %d positions that the model was made for (max_position_embeddings in its config.json)", f.config.MaxLength, l.MaxPositions())
	}
	endWith(m, form.stop()[0])
	adapter, opt, err := f.prepare(m, name)
	if err != nil {
		return err
	}
	keepRecipe := func() error { return writeRecipe(f.out, fs) }
	if !f.config.Resume {
		if err := keepRecipe(); err != nil {
			return err
		}
		keepRecipe = nil
	}
	s := session{program: p, maxTime: f.config.MaxTime, line: line, model: m, adapter: adapter, tok: tok, out: f.out, started: started, resumable: true, resumed: keepRecipe, splits: splits, footprint: footprint}
	s.answerer = newAnswerer(m, tok, form, f.maxTokens)
	showPreview(line, tok, samples[0])
	line.Log("memory: %s predicted (%s)", gibibytes(footprint.Total()), footprint.Parts())
	f.config.Seed, f.config.OutDir = f.seed, f.out
	s.about = report.About{
		Title: f.title(), Method: f.method(adapter), Seed: f.seed, Device: describeDevice(dev), Version: version(), Started: started,
		Model:   describeModel(filepath.Base(filepath.Clean(name)), m),
		Data:    report.Data{Description: filepath.Base(f.data), Train: len(samples), Databases: len(seen)},
		Command: shellCommand("train", args), Options: shownOptions(fs),
	}
	if err := s.run(ctx, train.Options{Model: m, Optimizer: opt, Data: samples, Config: f.config}); err != nil {
		return err
	}
	return s.finish(f.json)
}

// title is the report's.
func (f *trainFlags) title() string {
	if f.reader.IsChat(f.data) {
		return "Fine-tuning on conversations"
	}
	return "Fine-tuning for text-to-SQL"
}

// look refuses what the files' names and the config tell, before anything is read or taken.
func (f *trainFlags) look() error {
	if lora.Exists(f.model) {
		return fmt.Errorf("-model: %s holds an adapter; text2sql export -model %s -out DIR makes a model of it that can be trained on", f.model, f.model)
	}
	if err := checkModel(f.model); err != nil {
		return err
	}
	if err := checkNotModel(f.out, f.model); err != nil {
		return err
	}
	return checkRunDir(f.out, f.config.Resume, "-resume goes on with a run that was interrupted; otherwise choose another -out")
}

// prepare has the model recompute what -recompute says, puts the adapter on it that -lora asks for and makes its
// optimizer. name is what -model said.
func (f *trainFlags) prepare(m models.CausalLM, name string) (*lora.Adapter, optim.Optimizer, error) {
	if r, ok := m.(models.Recomputer); ok {
		what, err := tensor.ParseRecompute(f.recompute)
		if err != nil {
			return nil, nil, err
		}
		r.SetRecompute(what)
	}
	moments, err := optim.ParseMoments(f.moments)
	if err != nil {
		return nil, nil, err
	}
	weights, err := optim.ParseWeights(f.weights)
	if err != nil {
		return nil, nil, err
	}
	adapter, err := f.attach(m, name)
	if err != nil {
		return nil, nil, err
	}
	var opt optim.Optimizer
	err = tensor.Try(func() {
		opt = optim.NewAdamW(optim.Split(m.Parameters(), f.config.LR, f.weightDecay), optim.AdamWConfig{Moments: moments, Weights: weights})
	})
	return adapter, opt, err
}

// endWith has a model's generation_config.json name the token with which it learns to end an answer: other programs go
// by that file, and a base model's names the end of a text only.
func endWith(m models.CausalLM, end int32) {
	g, keeps := m.(models.GenerationConfigured)
	s, stops := m.(models.Stopper)
	if !keeps || !stops || slices.Contains(s.StopTokens(), end) {
		return
	}
	config := g.GenerationConfig()
	config.EOSTokenID = append(slices.Clone(s.StopTokens()), end)
	g.SetGenerationConfig(config)
}

// lengths tells which samples are longer than -max-length, and fails if none is left. Of a run of whole
// epochs train.Run tells how many there are.
func (f *trainFlags) lengths(line *progress.Line, samples train.Samples) error {
	var long []string
	longest := 0
	for _, s := range samples {
		longest = max(longest, len(s.Tokens))
		if f.config.MaxLength > 0 && len(s.Tokens) > f.config.MaxLength {
			long = append(long, s.ID)
		}
	}
	switch {
	case len(long) == len(samples):
		return fmt.Errorf("%s: every row has more than -max-length %d tokens, the longest %d: nothing is left to learn from; raise -max-length", f.data, f.config.MaxLength, longest)
	case len(long) > 0 && f.config.Epochs == 0:
		line.Log("%s of %d longer than -max-length %d left out: %s; the longest has %d tokens", plural(len(long), "row"), len(samples), f.config.MaxLength, few(long), longest)
	case len(long) > 0:
		line.Log("longer than -max-length %d: %s", f.config.MaxLength, few(long))
	}
	return nil
}

// few names the first of some things and says how many more there are.
func few(names []string) string {
	const shown = 5
	if len(names) <= shown {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:shown], ", "), len(names)-shown)
}

// validation prepares the questions of -valid; those on databases that training has not seen are scored
// by themselves, too.
func (f *trainFlags) validation(ctx context.Context, line *progress.Line, seen map[string]bool) (splits []*split, err error) {
	if f.valid == "" {
		return nil, nil
	}
	rows, err := f.read(ctx, f.valid, f.evalLimit, needs{schema: true, database: f.given()})
	if err != nil {
		return nil, err
	}
	all := &split{key: "valid", name: "validation questions", exam: examination{label: "validation", file: f.valid, rows: rows, exec: f.exec, skipFailing: f.skipFailing}}
	if err := all.exam.prepare(ctx, line); err != nil {
		return nil, err
	}
	rows = all.exam.rows
	splits = []*split{all}
	if all.exam.texts() || seen == nil {
		return splits, nil // which databases training has not seen is not known
	}
	part := &split{key: report.Unseen, name: "validation questions on unseen databases", note: "No row of the training data is about these databases.", of: all}
	for i, r := range rows {
		if !seen[r.DBID] {
			part.only = append(part.only, i)
		}
	}
	switch len(part.only) {
	case 0:
	case len(rows):
		all.noneSeen, all.note = true, part.note
	default:
		splits = append(splits, part)
	}
	return splits, nil
}

// samples tokenises the rows of -data and gathers their databases; nil if a row does not say which.
func (f *trainFlags) samples(ctx context.Context, form format) (train.Samples, map[string]bool, error) {
	rows, err := f.read(ctx, f.data, 0, needs{schema: true})
	if err != nil {
		return nil, nil, err
	}
	databases := map[string]bool{}
	samples := make(train.Samples, len(rows))
	for i, r := range rows {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		if samples[i], err = sample(form, r); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", f.data, err)
		}
		databases[r.DBID] = true
	}
	if databases[""] {
		databases = nil
	}
	return samples, databases, nil
}

// predict tells the memory of a step before any is taken.
func (f *trainFlags) predict(ctx context.Context, dev *tensor.Device, tok *tokenizer.Tokenizer, samples train.Samples, name string) (*train.Footprint, error) {
	build := func(dry *tensor.Device) (models.CausalLM, optim.Optimizer, error) {
		m, err := f.build(dry)
		if err != nil {
			return nil, nil, err
		}
		if err := checkVocabulary(f.model, tok, m); err != nil {
			return nil, nil, err
		}
		_, opt, err := f.prepare(m, name)
		return m, opt, err
	}
	return train.Predict(ctx, dev, build, samples, f.config)
}

// fits refuses what is too large.
func fits(footprint *train.Footprint) error {
	if err := footprint.Fits(); err != nil {
		return fmt.Errorf("%w (-batch, -max-length, -accum, -recompute, -dtype, -memory)", err)
	}
	return nil
}

// printPlan prints what a step will take, and whether that is there.
func (p *program) printPlan(f *train.Footprint, asJSON bool) error {
	err := fits(f)
	if asJSON {
		if printErr := p.printJSON(map[string]any{"predicted_bytes": f.Total(), "parameters": f.Parameters, "gradients": f.Gradients, "optimizer": f.Optimizer,
			"activations": f.Activations, "reserved_bytes": f.Reserved, "limit_bytes": f.Limit, "fits": err == nil}); printErr != nil {
			return printErr
		}
		return err
	}
	if _, printErr := fmt.Fprintf(p.stdout, "memory: %s predicted (%s)\n", gibibytes(f.Total()), f.Parts()); printErr != nil {
		return printErr
	}
	return err
}

// showPreview prints what the first sample trains on.
func showPreview(line *progress.Line, t *tokenizer.Tokenizer, s train.Sample) {
	if len(s.Completion) == 0 {
		return
	}
	c := s.Completion[len(s.Completion)-1]
	prompt := t.Decode(s.Tokens[:c.Start])
	line.Log("first sample: %d tokens, the loss is on %d: …%s⟦%s⟧", len(s.Tokens), withLoss(s),
		strings.ReplaceAll(prompt[max(0, len(prompt)-60):], "\n", "⏎"), strings.ReplaceAll(t.Decode(s.Tokens[c.Start:c.End]), "\n", "⏎"))
}

// describeModel is what the report says of a model.
func describeModel(name string, m models.CausalLM) report.Model {
	d := report.Model{Name: name, Vocab: m.Head().Dim(0), Width: m.Head().Dim(1), DType: m.Head().DType().String()}
	if s, ok := m.(models.Shaped); ok {
		shape := s.Shape()
		d.Layers, d.Heads, d.KVHeads = shape.Layers, shape.Heads, shape.KVHeads
	}
	return d
}

// parameters is the number of parameters of a model.
func parameters(m models.CausalLM) int64 { return int64(nn.Count(m.Parameters())) }
