package nn

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/hone-ml/hone/tensor"
)

// Quantize makes the weight of every Linear of a module one of Q8_0 or Q4_0, which is frozen, and frees what it
// was: for inference, or under adapters. A weight that stands elsewhere in the module too, such as a head tied to
// the embedding, stays as it is, and so does everything else. If the rows of a weight are not whole blocks, or
// it is quantised already, the error names it, and nothing was changed. See Parameters for what a module is.
func Quantize(module any, dt tensor.DType) error {
	return quantize(module, dt, (*tensor.Tensor).CopyFrom)
}

// QuantizeEmpty is Quantize for a module whose parameters have no values yet, and neither do the blocks then: they
// are for what a file holds.
func QuantizeEmpty(module any, dt tensor.DType) error {
	return quantize(module, dt, func(blocks, weight *tensor.Tensor) {})
}

// quantize puts blocks in the place of weights, and has fill set them to these.
func quantize(module any, dt tensor.DType, fill func(blocks, weight *tensor.Tensor)) error {
	if !dt.IsQuantized() {
		return fmt.Errorf("nn: Quantize to %v, which has no blocks", dt)
	}
	f := linearFinder{uses: map[*tensor.Tensor]int{}}
	f.find("", reflect.ValueOf(module))
	f.linears = slices.DeleteFunc(f.linears, func(l namedLinear) bool { return f.uses[l.Weight] > 1 })
	for _, l := range f.linears {
		if !l.Weight.DType().IsFloat() {
			return fmt.Errorf("nn: %s is %v already", join(l.name, "weight"), l.Weight.DType())
		}
		if in := l.Weight.Dim(-1); in%dt.Block() != 0 {
			return fmt.Errorf("nn: %s has rows of %d elements, which are no whole blocks of %d", join(l.name, "weight"), in, dt.Block())
		}
	}
	for _, l := range f.linears {
		var blocks *tensor.Tensor
		err := tensor.Try(func() {
			blocks = tensor.Empty(l.Weight.Device(), dt, l.Weight.Shape()...)
			fill(blocks, l.Weight)
		})
		if err != nil {
			return fmt.Errorf("nn: quantising %s: %w", join(l.name, "weight"), err)
		}
		l.Weight.Free()
		l.Weight = blocks
	}
	return nil
}

type namedLinear struct {
	name string
	*Linear
}

// linearFinder gathers the Linears of a module and counts where each tensor is used.
type linearFinder struct {
	linears []namedLinear
	uses    map[*tensor.Tensor]int
}

func (f *linearFinder) find(name string, v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return
		}
		switch x := v.Interface().(type) {
		case *tensor.Tensor:
			f.uses[x]++
			return
		case *Linear:
			if x.Weight != nil && !slices.ContainsFunc(f.linears, func(l namedLinear) bool { return l.Linear == x }) {
				f.linears = append(f.linears, namedLinear{name, x})
			}
		}
		f.find(name, v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			if tag, ok := v.Type().Field(i).Tag.Lookup("param"); ok {
				f.find(join(name, tag), v.Field(i))
			}
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			f.find(element(name, i), v.Index(i))
		}
	}
}
