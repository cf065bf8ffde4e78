package nn_test

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hone-ml/hone/nn"
	"github.com/hone-ml/hone/tensor"
	"github.com/hone-ml/hone/tensor/safetensors"
)

// stateful has parameters, buffers and a tied head.
type stateful struct {
	Embed *nn.Embedding `param:"embed"`
	Norm  *nn.BatchNorm `param:"norm"`
	Head  *nn.Linear    `param:"head"`
}

func newStateful(dt tensor.DType, seed uint64) *stateful {
	d := tensor.CPU()
	m := &stateful{Embed: nn.NewEmbedding(d, dt, 5, 4), Norm: nn.NewBatchNorm(d, dt, 4, 1e-5)}
	m.Head = &nn.Linear{Weight: m.Embed.Weight, Bias: tensor.Zeros(d, dt, 5)}
	r := tensor.NewRand(seed)
	nn.Initialize(m, r)
	m.Norm.Mean.FillRandn(r, 0, 1)
	tensor.CopyFromSlice(m.Norm.Batches, []int64{int64(seed)})
	return m
}

// values are all numbers of a module's state by name.
func values(module any) map[string][]float64 {
	out := map[string][]float64{}
	for name, p := range nn.State(module) {
		out[name] = p.Float64s()
	}
	return out
}

func sameValues(a, b map[string][]float64) bool {
	for name := range a {
		if !slices.Equal(a[name], b[name]) {
			return false
		}
	}
	return len(a) == len(b)
}

func TestWhatIsSavedIsLoadedAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.safetensors")
	for _, dt := range []tensor.DType{tensor.F32, tensor.F64, tensor.BF16} {
		m, other := newStateful(dt, 1), newStateful(dt, 2)
		if sameValues(values(m), values(other)) {
			t.Fatal("the two are equal before")
		}
		if err := nn.Save(path, m); err != nil {
			t.Fatal(err)
		}
		f, err := safetensors.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		names := f.Names()
		f.Close()
		slices.Sort(names)
		want := []string{"embed.weight", "head.bias", "norm.bias", "norm.num_batches_tracked", "norm.running_mean", "norm.running_var", "norm.weight"}
		if !slices.Equal(names, want) {
			t.Errorf("the file holds %q", names)
		}
		if err := nn.Load(path, other); err != nil {
			t.Fatal(err)
		}
		if !sameValues(values(m), values(other)) {
			t.Errorf("%v: loaded values differ", dt)
		}
	}
}

func TestLoadConvertsFloats(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.safetensors")
	narrow, wide := newStateful(tensor.BF16, 1), newStateful(tensor.F32, 2)
	if err := errors.Join(nn.Save(path, narrow), nn.Load(path, wide)); err != nil {
		t.Fatal(err)
	}
	if !sameValues(values(narrow), values(wide)) || wide.Embed.Weight.DType() != tensor.F32 {
		t.Error("values or dtypes changed")
	}
}

func TestATiedTensorIsFoundUnderEachOfItsNames(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.safetensors")
	var written []safetensors.Tensor
	source := newStateful(tensor.F32, 3)
	for name, p := range nn.State(source) {
		dt := safetensors.F32
		if p.DType() == tensor.I64 {
			dt = safetensors.I64
		}
		written = append(written, safetensors.Tensor{Name: name, DType: dt, Shape: p.Shape(), Data: p.Bytes()})
	}
	first := slices.IndexFunc(written, func(w safetensors.Tensor) bool { return w.Name == "embed.weight" })
	both := append(slices.Clone(written), written[first])
	both[len(both)-1].Name = "head.weight"
	written[first].Name = "head.weight"
	for what, tensors := range map[string][]safetensors.Tensor{"both": both, "the second": written} {
		m := newStateful(tensor.F32, 4)
		if err := safetensors.Write(path, tensors, nil); err != nil {
			t.Fatal(err)
		}
		if err := nn.Load(path, m); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if !sameValues(values(source), values(m)) {
			t.Errorf("%s: loaded values differ", what)
		}
	}
}

func TestLoadListsAllThatDoesNotFitAndChangesNothing(t *testing.T) {
	d := tensor.CPU()
	path := filepath.Join(t.TempDir(), "state.safetensors")
	type file struct {
		A *nn.Linear     `param:"a"`
		B *nn.Linear     `param:"b"`
		C *tensor.Tensor `buffer:"count"`
	}
	type wanted struct {
		A *nn.Linear     `param:"a"`
		B *nn.Linear     `param:"c"`
		C *tensor.Tensor `buffer:"count"`
	}
	src := file{nn.NewLinear(d, tensor.F32, 2, 3, true), nn.NewLinear(d, tensor.F32, 2, 2, true), tensor.Zeros(d, tensor.I64)}
	nn.Initialize(src, tensor.NewRand(1))
	if err := nn.Save(path, src); err != nil {
		t.Fatal(err)
	}
	m := wanted{nn.NewLinear(d, tensor.F32, 2, 4, true), nn.NewLinear(d, tensor.F32, 2, 2, true), tensor.Zeros(d, tensor.F32)}
	nn.Initialize(m, tensor.NewRand(2))
	before := values(m)
	err := nn.Load(path, m)
	wrong, ok := errors.AsType[*nn.StateError](err)
	if !ok {
		t.Fatalf("the error is %v", err)
	}
	want := "nn: " + path + " is not the state of the module: missing in the file: c.weight, c.bias; " +
		"unexpected in the file: b.bias, b.weight; of another shape or dtype: a.weight is f32[3 2], the module wants f32[4 2], " +
		"a.bias is f32[3], the module wants f32[4], count is i64[], the module wants f32[]"
	slices.Sort(wrong.Unexpected)
	if wrong.Error() != want {
		t.Errorf("the error is\n%v\nwant\n%v", wrong, want)
	}
	if _, err := nn.LoadPartial(path, m); err == nil || len(err.(*nn.StateError).Misfits) != 3 {
		t.Errorf("a partial load of other shapes: %v", err)
	}
	if !sameValues(before, values(m)) {
		t.Error("a load that failed changed the module")
	}
}

func TestLoadPartialFillsWhatBothHaveAndNamesTheRest(t *testing.T) {
	d := tensor.CPU()
	path := filepath.Join(t.TempDir(), "state.safetensors")
	src := nn.Sequential{nn.NewLinear(d, tensor.F32, 2, 3, true), nn.ReLU{}, nn.NewLinear(d, tensor.F32, 3, 2, false)}
	dst := nn.Sequential{nn.NewLinear(d, tensor.F32, 2, 3, true), nn.NewLinear(d, tensor.F32, 3, 2, false)}
	nn.Initialize(src, tensor.NewRand(1))
	nn.Initialize(dst, tensor.NewRand(2))
	if err := nn.Save(path, src); err != nil {
		t.Fatal(err)
	}
	rest, err := nn.LoadPartial(path, dst)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(rest.Missing, []string{"1.weight"}) || !slices.Equal(rest.Unexpected, []string{"2.weight"}) {
		t.Errorf("left out: %+v", rest)
	}
	if !sameValues(values(src[:1]), values(dst[:1])) || sameValues(values(src[2:]), values(dst[1:])) {
		t.Error("the first layer was not loaded, or the second was")
	}
	if _, err := nn.LoadPartial(filepath.Join(t.TempDir(), "none.safetensors"), dst); err == nil {
		t.Error("no error about a file that is not there")
	}
}

func TestALoadWithoutMemoryToConvertChangesNothing(t *testing.T) {
	d := tensor.CPU()
	path := filepath.Join(t.TempDir(), "state.safetensors")
	src := nn.Sequential{nn.NewLinear(d, tensor.F64, 8, 8, true), nn.NewLinear(d, tensor.F64, 512, 1024, false)}
	dst := nn.Sequential{nn.NewLinear(d, tensor.F32, 8, 8, true), nn.NewLinear(d, tensor.F32, 512, 1024, false)}
	nn.Initialize(src, tensor.NewRand(1))
	nn.Initialize(dst, tensor.NewRand(2))
	if err := nn.Save(path, src); err != nil {
		t.Fatal(err)
	}
	before := values(dst)
	limit := d.Memory().Limit
	d.TrimCache()
	d.SetMemoryLimit(d.Memory().Reserved + 1<<20)
	err := nn.Load(path, dst)
	d.SetMemoryLimit(limit)
	if _, ok := errors.AsType[*tensor.OOMError](err); !ok {
		t.Fatalf("the error is %v", err)
	}
	if !sameValues(before, values(dst)) {
		t.Error("a load that failed changed the module")
	}
}

func TestSaveNamesAQuantisedTensor(t *testing.T) {
	m := nn.Sequential{nn.NewLinear(tensor.CPU(), tensor.F32, 32, 2, false)}
	nn.Initialize(m, tensor.NewRand(1))
	if err := nn.Quantize(m, tensor.Q8_0); err != nil {
		t.Fatal(err)
	}
	err := nn.Save(filepath.Join(t.TempDir(), "x.safetensors"), m)
	if err == nil || !strings.Contains(err.Error(), "0.weight is q8_0, which a safetensors file cannot hold") {
		t.Errorf("the error is %v", err)
	}
}
