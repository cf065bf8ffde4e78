package lora

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hone-ml/hone/internal/atomicfile"
	"github.com/hone-ml/hone/internal/checkpoint"
	"github.com/hone-ml/hone/tensor"
	"github.com/hone-ml/hone/tensor/safetensors"
)

// The files of an adapter, as PEFT names them.
const (
	ConfigFile  = "adapter_config.json"
	WeightsFile = "adapter_model.safetensors"
)

const (
	// prefix begins the names in the file: a PeftModel holds a LoraModel, which holds the model.
	prefix = "base_model.model."
	// baseDType is the key in the file's metadata of the dtype that the base had.
	baseDType = "base_dtype"
)

// peftConfig is adapter_config.json: what is written of it, and what changes an adapter if it is there.
type peftConfig struct {
	PEFTType       string          `json:"peft_type"`
	Task           *string         `json:"task_type"`
	Base           *string         `json:"base_model_name_or_path"`
	Revision       *string         `json:"revision"`
	Rank           int             `json:"r"`
	Alpha          float64         `json:"lora_alpha"`
	Dropout        float64         `json:"lora_dropout"`
	RankStabilised bool            `json:"use_rslora"`
	Targets        json.RawMessage `json:"target_modules"`
	Bias           string          `json:"bias"`
	FanInFanOut    bool            `json:"fan_in_fan_out"`
	InferenceMode  bool            `json:"inference_mode"`
	InitWeights    any             `json:"init_lora_weights"`

	// What this package does not compute.
	DoRA             bool               `json:"use_dora,omitempty"`
	QALoRA           bool               `json:"use_qalora,omitempty"`
	LoRABias         bool               `json:"lora_bias,omitempty"`
	ALoRA            []int              `json:"alora_invocation_tokens,omitempty"`
	RankPattern      map[string]int     `json:"rank_pattern,omitempty"`
	AlphaPattern     map[string]float64 `json:"alpha_pattern,omitempty"`
	ModulesToSave    []string           `json:"modules_to_save,omitempty"`
	TargetParameters []string           `json:"target_parameters,omitempty"`
	TrainableTokens  json.RawMessage    `json:"trainable_token_indices,omitempty"`
	Replication      json.RawMessage    `json:"layer_replication,omitempty"`
	BlockDiagonal    json.RawMessage    `json:"use_bdlora,omitempty"`
	Arrow            json.RawMessage    `json:"arrow_config,omitempty"`
	KaSA             json.RawMessage    `json:"kasa_config,omitempty"`
	MonteCLoRA       json.RawMessage    `json:"monteclora_config,omitempty"`
}

// plainInits are the init_lora_weights that only say what A and B were at first. PEFT's others (PiSSA, OLoRA, CorDA,
// LoftQ, …) take something out of the base's weights, each time that the adapter is loaded.
var plainInits = []any{nil, true, false, "gaussian", "eva", "orthogonal"}

// unsupported names what an adapter asks for that this package does not compute, "" if nothing.
func (c *peftConfig) unsupported() string {
	given := func(raw json.RawMessage) bool { return len(raw) > 0 && string(raw) != "null" && string(raw) != "false" }
	for _, f := range []struct {
		is   bool
		what string
	}{
		{c.PEFTType != "LORA", fmt.Sprintf("peft_type %q", c.PEFTType)}, {c.Bias != "" && c.Bias != "none", fmt.Sprintf("bias %q", c.Bias)},
		{c.FanInFanOut, "fan_in_fan_out"}, {c.DoRA, "use_dora"}, {c.QALoRA, "use_qalora"}, {c.LoRABias, "lora_bias"}, {c.ALoRA != nil, "alora_invocation_tokens"},
		{len(c.RankPattern) > 0, "rank_pattern"}, {len(c.AlphaPattern) > 0, "alpha_pattern"}, {len(c.ModulesToSave) > 0, "modules_to_save"},
		{len(c.TargetParameters) > 0, "target_parameters"}, {given(c.TrainableTokens), "trainable_token_indices"}, {given(c.Replication), "layer_replication"},
		{given(c.BlockDiagonal), "use_bdlora"}, {given(c.Arrow), "arrow_config"}, {given(c.KaSA), "kasa_config"}, {given(c.MonteCLoRA), "monteclora_config"},
		{!slices.Contains(plainInits, c.InitWeights), fmt.Sprintf("init_lora_weights %v, which changes the weights of the base (PEFT's path_initial_model_for_weight_conversion makes a plain adapter of it)", c.InitWeights)},
	} {
		if f.is {
			return f.what
		}
	}
	return ""
}

// Exists reports whether dir holds an adapter.
func Exists(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, ConfigFile))
	return err == nil
}

// ReadConfig reads the adapter_config.json of a directory. Targets are nil where it gives a pattern: Load goes by the
// names of the tensors. The error names a field that is malformed or asks for what this package does not compute.
func ReadConfig(dir string) (Config, error) {
	path := filepath.Join(dir, ConfigFile)
	raw, err := os.ReadFile(path)
	if err != nil {
		return Config{}, fmt.Errorf("lora: %w", err)
	}
	var p peftConfig
	if err := json.Unmarshal(raw, &p); err != nil {
		return Config{}, fmt.Errorf("lora: %s: %w", path, err)
	}
	if what := p.unsupported(); what != "" {
		return Config{}, fmt.Errorf("lora: %s asks for %s, which is not supported", path, what)
	}
	c := Config{Rank: p.Rank, Alpha: p.Alpha, Dropout: p.Dropout, RankStabilised: p.RankStabilised}
	if p.Base != nil {
		c.Base = *p.Base
	}
	if p.Revision != nil {
		c.Revision = *p.Revision
	}
	if p.Task != nil {
		c.Task = *p.Task
	}
	var one string
	if json.Unmarshal(p.Targets, &c.Targets) != nil {
		c.Targets = nil
		if json.Unmarshal(p.Targets, &one) != nil {
			return Config{}, fmt.Errorf("lora: %s: target_modules is %s, want a list of names or one", path, p.Targets)
		}
		if one == AllLinear {
			c.Targets = []string{one}
		}
	}
	checked := c
	checked.Targets = []string{AllLinear}
	if err := checked.check(); err != nil {
		return Config{}, fmt.Errorf("%w, in %s", err, path)
	}
	return c, nil
}

// BaseDType is the dtype that the base of a directory's adapter had when Save wrote it; ok is false if the
// adapter does not say.
func BaseDType(dir string) (dt tensor.DType, ok bool, err error) {
	f, err := open(dir)
	if err != nil {
		return 0, false, err
	}
	defer f.Close()
	name := f.Metadata()[baseDType]
	for _, dt := range []tensor.DType{tensor.F64, tensor.F32, tensor.BF16, tensor.F16, tensor.Q8_0, tensor.Q4_0} {
		if dt.String() == name {
			return dt, true, nil
		}
	}
	return 0, false, nil
}

// open opens the tensors of an adapter.
func open(dir string) (*safetensors.File, error) {
	path := filepath.Join(dir, WeightsFile)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("lora: %s holds no %s; an adapter_model.bin is a pickle, which is not read: have PEFT save it as safetensors", dir, WeightsFile)
	}
	return safetensors.Open(path)
}

// Save writes adapter_config.json and adapter_model.safetensors to dir, which is made if need be: what
// peft.PeftModel.from_pretrained and Load read. Each file is replaced whole or not at all.
func (a *Adapter) Save(dir string) error {
	c := a.config
	text := func(s string) *string {
		if s == "" {
			return nil
		}
		return &s
	}
	modules := c.Targets
	if slices.Contains(modules, AllLinear) { // as PEFT, which writes what it stood for
		modules = nil
		for _, l := range a.layers {
			if last := l.name[strings.LastIndexByte(l.name, '.')+1:]; !slices.Contains(modules, last) {
				modules = append(modules, last)
			}
		}
		slices.Sort(modules)
	}
	targets, err := json.Marshal(modules)
	if err != nil {
		return fmt.Errorf("lora: %w", err)
	}
	config, err := json.MarshalIndent(peftConfig{PEFTType: "LORA", Task: text(c.Task), Base: text(c.Base), Revision: text(c.Revision), Rank: c.Rank, Alpha: c.Alpha, Dropout: c.Dropout,
		RankStabilised: c.RankStabilised, Targets: targets, Bias: "none", InferenceMode: true, InitWeights: true}, "", "  ")
	if err != nil {
		return fmt.Errorf("lora: %w", err)
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("lora: %w", err)
	}
	var ts []safetensors.Tensor
	for name, p := range a.Parameters() {
		e, _ := checkpoint.Entry(prefix+name, p) // a float dtype, which the format knows
		ts = append(ts, e)
	}
	metadata := safetensors.FormatPT()
	metadata[baseDType] = a.BaseDType().String()
	if err := safetensors.Write(filepath.Join(dir, WeightsFile), ts, metadata); err != nil {
		return err
	}
	return atomicfile.WriteFile(filepath.Join(dir, ConfigFile), func(w io.Writer) error {
		_, err := w.Write(append(config, '\n'))
		return err
	})
}

// Load attaches the adapter of a directory to a module and fills it. The error names what of it the module does not
// have, or what does not fit; then the module was not changed.
func Load(module any, dir string) (*Adapter, error) {
	c, err := ReadConfig(dir)
	if err != nil {
		return nil, err
	}
	f, err := open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	exact := c
	exact.Targets = nil
	for _, name := range f.Names() {
		layer, ok := layerOf(name)
		if !ok {
			return nil, fmt.Errorf("lora: %s: tensor %s is not of a LoRA of linear layers", filepath.Join(dir, WeightsFile), name)
		}
		if !slices.Contains(exact.Targets, layer) {
			exact.Targets = append(exact.Targets, layer)
		}
	}
	if len(exact.Targets) == 0 {
		return nil, fmt.Errorf("lora: %s holds no tensors", filepath.Join(dir, WeightsFile))
	}
	bases, err := targets(module, exact.Targets)
	if err != nil {
		return nil, fmt.Errorf("%w: the adapter in %s is of another model", err, dir)
	}
	for _, b := range bases {
		w := b.layer.Weight
		for name, shape := range map[string][]int{".lora_A.weight": {c.Rank, w.Dim(1)}, ".lora_B.weight": {w.Dim(0), c.Rank}} {
			if err := fits(f, b.name+name, shape); err != nil {
				return nil, fmt.Errorf("%w; if it is of the base, the adapter in %s is of another model", err, dir)
			}
		}
	}
	a, err := Attach(module, exact, tensor.NewRand(0))
	if err != nil {
		return nil, err
	}
	if a.config.Targets = c.Targets; c.Targets == nil {
		a.config.Targets = exact.Targets
	}
	return a, a.fill(f)
}

// layerOf is the layer of which a file's tensor is A or B.
func layerOf(name string) (string, bool) {
	name, ok := strings.CutPrefix(name, prefix)
	for _, end := range []string{".lora_A.weight", ".lora_B.weight"} {
		if layer, is := strings.CutSuffix(name, end); ok && is {
			return layer, true
		}
	}
	return "", false
}

// fits says what is wrong with the tensor of a file that is to fill a parameter of some shape.
func fits(f *safetensors.File, name string, shape []int) error {
	info, ok := f.Info(prefix + name)
	if !ok {
		return fmt.Errorf("lora: tensor %s is missing", prefix+name)
	}
	if !slices.Equal(info.Shape, shape) {
		return fmt.Errorf("lora: tensor %s has shape %v, the model and the rank want %v", info.Name, info.Shape, shape)
	}
	if dt, ok := checkpoint.DType(info.DType); !ok || !dt.IsFloat() {
		return fmt.Errorf("lora: tensor %s is %s, want a float", info.Name, info.DType)
	}
	return nil
}

// Restore gives the adapters the values of those that Save wrote to dir. They must be of the same layers, rank and
// scale: otherwise the error names what differs, and nothing was changed.
func (a *Adapter) Restore(dir string) error {
	c, err := ReadConfig(dir)
	if err != nil {
		return err
	}
	for _, is := range []struct {
		what      string
		then, now any
	}{
		{"the rank", c.Rank, a.config.Rank}, {"alpha", c.Alpha, a.config.Alpha}, {"the dropout", c.Dropout, a.config.Dropout},
		{"rank stabilisation", c.RankStabilised, a.config.RankStabilised},
	} {
		if is.then != is.now {
			return fmt.Errorf("lora: %s of the adapter in %s is %v, now it is %v", is.what, dir, is.then, is.now)
		}
	}
	f, err := open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	if then, now := f.Metadata()[baseDType], a.BaseDType().String(); then != "" && then != now {
		return fmt.Errorf("lora: the base of the adapter in %s was %s, now it is %s", dir, then, now)
	}
	known := map[string]bool{}
	for name, p := range a.Parameters() {
		if err := fits(f, name, p.Shape()); err != nil {
			return fmt.Errorf("%w, in %s", err, dir)
		}
		known[prefix+name] = true
	}
	for _, name := range f.Names() {
		if !known[name] {
			return fmt.Errorf("lora: tensor %s in %s is of a layer that has no adapter now", name, dir)
		}
	}
	return a.fill(f)
}

// fill copies the tensors of a file, which fit.
func (a *Adapter) fill(f *safetensors.File) error {
	return tensor.Try(func() {
		for name, p := range a.Parameters() {
			info, _ := f.Info(prefix + name)
			dt, _ := checkpoint.DType(info.DType)
			tensor.CopyFromBytes(p, dt, f.Bytes(info.Name))
		}
	})
}
