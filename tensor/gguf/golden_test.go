package gguf

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/hone-ml/hone/tensor/safetensors"
)

// The goldens were made with the Python package gguf by scripts/goldens/gguf_types.py.

func opened(t testing.TB, path string) *File {
	t.Helper()
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

func golden(t testing.TB) *File { return opened(t, filepath.Join("testdata", "types.gguf")) }

func TestWeightsOfEveryTypeAreTheReferencesToTheBit(t *testing.T) {
	f := golden(t)
	want, err := safetensors.Open(filepath.Join("testdata", "dequantized.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer want.Close()
	tested := map[Type]bool{}
	for info, data := range f.All() {
		expected, ok := want.Info(info.Name)
		if !ok || !slices.Equal(info.Shape, expected.Shape) {
			t.Errorf("%s has shape %v, want %v", info.Name, info.Shape, expected.Shape)
			continue
		}
		bits := want.Bytes(info.Name)
		got := make([]float32, len(bits)/4)
		Dequantize(info.Type, got, data)
		for i, x := range got {
			if b := order.Uint32(bits[4*i:]); math.Float32bits(x) != b {
				t.Errorf("%s: weight %d is %g, want %g", info.Name, i, x, math.Float32frombits(b))
				break
			}
		}
		tested[info.Type] = true
	}
	for k, info := range types {
		if info.read && !tested[k] {
			t.Errorf("no golden has a tensor of %s", k)
		}
	}
	if len(f.Names()) != len(want.Names()) {
		t.Errorf("%d tensors, want %d", len(f.Names()), len(want.Names()))
	}
}

func TestMetadataOfEveryTypeIsWhatTheReferenceReads(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("testdata", "metadata.json"))
	if err != nil {
		t.Fatal(err)
	}
	var fields []struct {
		Key   string
		Types []string
		Value json.RawMessage
	}
	if err := json.Unmarshal(data, &fields); err != nil {
		t.Fatal(err)
	}
	metadata := golden(t).Metadata()
	if len(metadata) != len(fields) {
		t.Fatalf("%d entries, want %d", len(metadata), len(fields))
	}
	for i, want := range fields {
		got := metadata[i]
		kind := strings.ToLower(want.Types[len(want.Types)-1])
		if want.Types[0] == "ARRAY" {
			kind = "[]" + kind
		}
		value := reflect.New(reflect.TypeOf(got.Value))
		if err := json.Unmarshal(want.Value, value.Interface()); err != nil {
			t.Errorf("%s: %v", want.Key, err)
			continue
		}
		if got.Key != want.Key || fmt.Sprintf("%T", got.Value) != kind || !reflect.DeepEqual(got.Value, value.Elem().Interface()) {
			t.Errorf("entry %d is %s, %T %v; want %s, %s %s", i, got.Key, got.Value, got.Value, want.Key, kind, want.Value)
		}
	}
}

func TestNumbersComeInTheTypeThatIsAskedForIfTheyFit(t *testing.T) {
	m := golden(t).Metadata()
	for _, c := range []struct {
		key  string
		want int
	}{{"a.uint8", 200}, {"a.int8", -100}, {"a.uint16", 60000}, {"a.int16", -30000}, {"a.uint32", 4_000_000_000}, {"a.int32", -2_000_000_000}, {"a.int64", -1 << 62}} {
		if got, ok, err := Get[int](m, c.key); got != c.want || !ok || err != nil {
			t.Errorf("%s is %d, %v, %v; want %d", c.key, got, ok, err, c.want)
		}
	}
	if got, _, _ := Get[float64](m, "a.float32"); got != float64(float32(0.1)) {
		t.Errorf("a.float32 is %v", got)
	}
	if got, _, _ := Get[float64](m, "a.float64"); got != 0.1 {
		t.Errorf("a.float64 is %v", got)
	}
	if got, _, _ := Get[[]int](m, "a.ints"); !slices.Equal(got, []int{3, -1, 1 << 30}) {
		t.Errorf("a.ints are %v", got)
	}
	if got, _, _ := Get[[]float64](m, "a.ints"); !slices.Equal(got, []float64{3, -1, 1 << 30}) {
		t.Errorf("a.ints are %v", got)
	}
	if got, ok, err := Get[string](m, "a.nothing"); got != "" || ok || err != nil {
		t.Errorf("a key that is not there is %q, %v, %v", got, ok, err)
	}
	for _, c := range []struct {
		name string
		err  error
		want string
	}{
		{"too large", errorOf(Get[int](m, "a.uint64")), `gguf: metadata "a.uint64" is the uint64 9223372036854775813, want int`},
		{"float for int", errorOf(Get[int](m, "a.float32")), `gguf: metadata "a.float32" is the float32 0.1, want int`},
		{"string for int", errorOf(Get[int](m, "general.architecture")), `gguf: metadata "general.architecture" is the string "llama", want int`},
		{"slice for string", errorOf(Get[string](m, "a.strings")), `gguf: metadata "a.strings" is a []string, want string`},
		{"int for bool", errorOf(Get[bool](m, "a.uint8")), `gguf: metadata "a.uint8" is the uint8 200, want bool`},
		{"floats for ints", errorOf(Get[[]int](m, "a.floats")), `gguf: metadata "a.floats" is a []float32, want []int`},
	} {
		if c.err == nil || c.err.Error() != c.want {
			t.Errorf("%s: error %v, want %s", c.name, c.err, c.want)
		}
	}
}

func errorOf[T Value](_ T, _ bool, err error) error { return err }

func TestVersionTwoReadsAsVersionThree(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("testdata", "types.gguf"))
	if err != nil {
		t.Fatal(err)
	}
	three := golden(t)
	data[4] = 2
	two := opened(t, saved(t, data))
	if two.Version() != 2 || three.Version() != 3 {
		t.Errorf("versions %d and %d", two.Version(), three.Version())
	}
	if !reflect.DeepEqual(two.Metadata(), three.Metadata()) || !reflect.DeepEqual(two.infos, three.infos) {
		t.Error("the two versions differ")
	}
}

func TestDequantizePanicsUnlessTheLengthsFit(t *testing.T) {
	for _, c := range []struct {
		t      Type
		floats int
		bytes  int
	}{{F32, 2, 7}, {Q4_1, 31, 20}, {Q4_1, 32, 19}, {Q4_1, 64, 20}, {Q6_K, 32, 210}, {10, 256, 84}, {99, 0, 0}} {
		func() {
			defer func() {
				if r := recover(); r == nil || !strings.Contains(fmt.Sprint(r), c.t.String()) {
					t.Errorf("%s: %v", c.t, r)
				}
			}()
			Dequantize(c.t, make([]float32, c.floats), make([]byte, c.bytes))
		}()
	}
}

func BenchmarkDequantize(b *testing.B) {
	for k, info := range types {
		if !info.read {
			continue
		}
		b.Run(k.String(), func(b *testing.B) {
			dst := make([]float32, 1<<16)
			src := make([]byte, len(dst)/info.block*info.size)
			b.SetBytes(int64(4 * len(dst)))
			for b.Loop() {
				Dequantize(k, dst, src)
			}
		})
	}
}
