package models

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
)

// GenerationConfig is generation_config.json: how a model is meant to be sampled, and where its texts end.
// Fields that are not listed are kept as they came.
type GenerationConfig struct {
	// EOSTokenID are the tokens that end a text. Nil leaves that to config.json.
	EOSTokenID TokenIDs

	rest map[string]json.RawMessage
}

// GenerationConfigured is implemented by models that keep what generation_config.json says. Load hands it
// over and Save writes it. For transformers that file has the last word on which tokens end a text, and
// names more of them than config.json does.
type GenerationConfigured interface {
	GenerationConfig() GenerationConfig
	SetGenerationConfig(GenerationConfig)
}

const generationFile = "generation_config.json"

// loadGeneration gives m what dir's generation_config.json says, if there is one and m wants it.
func loadGeneration(dir string, m CausalLM) error {
	g, ok := m.(GenerationConfigured)
	if !ok {
		return nil
	}
	path := filepath.Join(dir, generationFile)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("models: %w", err)
	}
	var c GenerationConfig
	if err := json.Unmarshal(data, &c); err != nil {
		return fmt.Errorf("models: %s: %w", path, err)
	}
	g.SetGenerationConfig(c)
	return nil
}

// saveGeneration writes what m knows of generation_config.json, if anything.
func saveGeneration(dir string, m CausalLM) error {
	var c GenerationConfig
	keeper, keeps := m.(GenerationConfigured)
	if keeps {
		c = keeper.GenerationConfig()
	}
	stopper, stops := m.(Stopper)
	if stops && c.EOSTokenID == nil {
		c.EOSTokenID = stopper.StopTokens()
	}
	if !keeps && !stops {
		return nil
	}
	data, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return fmt.Errorf("models: %s of %T: %w", generationFile, m, err)
	}
	return writeFile(filepath.Join(dir, generationFile), append(data, '\n'))
}

// UnmarshalJSON reads a generation_config.json. The error names the field that is malformed.
func (c *GenerationConfig) UnmarshalJSON(data []byte) error {
	*c = GenerationConfig{}
	var listed struct {
		EOSTokenID TokenIDs `json:"eos_token_id"`
	}
	if err := json.Unmarshal(data, &listed); err != nil {
		return ConfigError(err)
	}
	c.EOSTokenID = listed.EOSTokenID
	return json.Unmarshal(data, &c.rest)
}

// MarshalJSON gives the fields of a generation_config.json in alphabetical order.
func (c GenerationConfig) MarshalJSON() ([]byte, error) {
	fields := map[string]json.RawMessage{}
	maps.Copy(fields, c.rest)
	if c.EOSTokenID != nil {
		eos, err := json.Marshal(c.EOSTokenID)
		if err != nil {
			return nil, err
		}
		fields["eos_token_id"] = eos
	}
	return json.Marshal(fields)
}

// TokenIDs is one token id or a list of them, as Hugging Face writes eos_token_id.
type TokenIDs []int32

// UnmarshalJSON reads an id, a list of ids, or null.
func (x *TokenIDs) UnmarshalJSON(data []byte) error {
	var one *int32
	if json.Unmarshal(data, &one) == nil {
		*x = nil
		if one != nil {
			*x = TokenIDs{*one}
		}
		return nil
	}
	var many []int32
	if json.Unmarshal(data, &many) != nil { // json adds the field's name
		return &json.UnmarshalTypeError{Value: string(data[:min(len(data), 40)]), Type: reflect.TypeFor[[]int32]()}
	}
	*x = many
	return nil
}

// MarshalJSON writes a single id as a number and others as a list.
func (x TokenIDs) MarshalJSON() ([]byte, error) {
	if len(x) == 1 {
		return json.Marshal(x[0])
	}
	return json.Marshal([]int32(x))
}
