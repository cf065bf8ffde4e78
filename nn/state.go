package nn

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hone-ml/hone/internal/checkpoint"
	"github.com/hone-ml/hone/tensor"
	"github.com/hone-ml/hone/tensor/safetensors"
)

// Save writes the state of a module, parameters and buffers under their names, to a safetensors file, which is
// replaced whole or not at all. A tied tensor is written once. The error names a tensor whose dtype the format
// does not know, which is a quantised one.
func Save(path string, module any) error {
	var ts []safetensors.Tensor
	for name, p := range State(module) {
		e, ok := checkpoint.Entry(name, p)
		if !ok {
			return fmt.Errorf("nn: Save: %s is %v, which a safetensors file cannot hold", name, p.DType())
		}
		ts = append(ts, e)
	}
	return safetensors.Write(path, ts, safetensors.FormatPT())
}

// Load fills the state of a module from a safetensors file, or from a directory or index of sharded ones,
// converting floats to the dtypes of the module. The file must hold each tensor of the module in its shape, and
// nothing else; a tied tensor may stand there under one of its names or under all. If anything does not fit,
// the error is a *StateError that lists all of it, and nothing was changed.
func Load(path string, module any) error {
	_, err := load(path, module, false)
	return err
}

// LoadPartial fills what a module and a file have in common by name, and returns what only one of them has.
// A shape or dtype that does not fit is an error as in Load, and nothing was changed. To load a part of a
// module from a file whose other shapes differ, give a struct of that part, with the tag that it has in the
// module.
func LoadPartial(path string, module any) (*Unmatched, error) { return load(path, module, true) }

// Unmatched are the names that a module and a file do not share.
type Unmatched struct {
	Missing    []string // in the module, not in the file
	Unexpected []string // in the file, not in the module
}

// A Misfit is a tensor that a file holds in another shape, or a dtype that does not convert.
type Misfit struct {
	Name                  string
	FileShape, Shape      []int
	FileDType, WantsDType string
}

// A StateError says why a file is not the state of a module.
type StateError struct {
	Path string
	Unmatched
	Misfits []Misfit
}

// Error lists every name.
func (e *StateError) Error() string {
	var parts []string
	list := func(what string, names []string) {
		if len(names) > 0 {
			parts = append(parts, fmt.Sprintf("%s: %s", what, strings.Join(names, ", ")))
		}
	}
	list("missing in the file", e.Missing)
	list("unexpected in the file", e.Unexpected)
	var misfits []string
	for _, m := range e.Misfits {
		misfits = append(misfits, fmt.Sprintf("%s is %s%v, the module wants %s%v", m.Name, m.FileDType, m.FileShape, m.WantsDType, m.Shape))
	}
	list("of another shape or dtype", misfits)
	return fmt.Sprintf("nn: %s is not the state of the module: %s", e.Path, strings.Join(parts, "; "))
}

func load(path string, module any, partial bool) (*Unmatched, error) {
	f, err := safetensors.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names := map[*tensor.Tensor][]string{}
	var order []*tensor.Tensor
	unexpected := map[string]bool{}
	for _, name := range f.Names() {
		unexpected[name] = true
	}
	for e := range entriesOf("Load", module) {
		if names[e.tensor] == nil {
			order = append(order, e.tensor)
		}
		names[e.tensor] = append(names[e.tensor], e.name)
		delete(unexpected, e.name)
	}
	problem := &StateError{Path: path}
	source := map[*tensor.Tensor]safetensors.Info{}
	for _, t := range order {
		i := slices.IndexFunc(names[t], func(name string) bool { _, ok := f.Info(name); return ok })
		if i < 0 {
			problem.Missing = append(problem.Missing, names[t][0])
			continue
		}
		info, _ := f.Info(names[t][i])
		if !slices.Equal(info.Shape, t.Shape()) || !converts(info.DType, t.DType()) {
			problem.Misfits = append(problem.Misfits, Misfit{info.Name, info.Shape, t.Shape(), dtypeName(info.DType), t.DType().String()})
		}
		source[t] = info
	}
	for _, name := range f.Names() {
		if unexpected[name] {
			problem.Unexpected = append(problem.Unexpected, name)
		}
	}
	if len(problem.Misfits) > 0 || !partial && len(problem.Missing)+len(problem.Unexpected) > 0 {
		return nil, problem
	}
	return &problem.Unmatched, fill(f, source)
}

// fill copies the tensors out of f. What can fail, which is memory to convert in, is had before the first
// is changed.
func fill(f *safetensors.File, source map[*tensor.Tensor]safetensors.Info) error {
	largest := map[*tensor.Device]int{}
	for t, info := range source {
		if dt, _ := checkpoint.DType(info.DType); dt != t.DType() {
			largest[t.Device()] = max(largest[t.Device()], int(info.Size))
		}
	}
	scopes := map[*tensor.Device]*tensor.Scope{}
	for d := range largest {
		scopes[d] = d.NewScope()
		defer scopes[d].Close()
	}
	return tensor.Try(func() {
		for d, n := range largest {
			tensor.Empty(scopes[d], tensor.U8, n)
			scopes[d].Reset()
		}
		for t, info := range source {
			data := f.Bytes(info.Name)
			dt, _ := checkpoint.DType(info.DType)
			if dt == t.DType() {
				tensor.CopyFromBytes(t, dt, data)
				continue
			}
			s := scopes[t.Device()]
			t.CopyFrom(tensor.FromBytes(s, dt, data, info.Shape...))
			s.Reset()
		}
	})
}

// converts reports whether a file's elements can fill a tensor: floats one another, everything else itself.
func converts(from safetensors.DType, to tensor.DType) bool {
	dt, ok := checkpoint.DType(from)
	return ok && (dt == to || dt.IsFloat() && to.IsFloat())
}

// dtypeName is a file's dtype as tensors spell theirs.
func dtypeName(dt safetensors.DType) string { return strings.ToLower(string(dt)) }
