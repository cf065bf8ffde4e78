package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hone-ml/hone/examples/text2sql/internal/progress"
	"github.com/hone-ml/hone/examples/text2sql/internal/report"
	"github.com/hone-ml/hone/models"
	"github.com/hone-ml/hone/models/qwen"
	"github.com/hone-ml/hone/nn"
	"github.com/hone-ml/hone/optim"
	"github.com/hone-ml/hone/tensor"
	"github.com/hone-ml/hone/tokenizer"
	"github.com/hone-ml/hone/train"
)

var trainCommand = command{
	name: "train", args: "-model DIR -data train.jsonl [-valid valid.jsonl -db-dir DIR] -out RUN", summary: "fine-tunes all parameters of a model",
	help: "Ctrl-C saves a checkpoint and ends; -resume goes on from there. With -valid and -db-dir the accuracy is\n" +
		"measured before and after. RUN then holds the model and report.html.",
	run: runTrain,
}

// trainFlags are the flags of train.
type trainFlags struct {
	common
	model, data, valid, dbDir, dsn, out string
	config                              train.Config
	weightDecay                         float64
	recompute, moments                  string
	lora                                bool
	evalLimit, maxTokens                int
	preview                             bool
}

func (f *trainFlags) register(fs *flag.FlagSet) {
	f.common.register(fs)
	c := &f.config
	*c = train.Defaults()
	fs.StringVar(&f.model, "model", "", "`DIR` of the model to start from")
	fs.StringVar(&f.data, "data", "", "JSONL `FILE` of rows to learn from")
	fs.StringVar(&f.valid, "valid", "", "JSONL `FILE` of questions to measure the accuracy on")
	fs.StringVar(&f.dbDir, "db-dir", "", "`DIR` of the databases of -valid, <db_id>.sqlite")
	fs.StringVar(&f.dsn, "dsn", "", "PostgreSQL server (not built yet)")
	fs.StringVar(&f.out, "out", "", "run `DIR` to make")
	fs.IntVar(&c.Epochs, "epochs", c.Epochs, "times to go through the data")
	fs.IntVar(&c.MaxSteps, "max-steps", 0, "steps at most (0: no limit)")
	fs.DurationVar(&c.MaxTime, "max-time", 0, "time at most, such as 10m (0: no limit)")
	fs.IntVar(&c.Batch, "batch", c.Batch, "packed rows, or without packing samples, of a micro-batch")
	fs.IntVar(&c.Accum, "accum", c.Accum, "micro-batches of a step")
	fs.IntVar(&c.MaxLength, "max-length", c.MaxLength, "tokens of a row; longer samples are left out and counted")
	fs.Float64Var(&c.LR, "lr", c.LR, "learning rate")
	fs.StringVar(&c.Schedule, "schedule", c.Schedule, "cosine, linear or constant")
	fs.Float64Var(&c.Warmup, "warmup", c.Warmup, "warm-up as a fraction of the steps")
	fs.Float64Var(&f.weightDecay, "weight-decay", 0.01, "decoupled weight decay of matrices")
	fs.Float64Var(&c.Clip, "clip", c.Clip, "largest gradient norm (0: no clipping)")
	fs.BoolVar(&c.Packing, "packing", c.Packing, "fill rows with several samples, which do not see each other")
	fs.Float64Var(&c.PromptLoss, "prompt-loss", 0, "weight of the mean loss of the prompt's tokens")
	fs.StringVar(&f.recompute, "recompute", "block", "what backward computes again: none or block (selective is not built yet)")
	fs.StringVar(&f.moments, "moments", "f32", "dtype of the moments: f32 (bf16 and 8bit are not built yet)")
	fs.IntVar(&c.EvalEvery, "eval-every", 0, "evaluate every so many steps (0: before and after only)")
	fs.IntVar(&c.SaveEvery, "save-every", 0, "save a checkpoint every so many steps (0: when interrupted only)")
	fs.IntVar(&c.Keep, "keep", c.Keep, "newest checkpoints to keep")
	fs.IntVar(&c.Patience, "patience", 0, "stop after so many evaluations without a better one (0: never)")
	fs.BoolVar(&c.Resume, "resume", false, "go on from the newest checkpoint of -out")
	fs.BoolVar(&f.lora, "lora", false, "train an adapter (not built yet)")
	fs.IntVar(&f.evalLimit, "eval-limit", 0, "evaluate on the first `N` questions of -valid only (0: all)")
	fs.IntVar(&f.maxTokens, "max-tokens", 256, "longest answer in tokens, in evaluations")
}

// check refuses what is not built, by name.
func (f *trainFlags) check() error {
	switch {
	case f.lora:
		return errors.New("-lora is not built yet; train fine-tunes all parameters")
	case f.dsn != "":
		return errors.New("-dsn: PostgreSQL is not built yet; use -db-dir with SQLite files")
	case f.valid != "" && f.dbDir == "":
		return usagef("train: -valid needs -db-dir, the folder of its databases")
	case f.config.EvalEvery > 0 && f.valid == "":
		return usagef("train: -eval-every needs -valid")
	}
	if err := oneOf("schedule", f.config.Schedule, "cosine", "linear", "constant"); err != nil {
		return err
	}
	if err := oneOf("recompute", f.recompute, "none", "block"); err != nil {
		return err
	}
	return oneOf("moments", f.moments, "f32")
}

func runTrain(ctx context.Context, p *program, args []string) error {
	started := time.Now()
	var f trainFlags
	fs := flag.NewFlagSet("train", flag.ContinueOnError)
	f.register(fs)
	if rest, err := p.parse(fs, args); err != nil || len(rest) > 0 {
		return orUnexpected(err, rest)
	}
	if err := required("train", fs, "model", "data", "out"); err != nil {
		return err
	}
	if err := f.check(); err != nil {
		return err
	}
	if f.config.MaxSteps > 0 && !given(fs, "epochs") {
		f.config.Epochs = 0 // the limit that was asked for is the end
	}
	dev, err := f.open()
	if err != nil {
		return err
	}
	tok, err := tokenizer.Load(f.model)
	if err != nil {
		return err
	}
	form, err := formatOf(tok)
	if err != nil {
		return err
	}
	samples, databases, err := readSamples(f.data, form)
	if err != nil {
		return err
	}
	if err := f.fits(dev); err != nil {
		return err
	}
	m, err := models.Load(f.model, models.LoadOptions{Device: dev, DType: f.dtypeFlag()})
	if err != nil {
		return err
	}
	if c, ok := m.(models.Checkpointer); ok {
		c.SetCheckpointing(f.recompute == "block")
	}
	opt := optim.NewAdamW(optim.Split(m.Parameters(), f.config.LR, f.weightDecay), optim.AdamWConfig{})

	line := p.newLine()
	defer line.Done()
	s := session{program: p, line: line, model: m, tok: tok, out: f.out, started: started, evalEvery: f.config.EvalEvery}
	if f.valid != "" {
		rows, err := readRows(f.valid, f.evalLimit)
		if err != nil {
			return err
		}
		exec, err := openDatabases(f.dbDir, f.dsn)
		if err != nil {
			return err
		}
		defer exec.Close()
		s.splits = []*split{{key: "valid", name: "validation questions", exam: examination{label: "validation", rows: rows, exec: exec}}}
		if s.answerer, err = newAnswerer(m, tok, f.maxTokens); err != nil {
			return err
		}
	}
	showPreview(line, tok, samples[0])
	f.config.Seed, f.config.OutDir = f.seed, f.out
	s.about = report.About{
		Title: "Fine-tuning for text-to-SQL", Method: "full fine-tune", Seed: f.seed, Device: describeDevice(dev), Version: version(), Started: started,
		Model:   describeModel(filepath.Base(filepath.Clean(f.model)), m),
		Data:    report.Data{Description: filepath.Base(f.data), Train: len(samples), Databases: databases},
		Command: "text2sql train " + strings.Join(args, " "), Options: shownOptions(fs),
	}
	err = s.run(ctx, train.Options{Model: m, Optimizer: opt, Data: samples, Config: f.config})
	if err != nil {
		return err
	}
	return s.finish(f.json)
}

// given reports whether a flag was set on the command line.
func given(fs *flag.FlagSet, name string) (ok bool) {
	fs.Visit(func(f *flag.Flag) { ok = ok || f.Name == name })
	return ok
}

// shownOptions are the flags that the report shows.
func shownOptions(fs *flag.FlagSet) (o []report.Option) {
	for _, name := range []string{"epochs", "max-steps", "batch", "accum", "max-length", "lr", "schedule", "warmup", "weight-decay", "clip", "packing", "recompute"} {
		o = append(o, report.Option{Name: name, Value: fs.Lookup(name).Value.String()})
	}
	return o
}

// readSamples tokenises a data set and counts its databases.
func readSamples(path string, f format) (train.Samples, int, error) {
	rows, err := readRows(path, 0)
	if err != nil {
		return nil, 0, err
	}
	databases := map[string]bool{}
	samples := make(train.Samples, len(rows))
	for i, r := range rows {
		if samples[i], err = sample(f, r); err != nil {
			return nil, 0, fmt.Errorf("%s: %w", path, err)
		}
		databases[r.DBID] = true
	}
	return samples, len(databases), nil
}

// fits refuses a model that is too large for the memory, before any is taken.
func (f *trainFlags) fits(dev *tensor.Device) error {
	raw, err := os.ReadFile(filepath.Join(f.model, "config.json"))
	if err != nil {
		return err
	}
	c, err := qwen.ParseConfig(raw)
	if err != nil {
		return nil // another architecture: Load has its own say
	}
	dt, err := models.DTypeOf(c.DType)
	if err != nil {
		return err
	}
	if d := f.dtypeFlag(); d != nil {
		dt = *d
	}
	e := train.EstimateMemory(train.MemoryPlan{
		Parameters: c.Parameters(), DType: dt, Tokens: f.config.Batch * f.config.MaxLength, Hidden: c.HiddenSize, Vocab: c.VocabSize,
		Activations: train.Decoder{Layers: c.NumHiddenLayers, Hidden: c.HiddenSize, Intermediate: c.IntermediateSize,
			Heads: c.NumAttentionHeads, KVHeads: c.NumKeyValueHeads, HeadDim: c.HeadDim, DType: dt},
		Checkpoint: f.recompute == "block",
	})
	return e.Fits(dev.Memory().Limit)
}

// showPreview prints what the first sample trains on.
func showPreview(line *progress.Line, t *tokenizer.Tokenizer, s train.Sample) {
	if len(s.Completion) == 0 {
		return
	}
	c := s.Completion[0]
	prompt := t.Decode(s.Tokens[:c.Start])
	line.Log("first sample: %d tokens, the loss is on %d: …%s⟦%s⟧", len(s.Tokens), c.End-c.Start,
		strings.ReplaceAll(prompt[max(0, len(prompt)-60):], "\n", "⏎"), strings.ReplaceAll(t.Decode(s.Tokens[c.Start:c.End]), "\n", "⏎"))
}

// describeModel is what the report says of a model.
func describeModel(name string, m models.CausalLM) report.Model {
	d := report.Model{Name: name, Vocab: m.Head().Dim(0), Width: m.Head().Dim(1), DType: m.Head().DType().String()}
	if q, ok := m.(*qwen.Model); ok {
		d.Layers, d.Heads, d.KVHeads = q.Config.NumHiddenLayers, q.Config.NumAttentionHeads, q.Config.NumKeyValueHeads
	}
	return d
}

// parameters is the number of parameters of a model.
func parameters(m models.CausalLM) int64 { return int64(nn.Count(m.Parameters())) }
