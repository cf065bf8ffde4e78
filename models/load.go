package models

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"unicode"

	"github.com/hone-ml/hone/internal/atomicfile"
	"github.com/hone-ml/hone/internal/checkpoint"
	"github.com/hone-ml/hone/nn"
	"github.com/hone-ml/hone/tensor"
	"github.com/hone-ml/hone/tensor/safetensors"
)

// LoadOptions say where and how a model is loaded.
type LoadOptions struct {
	// Device is where the parameters live; nil stands for the CPU.
	Device *tensor.Device
	// DType is the parameters' dtype; nil stands for the one that config.json names. With Q8_0 or Q4_0 the
	// weights of linear layers are quantised as they are read, see nn.Quantize, and everything else,
	// a head tied to the embedding included, has the dtype of config.json: for inference, or under adapters.
	DType *tensor.DType
	// Copy reads the parameters into memory of their own. Otherwise those whose dtype is the file's are
	// mapped where the system and the device allow it: loading takes no time and no memory, until a
	// parameter is changed. A mapped file may be replaced or removed, but must not be truncated.
	Copy bool
}

// parameterDType is the dtype of a file's elements, if parameters can have it.
func parameterDType(format safetensors.DType) (dt tensor.DType, ok bool) {
	dt, ok = checkpoint.DType(format)
	return dt, ok && dt.IsFloat()
}

// Load builds the model of a directory in the Hugging Face format by its config.json, and fills it from
// its safetensors files, single or sharded, converting dtypes where needed. A missing, extra or misshapen
// tensor is an error that names it and both shapes. A parameter that is tied in this model may stand in
// the file a second time, as lm_head.weight; tables of rotary positions, which old files hold, are passed over.
//
// Or dir is a .gguf file of architecture llama, qwen2 or qwen3, or one that RegisterGGUF added. Its parameters have the dtype of most of its
// weights, BF16 where these are quantised; with LoadOptions.DType Q8_0 or Q4_0, weights of linear layers
// that have that type in the file stay the blocks that they are.
func Load(dir string, o LoadOptions) (CausalLM, error) {
	blocks := o.DType
	if blocks != nil && blocks.IsQuantized() {
		o.DType = nil
	}
	m, err := Build(dir, o)
	if err != nil {
		return nil, err
	}
	if blocks != nil && blocks.IsQuantized() {
		// Before there are values, so that blocks of a file become those of the model as they are.
		if err := nn.QuantizeEmpty(m, *blocks); err != nil {
			return nil, fmt.Errorf("models: %s: %w", dir, err)
		}
	}
	fill := loadParameters
	if isGGUF(dir) {
		fill = loadGGUFParameters
	}
	if err := fill(dir, m, !o.Copy); err != nil {
		return nil, err
	}
	return m, nil
}

// Build makes the model that dir's config.json, and generation_config.json if there is one, describe, or that
// a .gguf file does, its parameters without values.
func Build(dir string, o LoadOptions) (m CausalLM, err error) {
	if isGGUF(dir) {
		return buildGGUF(dir, o)
	}
	path := filepath.Join(dir, "config.json")
	config, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("models: %w%s", err, ggufBeside(dir))
	}
	m, err = BuildConfig(config, o)
	if err != nil {
		return nil, fmt.Errorf("models: %s: %w", path, err)
	}
	if err := loadGeneration(dir, m); err != nil {
		return nil, err
	}
	return m, nil
}

// BuildConfig makes the model that a config.json's bytes describe, its parameters without values.
func BuildConfig(config []byte, o LoadOptions) (m CausalLM, err error) {
	var head struct {
		ModelType *string `json:"model_type"`
	}
	if err := json.Unmarshal(config, &head); err != nil {
		return nil, ConfigError(err)
	}
	if head.ModelType == nil {
		return nil, errors.New("no model_type")
	}
	registryMu.RLock()
	build := registry[*head.ModelType]
	registryMu.RUnlock()
	if build == nil {
		return nil, fmt.Errorf("model_type %q is not registered; this program knows %s: import the package of its architecture", *head.ModelType, strings.Join(Types(), ", "))
	}
	if o.DType != nil {
		if config, err = withDType(config, *o.DType); err != nil {
			return nil, err
		}
	}
	dev := o.Device
	if dev == nil {
		dev = tensor.CPU()
	}
	var buildErr error
	if err := tensor.Try(func() { m, buildErr = build(config, dev) }); err != nil {
		return nil, err
	}
	return m, buildErr
}

// withDType is config with another dtype.
func withDType(config []byte, dt tensor.DType) ([]byte, error) {
	name, ok := map[tensor.DType]string{tensor.F32: "float32", tensor.F64: "float64", tensor.BF16: "bfloat16", tensor.F16: "float16"}[dt]
	if !ok {
		return nil, fmt.Errorf("parameters cannot be %s", dt)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(config, &fields); err != nil {
		return nil, err
	}
	delete(fields, "torch_dtype")
	fields["dtype"] = json.RawMessage(`"` + name + `"`)
	return json.Marshal(fields)
}

// ConfigError makes json.Unmarshal's error about a config.json one that names the field in it.
func ConfigError(err error) error {
	wrong, ok := errors.AsType[*json.UnmarshalTypeError](err)
	switch {
	case ok && wrong.Field == "":
		return fmt.Errorf("it is a JSON %s, want an object", wrong.Value)
	case ok:
		// encoding/json names embedded structs too, which stand in no file
		path := slices.DeleteFunc(strings.Split(wrong.Field, "."), func(name string) bool { return name != "" && unicode.IsUpper(rune(name[0])) })
		return fmt.Errorf("field %s is %s, want %s", strings.Join(path, "."), wrong.Value, wrong.Type)
	}
	return err
}

// DTypeOf is the dtype that a config.json's "dtype" or "torch_dtype" names, F32 if the name is empty.
func DTypeOf(name string) (tensor.DType, error) {
	switch strings.TrimPrefix(name, "torch.") {
	case "", "float32":
		return tensor.F32, nil
	case "float64":
		return tensor.F64, nil
	case "bfloat16":
		return tensor.BF16, nil
	case "float16":
		return tensor.F16, nil
	}
	return 0, fmt.Errorf("dtype %q is none of float32, bfloat16, float16, float64", name)
}

// inverseFrequencies ends the names of tensors that old checkpoints hold (Llama 2's, of before transformers 4.32):
// tables that a model makes of its configuration.
const inverseFrequencies = ".rotary_emb.inv_freq"

// LoadParameters fills the parameters of m, which may be in use, from the safetensors file or directory, or
// the .gguf file, at path.
func LoadParameters(path string, m CausalLM) error {
	if isGGUF(path) {
		return loadGGUFParameters(path, m, false)
	}
	return loadParameters(path, m, false)
}

func loadParameters(path string, m CausalLM, bind bool) error {
	f, err := safetensors.Open(path)
	if err != nil {
		return err
	}
	owner := &mapped{f, 0}
	defer owner.release()
	params := map[string]*tensor.Tensor{}
	var missing []string
	for name, p := range m.Parameters() {
		params[name] = p
		info, ok := f.Info(name)
		if !ok {
			missing = append(missing, name)
			continue
		}
		if !slices.Equal(info.Shape, p.Shape()) {
			return fmt.Errorf("models: %s: tensor %s has shape %v, the model wants %v", path, name, info.Shape, p.Shape())
		}
		if _, ok := parameterDType(info.DType); !ok {
			return fmt.Errorf("models: %s: tensor %s is %s; parameters are F32, BF16, F16 or F64", path, name, info.DType)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("models: %s: %s missing", path, list("tensor", missing))
	}
	var extra []string
	_, untied := params["lm_head.weight"]
	for _, name := range f.Names() {
		if params[name] == nil && (untied || name != "lm_head.weight") && !strings.HasSuffix(name, inverseFrequencies) {
			extra = append(extra, name)
		}
	}
	if len(extra) > 0 {
		return fmt.Errorf("models: %s: %s not of this model", path, list("tensor", extra))
	}
	if bind && f.CopyOnWrite() {
		for name, p := range params {
			info, _ := f.Info(name)
			if dt, _ := parameterDType(info.DType); dt == p.DType() && tensor.Bind(p, f.Bytes(name), owner) {
				owner.bound++
				delete(params, name)
			}
		}
	}
	return fill(f, params)
}

// mapped owns an open file to which so many parameters are bound.
type mapped struct {
	f     io.Closer
	bound int
}

// release closes the file when the last parameter is gone, or at once if none is bound.
func (m *mapped) release() {
	if m.bound == 0 {
		m.f.Close()
		return
	}
	runtime.AddCleanup(m, func(f io.Closer) { f.Close() }, m.f)
}

// fill copies the parameters out of f on all processors: most of the time goes into memory's first touch.
func fill(f *safetensors.File, params map[string]*tensor.Tensor) error {
	names := make(chan string, len(params))
	for name := range params {
		names <- name
	}
	close(names)
	errs := make([]error, runtime.GOMAXPROCS(0))
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			for name := range names {
				info, _ := f.Info(name)
				dt, _ := parameterDType(info.DType)
				errs[i] = errors.Join(errs[i], tensor.Try(func() { tensor.CopyFromBytes(params[name], dt, f.Bytes(name)) }))
				f.Evict(name)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// list names up to three things.
func list(kind string, names []string) string {
	if len(names) == 1 {
		return kind + " " + names[0] + " is"
	}
	s := fmt.Sprintf("%d %ss (%s", len(names), kind, strings.Join(names[:min(3, len(names))], ", "))
	if len(names) > 3 {
		s += ", …"
	}
	return s + ") are"
}

// Save writes config.json, model.safetensors and, for a model that knows where its texts end,
// generation_config.json to dir, which is made if need be: a directory that transformers, vLLM and
// llama.cpp's converter accept. Parameters keep their dtypes; a tied head is not
// written twice. Each file is replaced whole or not at all. The model implements Configured.
func Save(dir string, m CausalLM) error { return save(dir, m, 0) }

// save is Save, the weights in files of at most shardBytes if that is not 0.
func save(dir string, m CausalLM, shardBytes int) error {
	c, ok := m.(Configured)
	if !ok {
		return fmt.Errorf("models: %T cannot be saved: it has no ConfigJSON", m)
	}
	config, err := c.ConfigJSON()
	if err != nil {
		return fmt.Errorf("models: config.json of %T: %w", m, err)
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("models: %w", err)
	}
	if err := saveWeights(dir, m, shardBytes); err != nil {
		return err
	}
	if err := saveGeneration(dir, m); err != nil {
		return err
	}
	return writeFile(filepath.Join(dir, "config.json"), config)
}

// SaveParameters writes the parameters of m to one safetensors file.
func SaveParameters(path string, m CausalLM) error {
	var ts []safetensors.Tensor
	for name, p := range m.Parameters() {
		e, ok := checkpoint.Entry(name, p)
		if !ok || !p.DType().IsFloat() {
			return notSaved(name, p.DType())
		}
		ts = append(ts, e)
	}
	return safetensors.Write(path, ts, safetensors.FormatPT())
}

func notSaved(name string, dt tensor.DType) error {
	return fmt.Errorf("models: parameter %s is %s, which a checkpoint cannot hold", name, dt)
}

func writeFile(path string, data []byte) error {
	return atomicfile.WriteFile(path, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}
