package main

import (
	"cmp"
	"flag"
	"strings"

	"github.com/hone-ml/hone/examples/text2sql/internal/report"
	"github.com/hone-ml/hone/tensor"
	"github.com/hone-ml/hone/train"
)

// trainFlags are the flags of train.
type trainFlags struct {
	common
	databases
	rowSource
	adapterFlags
	chat                    chatTemplate
	model, data, valid, out string
	config                  train.Config
	weightDecay             float64
	recompute, moments      string
	weights                 string
	gradients               string
	evalLimit, maxTokens    int
	recipe                  string
	plan                    bool
	skipFailing             bool
}

func (f *trainFlags) register(fs *flag.FlagSet) {
	f.common.register(fs)
	f.chat.register(fs)
	f.databases.register(fs)
	f.rowSource.register(fs)
	f.adapterFlags.register(fs)
	c := &f.config
	*c = train.Defaults()
	fs.StringVar(&f.recipe, "recipe", "", "JSON `FILE` of flags, such as RUN/recipe.json; those of the command line win")
	fs.BoolVar(&f.plan, "plan", false, "print the memory that a step will take and stop; the model's weights and -out are not needed")
	fs.StringVar(&f.model, "model", "", modelHelp)
	fs.StringVar(&f.data, "data", "", "`FILE` of rows to learn from: .jsonl, .json, .csv, .tsv or .parquet")
	fs.StringVar(&f.valid, "valid", "", "`FILE` of questions to measure the accuracy on")
	fs.StringVar(&f.out, "out", "", "run `DIR` to make")
	fs.IntVar(&c.Epochs, "epochs", c.Epochs, "times to go through the data; no limit if only -max-steps is given")
	fs.IntVar(&c.MaxSteps, "max-steps", 0, "steps at most (0: no limit)")
	fs.DurationVar(&c.MaxTime, "max-time", 0, "time at most, such as 10m, for training and the evaluations before, during and after it (0: no limit)")
	fs.IntVar(&c.Batch, "batch", c.Batch, "packed rows, or without packing samples, of a micro-batch")
	fs.IntVar(&c.Accum, "accum", c.Accum, "micro-batches of a step")
	fs.IntVar(&c.MaxLength, "max-length", c.MaxLength, "tokens of a row; longer samples are left out and counted")
	fs.Float64Var(&c.LR, "lr", c.LR, "learning rate")
	fs.StringVar(&c.Schedule, "schedule", c.Schedule, "of the learning rate: cosine, linear or constant")
	fs.Float64Var(&c.Warmup, "warmup", c.Warmup, "warm-up as a fraction of the steps")
	fs.Float64Var(&f.weightDecay, "weight-decay", 0.01, "decoupled weight decay of matrices")
	fs.Float64Var(&c.Clip, "clip", c.Clip, "largest gradient norm (0: no clipping)")
	fs.Float64Var(&c.Spike, "spike", c.Spike, "skip a step whose gradient norm is so many deviations above its moving mean (0: only one that is not finite)")
	fs.IntVar(&c.MaxSkipped, "max-skipped", 10, "stop when so many steps in a row were skipped")
	fs.BoolVar(&c.Packing, "packing", c.Packing, "fill rows with several samples, which do not see each other")
	fs.Float64Var(&c.PromptLoss, "prompt-loss", 0, "weight of the mean loss of the prompt's tokens")
	fs.StringVar(&f.recompute, "recompute", "selective", "what backward computes again to save memory: none, selective (all but products and attention) or block (whole layers)")
	fs.StringVar(&f.moments, "moments", "f32", "how the optimizer keeps its moments: f32, bf16 or 8bit")
	fs.StringVar(&f.weights, "weights", "f32", "how precisely bf16 parameters are trained: f32 (with 2 more bytes each), or bf16, rounded stochastically")
	fs.StringVar(&f.gradients, "gradients", "f32", "how gradients are kept: f32, or bf16 in half the memory")
	fs.IntVar(&c.EvalEvery, "eval-every", 0, "evaluate every so many steps (0: before and after only)")
	fs.IntVar(&c.SaveEvery, "save-every", 0, "save a checkpoint every so many steps (0: when interrupted only)")
	fs.IntVar(&c.Keep, "keep", c.Keep, "newest checkpoints to keep")
	fs.IntVar(&c.Patience, "patience", 0, "stop after so many evaluations without a better one (0: never)")
	fs.BoolVar(&c.Resume, "resume", false, "go on from the newest checkpoint of -out")
	fs.IntVar(&f.evalLimit, "eval-limit", 0, "evaluate on the first `N` questions of -valid only (0: all)")
	skipFailingFlag(fs, &f.skipFailing)
	fs.IntVar(&f.maxTokens, "max-tokens", 256, "longest answer in tokens, in evaluations")
}

// check finds wrong usage.
func (f *trainFlags) check(fs *flag.FlagSet) error {
	if err := cmp.Or(f.common.check(), f.chat.check(), f.rowSource.check()); err != nil {
		return err
	}
	if err := f.checkNames(); err != nil {
		return err
	}
	if f.gradients == "bf16" {
		f.config.Gradients = tensor.BF16
	}
	if err := cmp.Or(f.checkNumbers(fs), f.adapterFlags.check(fs, f.dtype)); err != nil {
		return err
	}
	if f.lora && !given(fs, "lr") {
		f.config.LR = 1e-4
	}
	switch {
	case f.valid != "" && !f.given() && !f.reader.IsChat(f.valid):
		return usagef("train: -valid needs -db-dir, the folder of its databases, or -dsn")
	case f.config.EvalEvery > 0 && f.valid == "":
		return usagef("train: -eval-every needs -valid")
	case f.config.Patience > 0 && f.config.EvalEvery == 0:
		return usagef("train: -patience needs -eval-every")
	}
	if f.given() {
		return f.databases.check()
	}
	return nil
}

func (f *trainFlags) checkNames() error {
	for _, one := range []struct {
		name, value string
		of          []string
	}{
		{"schedule", f.config.Schedule, []string{"cosine", "linear", "constant"}},
		{"recompute", f.recompute, []string{"none", "selective", "block"}},
		{"moments", f.moments, []string{"f32", "bf16", "8bit"}},
		{"weights", f.weights, []string{"f32", "bf16"}},
		{"gradients", f.gradients, []string{"f32", "bf16"}},
		{"base-dtype", f.baseDType, []string{"bf16", "q8", "q4"}},
	} {
		if err := oneOf(one.name, one.value, one.of...); err != nil {
			return err
		}
	}
	return nil
}

// checkNumbers finds numbers that make no sense, by the flags' own names.
func (f *trainFlags) checkNumbers(fs *flag.FlagSet) error {
	c := &f.config
	for _, n := range []struct {
		name  string
		ok    bool
		wants string
	}{
		{"epochs", c.Epochs >= 0, "0 or more"}, {"max-steps", c.MaxSteps >= 0, "0 or more"}, {"max-time", c.MaxTime >= 0, "0 or more"},
		{"batch", c.Batch >= 1, "1 or more"}, {"accum", c.Accum >= 1, "1 or more"},
		{"max-length", c.MaxLength >= 1 || c.MaxLength == 0 && !c.Packing, "1 or more"},
		{"lr", c.LR >= 0 && c.LR < 1e3, "0 or more"}, {"warmup", c.Warmup >= 0 && c.Warmup <= 1, "a fraction from 0 to 1"},
		{"weight-decay", f.weightDecay >= 0 && f.weightDecay < 1e3, "0 or more"}, {"clip", c.Clip >= 0 && c.Clip < 1e30, "0 or more"},
		{"spike", c.Spike >= 0 && c.Spike < 1e30, "0 or more"}, {"max-skipped", c.MaxSkipped >= 1, "1 or more"},
		{"prompt-loss", c.PromptLoss >= 0 && c.PromptLoss < 1e3, "0 or more"},
		{"eval-every", c.EvalEvery >= 0, "0 or more"}, {"save-every", c.SaveEvery >= 0, "0 or more"}, {"keep", c.Keep >= 0, "0 or more"},
		{"patience", c.Patience >= 0, "0 or more"},
		{"eval-limit", f.evalLimit >= 0, "0 or more"}, {"max-tokens", f.maxTokens >= 1, "1 or more"},
	} {
		if !n.ok {
			return usagef("train: -%s is %s, want %s", n.name, fs.Lookup(n.name).Value, n.wants)
		}
	}
	if c.Epochs == 0 && c.MaxSteps == 0 && c.MaxTime == 0 {
		return usagef("train: the run would never end: set -epochs, -max-steps or -max-time")
	}
	return nil
}

// changed reports whether a flag has another value than by default.
func changed(fs *flag.FlagSet, name string) bool {
	f := fs.Lookup(name)
	return f.Value.String() != f.DefValue
}

// given reports whether a flag was set, on the command line or by a recipe.
func given(fs *flag.FlagSet, name string) (ok bool) {
	fs.Visit(func(f *flag.Flag) { ok = ok || f.Name == name })
	return ok
}

// shownOptions are the flags that the report shows.
func shownOptions(fs *flag.FlagSet) (o []report.Option) {
	names := []string{"epochs", "max-steps", "max-time", "batch", "accum", "max-length", "lr", "schedule", "warmup", "weight-decay", "clip", "spike", "packing", "prompt-loss", "recompute", "moments", "weights", "gradients"}
	if fs.Lookup("lora").Value.String() == "true" {
		names = append(names, "lora", "rank", "alpha", "dropout", "targets", "base-dtype")
	}
	for _, name := range names {
		f := fs.Lookup(name)
		if v := f.Value.String(); v != "0" && v != "0s" {
			o = append(o, report.Option{Name: name, Value: v})
		}
	}
	return o
}

// shellCommand is a command line that a shell reads as these arguments.
func shellCommand(command string, args []string) string {
	words := []string{"text2sql", command}
	for _, a := range args {
		a = withoutPassword(a)
		if a == "" || strings.ContainsFunc(a, func(r rune) bool {
			return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=+./:,@%", r)
		}) {
			a = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
		words = append(words, a)
	}
	return strings.Join(words, " ")
}
