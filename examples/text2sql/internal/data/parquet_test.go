package data

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// parquetGolden is what scripts/goldens/parquet.py wrote.
type parquetGolden struct {
	Files    map[string]string
	Rows     []map[string]any
	Messages []any
}

func readParquetGolden(t *testing.T) parquetGolden {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", "parquet.json"))
	if err != nil {
		t.Fatal(err)
	}
	var g parquetGolden
	if err := json.Unmarshal(raw, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

// file writes one of the golden's files.
func (g parquetGolden) file(t *testing.T, name string) string {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(g.Files[name])
	if err != nil || len(raw) == 0 {
		t.Fatalf("%q: %d bytes, %v", name, len(raw), err)
	}
	path := filepath.Join(t.TempDir(), "rows.parquet")
	if err := os.WriteFile(path, raw, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestParquetFilesOfPyarrowHoldTheRowsThatWereWritten(t *testing.T) {
	g := readParquetGolden(t)
	var want []Row
	text := func(v any) string { s, _ := v.(string); return s }
	for _, r := range g.Rows {
		row := Row{ID: strconv.Itoa(int(r["id"].(float64))), DBID: text(r["db_id"]), Schema: text(r["schema"]),
			Question: text(r["question"]), SQL: text(r["sql"]), Dialect: text(r["dialect"])}
		if golds, ok := r["golds"].([]any); ok {
			row.Golds = []string{}
			for _, sql := range golds {
				row.Golds = append(row.Golds, sql.(string))
			}
		}
		want = append(want, row)
	}
	files := 0
	for name := range g.Files {
		if name == "messages" {
			continue
		}
		files++
		got, err := Read(g.file(t, name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(got) != len(want) {
			t.Errorf("%s: %d rows, want %d", name, len(got), len(want))
			continue
		}
		for i := range got {
			if !reflect.DeepEqual(got[i], want[i]) {
				t.Errorf("%s: row %d is %+v, want %+v", name, i+1, got[i], want[i])
			}
		}
	}
	if files != 4 {
		t.Errorf("%d files, want 4", files)
	}
}

// fieldsOf reads a file's records as JSON would have them.
func fieldsOf(t *testing.T, path string) (all []map[string]any) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for number, rec := range (Reader{}).recordsOf(f, filepath.Ext(path)) {
		if rec.err != nil {
			t.Fatalf("%d: %v", number, rec.err)
		}
		fields := map[string]any{}
		for name, raw := range rec.fields {
			var v any
			if err := json.Unmarshal(raw, &v); err != nil {
				t.Fatal(err)
			}
			fields[name] = v
		}
		all = append(all, fields)
	}
	return all
}

func TestParquetColumnsOfEveryKindAreReadOrLeftOut(t *testing.T) {
	g := readParquetGolden(t)
	for i, got := range fieldsOf(t, g.file(t, "zstd, plain, pages v2")) {
		if got["score"] != float64(i)/4 || got["seen"] != (i%3 == 0) {
			t.Fatalf("row %d: score %v, seen %v", i, got["score"], got["seen"])
		}
		var nested any
		if i%2 == 1 {
			nested = map[string]any{"a": []any{[]any{float64(i)}, []any{}, nil}, "b": nil}
		}
		if !reflect.DeepEqual(got["nested"], nested) {
			t.Fatalf("row %d: nested is %v, want %v", i, got["nested"], nested)
		}
		for _, name := range []string{"when", "tags"} { // a time and a map
			if _, there := got[name]; there {
				t.Fatalf("row %d: column %q is %v", i, name, got[name])
			}
		}
	}
	got := fieldsOf(t, g.file(t, "messages"))
	if len(got) != 2 || !reflect.DeepEqual(got[0]["messages"], g.Messages[0]) || !reflect.DeepEqual(got[1]["messages"], g.Messages[1]) {
		t.Errorf("messages are %v, want %v", got, g.Messages)
	}
}

func TestADamagedParquetFileIsAnError(t *testing.T) {
	g := readParquetGolden(t)
	for _, name := range []string{"snappy, dictionary, row groups", "uncompressed, version 1, old lists"} {
		path := g.file(t, name)
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for what, content := range map[string][]byte{"empty": nil, "text": []byte("id,sql\n1,2\n"), "half": whole[:len(whole)/2], "no header": slices.Concat([]byte("XXXX"), whole[4:])} {
			if err := os.WriteFile(path, content, 0o644); err != nil {
				t.Fatal(err)
			}
			if rows, err := Read(path); err == nil || !strings.Contains(err.Error(), "Parquet") || !strings.Contains(err.Error(), path) {
				t.Errorf("%s, %s: %d rows, %v", name, what, len(rows), err)
			}
		}
		for at := 5; at < len(whole); at += 97 { // wherever it is damaged, it ends with rows or an error
			damaged := slices.Clone(whole)
			damaged[at] ^= 0x55
			if err := os.WriteFile(path, damaged, 0o644); err != nil {
				t.Fatal(err)
			}
			if _, err := Read(path); err != nil && !strings.HasPrefix(err.Error(), path) {
				t.Errorf("%s, byte %d: the error does not name the file: %v", name, at, err)
			}
		}
	}
}
