package models

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"unsafe"

	"github.com/hone-ml/hone/tensor"
	"github.com/hone-ml/hone/tensor/gguf"
)

// Models in llama.cpp's format: one file with the configuration, the tokenizer and the weights.

// isGGUF reports whether path is to be read as a GGUF file.
func isGGUF(path string) bool { return strings.EqualFold(filepath.Ext(path), ".gguf") }

// ggufDTypes are the types whose elements tensors can have.
var ggufDTypes = map[gguf.Type]tensor.DType{
	gguf.F32: tensor.F32, gguf.F16: tensor.F16, gguf.BF16: tensor.BF16, gguf.Q8_0: tensor.Q8_0, gguf.Q4_0: tensor.Q4_0,
}

// openGGUF opens a file and says how it maps to a model.
func openGGUF(path string) (*gguf.File, *ggufModel, error) {
	f, err := gguf.Open(path)
	if err != nil {
		return nil, nil, err
	}
	g, err := readGGUF(f)
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("models: %s: %w", path, err), f.Close())
	}
	return f, g, nil
}

// buildGGUF makes the model that a GGUF file describes, its parameters without values.
func buildGGUF(path string, o LoadOptions) (CausalLM, error) {
	f, g, err := openGGUF(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	m, err := BuildConfig(g.config, o)
	if err != nil {
		return nil, fmt.Errorf("models: %s: %w", path, err)
	}
	return m, nil
}

// loadGGUFParameters fills the parameters of m from a GGUF file.
func loadGGUFParameters(path string, m CausalLM, bind bool) error {
	f, g, err := openGGUF(path)
	if err != nil {
		return err
	}
	owner := &mapped{f, 0}
	defer owner.release()
	wanted, err := g.match(f, m)
	if err != nil {
		return fmt.Errorf("models: %s: %w", path, err)
	}
	if bind && f.CopyOnWrite() {
		wanted = slices.DeleteFunc(wanted, func(w ggufParameter) bool {
			dt, ok := ggufDTypes[w.info.Type]
			if !ok || w.heads > 0 || dt != w.to.DType() || !tensor.Bind(w.to, f.Bytes(w.info.Name), owner) {
				return false
			}
			owner.bound++
			return true
		})
	}
	return fillGGUF(f, wanted)
}

// ggufParameter is a parameter and the tensor of a file that it is filled from.
type ggufParameter struct {
	to    *tensor.Tensor
	info  gguf.Info
	heads int // if the rows of so many heads are in llama.cpp's order, else 0
}

// match finds the tensor of each parameter and checks that there are no others.
func (g *ggufModel) match(f *gguf.File, m CausalLM) ([]ggufParameter, error) {
	var wanted []ggufParameter
	var missing, extra []string
	used := map[string]bool{}
	for name, p := range m.Parameters() {
		at, ok := ggufName(name)
		if !ok {
			return nil, fmt.Errorf("parameter %s of %T has no name in the GGUF format", name, m)
		}
		info, ok := f.Info(at)
		if !ok {
			missing = append(missing, at)
			continue
		}
		used[at] = true
		if !slices.Equal(info.Shape, p.Shape()) {
			return nil, fmt.Errorf("tensor %s has shape %v, the model wants %v", at, info.Shape, p.Shape())
		}
		if !info.Type.Readable() {
			return nil, fmt.Errorf("tensor %s is of type %s, which is not supported: make the file with one of F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q4_K, Q5_K and Q6_K", at, info.Type)
		}
		wanted = append(wanted, ggufParameter{p, info, g.headsOf(name)})
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("%s missing", list("tensor", missing))
	}
	for _, name := range f.Names() {
		if !used[name] && name != ropeFactors {
			extra = append(extra, name)
		}
	}
	if len(extra) > 0 {
		return nil, fmt.Errorf("%s not of this model", list("tensor", extra))
	}
	return wanted, nil
}

// fillGGUF copies parameters out of f on all processors.
func fillGGUF(f *gguf.File, wanted []ggufParameter) error {
	queue := make(chan ggufParameter, len(wanted))
	for _, w := range wanted {
		queue <- w
	}
	close(queue)
	errs := make([]error, runtime.GOMAXPROCS(0))
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			var values []float32 // kept from one parameter to the next
			for w := range queue {
				errs[i] = errors.Join(errs[i], tensor.Try(func() { values = w.fill(f.Bytes(w.info.Name), values) }))
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// fill sets the parameter to the weights that data holds. Values are memory for it, and what it made of them.
func (w ggufParameter) fill(data []byte, values []float32) []float32 {
	if w.heads > 0 {
		data = reorderRows(data, w.info.Shape[0], w.heads, fromLlamaCpp)
	}
	to := w.to.DType()
	dt, plain := ggufDTypes[w.info.Type]
	if plain && (dt == to || !dt.IsQuantized() || !to.IsQuantized()) {
		tensor.CopyFromBytes(w.to, dt, data)
		return values
	}
	// A piece at a time, so that large weights never stand in memory as F32 too.
	s := w.to.Device().NewScope()
	defer s.Close()
	rows, width := 1, w.to.Len()
	if w.to.Rank() > 1 {
		rows, width = w.to.Dim(0), w.to.Len()/max(1, w.to.Dim(0))
	}
	step := max(1, ggufPiece/max(1, width))
	if n := min(rows, step) * width; len(values) < n {
		values = make([]float32, n)
	}
	rowBytes := len(data) / max(1, rows)
	for lo := 0; lo < rows; lo += step {
		hi := min(rows, lo+step)
		piece := values[:(hi-lo)*width]
		gguf.Dequantize(w.info.Type, piece, data[lo*rowBytes:hi*rowBytes])
		to := w.to
		if rows > 1 {
			to = to.In(s).Slice(0, lo, hi)
		}
		tensor.CopyFromBytes(to, tensor.F32, bytesOf(piece))
	}
	return values
}

// ggufPiece is how many weights are dequantised at a time.
const ggufPiece = 1 << 18

// bytesOf is the memory of x.
func bytesOf(x []float32) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(x))), 4*len(x))
}

// ggufBeside names a GGUF file in a directory that has no config.json, for an error.
func ggufBeside(dir string) string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return ""
	}
	for _, e := range entries {
		if isGGUF(e.Name()) {
			return "; there is " + e.Name() + ": give the path of that file"
		}
	}
	return ""
}
