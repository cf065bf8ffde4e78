package models_test

import (
	"bytes"
	"encoding/binary"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hone-ml/hone/models"
	"github.com/hone-ml/hone/models/llama"
	"github.com/hone-ml/hone/models/modeltest"
	_ "github.com/hone-ml/hone/models/qwen"
	"github.com/hone-ml/hone/tensor"
	"github.com/hone-ml/hone/tensor/gguf"
	"github.com/hone-ml/hone/tensor/safetensors"
)

// The goldens were made with gguf-py and transformers by scripts/goldens/gguf_models.py.
var ggufGoldens = []string{"llama", "llama3", "qwen2", "qwen3"}

func ggufGolden(name string) string { return filepath.Join("testdata", "gguf", name+".gguf") }

func TestAGGUFFileComputesTheLogitsOfTransformers(t *testing.T) {
	f, err := safetensors.Open(filepath.Join("testdata", "gguf", "logits.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, name := range ggufGoldens {
		m, err := models.Load(ggufGolden(name), models.LoadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		ids := make([]int32, len(f.Bytes(name+".ids"))/4)
		want := make([]float32, len(f.Bytes(name+".logits"))/4)
		decoded(t, f.Bytes(name+".ids"), ids)
		decoded(t, f.Bytes(name+".logits"), want)
		got := logitsOf(m, ids)
		worst, largest := 0.0, 0.0
		for i, w := range want {
			worst, largest = max(worst, math.Abs(got[i]-float64(w))), max(largest, math.Abs(float64(w)))
		}
		if !(worst <= 1e-4*largest) || len(got) != len(want) {
			t.Errorf("%s: %d logits, off by %.2g of %.2g", name, len(got), worst, largest)
		}
	}
}

func decoded(t *testing.T, data []byte, to any) {
	t.Helper()
	if _, err := binary.Decode(data, binary.LittleEndian, to); err != nil {
		t.Fatal(err)
	}
}

// logitsOf are those behind every one of ids.
func logitsOf(m models.CausalLM, ids []int32) []float64 {
	s := tensor.CPU().NewScope()
	defer s.Close()
	h := m.Hidden(models.Batch{IDs: tensor.FromSlice(s, ids, 1, len(ids))}, nil)
	return tensor.Linear(h, m.Head(), nil).Float64s()
}

// What hone writes has the tensors of llama.cpp's converter, queries and keys in its order of rows.
func TestAGGUFFileIsWrittenAsLlamaCppConvertsIt(t *testing.T) {
	for _, name := range ggufGoldens {
		m, err := models.Load(ggufGolden(name), models.LoadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		want, err := gguf.Open(ggufGolden(name))
		if err != nil {
			t.Fatal(err)
		}
		defer want.Close()
		got, err := gguf.Open(savedGGUF(t, m, models.GGUFOptions{}))
		if err != nil {
			t.Fatal(err)
		}
		defer got.Close()
		if a, b := slices.Sorted(slices.Values(got.Names())), slices.Sorted(slices.Values(want.Names())); !slices.Equal(a, b) {
			t.Errorf("%s has tensors %v, want %v", name, a, b)
		}
		for info, data := range want.All() {
			if other, _ := got.Info(info.Name); other.Type != info.Type || !slices.Equal(other.Shape, info.Shape) {
				t.Errorf("%s: %s is %s %v, want %s %v", name, info.Name, other.Type, other.Shape, info.Type, info.Shape)
			} else if info.Name != "rope_freqs.weight" && !slices.Equal(got.Bytes(info.Name), data) {
				t.Errorf("%s: %s has other values", name, info.Name)
			}
		}
		for _, kv := range want.Metadata() {
			switch value, ok := got.Metadata().Lookup(kv.Key); {
			case kv.Key == "tokenizer.ggml.bos_token_id" && !ok: // comes with a tokenizer
			case value != kv.Value:
				t.Errorf("%s: %s is %v, want %v", name, kv.Key, value, kv.Value)
			}
		}
	}
}

func init() {
	models.RegisterGGUF("llama-of-others", models.GGUFArchitecture{ModelType: "llama", Class: "LlamaForCausalLM", Interleaved: true})
}

func TestAnArchitectureOfGGUFFilesCanBeAdded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "other.gguf")
	m, err := models.Load(ggufGolden("llama"), models.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := models.SaveGGUF(path, m, models.GGUFOptions{}); err != nil {
		t.Fatal(err)
	}
	rewriteGGUF(t, path, func(_ map[string]gguf.Tensor, m *gguf.Metadata) {
		for i, kv := range *m {
			(*m)[i].Key = strings.Replace(kv.Key, "llama.", "llama-of-others.", 1)
		}
		set(m, "general.architecture", "llama-of-others")
	})
	got, err := models.Load(path, models.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(bytesOf(got), bytesOf(m)) {
		t.Error("the parameters differ")
	}
	defer func() {
		if recover() == nil {
			t.Error("a name can be registered twice")
		}
	}()
	models.RegisterGGUF("llama-of-others", models.GGUFArchitecture{})
}

func TestTheFactorsOfLlama3AreReadAndWritten(t *testing.T) {
	m, err := models.Load(ggufGolden("llama3"), models.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	got := m.(*llama.Model).Config.RopeScaling
	want := models.RopeScaling{Type: "llama3", Factor: 32, LowFreqFactor: 1, HighFreqFactor: 4, OriginalMaxPositionEmbeddings: 8192}
	if got == nil || *got != want {
		t.Errorf("rope_scaling is %+v, want %+v", got, want)
	}
	path := savedGGUF(t, m, models.GGUFOptions{})
	again, err := models.Load(path, models.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got := again.(*llama.Model).Config.RopeScaling; got == nil || *got != want {
		t.Errorf("rope_scaling is %+v after a file, want %+v", got, want)
	}
	rewriteGGUF(t, path, func(ts map[string]gguf.Tensor, _ *gguf.Metadata) {
		ts["rope_freqs.weight"].Data[4]++ // the last bit
	})
	if _, err := models.Load(path, models.LoadOptions{}); err != nil {
		t.Errorf("a factor that is off by an ulp: %v", err)
	}
	rewriteGGUF(t, path, func(ts map[string]gguf.Tensor, _ *gguf.Metadata) {
		ts["rope_freqs.weight"].Data[7]++ // the exponent
	})
	if _, err := models.Load(path, models.LoadOptions{}); err == nil {
		t.Error("factors that Llama 3 does not have are taken")
	}
}

func TestBlocksOfALlamaKeepTheOrderOfItsHeads(t *testing.T) {
	m, err := models.Load(ggufGolden("llama"), models.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	path := savedGGUF(t, m, models.GGUFOptions{DType: new(tensor.Q8_0)})
	blocks, err := models.Load(path, models.LoadOptions{DType: new(tensor.Q8_0)})
	if err != nil {
		t.Fatal(err)
	}
	plain, err := models.Load(path, models.LoadOptions{DType: new(tensor.F32)})
	if err != nil {
		t.Fatal(err)
	}
	original := maps.Collect(m.Parameters())
	values := maps.Collect(plain.Parameters())
	for name, p := range blocks.Parameters() {
		if p.DType() != tensor.Q8_0 {
			continue
		}
		got, want := tensor.ToSlice[float32](p), tensor.ToSlice[float32](original[name])
		if !slices.Equal(got, tensor.ToSlice[float32](values[name])) {
			t.Errorf("%s: blocks and values differ", name)
		}
		for i, w := range want {
			if math.Abs(float64(got[i]-w)) > 0.02 {
				t.Errorf("%s[%d] is %g, want about %g", name, i, got[i], w)
				break
			}
		}
	}
}

func TestAGGUFFileIsTheSameOnEveryDevice(t *testing.T) {
	modeltest.OnEveryDevice(t, func(t *testing.T, dev *tensor.Device) {
		if dev == tensor.CPU() {
			return // with which the others are compared
		}
		for _, dt := range []*tensor.DType{nil, new(tensor.BF16), new(tensor.Q8_0)} {
			want, err := models.Load(ggufGolden("llama"), models.LoadOptions{DType: dt})
			if err != nil {
				t.Fatal(err)
			}
			got, err := models.Load(ggufGolden("llama"), models.LoadOptions{DType: dt, Device: dev})
			if err != nil {
				t.Fatal(err)
			}
			if !maps.Equal(bytesOf(got), bytesOf(want)) {
				t.Errorf("%v: the parameters differ", dt)
			}
			files := [2]string{savedGGUF(t, got, models.GGUFOptions{DType: new(tensor.Q8_0)}), savedGGUF(t, want, models.GGUFOptions{DType: new(tensor.Q8_0)})}
			var data [2][]byte
			for i, path := range files {
				if data[i], err = os.ReadFile(path); err != nil {
					t.Fatal(err)
				}
			}
			if !bytes.Equal(data[0], data[1]) {
				t.Errorf("%v: what is saved differs", dt)
			}
		}
	})
}
