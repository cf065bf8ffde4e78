package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/hone-ml/hone/models"
	"github.com/hone-ml/hone/nn"
	"github.com/hone-ml/hone/nn/lora"
	"github.com/hone-ml/hone/tensor"
)

// adapterFlags are the flags of -lora.
type adapterFlags struct {
	lora      bool
	rank      int
	alpha     float64
	dropout   float64
	targets   string
	baseDType string
}

// baseDTypes are what -base-dtype takes.
var baseDTypes = map[string]tensor.DType{"bf16": tensor.BF16, "q8": tensor.Q8_0, "q4": tensor.Q4_0}

func (f *adapterFlags) register(fs *flag.FlagSet) {
	fs.BoolVar(&f.lora, "lora", false, "train an adapter of the model, which stays as it is, and write that (then -lr is 1e-4 by default)")
	fs.IntVar(&f.rank, "rank", 16, "rank of the adapter, with -lora")
	fs.Float64Var(&f.alpha, "alpha", 32, "scale of the adapter times its rank, with -lora")
	fs.Float64Var(&f.dropout, "dropout", 0, "dropout before the adapter, with -lora")
	fs.StringVar(&f.targets, "targets", lora.AllLinear, "layers that get an adapter, with -lora: "+lora.AllLinear+", or names such as q_proj,v_proj")
	fs.StringVar(&f.baseDType, "base-dtype", "bf16", "dtype of the frozen weights, with -lora: bf16, q8 (Q8_0) or q4 (Q4_0)")
}

// check finds flags that do not go together.
func (f *adapterFlags) check(fs *flag.FlagSet, dtype string) error {
	if !f.lora {
		for _, name := range []string{"rank", "alpha", "dropout", "targets", "base-dtype"} {
			if changed(fs, name) {
				return usagef("train: -%s is for -lora, which is not given", name)
			}
		}
		return nil
	}
	switch {
	case dtype != "" && changed(fs, "base-dtype"):
		return usagef("train: -dtype and -base-dtype exclude each other: with -lora both are the dtype of the frozen weights")
	case f.rank < 1:
		return usagef("train: -rank is %d, want 1 or more", f.rank)
	case !(f.alpha > 0 && f.alpha < 1e6):
		return usagef("train: -alpha is %g, want more than 0", f.alpha)
	case !(f.dropout >= 0 && f.dropout < 1):
		return usagef("train: -dropout is %g, want at least 0 and less than 1", f.dropout)
	}
	return nil
}

// config is that of the adapter of a model, which is a path or ORG/NAME.
func (f *adapterFlags) config(model string) (lora.Config, error) {
	c := lora.Config{Rank: f.rank, Alpha: f.alpha, Dropout: f.dropout, Targets: strings.Split(f.targets, ","), Base: model, Task: "CAUSAL_LM"}
	if _, err := os.Stat(model); err != nil {
		c.Base, c.Revision, _ = strings.Cut(model, "@") // ORG/NAME[@REVISION]; PEFT wants them apart
		return c, nil
	}
	path, err := filepath.Abs(model)
	c.Base = path
	return c, err
}

// parameterDType is the dtype in which the model that is trained is loaded, nil for its own.
func (f *trainFlags) parameterDType() *tensor.DType {
	if f.lora && f.dtype == "" {
		return new(baseDTypes[f.baseDType])
	}
	return f.dtypeFlag()
}

// build makes the model that is trained, without values.
func (f *trainFlags) build(dev *tensor.Device) (models.CausalLM, error) {
	dt := f.parameterDType()
	if dt == nil || !dt.IsQuantized() {
		return models.Build(f.model, models.LoadOptions{Device: dev, DType: dt})
	}
	m, err := models.Build(f.model, models.LoadOptions{Device: dev})
	if err != nil {
		return nil, err
	}
	return m, nn.QuantizeEmpty(m, *dt)
}

// attach puts the adapter on the model that is trained; nil without -lora. name is what -model said.
func (f *trainFlags) attach(m models.CausalLM, name string) (*lora.Adapter, error) {
	if !f.lora {
		return nil, nil
	}
	c, err := f.adapterFlags.config(name)
	if err != nil {
		return nil, err
	}
	a, err := lora.Attach(m, c, tensor.NewRand(f.seed))
	if err != nil {
		return nil, fmt.Errorf("-targets: %w", err)
	}
	return a, nil
}

// method is what the report says of how the model was trained.
func (f *trainFlags) method(a *lora.Adapter) string {
	if a == nil {
		return "full fine-tune"
	}
	return fmt.Sprintf("LoRA of rank %d on weights in %s", f.rank, a.BaseDType())
}

// source is where a model comes from: a folder or a file, or an adapter and the model that it is of.
type source struct {
	path    string // of the model
	adapter string // its folder, or ""
}

// findSource is the source that -model names.
func (p *program) findSource(ctx context.Context, name string) (s source, err error) {
	if s.path, err = p.findModel(ctx, name); err != nil {
		return s, err
	}
	if lora.Exists(s.path) {
		s.adapter = s.path
		c, err := lora.ReadConfig(s.adapter)
		if err != nil {
			return s, err
		}
		if c.Base == "" {
			return s, fmt.Errorf("-model: the adapter in %s does not say of which model it is; add base_model_name_or_path to its %s", s.adapter, lora.ConfigFile)
		}
		base := c.Base
		if _, err := os.Stat(base); err != nil && c.Revision != "" {
			base += "@" + c.Revision
		}
		if s.path, err = p.findModel(ctx, base); err != nil {
			return s, fmt.Errorf("%w: it is the base of the adapter in %s, by base_model_name_or_path in its %s", err, s.adapter, lora.ConfigFile)
		}
		if lora.Exists(s.path) {
			return s, fmt.Errorf("-model: %s, the base of the adapter in %s, is an adapter itself", s.path, s.adapter)
		}
	}
	return s, checkModel(s.path)
}

// tokenizer is the folder or file with the tokenizer: the adapter's own if it has one.
func (s source) tokenizer() string {
	if s.adapter != "" {
		if _, err := os.Stat(filepath.Join(s.adapter, "tokenizer.json")); err == nil {
			return s.adapter
		}
	}
	return s.path
}

// load loads the model. Without a dtype the base of an adapter has the one in which the adapter was trained.
func (s source) load(dev *tensor.Device, dtype *tensor.DType) (models.CausalLM, error) {
	if s.adapter != "" && dtype == nil {
		dt, known, err := lora.BaseDType(s.adapter)
		if err != nil {
			return nil, err
		}
		if known {
			dtype = &dt
		}
	}
	m, err := models.Load(s.path, models.LoadOptions{Device: dev, DType: dtype})
	if err == nil && s.adapter != "" {
		_, err = lora.Load(m, s.adapter)
	}
	return m, err
}

// loadMerged loads the model with its adapter, if there is one, made part of the weights, whose dtype is the base's
// own unless one is given.
func (s source) loadMerged(dev *tensor.Device, dtype *tensor.DType) (models.CausalLM, error) {
	m, err := models.Load(s.path, models.LoadOptions{Device: dev, DType: dtype})
	if err != nil || s.adapter == "" {
		return m, err
	}
	a, err := lora.Load(m, s.adapter)
	if err != nil {
		return nil, err
	}
	ids := make([]int32, 32)
	for i := range ids {
		ids[i] = int32(i * 7919 % m.Head().Dim(0)) // from all over the vocabulary
	}
	if l, ok := m.(models.ContextLimited); ok {
		ids = ids[:min(len(ids), l.MaxPositions())]
	}
	return m, a.Merge(func(s *tensor.Scope) *tensor.Tensor {
		return tensor.Linear(m.Hidden(models.Batch{IDs: tensor.FromSlice(s, ids, 1, len(ids))}, nil), m.Head(), nil)
	})
}
