package nn

import (
	"reflect"

	"github.com/hone-ml/hone/tensor"
)

// A Resetter is a layer that knows the first values of its parameters. Those of this package draw what
// PyTorch's do. A layer of your own that implements it draws everything below it.
type Resetter interface {
	ResetParameters(r *tensor.Rand)
}

// Initialize gives every parameter that is part of a Resetter its first values: in the module itself if it
// is one, or in its tagged fields and elements, in order. A tensor outside of Resetters stays as it is, and
// one that several share has the values that the last gave it.
func Initialize(module any, r *tensor.Rand) {
	moduleValue("Initialize", module)
	initialize(reflect.ValueOf(module), r, map[Resetter]bool{})
}

// initialize resets v, or else what is in it; what several places share is reset once.
func initialize(v reflect.Value, r *tensor.Rand, done map[Resetter]bool) {
	if v.Kind() == reflect.Struct && v.CanAddr() {
		v = v.Addr()
	}
	if v.Kind() == reflect.Pointer && !v.IsNil() {
		if l, ok := v.Interface().(Resetter); ok {
			if !done[l] {
				done[l] = true
				l.ResetParameters(r)
			}
			return
		}
		v = v.Elem()
	}
	switch v.Kind() {
	case reflect.Interface:
		if !v.IsNil() {
			initialize(v.Elem(), r, done)
		}
	case reflect.Struct:
		if v.Type() == tensorType.Elem() {
			return
		}
		for i := range v.NumField() {
			if _, _, ok := tagOf(v.Type().Field(i)); ok {
				initialize(v.Field(i), r, done)
			}
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			initialize(v.Index(i), r, done)
		}
	}
}
