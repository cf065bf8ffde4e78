package nn

import "reflect"

// Replace visits the places of a module where another Layer may be put: tagged fields and elements of the
// interface type Layer that are not nil, by the names that Parameters gives them, in its order. Where with
// answers true its layer takes the place; otherwise what is there is searched in turn. A *Linear in a field of
// that type is no such place. The module is a pointer to a struct, or a slice; see Parameters for the tags.
func Replace(module any, with func(name string, l Layer) (Layer, bool)) {
	moduleValue("Replace", module)
	replace("", reflect.ValueOf(module), with)
}

var layerType = reflect.TypeFor[Layer]()

func replace(name string, v reflect.Value, with func(name string, l Layer) (Layer, bool)) {
	switch v.Kind() {
	case reflect.Interface:
		if v.IsNil() {
			return
		}
		if v.Type() == layerType && v.CanSet() {
			if l, ok := with(name, v.Interface().(Layer)); ok {
				v.Set(reflect.ValueOf(l))
				return
			}
		}
		replace(name, v.Elem(), with)
	case reflect.Pointer:
		if !v.IsNil() && v.Type() != tensorType {
			replace(name, v.Elem(), with)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if tag, ok := v.Type().Field(i).Tag.Lookup("param"); ok {
				replace(join(name, tag), v.Field(i), with)
			}
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			replace(element(name, i), v.Index(i), with)
		}
	}
}
