package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/hone-ml/hone/models"
	"github.com/hone-ml/hone/models/qwen"
	"github.com/hone-ml/hone/tensor"
	"github.com/hone-ml/hone/tokenizer"
)

var initCommand = command{
	name: "init", args: "-config FILE|qwen3-0.6b -out DIR", summary: "makes a model directory with random weights, for timing and tests",
	help: "The config is a config.json, or the name of a released size. The tokenizer is copied from -tokenizer.", run: runInit,
}

func runInit(_ context.Context, p *program, args []string) error {
	var c common
	flags := flag.NewFlagSet("init", flag.ContinueOnError)
	c.register(flags)
	config := flags.String("config", "", "config.json `FILE`, or one of "+strings.Join(sizes(), ", "))
	out := flags.String("out", "", "`DIR` to make")
	tok := flags.String("tokenizer", "", "`DIR`, tokenizer.json or .gguf file whose tokenizer goes with the model")
	if rest, err := p.parse(flags, args); err != nil || len(rest) > 0 {
		return orUnexpected(err, rest)
	}
	if err := required("init", flags, "config", "out"); err != nil {
		return err
	}
	dev, err := c.open(p)
	if err != nil {
		return err
	}
	raw, err := configOf(*config)
	if err != nil {
		return err
	}
	if info, err := os.Stat(*out); err == nil && !info.IsDir() {
		return fmt.Errorf("-out: %s is a file; name a folder to make", *out)
	}
	if holdsModel(*out) {
		return fmt.Errorf("%s holds a model already; choose another -out", *out)
	}
	m, err := models.BuildConfig(raw, models.LoadOptions{Device: dev, DType: c.dtypeFlag()})
	if err != nil {
		return fmt.Errorf("%s: %w", *config, err)
	}
	var t *tokenizer.Tokenizer
	if *tok != "" {
		if t, err = models.LoadTokenizer(*tok); err != nil {
			return err
		}
		if n, vocab := t.VocabSize(), m.Head().Dim(0); n > vocab {
			return fmt.Errorf("%s has %d tokens, the model's vocab_size is %d", *tok, n, vocab)
		}
	}
	drawn, ok := m.(interface{ Init(*tensor.Rand) })
	if !ok {
		return fmt.Errorf("%s: %T does not say how its weights are drawn", *config, m)
	}
	if err := tensor.Try(func() { drawn.Init(tensor.NewRand(c.seed)) }); err != nil {
		return err
	}
	if err := models.Save(*out, m); err != nil {
		return err
	}
	if t != nil {
		if err := t.Save(*out); err != nil {
			return err
		}
	}
	dtype := map[tensor.DType]string{tensor.F32: "float32", tensor.BF16: "bfloat16", tensor.F16: "float16", tensor.F64: "float64"}[m.Head().DType()]
	if c.json {
		return p.printJSON(map[string]any{"out": *out, "parameters": parameters(m), "dtype": dtype})
	}
	fmt.Fprintf(p.stdout, "%s: %d parameters, %s\n", *out, parameters(m), dtype)
	if t == nil {
		fmt.Fprintf(p.stdout, "It has no tokenizer: copy tokenizer.json and tokenizer_config.json there, or give -tokenizer.\n")
	}
	return nil
}

// configOf is the config.json of a released size, or of a file.
func configOf(name string) ([]byte, error) {
	if c, ok := qwen.Sizes[name]; ok {
		return c.JSON()
	}
	raw, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, usagef("-config %q is neither a file nor one of %s", name, strings.Join(sizes(), ", "))
	}
	if err != nil {
		return nil, fmt.Errorf("-config: %w", err)
	}
	return raw, nil
}

// sizes are the names of the released models.
func sizes() []string {
	var names []string
	for name := range qwen.Sizes {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return qwenSize(a) - qwenSize(b) })
	return names
}

func qwenSize(name string) int { c := qwen.Sizes[name]; return c.NumHiddenLayers*1<<16 + c.HiddenSize }
