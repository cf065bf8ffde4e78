package lora

import (
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/hone-ml/hone/nn"
	"github.com/hone-ml/hone/tensor"
)

// Adapter is the adapters of one module.
type Adapter struct {
	config Config
	module any
	layers []named[*Linear]
}

type named[L any] struct {
	name  string
	layer L
}

// Attach puts adapters on the linear layers of a module that c.Targets name, and freezes everything else. The same r
// gives the same A. The error names a target that no layer matches, or a layer that has an adapter already;
// then nothing was changed. See nn.Parameters for what a module is, and nn.Replace for where layers can have one.
func Attach(module any, c Config, r *tensor.Rand) (*Adapter, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	bases, err := targets(module, c.Targets)
	if err != nil {
		return nil, err
	}
	a := &Adapter{config: c, module: module}
	a.config.Targets = slices.Clone(c.Targets)
	put := map[string]*Linear{}
	if err := tensor.Try(func() {
		for _, b := range bases {
			l := NewLinear(b.layer, c, r)
			a.layers = append(a.layers, named[*Linear]{b.name, l})
			put[b.name] = l
		}
	}); err != nil {
		return nil, fmt.Errorf("lora: %w", err)
	}
	if err := nn.Freeze(module); err != nil {
		return nil, err
	}
	nn.Replace(module, func(name string, _ nn.Layer) (nn.Layer, bool) {
		l := put[name]
		return l, l != nil
	})
	return a, nil
}

// targets are the linear layers that can have an adapter and match one of some targets.
func targets(module any, wanted []string) (found []named[*nn.Linear], err error) {
	matched := map[string]bool{}
	var kinds []string // the last words of the names that could have been meant
	nn.Replace(module, func(name string, l nn.Layer) (nn.Layer, bool) {
		switch l := l.(type) {
		case *Linear:
			err = fmt.Errorf("lora: %s has an adapter already", name)
			return nil, false
		case *nn.Linear:
			if kind := name[strings.LastIndexByte(name, '.')+1:]; !slices.Contains(kinds, kind) {
				kinds = append(kinds, kind)
			}
			take := false
			for _, target := range wanted {
				if target == AllLinear || name == target || strings.HasSuffix(name, "."+target) {
					matched[target], take = true, true
				}
			}
			if take {
				found = append(found, named[*nn.Linear]{name, l})
			}
		}
		return nil, false
	})
	if err != nil {
		return nil, err
	}
	for _, target := range wanted {
		if !matched[target] {
			if len(kinds) == 0 {
				return nil, fmt.Errorf("lora: target %q matches no layer: %T has no linear layer in a field of type nn.Layer", target, module)
			}
			return nil, fmt.Errorf("lora: target %q matches no linear layer that can have an adapter; there are %s", target, strings.Join(kinds, ", "))
		}
	}
	return found, nil
}

// Config is that of the adapters.
func (a *Adapter) Config() Config {
	c := a.config
	c.Targets = slices.Clone(c.Targets)
	return c
}

// Parameters walks A and B of every layer by the names that they have in the module:
// "model.layers.0.self_attn.q_proj.lora_A.weight". They are all that is trainable.
func (a *Adapter) Parameters() iter.Seq2[string, *tensor.Tensor] {
	return func(yield func(string, *tensor.Tensor) bool) {
		for _, l := range a.layers {
			if !yield(l.name+".lora_A.weight", l.layer.A) || !yield(l.name+".lora_B.weight", l.layer.B) {
				return
			}
		}
	}
}

// BaseDType is the dtype of the weights that the adapters stand beside.
func (a *Adapter) BaseDType() tensor.DType { return a.layers[0].layer.Base.Weight.DType() }
