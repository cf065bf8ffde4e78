package safetensors

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	shardA = "model-00001-of-00002.safetensors"
	shardB = "model-00002-of-00002.safetensors"
)

// shardedModel writes an index and two shards into a new directory: a holds x
// and y, b holds z, unless the arguments say otherwise.
func shardedModel(t *testing.T, index, headerA, headerB string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, content := range map[string][]byte{
		indexName: []byte(index),
		shardA:    fileOf(headerA, 8),
		shardB:    fileOf(headerB, 8),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

var (
	indexXYZ = `{"metadata":{"total_size":16,"other":[1.5e3,-0,true,null,{"a":{}}]},"weight_map":{"x":"` + shardA + `","y":"` + shardA + `","z":"` + shardB + `"}}`
	headerXY = `{` + entry("x", "U8", "[4]", 0, 4) + `,` + entry("y", "U8", "[4]", 4, 8) + `}`
	headerZ  = `{` + entry("z", "U8", "[8]", 0, 8) + `}`
)

func TestShardsMustMatchTheirIndex(t *testing.T) {
	dir := shardedModel(t, indexXYZ, headerXY, headerZ)
	if names := opened(t, dir).Names(); strings.Join(names, "") != "xyz" {
		t.Fatalf("names %q", names)
	}
	weightMap := func(entries string) string { return `{"weight_map":{` + entries + `}}` }
	for _, test := range []struct {
		name                   string
		index, shard1, shard2  string
		wantTensor, wantReason string
	}{
		{"tensor not in its shard", strings.Replace(indexXYZ, `"z":`, `"w":"`+shardB+`","z":`, 1), headerXY, headerZ, "w", "puts it here, but it is missing"},
		{"tensor not in the map", strings.Replace(indexXYZ, `"y":"`+shardA+`",`, "", 1), headerXY, headerZ, "y", "not in the weight_map"},
		{"tensor in another shard", strings.Replace(indexXYZ, `"y":"`+shardA, `"y":"`+shardB, 1), headerXY, headerZ, "y", "puts it in \"" + shardB},
		{"tensor in both shards", indexXYZ, headerXY, `{` + entry("x", "U8", "[8]", 0, 8) + `}`, "x", "it is also in"},
		{"malformed shard", indexXYZ, headerXY, `{` + entry("z", "U8", "[9]", 0, 8) + `}`, "z", "takes 9 bytes"},
		{"shard above", weightMap(`"x":"../` + shardA + `"`), headerXY, headerZ, "", "not a plain file name"},
		{"shard of an absolute path", weightMap(`"x":"/etc/passwd"`), headerXY, headerZ, "", "not a plain file name"},
		{"shard in a folder", weightMap(`"x":"sub/` + shardA + `"`), headerXY, headerZ, "", "not a plain file name"},
		{"shard in a folder of Windows", weightMap(`"x":"sub\\` + shardA + `"`), headerXY, headerZ, "", "not a plain file name"},
		{"shard on a drive", weightMap(`"x":"C:model.safetensors"`), headerXY, headerZ, "", "not a plain file name"},
		{"shard with NUL", weightMap(`"x":"a\u0000b"`), headerXY, headerZ, "", "not a plain file name"},
		{"shard that is the parent", weightMap(`"x":".."`), headerXY, headerZ, "", "not a plain file name"},
		{"shard that is the directory", weightMap(`"x":"."`), headerXY, headerZ, "", "not a plain file name"},
		{"nameless shard", weightMap(`"x":""`), headerXY, headerZ, "", "not a plain file name"},
		{"tensor twice in the map", weightMap(`"x":"a","x":"a"`), headerXY, headerZ, "", `the key "x" occurs twice in weight_map`},
		{"no weight_map", `{"metadata":{}}`, headerXY, headerZ, "", "no weight_map"},
		{"empty weight_map", weightMap(``), headerXY, headerZ, "", "no weight_map, or an empty one"},
		{"two weight_maps", `{"weight_map":{"x":"a"},"weight_map":{}}`, headerXY, headerZ, "", "occurs twice"},
		{"weight_map of an array", `{"weight_map":["a"]}`, headerXY, headerZ, "", "must be an object of strings"},
		{"weight_map with a number", weightMap(`"x":1`), headerXY, headerZ, "", "must be a string, not a number"},
		{"key twice in the metadata", `{"metadata":{"a":1,"a":2}}`, headerXY, headerZ, "", `the key "a" occurs twice`},
		{"deep metadata", `{"metadata":` + strings.Repeat("[", 200), headerXY, headerZ, "", "nested more than 100 deep"},
		{"malformed number", `{"metadata":1.}`, headerXY, headerZ, "", "malformed number"},
		{"malformed exponent", `{"metadata":1e+}`, headerXY, headerZ, "", "malformed number"},
		{"lone minus", `{"metadata":-}`, headerXY, headerZ, "", "malformed number"},
		{"leading zero", `{"metadata":01}`, headerXY, headerZ, "", "want ','"},
		{"malformed word", `{"metadata":nul}`, headerXY, headerZ, "", "want a value, found null"},
		{"array for an object", `[]`, headerXY, headerZ, "", "want an object"},
		{"empty index", ``, headerXY, headerZ, "", "want an object, found the end"},
		{"not UTF-8", "{\"\xff\":1}", headerXY, headerZ, "", "not UTF-8"},
		{"rest after the index", `{"weight_map":{"x":"a"}} x`, headerXY, headerZ, "", "'x' follows"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := shardedModel(t, test.index, test.shard1, test.shard2)
			_, err := Open(dir)
			var format *FormatError
			if !errors.As(err, &format) {
				t.Fatalf("%v is no FormatError", err)
			}
			if format.Tensor != test.wantTensor {
				t.Errorf("%q names the tensor %q, want %q", err, format.Tensor, test.wantTensor)
			}
			if !strings.Contains(err.Error(), test.wantReason) || !strings.Contains(err.Error(), dir) {
				t.Errorf("%q does not say %q and %s", err, test.wantReason, dir)
			}
		})
	}
}

func TestMissingShardIsNamed(t *testing.T) {
	dir := shardedModel(t, indexXYZ, headerXY, headerZ)
	if err := os.Remove(filepath.Join(dir, shardB)); err != nil {
		t.Fatal(err)
	}
	_, err := Open(dir)
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), shardB) || !strings.Contains(err.Error(), indexName) {
		t.Errorf("error %v", err)
	}
}

func TestDirectoryIsSearchedLikeTransformersDoes(t *testing.T) {
	dir := shardedModel(t, indexXYZ, headerXY, headerZ)
	if err := os.WriteFile(filepath.Join(dir, singleName), fileOf(headerZ, 8), 0o644); err != nil {
		t.Fatal(err)
	}
	if names := opened(t, dir).Names(); len(names) != 1 {
		t.Errorf("%q: the single file does not go before the index", names)
	}
	if names := opened(t, filepath.Join(dir, indexName)).Names(); len(names) != 3 {
		t.Errorf("%q: the index is not used when asked for", names)
	}

	empty := t.TempDir()
	_, err := Open(empty)
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), empty) || !strings.Contains(err.Error(), singleName) {
		t.Errorf("error %v", err)
	}
	if err := os.WriteFile(filepath.Join(empty, "adapter_model.safetensors"), fileOf(headerZ, 8), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(empty); err == nil || !strings.Contains(err.Error(), "there is adapter_model.safetensors") {
		t.Errorf("error %v does not say what to open", err)
	}
}
