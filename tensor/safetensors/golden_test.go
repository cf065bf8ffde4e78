package safetensors

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// golden is what testdata/make_goldens.py says of a file it made.
type golden struct {
	Metadata map[string]string `json:"metadata"`
	Tensors  []goldenTensor    `json:"tensors"`
}

type goldenTensor struct {
	Name  string `json:"name"`
	DType string `json:"dtype"`
	Shape []int  `json:"shape"`
	Hex   string `json:"hex"`
}

var goldens = []string{"dtypes", "shapes", "names", "metadata", "nothing", "only_metadata"}

func readGolden(t *testing.T, name string) golden {
	t.Helper()
	var g golden
	readJSON(t, filepath.Join("testdata", name+".json"), &g)
	return g
}

func readJSON(t *testing.T, path string, into any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatal(err)
	}
}

// wantTensor fails unless f holds what want says under its name.
func wantTensor(t *testing.T, f *File, want goldenTensor) {
	t.Helper()
	info, ok := f.Info(want.Name)
	if !ok {
		t.Errorf("%q is missing", want.Name)
		return
	}
	data := f.Bytes(want.Name)
	if info.Name != want.Name || string(info.DType) != want.DType || !slices.Equal(info.Shape, want.Shape) {
		t.Errorf("%q: %+v, want %+v", want.Name, info, want)
	}
	if hex.EncodeToString(data) != want.Hex || data == nil {
		t.Errorf("%q: bytes %x, want %s", want.Name, data, want.Hex)
	}
	if info.Size != int64(len(data)) {
		t.Errorf("%q: Size %d, but %d bytes", want.Name, info.Size, len(data))
	}
	if info.Shape == nil {
		t.Errorf("%q: nil shape", want.Name)
	}
	raw, err := os.ReadFile(info.File)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(raw[info.Offset:info.Offset+info.Size], data) {
		t.Errorf("%q: Offset %d of %s is not where its bytes are", want.Name, info.Offset, info.File)
	}
}

func TestFilesOfTheReferenceAreReadExactly(t *testing.T) {
	for _, name := range goldens {
		t.Run(name, func(t *testing.T) {
			want := readGolden(t, name)
			f := opened(t, filepath.Join("testdata", name+".safetensors"))
			var names []string
			for _, tensor := range want.Tensors {
				names = append(names, tensor.Name)
				wantTensor(t, f, tensor)
			}
			if !slices.Equal(f.Names(), names) {
				t.Errorf("names %q, want %q", f.Names(), names)
			}
			if !maps.Equal(f.Metadata(), want.Metadata) {
				t.Errorf("metadata %q, want %q", f.Metadata(), want.Metadata)
			}
			for info := range f.All() {
				if !info.Aligned() {
					t.Errorf("%q is not aligned", info.Name)
				}
			}
		})
	}
}

func TestEveryDTypeOfTheReferenceIsCovered(t *testing.T) {
	f := opened(t, filepath.Join("testdata", "dtypes.safetensors"))
	for dtype, info := range dtypes {
		_, ok := f.Info("t." + strings.ToLower(string(dtype)))
		if ok != (info.size > 0) {
			t.Errorf("%s: in the golden file: %t, of whole bytes: %t", dtype, ok, info.size > 0)
		}
	}
}

func TestWriteGivesTheBytesOfTheReference(t *testing.T) {
	for _, name := range goldens {
		if name == "metadata" {
			continue // several entries, which the reference orders at random
		}
		t.Run(name, func(t *testing.T) {
			path := filepath.Join("testdata", name+".safetensors")
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			source := readGolden(t, name)
			var tensors []Tensor
			for _, g := range source.Tensors {
				data, err := hex.DecodeString(g.Hex)
				if err != nil {
					t.Fatal(err)
				}
				tensors = append(tensors, Tensor{Name: g.Name, DType: DType(g.DType), Shape: g.Shape, Data: data})
			}
			slices.Reverse(tensors) // the order of the argument does not matter
			out := filepath.Join(t.TempDir(), "out.safetensors")
			if err := Write(out, tensors, source.Metadata); err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(out)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("got  %q\nwant %q", got, want)
			}
		})
	}
}

func TestShardedModelOfTransformersIsReadWhole(t *testing.T) {
	var want map[string]goldenTensor
	dir := filepath.Join("testdata", "sharded")
	readJSON(t, filepath.Join(dir, "expected.json"), &want)
	for _, path := range []string{dir, filepath.Join(dir, "model.safetensors.index.json")} {
		f := opened(t, path)
		for name, tensor := range want {
			tensor.Name = name
			wantTensor(t, f, tensor)
		}
		names := []string{"model.embed_tokens.weight", "model.norm.weight", "scale", "lm_head.weight"}
		if !slices.Equal(f.Names(), names) {
			t.Errorf("names %q, want %q", f.Names(), names)
		}
		if m := f.Metadata(); !maps.Equal(m, map[string]string{"format": "pt", "only_in_second": "yes"}) {
			t.Errorf("metadata %q", m)
		}
		if info, _ := f.Info("scale"); filepath.Base(info.File) != "model-00002-of-00002.safetensors" {
			t.Errorf("scale is in %s", info.File)
		}
	}
}

func TestFourBitTensorsOfTheReferenceAreRefused(t *testing.T) {
	_, err := Open(filepath.Join("testdata", "f4.safetensors"))
	if err == nil || !strings.Contains(err.Error(), `tensor "x": dtype F4 is narrower than a byte`) {
		t.Errorf("error %v", err)
	}
}
