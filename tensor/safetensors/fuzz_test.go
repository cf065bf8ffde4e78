package safetensors

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// FuzzOpen opens arbitrary files. What is refused must be refused by a
// FormatError, and what is accepted must mean the same to encoding/json, tile the
// data, and survive being written and read again.
func FuzzOpen(f *testing.F) {
	for _, m := range malformedFiles() {
		f.Add(m.file)
	}
	for _, name := range goldens {
		file, err := os.ReadFile(filepath.Join("testdata", name+".safetensors"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(file)
	}
	dir := f.TempDir() // each worker has its own, and runs one case at a time
	f.Fuzz(func(t *testing.T, file []byte) {
		path := filepath.Join(dir, "fuzz.safetensors")
		if err := os.WriteFile(path, file, 0o644); err != nil {
			t.Fatal(err)
		}
		opened, err := Open(path)
		if err != nil {
			var format *FormatError
			if !errors.As(err, &format) || strings.Contains(err.Error(), "\n") {
				t.Fatalf("error %q", err)
			}
			return
		}
		defer opened.Close()
		wantTiles(t, opened, file)
		wantJSON(t, opened, file)

		tensors := contents(opened)
		again := filepath.Join(dir, "again.safetensors")
		if err := Write(again, tensors, opened.Metadata()); err != nil {
			t.Fatal(err)
		}
		reopened, err := Open(again)
		if err != nil {
			t.Fatal(err)
		}
		defer reopened.Close()
		if len(reopened.Names()) != len(tensors) || !maps.Equal(reopened.Metadata(), opened.Metadata()) {
			t.Fatalf("%d tensors of %d, metadata %q", len(reopened.Names()), len(tensors), reopened.Metadata())
		}
		for _, want := range tensors {
			info, _ := reopened.Info(want.Name)
			if info.DType != want.DType || !slices.Equal(info.Shape, want.Shape) || !bytes.Equal(reopened.Bytes(want.Name), want.Data) {
				t.Fatalf("%+v, want %+v", info, want)
			}
		}
	})
}

// wantTiles fails unless the tensors of f are, one after another, the end of
// file.
func wantTiles(t *testing.T, f *File, file []byte) {
	t.Helper()
	var data []byte
	for info, b := range f.All() {
		n := int64(info.DType.Size())
		for _, d := range info.Shape {
			n *= int64(d)
		}
		if n != int64(len(b)) {
			t.Fatalf("%+v has %d bytes", info, len(b))
		}
		data = append(data, b...)
	}
	if !bytes.HasSuffix(file, data) {
		t.Fatalf("the tensors' bytes %x are not the file's", data)
	}
}

// wantJSON fails unless encoding/json reads the same from the header.
func wantJSON(t *testing.T, f *File, file []byte) {
	t.Helper()
	dataSize := 0
	for _, b := range f.All() {
		dataSize += len(b)
	}
	text := file[lengthSize : len(file)-dataSize]
	var header map[string]json.RawMessage
	if err := json.Unmarshal(text, &header); err != nil {
		t.Fatalf("encoding/json: %v", err)
	}
	metadata := map[string]string{}
	if raw, ok := header[metadataKey]; ok {
		if err := json.Unmarshal(raw, &metadata); err != nil {
			t.Fatalf("encoding/json: %v", err)
		}
		delete(header, metadataKey)
	}
	if !maps.Equal(metadata, f.Metadata()) || len(header) != len(f.Names()) {
		t.Fatalf("metadata %q, want %q; %d tensors, want %d", f.Metadata(), metadata, len(f.Names()), len(header))
	}
	for name, raw := range header {
		var entry struct {
			DType   DType    `json:"dtype"`
			Shape   []int    `json:"shape"`
			Offsets [2]int64 `json:"data_offsets"`
		}
		if err := json.Unmarshal(raw, &entry); err != nil {
			t.Fatalf("encoding/json: %v", err)
		}
		info, ok := f.Info(name)
		begin := info.Offset - int64(len(file)-dataSize)
		if !ok || info.DType != entry.DType || !slices.Equal(info.Shape, entry.Shape) ||
			entry.Offsets != [2]int64{begin, begin + info.Size} {
			t.Fatalf("%+v, want %q %+v", info, name, entry)
		}
	}
}

// FuzzIndex parses arbitrary indexes. What is accepted must mean the same to
// encoding/json, and name no file outside the directory.
func FuzzIndex(f *testing.F) {
	f.Add([]byte(indexXYZ))
	f.Add([]byte(`{"metadata":{"a":[-0.5e+10,"\ud83e\udd99\n",true,false,null,{}]},"weight_map":{"x":"../y"}} `))
	f.Fuzz(func(t *testing.T, text []byte) {
		x := shardIndex{weightMap: map[string]string{}}
		if err := x.parse(text); err != nil {
			return
		}
		var want struct {
			WeightMap map[string]string
		}
		var members map[string]json.RawMessage
		if err := json.Unmarshal(text, &members); err != nil {
			t.Fatalf("encoding/json: %v", err)
		}
		if err := json.Unmarshal(members["weight_map"], &want.WeightMap); err != nil {
			t.Fatalf("encoding/json: %v", err)
		}
		if !maps.Equal(x.weightMap, want.WeightMap) {
			t.Fatalf("weight_map %q, want %q", x.weightMap, want.WeightMap)
		}
		for _, shard := range x.shards {
			if filepath.Base(shard) != shard || strings.Contains(shard, `\`) || !filepath.IsLocal(shard) {
				t.Fatalf("shard %q", shard)
			}
		}
	})
}
