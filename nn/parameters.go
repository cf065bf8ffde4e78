// Package nn is the layers, initialisers and parameter walking that models are made of.
//
// A module is a plain struct. Its parameters are the fields tagged with their names in checkpoints:
//
//	type MLP struct {
//		Up   *nn.Linear `param:"up_proj"`
//		Down *nn.Linear `param:"down_proj"`
//	}
//
// Parameters walks them: here "up_proj.weight" and "down_proj.weight".
package nn

import (
	"fmt"
	"iter"
	"reflect"
	"strconv"

	"github.com/hone-ml/hone/tensor"
)

// A Layer computes one tensor from another. Modules hold Layers where other people may put their own,
// such as an adapter in the place of a Linear.
type Layer interface {
	Forward(x *tensor.Tensor) *tensor.Tensor
}

// Parameters walks the parameters of a module: the fields tagged `param:"name"` of the struct that module
// points to, in the order of declaration. A tagged *tensor.Tensor is a parameter; a tagged struct,
// pointer, interface or slice is walked, its name and index joined by dots;
// `param:""` adds no name. Nil fields are skipped. A tensor that occurs twice, such as a tied embedding,
// comes once, under its first name. It panics if module is not a struct or a pointer to one, if a tag
// stands on a field that cannot hold parameters, or if two tensors have one name.
func Parameters(module any) iter.Seq2[string, *tensor.Tensor] {
	v := reflect.ValueOf(module)
	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		v = v.Elem()
	}
	if v.Kind() != reflect.Struct {
		panic(fmt.Sprintf("nn: Parameters of %T: a module is a struct or a pointer to one", module))
	}
	return func(yield func(string, *tensor.Tensor) bool) {
		w := walker{seen: map[*tensor.Tensor]bool{}, names: map[string]bool{}, yield: yield}
		w.walk("", v)
	}
}

type walker struct {
	seen  map[*tensor.Tensor]bool
	names map[string]bool
	yield func(string, *tensor.Tensor) bool
}

var tensorType = reflect.TypeFor[*tensor.Tensor]()

// walk visits v, which is named by prefix, and reports whether to go on.
func (w *walker) walk(prefix string, v reflect.Value) bool {
	switch {
	case v.Type() == tensorType:
		t := v.Interface().(*tensor.Tensor)
		if t == nil || w.seen[t] {
			return true
		}
		if w.names[prefix] {
			panic(fmt.Sprintf("nn: two parameters are called %q", prefix))
		}
		w.seen[t], w.names[prefix] = true, true
		return w.yield(prefix, t)
	case v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface:
		return v.IsNil() || w.walk(prefix, v.Elem())
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			tag, ok := f.Tag.Lookup("param")
			if !ok {
				continue
			}
			if !f.IsExported() {
				panic(fmt.Sprintf("nn: field %s of %s has a param tag but is not exported", f.Name, v.Type()))
			}
			if !w.walk(join(prefix, tag), v.Field(i)) {
				return false
			}
		}
		return true
	case v.Kind() == reflect.Slice || v.Kind() == reflect.Array:
		for i := range v.Len() {
			if !w.walk(join(prefix, strconv.Itoa(i)), v.Index(i)) {
				return false
			}
		}
		return true
	}
	panic(fmt.Sprintf("nn: %s is a %s, which holds no parameters", prefix, v.Type()))
}

func join(prefix, name string) string {
	switch {
	case name == "":
		return prefix
	case prefix == "":
		return name
	}
	return prefix + "." + name
}

// Count is the number of elements of all parameters.
func Count(params iter.Seq2[string, *tensor.Tensor]) int {
	n := 0
	for _, p := range params {
		n += p.Len()
	}
	return n
}
