package nn

import (
	"fmt"
	"path"

	"github.com/hone-ml/hone/tensor"
)

// Freeze makes parameters of a module constants: no gradient is computed for them, and NewGrads passes them
// over. It takes those whose name matches one of the patterns, all of them if none is given. A pattern is
// path.Match's, in which * stands for any characters, dots included: "embed.*", "layers.[0-5].*.weight".
// The error names a pattern that is malformed or matches nothing; nothing is changed then. (torch's
// requires_grad_.)
func Freeze(module any, patterns ...string) error { return setTrainable(module, false, patterns) }

// Unfreeze makes parameters of a module trainable, chosen as in Freeze. A quantised one cannot be trained:
// the error names it, and nothing is changed.
func Unfreeze(module any, patterns ...string) error { return setTrainable(module, true, patterns) }

func setTrainable(module any, on bool, patterns []string) error {
	op := "Freeze"
	if on {
		op = "Unfreeze"
	}
	chosen := map[*tensor.Tensor]string{}
	matched := make([]bool, len(patterns))
	first, n := "", 0
	for e := range entriesOf(op, module) { // a tied parameter has several names
		if e.kind != "param" {
			continue
		}
		if n++; n == 1 {
			first = e.name
		}
		take := len(patterns) == 0
		for i, p := range patterns {
			ok, err := path.Match(p, e.name)
			if err != nil {
				return fmt.Errorf("nn: %s: pattern %q is malformed: see path.Match", op, p)
			}
			matched[i] = matched[i] || ok
			take = take || ok
		}
		if take {
			chosen[e.tensor] = e.name
		}
	}
	for i, p := range patterns {
		if !matched[i] {
			return fmt.Errorf("nn: %s: pattern %q matches none of the %d parameters, of which the first is %q", op, p, n, first)
		}
	}
	for t, name := range chosen {
		if on && !t.DType().IsFloat() {
			return fmt.Errorf("nn: %s: %s is %v, which cannot be trained", op, name, t.DType())
		}
	}
	for t := range chosen {
		if t.Trainable() != on {
			t.SetTrainable(on)
		}
	}
	return nil
}
