package models

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
)

// Fields are all fields of a config.json.
type Fields map[string]json.RawMessage

// ReadConfig reads a config.json into c, a pointer to a struct with the JSON tags of the fields that an
// architecture knows; those that are absent or null keep the values that c came with. What different versions of
// transformers write differently reaches c in one form: torch_dtype as dtype, and rope_parameters as rope_theta
// and, where its rope_type is not "default", rope_scaling (of type *RopeScaling). The error names the field that
// is malformed. The fields that come back are for Fields.Only, and for WriteConfig to keep.
func ReadConfig(data []byte, c any) (Fields, error) {
	var fields Fields
	if err := json.Unmarshal(data, &fields); err != nil {
		return nil, ConfigError(err)
	}
	var rope struct {
		Parameters *RopeScaling `json:"rope_parameters"`
	}
	if err := json.Unmarshal(data, &rope); err != nil {
		return nil, ConfigError(err)
	}
	if p := rope.Parameters; p != nil {
		if fields.absent("rope_theta") && p.RopeTheta != 0 {
			fields["rope_theta"], _ = json.Marshal(p.RopeTheta) // it was JSON before
		}
		if fields.absent("rope_scaling") && p.Kind() != "default" {
			fields["rope_scaling"] = fields["rope_parameters"]
		}
	}
	if fields.absent("dtype") && !fields.absent("torch_dtype") {
		fields["dtype"] = fields["torch_dtype"]
	}
	data, err := json.Marshal(fields)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(data, c); err != nil {
		return nil, ConfigError(err)
	}
	return fields, nil
}

// WriteConfig is the config.json of c, as every version of transformers reads it: the fixed fields, over them
// those that it was read from (nil for none), over both what c, a struct as ReadConfig takes it, says now.
func WriteConfig(c any, read Fields, fixed map[string]any) ([]byte, error) {
	fields := map[string]any{}
	maps.Copy(fields, fixed)
	for name, value := range read {
		fields[name] = value
	}
	data, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	var own struct {
		DType   string       `json:"dtype"`
		Theta   float64      `json:"rope_theta"`
		Scaling *RopeScaling `json:"rope_scaling"`
	}
	var now Fields
	if err := cmp.Or(json.Unmarshal(data, &now), json.Unmarshal(data, &own)); err != nil {
		return nil, err
	}
	for name, value := range now {
		fields[name] = value
	}
	// transformers 4 reads rope_theta, rope_scaling and torch_dtype, transformers 5 rope_parameters and dtype
	dtype := cmp.Or(strings.TrimPrefix(own.DType, "torch."), "float32")
	fields["torch_dtype"], fields["dtype"] = dtype, dtype
	if own.Theta != 0 {
		parameters := RopeScaling{Type: "default"}
		if s := own.Scaling; s != nil {
			s.Type, s.OldType, s.RopeTheta = s.Kind(), "", 0
			parameters = *s
		}
		parameters.RopeTheta = own.Theta
		fields["rope_scaling"], fields["rope_parameters"] = own.Scaling, parameters
	}
	data, err = json.MarshalIndent(fields, "", "  ")
	return append(data, '\n'), err
}

func (f Fields) absent(name string) bool {
	value, ok := f[name]
	return !ok || string(value) == "null"
}

// Only is an error that names the field, unless it is absent, null, or one of the values that are supported. Of a
// list each element must be one of them.
func (f Fields) Only(name string, supported ...any) error {
	if f.absent(name) {
		return nil
	}
	var list []json.RawMessage
	if json.Unmarshal(f[name], &list) != nil {
		return only(name, f[name], supported)
	}
	for i, value := range list {
		if err := only(fmt.Sprintf("%s[%d]", name, i), value, supported); err != nil {
			return err
		}
	}
	return nil
}

func only(name string, value json.RawMessage, supported []any) error {
	var wants []string
	for _, s := range supported {
		want, err := json.Marshal(s)
		if err != nil {
			return err
		}
		if bytes.Equal(value, want) {
			return nil
		}
		wants = append(wants, string(want))
	}
	return fmt.Errorf("%s %.40s is not supported, only %s", name, value, strings.Join(wants, " or "))
}

// RopeScaling is a config.json's rope_scaling, or rope_parameters of transformers 5: how rotary positions are
// stretched to longer texts.
type RopeScaling struct {
	Type    string `json:"rope_type"`
	OldType string `json:"type,omitempty"` // what rope_type was called at first

	RopeTheta                     float64 `json:"rope_theta,omitempty"` // in rope_parameters only
	Factor                        float64 `json:"factor,omitempty"`
	LowFreqFactor                 float64 `json:"low_freq_factor,omitempty"`
	HighFreqFactor                float64 `json:"high_freq_factor,omitempty"`
	OriginalMaxPositionEmbeddings int     `json:"original_max_position_embeddings,omitempty"`
}

// Kind is the rope_type, "default" for nil.
func (s *RopeScaling) Kind() string {
	if s == nil {
		return "default"
	}
	return cmp.Or(s.Type, s.OldType, "default")
}
