package score

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hone-ml/hone/examples/text2sql/internal/data"
	"github.com/hone-ml/hone/examples/text2sql/internal/sqlexec"
)

func music(t *testing.T) *sqlexec.SQLite {
	t.Helper()
	ex, err := sqlexec.OpenSQLite("", sqlexec.Limits{Time: 100 * time.Millisecond, Rows: 1000})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ex.Close() })
	err = ex.AddScript("music", `CREATE TABLE singer (id INTEGER PRIMARY KEY, name TEXT, age INTEGER);
		INSERT INTO singer VALUES (1, 'Anna', 30), (2, 'Ben', 40), (3, 'Ben', 50);
		CREATE TABLE n (i); INSERT INTO n WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 2000) SELECT i FROM c`)
	if err != nil {
		t.Fatal(err)
	}
	return ex
}

func gold(id, sql string) data.Row {
	return data.Row{ID: id, DBID: "music", Question: "q" + id, SQL: sql, Dialect: "sqlite"}
}

func TestEvaluateCountsEachVerdict(t *testing.T) {
	ex := music(t)
	const names, count = "SELECT name FROM singer", "SELECT count(*) FROM singer"
	cases := []struct {
		gold, pred string
		want       Verdict
		set, exact bool
	}{
		{names, "```sql\nSELECT name FROM singer ORDER BY id DESC;\n```", Correct, true, false},
		{names, "select NAME from singer;", Correct, true, true},
		{names, "SELECT DISTINCT name FROM singer", Wrong, true, false},
		{"SELECT name , age FROM singer", "SELECT age , name FROM singer", Correct, false, false},
		{"SELECT age FROM singer ORDER BY age", "SELECT age FROM singer ORDER BY age DESC", Wrong, true, false},
		{count, "SELECT 3.0", Correct, true, false},
		{count, "SELECT '3'", Wrong, false, false},
		{count, "SELECT count(*) FROM singers", Failed, false, false},
		{count, "DROP TABLE singer", NoQuery, false, false},
		{count, "SELECT randomblob(9)", Forbidden, false, false},
		{count, "SELECT count(*) FROM n a, n b, n c", Timeout, false, false},
		{count, "SELECT i FROM n", TooLarge, false, false},
		{count, "", NoQuery, false, false},
		{count, "-", Missing, false, false},
		{"SELECT name FROM singer WHERE age > 99", "SELECT name FROM singer WHERE age > 98", Correct, true, false},
	}
	var rows []data.Row
	var preds []data.Prediction
	for i, c := range cases {
		id := string(rune('a' + i))
		rows = append(rows, gold(id, c.gold))
		if c.pred != "-" {
			preds = append(preds, data.Prediction{ID: id, SQL: c.pred})
		}
	}
	golds := new(Golds)
	var first *Summary
	for _, workers := range []int{1, 4, 0} {
		sum, items, err := Evaluate(t.Context(), ex, rows, preds, Options{Workers: workers, Golds: golds})
		if err != nil {
			t.Fatal(err)
		}
		for i, it := range items {
			c := cases[i]
			if it.ID != rows[i].ID || it.Verdict != c.want || it.SetMatch != c.set || it.ExactMatch != c.exact {
				t.Errorf("%q for %q: got %+v", c.pred, c.gold, it)
			}
			if silent := it.Verdict == Correct || it.Verdict == Wrong; silent != (it.Error == "") {
				t.Errorf("%q: verdict %s with error %q", c.pred, it.Verdict, it.Error)
			}
		}
		sum.Seconds = 0
		if first == nil {
			first = sum
		} else if !reflect.DeepEqual(sum, first) {
			t.Errorf("%d workers: %+v, one: %+v", workers, sum, first)
		}
	}
	if first.N != 15 || first.Errors != 5 || first.Timeouts != 1 || first.EmptyGolds != 1 ||
		first.ExecutionAccuracy != 5.0/15 || first.SetAccuracy != 6.0/15 || first.ExactMatch != 1.0/15 || first.ValidSQL != 8.0/15 {
		t.Errorf("%+v", first)
	}
}

func TestTheSummarysJSONIsTheContracts(t *testing.T) {
	b, err := json.Marshal(Summary{N: 4, ExecutionAccuracy: 0.5, CI95: [2]float64{0.25, 0.75}, Seconds: 1.5})
	const want = `{"n":4,"execution_accuracy":0.5,"ci95":[0.25,0.75],"set_accuracy":0,"exact_match":0,"valid_sql":0,"errors":0,"timeouts":0,"empty_golds":0,"seconds":1.5}`
	if err != nil || string(b) != want {
		t.Errorf("got %s, %v", b, err)
	}
	b, err = json.Marshal(Item{ID: "1", Question: "q", Gold: "g", Predicted: "p", Verdict: Wrong, SetMatch: true})
	if want := `{"id":"1","question":"q","gold":"g","predicted":"p","verdict":"wrong","error":""}`; err != nil || string(b) != want {
		t.Errorf("got %s, %v", b, err)
	}
}

func TestEvaluateRefusesWhatCannotBeScored(t *testing.T) {
	ex := music(t)
	ok := gold("1", "SELECT 1")
	postgres := ok
	postgres.Dialect = "postgres"
	elsewhere := ok
	elsewhere.DBID = "films"
	answer := data.Prediction{ID: "1", SQL: "SELECT 1"}
	for want, c := range map[string]struct {
		rows  []data.Row
		preds []data.Prediction
	}{
		`no rows`:                              {},
		`two rows have the id "1"`:             {rows: []data.Row{ok, ok}},
		`"7", which no row has`:                {rows: []data.Row{ok}, preds: []data.Prediction{{ID: "7"}}},
		`two predictions for the id "1"`:       {rows: []data.Row{ok}, preds: []data.Prediction{answer, answer}},
		`row "1" is in the dialect "postgres"`: {rows: []data.Row{postgres}, preds: []data.Prediction{answer}},
		`gold query of row "2" (database "music"): no such table: films`: {rows: []data.Row{ok, gold("2", "SELECT * FROM films")}},
		`gold query of row "1" (database "films"): no such database`:     {rows: []data.Row{elsewhere}},
	} {
		if _, _, err := Evaluate(t.Context(), ex, c.rows, c.preds, Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := Evaluate(ctx, ex, []data.Row{ok}, nil, Options{}); err != context.Canceled {
		t.Errorf("cancelled: %v", err)
	}
}

func TestWilsonsInterval(t *testing.T) {
	for _, c := range []struct {
		k, n      int
		low, high float64
	}{
		{84, 200, 0.3537, 0.4893}, // 42 % of 200: ±7 points
		{0, 10, 0, 0.2775},
		{10, 10, 0.7225, 1},
		{1, 2, 0.0945, 0.9055},
		{0, 0, 0, 1},
	} {
		low, high := Wilson(c.k, c.n)
		if math.Abs(low-c.low) > 5e-5 || math.Abs(high-c.high) > 5e-5 {
			t.Errorf("%d of %d: got %.4f to %.4f", c.k, c.n, low, high)
		}
	}
}

// realSet returns the rows of the real validation set and their databases, or
// skips the test.
func realSet(t *testing.T) ([]data.Row, *sqlexec.SQLite) {
	t.Helper()
	dir := os.Getenv("HONE_SHARED")
	if dir == "" {
		root, err := os.Getwd()
		if err != nil {
			t.Fatal(err)
		}
		for root != filepath.Dir(root) {
			if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
				break
			}
			root = filepath.Dir(root)
		}
		dir = filepath.Join(root, "..", "shared")
	}
	dir = filepath.Join(dir, "data", "text2sql-sqlite")
	rows, err := data.Read(filepath.Join(dir, "valid.jsonl"))
	if os.IsNotExist(err) {
		t.Skipf("%s is not there", dir)
	} else if err != nil {
		t.Fatal(err)
	}
	ex, err := sqlexec.OpenSQLite(filepath.Join(dir, "databases"), sqlexec.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ex.Close() })
	return rows, ex
}

// answers makes predictions of the rows.
func answers(rows []data.Row, sql func(i int) string) []data.Prediction {
	out := make([]data.Prediction, len(rows))
	for i, row := range rows {
		out[i] = data.Prediction{ID: row.ID, SQL: sql(i)}
	}
	return out
}

func TestGoldsOfTheRealSetAreAllRight(t *testing.T) {
	rows, ex := realSet(t)
	sum, items, err := Evaluate(t.Context(), ex, rows, answers(rows, func(i int) string { return rows[i].SQL }), Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, it := range items {
		if it.Verdict != Correct || !it.ExactMatch || !it.SetMatch {
			t.Errorf("%+v", it)
		}
	}
	t.Logf("%+v", *sum)
	if sum.N != 768 || sum.ExecutionAccuracy != 1 || sum.Seconds > 10 {
		t.Errorf("%+v", *sum)
	}
}

func TestAnotherQuestionsGoldIsSeldomRight(t *testing.T) {
	rows, ex := realSet(t)
	byDB := map[string][]int{}
	for i, row := range rows {
		byDB[row.DBID] = append(byDB[row.DBID], i)
	}
	other := make([]int, len(rows))
	for _, at := range byDB {
		for k, i := range at {
			other[i] = at[k]
			for step := 1; step < len(at); step++ { // the next gold that is another query
				if j := at[(k+step)%len(at)]; rows[j].SQL != rows[i].SQL {
					other[i] = j
					break
				}
			}
		}
	}
	sum, _, err := Evaluate(t.Context(), ex, rows, answers(rows, func(i int) string { return rows[other[i]].SQL }), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", *sum)
	if sum.ExecutionAccuracy > 0.06 || sum.ValidSQL != 1 {
		t.Errorf("%+v", *sum)
	}
}

func TestDroppingDistinctCostsUnderTheStrictRuleOnly(t *testing.T) {
	rows, ex := realSet(t)
	distinct := regexp.MustCompile(`(?i)^SELECT DISTINCT `)
	var with []data.Row
	for _, row := range rows {
		if distinct.MatchString(row.SQL) {
			with = append(with, row)
		}
	}
	preds := answers(with, func(i int) string { return distinct.ReplaceAllString(with[i].SQL, "SELECT ") })
	sum, _, err := Evaluate(t.Context(), ex, with, preds, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", *sum)
	if sum.ExecutionAccuracy >= sum.SetAccuracy || sum.SetAccuracy != 1 {
		t.Errorf("strict %v, set %v", sum.ExecutionAccuracy, sum.SetAccuracy)
	}
}

func TestAnyOfSeveralGoldsIsRight(t *testing.T) {
	ex := music(t)
	row := gold("a", "SELECT name FROM singer WHERE age = 30")
	row.Golds = []string{"SELECT id, name FROM singer WHERE age = 30", "SELECT age FROM singer ORDER BY age"}
	for sql, want := range map[string]Verdict{
		"SELECT name FROM singer WHERE id = 1":       Correct,
		"SELECT name, id FROM singer WHERE id = 1":   Correct,
		"SELECT age FROM singer ORDER BY 1":          Correct,
		"SELECT age FROM singer ORDER BY 1 DESC":     Wrong, // that gold has an order
		"SELECT name, age FROM singer WHERE id = 1":  Wrong,
		"SELECT age  FROM singer ORDER BY age -- so": Correct,
	} {
		_, items, err := Evaluate(t.Context(), ex, []data.Row{row}, []data.Prediction{{ID: "a", SQL: sql}}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if items[0].Verdict != want || items[0].ExactMatch != strings.Contains(sql, "-- so") {
			t.Errorf("%s: %+v, want %s", sql, items[0], want)
		}
	}
	row.Golds = []string{"SELECT broken"}
	if _, _, err := Evaluate(t.Context(), ex, []data.Row{row}, nil, Options{}); err == nil || !strings.Contains(err.Error(), `"a"`) {
		t.Errorf("a further gold that fails: %v", err)
	}
}
