package gguf

import (
	"fmt"
	"math"
)

// Metadata is what a file says of its model, in the order of the file. Keys occur once.
type Metadata []KV

// KV is a key with its value.
type KV struct {
	// Key is ASCII words between dots: "general.architecture", "llama.block_count".
	Key string
	// Value is a uint8, int8, uint16, int16, uint32, int32, uint64, int64, float32, float64, bool or string,
	// or a slice of one of these.
	Value any
}

// Lookup is the value of key, and whether there is one.
func (m Metadata) Lookup(key string) (value any, ok bool) {
	for _, kv := range m {
		if kv.Key == key {
			return kv.Value, true
		}
	}
	return nil, false
}

// Value is a type in which [Get] gives metadata.
type Value interface {
	int | float64 | bool | string | []int | []float64 | []string
}

// Get is the value of key in m; ok is false if there is none. Writers of files do not agree on the widths of
// numbers, so an int is any integer that fits it, and a float64 any number. What cannot be had as a T is an
// error that names the key and both types.
func Get[T Value](m Metadata, key string) (value T, ok bool, err error) {
	v, ok := m.Lookup(key)
	if !ok {
		return value, false, nil
	}
	switch to := any(&value).(type) {
	case *int:
		*to, ok = integer(v)
	case *float64:
		*to, ok = float(v)
	case *bool:
		*to, ok = v.(bool)
	case *string:
		*to, ok = v.(string)
	case *[]string:
		*to, ok = v.([]string)
	case *[]int:
		*to, ok = each(v, integer)
	case *[]float64:
		*to, ok = each(v, float)
	}
	if !ok {
		return value, false, fmt.Errorf("gguf: metadata %s is %s, want %T", quote(key), describe(v), value)
	}
	return value, true, nil
}

func integer(v any) (int, bool) {
	switch v := v.(type) {
	case uint8:
		return int(v), true
	case int8:
		return int(v), true
	case uint16:
		return int(v), true
	case int16:
		return int(v), true
	case uint32:
		return int(v), uint64(v) <= math.MaxInt
	case int32:
		return int(v), true
	case uint64:
		return int(v), v <= math.MaxInt
	case int64:
		return int(v), int64(int(v)) == v
	}
	return 0, false
}

func float(v any) (float64, bool) {
	switch v := v.(type) {
	case float32:
		return float64(v), true
	case float64:
		return v, true
	}
	n, ok := integer(v)
	return float64(n), ok
}

// each converts the elements of a slice of numbers.
func each[T any](slice any, convert func(any) (T, bool)) ([]T, bool) {
	switch s := slice.(type) {
	case []uint8:
		return convertAll(s, convert)
	case []int8:
		return convertAll(s, convert)
	case []uint16:
		return convertAll(s, convert)
	case []int16:
		return convertAll(s, convert)
	case []uint32:
		return convertAll(s, convert)
	case []int32:
		return convertAll(s, convert)
	case []uint64:
		return convertAll(s, convert)
	case []int64:
		return convertAll(s, convert)
	case []float32:
		return convertAll(s, convert)
	case []float64:
		return convertAll(s, convert)
	}
	return nil, false
}

func convertAll[S, T any](s []S, convert func(any) (T, bool)) ([]T, bool) {
	out := make([]T, len(s))
	for i, x := range s {
		var ok bool
		if out[i], ok = convert(x); !ok {
			return nil, false
		}
	}
	return out, true
}

// describe is v's type, and v itself where it is short.
func describe(v any) string {
	switch v := v.(type) {
	case string:
		return "the string " + quote(v)
	case bool, uint8, int8, uint16, int16, uint32, int32, uint64, int64, float32, float64:
		return fmt.Sprintf("the %T %v", v, v)
	}
	return fmt.Sprintf("a %T", v)
}
