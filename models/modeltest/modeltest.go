// Package modeltest holds an architecture against what transformers computes with the same weights.
//
// A directory has config.json of a tiny model of it, written by hand or taken from a released one and made small.
// scripts/goldens/model.py adds model.safetensors, generation_config.json, bf16.json, the error of PyTorch's own
// bfloat16 for each tensor, and goldens.safetensors, which holds
//
//	ids, targets                       I32 [B, T]; a target is what its position is to predict, −100 nothing
//	logits                             [B, T, V]
//	loss                               [1], the mean over the targets that are not −100
//	grad.P                             of the loss, for each parameter P
//	packed.i.ids, packed.i.targets     I32 [n], sequences to be packed into one row
//	packed.i.logits                    [n, V], of each by itself
//	packed.loss                        [1], the mean over the targets of all of them
//	generate.i.prompt, generate.i.new  I32 [n], and how it goes on greedily
//
// and, where the model has a loss of its own (models.Auxiliary), the sum of both in aux.loss and its gradients in
// aux.grad.P. Then one line tests the architecture:
//
//	func TestMyModel(t *testing.T) { modeltest.Run(t, "testdata/tiny") }
package modeltest

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hone-ml/hone/models"
	"github.com/hone-ml/hone/tensor"
	"github.com/hone-ml/hone/tensor/safetensors"
)

// Run tests the model of a directory on every device, see OnEveryDevice: that logits and every gradient equal
// transformers' with each way of recomputation, that packed sequences equal separate ones, that prefill and
// decoding equal one pass for every split, that greedy generation gives the same tokens alone and in a batch,
// that bfloat16 errs at most twice as much as PyTorch's, and that what is saved is what was loaded.
func Run(t *testing.T, dir string) {
	t.Helper()
	OnEveryDevice(t, func(t *testing.T, dev *tensor.Device) {
		m, err := models.Load(dir, models.LoadOptions{Device: dev})
		if err != nil {
			t.Fatal(err)
		}
		g := openGoldens(t, dir)
		t.Run("logits and gradients", func(t *testing.T) { gradients(t, m, g) })
		t.Run("bfloat16", func(t *testing.T) { bfloat16(t, dev, dir, g) })
		t.Run("auxiliary loss", func(t *testing.T) { auxiliary(t, m, g) })
		t.Run("packed sequences", func(t *testing.T) { packed(t, m, g) })
		t.Run("prefill and decoding", func(t *testing.T) { decoding(t, m, g) })
		t.Run("greedy generation", func(t *testing.T) { generation(t, m, g) })
		t.Run("saved and loaded", func(t *testing.T) { saving(t, m, dir) })
	})
}

// OnEveryDevice runs a test on the CPU and on the simulated GPU, or on the devices that HONE_TEST_DEVICE names
// ("cpu,cuda:0"). A GPU must have all of its memory back when the test ends.
func OnEveryDevice(t *testing.T, test func(t *testing.T, dev *tensor.Device)) {
	t.Helper()
	names := os.Getenv("HONE_TEST_DEVICE")
	switch {
	case names != "":
	case os.Getenv("HONE_SIMD") != "" || testing.Short(): // which say nothing to the simulated GPU
		names = "cpu"
	default:
		names = "cpu,cuda-sim"
	}
	for name := range strings.SplitSeq(names, ",") {
		t.Run(name, func(t *testing.T) {
			dev, err := tensor.OpenDevice(name)
			if err != nil {
				t.Fatal(err)
			}
			if name == "cpu" {
				test(t, dev)
				return
			}
			dev.Poison(true)
			test(t, dev)
			for range 3 { // cleanups of long-lived tensors run after a collection
				runtime.GC()
				time.Sleep(10 * time.Millisecond)
			}
			if m := dev.Memory(); m.InUse != 0 {
				t.Errorf("%d bytes are in use after the test", m.InUse)
			}
			if err := dev.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// Apart is max|a−b| / max|b|, the measure of every comparison with goldens.
func Apart(got, want []float64) float64 {
	if len(got) != len(want) {
		return math.Inf(1)
	}
	diff, size := 0.0, 0.0
	for i := range got {
		if math.IsNaN(got[i]) {
			return math.Inf(1)
		}
		diff, size = max(diff, math.Abs(got[i]-want[i])), max(size, math.Abs(want[i]))
	}
	return diff / max(size, 1e-30)
}

func gradients(t *testing.T, m models.CausalLM, g goldens) {
	modes := []tensor.Recompute{tensor.RecomputeNone}
	if r, ok := m.(models.Recomputer); ok {
		modes = append(modes, tensor.RecomputeSelective, tensor.RecomputeBlock)
		defer r.SetRecompute(tensor.RecomputeNone)
	}
	for _, mode := range modes {
		if r, ok := m.(models.Recomputer); ok {
			r.SetRecompute(mode)
		}
		tape := m.Head().Device().NewTape()
		grads := tensor.NewGrads(m.Parameters(), tensor.F32)
		h := m.Hidden(models.Batch{IDs: g.tensor(tape, "ids")}, nil)
		logits := tensor.Linear(h, m.Head(), nil)
		loss := tensor.LinearCrossEntropy(h, m.Head(), g.tensor(tape, "targets"), tensor.CrossEntropyOptions{})
		loss.Backward(grads)
		g.near(t, "logits", logits.Float64s(), 1e-4)
		g.near(t, "loss", []float64{loss.Item()}, 1e-5)
		g.nearGradients(t, grads, "grad.")
		if t.Failed() {
			t.Logf("with recompute=%s", mode)
		}
		grads.Free()
		tape.Close()
	}
}

var expert = regexp.MustCompile(`\.experts\.\d+\.`)

func bfloat16(t *testing.T, dev *tensor.Device, dir string, g goldens) {
	raw, err := os.ReadFile(filepath.Join(dir, "bf16.json"))
	if err != nil {
		t.Fatal(err)
	}
	var torch map[string]map[string]float64 // by the kind of attention, each one draw of rounding noise
	if err := json.Unmarshal(raw, &torch); err != nil {
		t.Fatalf("%s: %v", filepath.Join(dir, "bf16.json"), err)
	}
	m, err := models.Load(dir, models.LoadOptions{Device: dev, DType: new(tensor.BF16)})
	if err != nil {
		t.Fatal(err)
	}
	tape := dev.NewTape()
	defer tape.Close()
	grads := tensor.NewGrads(m.Parameters(), tensor.F32)
	defer grads.Free()
	h := m.Hidden(models.Batch{IDs: g.tensor(tape, "ids")}, nil)
	logits := tensor.Linear(h, m.Head(), nil)
	tensor.LinearCrossEntropy(h, m.Head(), g.tensor(tape, "targets"), tensor.CrossEntropyOptions{}).Backward(grads)
	// Of an expert's few rows a draw says little: the experts of a layer are measured by the worst of them.
	kind := func(name string) string { return expert.ReplaceAllString(name, ".experts.") }
	worst := map[string]float64{}
	for _, errors := range torch {
		for name, e := range errors {
			worst[kind(name)] = max(worst[kind(name)], e)
		}
	}
	within := func(name string, got []float64) {
		t.Helper()
		if e := Apart(got, g.floats(name)); !(e <= 2*worst[kind(name)]) {
			t.Errorf("%s errs by %.3g, PyTorch by %.3g", name, e, worst[kind(name)])
		}
	}
	within("logits", logits.Float64s())
	for name, d := range grads.All() {
		within("grad."+name, d.Float64s())
	}
}

func auxiliary(t *testing.T, m models.CausalLM, g goldens) {
	a, ok := m.(models.Auxiliary)
	ok = ok && a.HasAuxLoss()
	if _, golden := g.f.Info("aux.loss"); golden != ok {
		t.Fatalf("there is a golden: %t; the model has a loss of its own: %t", golden, ok)
	}
	if !ok {
		t.Skip("the model has no loss of its own")
	}
	tape := m.Head().Device().NewTape()
	defer tape.Close()
	h, own := a.HiddenAux(models.Batch{IDs: g.tensor(tape, "ids")})
	loss := own.Add(tensor.LinearCrossEntropy(h, m.Head(), g.tensor(tape, "targets"), tensor.CrossEntropyOptions{}))
	grads := tensor.NewGrads(m.Parameters(), tensor.F32)
	defer grads.Free()
	loss.Backward(grads)
	g.near(t, "aux.loss", []float64{loss.Item()}, 1e-5)
	g.nearGradients(t, grads, "aux.grad.")
}

func packed(t *testing.T, m models.CausalLM, g goldens) {
	s := m.Head().Device().NewScope()
	defer s.Close()
	var ids, targets, starts []int32
	var want []float64
	for i := range g.count("packed.%d.ids") {
		starts = append(starts, int32(len(ids)))
		ids = append(ids, g.ints(fmt.Sprintf("packed.%d.ids", i))...)
		targets = append(targets, g.ints(fmt.Sprintf("packed.%d.targets", i))...)
		want = append(want, g.floats(fmt.Sprintf("packed.%d.logits", i))...)
	}
	h := m.Hidden(models.Batch{IDs: tensor.FromSlice(s, ids, 1, len(ids)), SeqStarts: starts}, nil)
	if e := Apart(tensor.Linear(h, m.Head(), nil).Float64s(), want); e > 1e-4 {
		t.Errorf("packed logits are off by %.2g", e)
	}
	loss := tensor.LinearCrossEntropy(h.Reshape(len(ids), -1), m.Head(), tensor.FromSlice(s, targets), tensor.CrossEntropyOptions{})
	g.near(t, "packed.loss", []float64{loss.Item()}, 1e-5)
}

func decoding(t *testing.T, m models.CausalLM, g goldens) {
	cached, ok := m.(models.CacheMaker)
	if !ok {
		t.Skip("the model makes no cache")
	}
	s := m.Head().Device().NewScope()
	defer s.Close()
	ids := g.ints("ids")[:g.shape("ids")[1]]
	hidden := func(ids []int32, c *models.Cache) []float64 {
		return m.Hidden(models.Batch{IDs: tensor.FromSlice(s, ids, 1, len(ids))}, c).Float64s()
	}
	whole := hidden(ids, nil)
	for k := 1; k < len(ids); k++ {
		c := cached.NewCache(1, len(ids))
		got := hidden(ids[:k], c)
		for i := range ids[k:] {
			got = append(got, hidden(ids[k+i:k+i+1], c)...)
		}
		if e := Apart(got, whole); e > 1e-5 {
			t.Errorf("prefill of %d tokens, then decoding: off by %.2g", k, e)
		}
		c.Free()
	}
}

func generation(t *testing.T, m models.CausalLM, g goldens) {
	var prompts, want [][]int32
	for i := range g.count("generate.%d.prompt") {
		prompts = append(prompts, g.ints(fmt.Sprintf("generate.%d.prompt", i)))
		want = append(want, g.ints(fmt.Sprintf("generate.%d.new", i)))
	}
	o := models.Options{MaxTokens: len(want[0]), Stop: []int32{}}
	got, err := models.GenerateAll(t.Context(), m, prompts, o)
	if err != nil {
		t.Fatal(err)
	}
	for i := range prompts {
		if !slices.Equal(got[i], want[i]) {
			t.Errorf("in a batch, prompt %d goes on with %v, want %v", i, got[i], want[i])
		}
		alone, err := models.GenerateAll(t.Context(), m, prompts[i:i+1], o)
		if err != nil || !slices.Equal(alone[0], want[i]) {
			t.Errorf("alone, prompt %d goes on with %v, want %v (%v)", i, alone, want[i], err)
		}
	}
}

// saving saves a model and loads it again: the parameters are to be the same bits, and every field of
// config.json to have the value that it had, or has only a different form.
func saving(t *testing.T, m models.CausalLM, from string) {
	to := t.TempDir()
	if err := models.Save(to, m); err != nil {
		t.Fatal(err)
	}
	again, err := models.Load(to, models.LoadOptions{Copy: true})
	if err != nil {
		t.Fatal(err)
	}
	saved := maps.Collect(again.Parameters())
	if len(saved) == 0 {
		t.Error("the model has no parameters")
	}
	for name, p := range m.Parameters() {
		if s := saved[name]; s == nil || s.DType() != p.DType() || !bytes.Equal(s.Bytes(), p.Bytes()) {
			t.Errorf("%s is not what was saved", name)
		}
		delete(saved, name)
	}
	if len(saved) > 0 {
		t.Errorf("%d parameters more are loaded than were saved", len(saved))
	}
	before, after := readJSON(t, from), readJSON(t, to)
	for name, want := range before {
		if got := after[name]; fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("config.json: %s became %v, was %v", name, got, want)
		}
	}
}

func readJSON(t *testing.T, dir string) (fields map[string]any) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &fields); err != nil {
		t.Fatal(err)
	}
	return fields
}

// goldens is a file of reference tensors.
type goldens struct {
	t *testing.T
	f *safetensors.File
}

func openGoldens(t *testing.T, dir string) goldens {
	t.Helper()
	f, err := safetensors.Open(filepath.Join(dir, "goldens.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return goldens{t, f}
}

// count is how many there are of a numbered tensor; none is a failure.
func (g goldens) count(format string) int {
	g.t.Helper()
	n := 0
	for has := true; has; n++ {
		_, has = g.f.Info(fmt.Sprintf(format, n))
	}
	if n == 1 {
		g.t.Fatalf("goldens: no "+format, 0)
	}
	return n - 1
}

func (g goldens) bytes(name string, dt safetensors.DType) []byte {
	g.t.Helper()
	info, ok := g.f.Info(name)
	if !ok || info.DType != dt {
		g.t.Fatalf("goldens: %s: present %v, dtype %s", name, ok, info.DType)
	}
	return g.f.Bytes(name)
}

func (g goldens) words(name string, dt safetensors.DType) iter.Seq[uint32] {
	b := g.bytes(name, dt)
	return func(yield func(uint32) bool) {
		for i := 0; i < len(b) && yield(binary.LittleEndian.Uint32(b[i:])); i += 4 {
		}
	}
}

func (g goldens) ints(name string) (x []int32) {
	g.t.Helper()
	for w := range g.words(name, safetensors.I32) {
		x = append(x, int32(w))
	}
	return x
}

func (g goldens) floats(name string) (x []float64) {
	g.t.Helper()
	for w := range g.words(name, safetensors.F32) {
		x = append(x, float64(math.Float32frombits(w)))
	}
	return x
}

func (g goldens) shape(name string) []int {
	info, _ := g.f.Info(name)
	return info.Shape
}

// tensor is a tensor of ints in s.
func (g goldens) tensor(s *tensor.Scope, name string) *tensor.Tensor {
	g.t.Helper()
	return tensor.FromSlice(s, g.ints(name), g.shape(name)...)
}

func (g goldens) near(t *testing.T, name string, got []float64, tolerance float64) {
	t.Helper()
	if e := Apart(got, g.floats(name)); !(e <= tolerance) {
		t.Errorf("%s is off by %.2g", name, e)
	}
}

// nearGradients holds every gradient against a golden, and wants every golden to have a gradient.
func (g goldens) nearGradients(t *testing.T, grads *tensor.Grads, prefix string) {
	t.Helper()
	goldens := map[string]bool{}
	for _, name := range g.f.Names() {
		if strings.HasPrefix(name, prefix) {
			goldens[name] = true
		}
	}
	for name, d := range grads.All() {
		if g.near(t, prefix+name, d.Float64s(), 1e-4); !goldens[prefix+name] {
			t.Errorf("there is no golden gradient of %s", name)
		}
		delete(goldens, prefix+name)
	}
	for name := range goldens {
		t.Errorf("the model has no parameter for %s", name)
	}
}
