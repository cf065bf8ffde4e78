// Package nn is what models are made of: layers, losses, initialisers, and functions that walk the parameters
// of a model, freeze, count, list, save and load them.
//
// A module is a plain struct. Its parameters are the fields tagged with their names in checkpoints:
//
//	type MLP struct {
//		Up   *nn.Linear `param:"up_proj"`
//		Down *nn.Linear `param:"down_proj"`
//	}
//
// Parameters walks them: here "up_proj.weight" and "down_proj.weight". What a module keeps that is not
// trained, such as running statistics, is tagged `buffer:"name"`; Buffers walks those, State both.
//
// NewX makes a layer whose parameters have no values yet: load them, draw each with an Init, or have
// Initialize draw all of them as PyTorch does. Layers that tell training from evaluation ask the scope of their
// input, see tensor.Scope.Training.
//
// Losses here are of numbers, distributions and vectors; those of classes, tensor.CrossEntropy with
// weights, smoothing and ignored targets, tensor.NLL, and tensor.LinearCrossEntropy, which is fused with
// the head, are in package tensor.
//
// Layers may be used by several goroutines at once, each with a scope of its own, while nobody changes their
// parameters; BatchNorm in training and a KVCache are the exceptions. What does not fit panics with a
// *tensor.Error that names the layer and the shapes.
package nn

import (
	"fmt"
	"iter"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/hone-ml/hone/tensor"
)

// A Layer computes one tensor from another. Modules hold Layers where other people may put their own,
// such as an adapter in the place of a Linear.
type Layer interface {
	Forward(x *tensor.Tensor) *tensor.Tensor
}

// Parameters walks the parameters of a module: the fields tagged `param:"name"` of the struct that module
// points to, in the order of declaration. A tagged *tensor.Tensor is a parameter; a tagged struct,
// pointer, interface or slice is walked, its name and index joined by dots, or the index put in the place of
// a # in the name; `param:""` adds no name. The module may itself be a slice, such as a Sequential. Nil fields
// and functions are skipped. A tensor that occurs twice, such as a tied embedding,
// comes once, under its first name. It panics if module is nothing of this, if a tag
// stands on a field that cannot hold parameters, or if two tensors have one name.
func Parameters(module any) iter.Seq2[string, *tensor.Tensor] {
	return tensors("Parameters", module, "param")
}

// Buffers walks what a module keeps and saves beside its parameters: the tensors tagged `buffer:"name"`,
// such as the running statistics of a BatchNorm, named and found as those of Parameters.
func Buffers(module any) iter.Seq2[string, *tensor.Tensor] {
	return tensors("Buffers", module, "buffer")
}

// State walks parameters and buffers, in the order of declaration: what Save writes.
func State(module any) iter.Seq2[string, *tensor.Tensor] {
	return tensors("State", module, "param", "buffer")
}

// tensors walks the tensors whose tag is one of kinds, each once.
func tensors(op string, module any, kinds ...string) iter.Seq2[string, *tensor.Tensor] {
	all := entriesOf(op, module)
	return func(yield func(string, *tensor.Tensor) bool) {
		seen := map[*tensor.Tensor]bool{}
		for e := range all {
			if seen[e.tensor] || !slices.Contains(kinds, e.kind) {
				continue
			}
			seen[e.tensor] = true
			if !yield(e.name, e.tensor) {
				return
			}
		}
	}
}

// moduleValue is the struct or slice that module is or points to.
func moduleValue(op string, module any) reflect.Value {
	v := reflect.ValueOf(module)
	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		v = v.Elem()
	}
	if v.Kind() != reflect.Struct && v.Kind() != reflect.Slice {
		panic(fmt.Sprintf("nn: %s of %T: a module is a struct or a slice of layers, or a pointer to one", op, module))
	}
	return v
}

// place is where in a module the walker is: a field, or an element of one.
type place struct {
	name  string
	kind  string       // the field's tag: "param" or "buffer"
	owner reflect.Type // the struct that declares the field
}

// entry is a tensor at its place. A tied tensor has several.
type entry struct {
	place
	tensor *tensor.Tensor
}

// entriesOf walks every tagged tensor of a module, tied ones at each of their places.
func entriesOf(op string, module any) iter.Seq[entry] {
	v := moduleValue(op, module)
	return func(yield func(entry) bool) {
		w := walker{names: map[string]*tensor.Tensor{}, yield: yield}
		w.walk(place{}, v)
	}
}

type walker struct {
	names map[string]*tensor.Tensor
	yield func(entry) bool
}

var tensorType = reflect.TypeFor[*tensor.Tensor]()

// walk visits v, which stands at a place, and reports whether to go on.
func (w *walker) walk(at place, v reflect.Value) bool {
	switch {
	case v.Type() == tensorType:
		t := v.Interface().(*tensor.Tensor)
		if t == nil {
			return true
		}
		if other := w.names[at.name]; other != nil && other != t {
			panic(fmt.Sprintf("nn: two parameters are called %q", at.name))
		}
		w.names[at.name] = t
		return w.yield(entry{at, t})
	case v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface:
		return v.IsNil() || w.walk(at, v.Elem())
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			kind, tag, ok := tagOf(f)
			if !ok {
				continue
			}
			if !f.IsExported() {
				panic(fmt.Sprintf("nn: field %s of %s has a %s tag but is not exported", f.Name, v.Type(), kind))
			}
			if !w.walk(place{join(at.name, tag), kind, v.Type()}, v.Field(i)) {
				return false
			}
		}
		return true
	case v.Kind() == reflect.Slice || v.Kind() == reflect.Array:
		for i := range v.Len() {
			if !w.walk(place{element(at.name, i), at.kind, at.owner}, v.Index(i)) {
				return false
			}
		}
		return true
	case v.Kind() == reflect.Func: // a Func among layers
		return true
	}
	panic(fmt.Sprintf("nn: %s is a %s, which holds no parameters", at.name, v.Type()))
}

// tagOf is the kind of a field's tag and the name in it.
func tagOf(f reflect.StructField) (kind, name string, ok bool) {
	for _, kind := range []string{"param", "buffer"} {
		if name, ok := f.Tag.Lookup(kind); ok {
			return kind, name, true
		}
	}
	return "", "", false
}

// join puts a field's name behind that of the module it is in.
func join(prefix, name string) string {
	switch {
	case name == "":
		return prefix
	case prefix == "":
		return name
	}
	return prefix + "." + name
}

// element is the name of element i of a slice.
func element(name string, i int) string {
	if before, after, ok := strings.Cut(name, "#"); ok {
		return before + strconv.Itoa(i) + after
	}
	return join(name, strconv.Itoa(i))
}

// Count is the number of elements of all parameters.
func Count(params iter.Seq2[string, *tensor.Tensor]) int {
	n := 0
	for _, p := range params {
		n += p.Len()
	}
	return n
}
