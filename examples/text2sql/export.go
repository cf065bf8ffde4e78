package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/hone-ml/hone/models"
	"github.com/hone-ml/hone/tensor"
	"github.com/hone-ml/hone/tokenizer"
)

var exportCommand = command{
	name: "export", args: "-model MODEL -out FILE.gguf|DIR", summary: "writes a model for llama.cpp, or as a folder",
	help: "A .gguf file holds the tokenizer and its chat template, too. A folder holds what transformers reads; a model that was a\n" +
		".gguf file becomes one that can be fine-tuned elsewhere. An adapter, such as a run of train -lora, becomes part of the weights\n" +
		"of the model that it is of, in that model's dtype or that of -dtype; whether the logits stay the same is checked.",
	run: runExport,
}

// exportTypes are what -type takes.
var exportTypes = map[string]tensor.DType{"f32": tensor.F32, "f16": tensor.F16, "bf16": tensor.BF16, "q8": tensor.Q8_0, "q4": tensor.Q4_0}

func runExport(ctx context.Context, p *program, args []string) error {
	var c common
	flags := flag.NewFlagSet("export", flag.ContinueOnError)
	c.register(flags)
	model := flags.String("model", "", modelHelp)
	out := flags.String("out", "", "`FILE` to write, which ends in .gguf, or folder to make")
	kind := flags.String("type", "", "of the matrices of a .gguf file: f32, f16, bf16, q8 (Q8_0) or q4 (Q4_0) (default: the model's own)")
	if rest, err := p.parse(flags, args); err != nil || len(rest) > 0 {
		return orUnexpected(err, rest)
	}
	if err := required("export", flags, "model", "out"); err != nil {
		return err
	}
	file := strings.EqualFold(filepath.Ext(*out), ".gguf")
	o := models.GGUFOptions{}
	if *kind != "" {
		if err := oneOf("type", *kind, "f32", "f16", "bf16", "q8", "q4"); err != nil {
			return err
		}
		if !file {
			return usagef("export: -type is for .gguf files; a folder's parameters are converted with -dtype")
		}
		o.DType = new(exportTypes[*kind])
	}
	dev, err := c.open(p)
	if err != nil {
		return err
	}
	from, err := p.findSource(ctx, *model)
	if err != nil {
		return err
	}
	if err := cmp.Or(checkNotModel(*out, from.path), checkNotModel(*out, from.adapter)); err != nil {
		return err
	}
	if holdsModel(*out) {
		return fmt.Errorf("%s holds a model already; choose another -out", *out)
	}
	if o.Tokenizer, err = models.LoadTokenizer(from.tokenizer()); err != nil {
		return err
	}
	m, err := from.loadMerged(dev, c.dtypeFlag())
	if err != nil {
		return err
	}
	if from.adapter != "" { // it learned to end as the template does, of which the base may know nothing
		if form, err := formatOf(o.Tokenizer, tokenizer.TemplateAuto); err == nil {
			endWith(m, form.stop()[0])
		}
	}
	if file {
		err = models.SaveGGUF(*out, m, o)
	} else if err = models.Save(*out, m); err == nil {
		err = o.Tokenizer.Save(*out)
	}
	if err != nil {
		return err
	}
	if c.json {
		return p.printJSON(map[string]string{"out": *out})
	}
	_, err = fmt.Fprintln(p.stdout, *out)
	return err
}
