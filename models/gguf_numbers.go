package models

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/hone-ml/hone/tensor/gguf"
)

// ggufScales are the metadata by which gguf-py (constants.py) has models scale what Llama does not.
var ggufScales = []string{"embedding_scale", "residual_scale", "logit_scale", "attention.scale"}

// numbers adds those that only this architecture has to a config.json. A scale that it does not name is an error: the
// model would load, and compute something else.
func (r *ggufReader) numbers(a GGUFArchitecture, headDim int, config map[string]any) error {
	for _, key := range slices.Sorted(maps.Keys(a.Numbers)) {
		if _, ok := r.metadata.Lookup(r.prefix + key); !ok {
			return fmt.Errorf("metadata %s%s is missing", r.prefix, key)
		}
		config[a.Numbers[key]] = r.float(key, 0)
	}
	for _, key := range ggufScales {
		plain := 1.0
		if key == "attention.scale" {
			plain = 1 / math.Sqrt(float64(headDim))
		}
		x := ggufGet(r, r.prefix+key, 0.0) // which says nothing to llama.cpp, too
		if _, named := a.Numbers[key]; r.err == nil && !named && x != 0 && !(math.Abs(x-plain) <= 1e-6*plain) {
			return fmt.Errorf("metadata %s%s is %g, which is not supported, only %g", r.prefix, key, x, plain)
		}
	}
	return r.err
}

// numbers are the metadata of those that only this architecture has.
func (a GGUFArchitecture) numbers(name string, config []byte) (m gguf.Metadata, err error) {
	var fields Fields
	if err := json.Unmarshal(config, &fields); err != nil {
		return nil, ConfigError(err)
	}
	for _, key := range slices.Sorted(maps.Keys(a.Numbers)) {
		var x *float64
		if err := json.Unmarshal(fields[a.Numbers[key]], &x); err != nil || x == nil {
			return nil, fmt.Errorf("config.json has no number %s, which metadata %s.%s is to hold", a.Numbers[key], name, key)
		}
		m = append(m, gguf.KV{Key: name + "." + key, Value: float32(*x)})
	}
	return m, nil
}
