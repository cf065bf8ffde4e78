package data

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// readAs reads text as a file of that name.
func readAs(t *testing.T, name, text string) ([]Row, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	rows, err := Read(path)
	if err != nil { // the folder is another one each time
		err = errorf(strings.ReplaceAll(err.Error(), filepath.Dir(path)+string(filepath.Separator), ""))
	}
	return rows, err
}

type errorf string

func (e errorf) Error() string { return string(e) }

var twoRows = []Row{
	{ID: "a", DBID: "shop", Schema: "CREATE TABLE t (\n  x INT\n);", Question: `Who said "no, never"?`, SQL: "SELECT 1", Dialect: "sqlite", Golds: []string{"SELECT 1.0"}},
	{ID: "2", Question: "Größer, than?", SQL: "SELECT x\r\nFROM t WHERE y = ''''"},
}

func TestTablesAreReadAsTheirHeaderSays(t *testing.T) {
	csv := "id,db_id,schema,question,sql,dialect,golds,,more\r\n" +
		"a,shop,\"CREATE TABLE t (\n  x INT\n);\",\"Who said \"\"no, never\"\"?\",SELECT 1,sqlite,\"[\"\"SELECT 1.0\"\"]\",?,1\r\n" +
		"2,,,\"Größer, than?\",\"SELECT x\r\nFROM t WHERE y = ''''\",,,,\r\n"
	want := []Row{twoRows[0], twoRows[1]}
	want[1].SQL = "SELECT x\nFROM t WHERE y = ''''" // as RFC 4180's readers in Go do
	for name, text := range map[string]string{
		"rows.csv": csv, "ROWS.CSV": "\ufeff" + csv, "n.csv": strings.TrimSuffix(csv, "\r\n"), "blank.csv": strings.Replace(csv, "\r\n2,", "\r\n\r\n2,", 1),
		"rows.tsv": "id\tdb_id\tquestion\tsql\tdialect\tgolds\tschema\na\tshop\t\"Who said \"\"no, never\"\"?\"\tSELECT 1\tsqlite\t\"[\"\"SELECT 1.0\"\"]\"\t\"CREATE TABLE t (\n  x INT\n);\"\n" +
			"2\t\tGrößer, than?\t\"SELECT x\nFROM t WHERE y = ''''\"\t\t\t\n",
	} {
		if got, err := readAs(t, name, text); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	if rows, err := readAs(t, "empty.csv", ""); err != nil || len(rows) != 0 {
		t.Errorf("empty: %v, %v", rows, err)
	}
}

func TestMistakesInTablesAreNamedByTheirLine(t *testing.T) {
	const header = "id,question,sql\n"
	for text, want := range map[string]string{
		header + "1,q,SELECT 1\n2,q\n":              "f.csv:3: the line has 2 cells, the first line names 3 columns",
		header + "1,q,\"SELECT\n1\"\n2,q,\n":        `f.csv:4: field "sql" is missing`,
		header + "1,q,SELECT 1\n1,r,SELECT 2\n":     `f.csv:3: id "1" is on line 2 already`,
		header + "1,q,SELECT \"a\"\n":               `f.csv:2: not a line of a CSV file: bare " in non-quoted-field (line 2, column 12)`,
		header + "1,q,\"SELECT\n\n1":                `f.csv:2: not a line of a CSV file: extraneous or missing " in quoted-field (line 4, column 2)`,
		"id;question;sql\n1;q;SELECT 1\n":           `f.csv:1: there is one column only, "id;question;sql": the first line names the columns, separated by ","`,
		"id,sql,sql\n":                              `f.csv:1: there are two columns named "sql"`,
		"id,question\n1,q\n":                        `f.csv:2: field "sql" is missing`,
		"question,sql,golds\nq,SELECT 1,SELECT 2\n": `f.csv:2: column "golds" holds "SELECT 2"; in a CSV file it holds a JSON array`,
		"question,sql,golds\nq,SELECT 1,\"{}\"\n":   `f.csv:2: field "golds" is not an array of strings`,
		"question,sql\nq,\xff\n":                    `f.csv:2: column "sql" is not valid UTF-8`,
		"question,sql,dialect\nq,SELECT 1,mysql\n":  `f.csv:2: the dialect is "mysql", want "sqlite" or "postgres"`,
		"\xff\xfeq\x00,\x00":                        "f.csv:1: the file is in UTF-16; save it as UTF-8",
	} {
		if rows, err := readAs(t, "f.csv", text); err == nil || err.Error() != want {
			t.Errorf("%q:\ngot  %v, %v\nwant %s", text, rows, err, want)
		}
	}
}

func TestReadingGoesOnAfterABadLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f.csv")
	if err := os.WriteFile(path, []byte("id,question,sql\n1,q,SELECT 1\n2,q\n3,q,x\"y\"\n4,q,SELECT 4\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	var good, bad []int
	for l, err := range (Reader{}).Lines(path) {
		if err != nil {
			bad = append(bad, l.Number)
		} else {
			good = append(good, l.Number)
		}
	}
	if !reflect.DeepEqual(good, []int{2, 5}) || !reflect.DeepEqual(bad, []int{3, 4}) {
		t.Errorf("good lines %v, bad lines %v", good, bad)
	}
}

func TestAJSONFileIsAnArrayOrLines(t *testing.T) {
	second := with("id", "17")
	for name, text := range map[string]string{
		"array": "\ufeff [\n" + good + ",\n\n" + second + "\n]\n", "lines": good + "\n" + second,
	} {
		rows, err := readAs(t, "f.json", text)
		if err != nil || len(rows) != 2 || rows[0].ID != "1" || rows[1].ID != "17" {
			t.Errorf("%s: %+v, %v", name, rows, err)
		}
	}
	if rows, err := readAs(t, "f.json", "[]"); err != nil || len(rows) != 0 {
		t.Errorf("an empty array: %v, %v", rows, err)
	}
	nameless := strings.Replace(good, `"id":"1",`, "", 1)
	rows, err := readAs(t, "f.json", "["+nameless+","+nameless+",\n"+nameless+","+nameless+"]")
	var ids []string
	for _, row := range rows {
		ids = append(ids, row.ID)
	}
	if want := []string{"1", "1.2", "2", "2.2"}; err != nil || !slices.Equal(ids, want) {
		t.Errorf("objects on one line are called %q, want %q, %v", ids, want, err)
	}
	for text, want := range map[string]string{
		"[" + nameless + "," + with("sql", "") + "]":   `f.json:1: object 2 of the line: field "sql" is missing`,
		"[\n" + good + ",\n" + with("sql", "") + "\n]": `f.json:3: field "sql" is missing`,
		"[\n" + good + ",\n7]":                         `f.json:3: not a JSON object: "7"`,
		"[\n" + good + "\n" + good + "]":               `f.json:3: not JSON: expected comma after array element`,
		"[\n" + good + ",\n":                           `f.json:2: not JSON: the file ends in the middle`,
		"[\n" + good + "\n":                            `f.json:3: the array does not end: the file ends in the middle`,
	} {
		if rows, err := readAs(t, "f.json", text); err == nil || err.Error() != want {
			t.Errorf("%q:\ngot  %v, %v\nwant %s", text, rows, err, want)
		}
	}
}

func TestARowWithoutAnIDIsCalledByItsLine(t *testing.T) {
	rows, err := readAs(t, "f.jsonl", "\n"+with("id", "")+"\n"+with("id", "null")+"\n"+good)
	if err != nil || len(rows) != 3 || rows[0].ID != "2" || rows[1].ID != "3" || rows[2].ID != "1" {
		t.Errorf("%+v, %v", rows, err)
	}
}

func TestFieldsOfOtherNamesAreRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f.csv")
	if err := os.WriteFile(path, []byte("question,context,answer,right,sql\nq,CREATE TABLE t (a),SELECT 1,\"[\"\"VALUES (1)\"\"]\",old\nr,,SELECT 2,,\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	r := Reader{Fields: map[string]string{"schema": "context", "sql": "answer", "golds": "right"}}
	var rows []Row
	for l, err := range r.Lines(path) {
		if err != nil {
			t.Fatal(l.Number, err)
		}
		rows = append(rows, l.Row)
	}
	want := []Row{{ID: "2", Question: "q", Schema: "CREATE TABLE t (a)", SQL: "SELECT 1", Golds: []string{"VALUES (1)"}}, {ID: "3", Question: "r", SQL: "SELECT 2"}}
	if !reflect.DeepEqual(rows, want) {
		t.Errorf("%+v, want %+v", rows, want)
	}
	if r.IsChat(path) || !(Reader{Fields: map[string]string{"prompt": "question", "completion": "answer", "sql": "none"}}).IsChat(path) {
		t.Error("the form does not follow the names")
	}
	for l, err := range (Reader{Fields: map[string]string{"sql": "anser"}}).Lines(path) {
		const want = `field "anser", in which -fields has the sql, is missing: the row has "answer", "context", "question", "right", "sql"`
		if l.Number != 2 || err == nil || err.Error() != want {
			t.Errorf("a name that is no column, in line %d: %v, want %s", l.Number, err, want)
		}
		break
	}
}
