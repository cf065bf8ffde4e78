package perturb

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hone-ml/hone/examples/text2sql/internal/sqlexec"
)

// shop makes a database file with a key, a foreign key, a table without keys, odd values and a view.
func shop(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "shop.sqlite")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(`CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT NOT NULL, "the city" TEXT);
		CREATE TABLE purchase (code TEXT PRIMARY KEY, customer_id INTEGER REFERENCES customer(id), amount REAL);
		CREATE TABLE note (body TEXT, raw BLOB); CREATE TABLE empty (a); CREATE VIEW names AS SELECT name FROM customer;
		WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 50) INSERT INTO customer SELECT i, 'name ''' || i, CASE WHEN i % 3 THEN 'city ' || i % 5 END FROM c;
		INSERT INTO purchase SELECT 'p' || id, id, id * 1.5 FROM customer;
		INSERT INTO note SELECT name, x'00ff' FROM customer`); err != nil {
		t.Fatal(err)
	}
	return path
}

func one(t *testing.T, c *Copies, k int, sql string) string {
	t.Helper()
	res, err := c.Query(context.Background(), k, false, sql)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return fmt.Sprint(res.Rows)
}

func TestCopiesHoldOtherRowsOfTheSameValues(t *testing.T) {
	path := shop(t)
	c, err := Open(t.Context(), path, 3, 42, sqlexec.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if c.N() != 3 {
		t.Errorf("%d copies", c.N())
	}
	original, err := sqlexec.OpenSQLite(filepath.Dir(path), sqlexec.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	defer original.Close()
	all := func(k int) string {
		return one(t, c, k, "SELECT * FROM customer") + one(t, c, k, "SELECT * FROM purchase") + one(t, c, k, "SELECT * FROM note")
	}
	was, err := original.Query(t.Context(), "shop", "SELECT * FROM customer")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{"<nil>": true}
	for _, row := range was.Rows {
		known[fmt.Sprint(row[1])], known[fmt.Sprint(row[2])] = true, true
	}
	for k := range 3 {
		rows, err := c.Query(t.Context(), k, false, "SELECT * FROM customer")
		if err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(rows.Rows) == fmt.Sprint(was.Rows) {
			t.Errorf("copy %d is the original", k)
		}
		for _, row := range rows.Rows {
			if !known[fmt.Sprint(row[1])] || !known[fmt.Sprint(row[2])] {
				t.Errorf("copy %d holds %v, which the original does not", k, row)
			}
		}
		// Foreign keys stay with their rows, repetitions come to be, other tables stay what they are.
		if got := one(t, c, k, "SELECT count(*) FROM purchase WHERE code <> 'p' || customer_id"); got != "[[0]]" {
			t.Errorf("copy %d exchanged keys in %s rows", k, got)
		}
		if got := one(t, c, k, "SELECT count(*) > count(DISTINCT name) FROM customer"); got != "[[1]]" {
			t.Errorf("copy %d repeats no name", k)
		}
		if got := one(t, c, k, "SELECT count(*) FROM names, empty"); got != "[[0]]" {
			t.Errorf("copy %d: %s", k, got)
		}
	}
	if all(0) == all(1) {
		t.Error("two copies are the same")
	}
	again, err := Open(t.Context(), path, 1, 42, sqlexec.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if one(t, again, 0, "SELECT * FROM customer") != one(t, c, 0, "SELECT * FROM customer") {
		t.Error("the same seed made another copy")
	}
}

func TestReversedQueriesShowWhatIsNotDetermined(t *testing.T) {
	c, err := Open(t.Context(), shop(t), 1, 1, sqlexec.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for sql, determined := range map[string]bool{
		"SELECT name FROM customer LIMIT 1":                 false,
		"SELECT id FROM customer ORDER BY id LIMIT 1":       true,
		"SELECT count(*) FROM customer":                     true,
		"SELECT id FROM customer ORDER BY id / 100 LIMIT 1": false,
	} {
		res, err := c.Query(t.Context(), 0, true, sql)
		if err != nil {
			t.Fatal(err)
		}
		if same := fmt.Sprint(res.Rows) == one(t, c, 0, sql); same != determined {
			t.Errorf("%s: reversed it is the same: %v", sql, same)
		}
	}
}

func TestWhatIsNoDatabaseIsNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none.sqlite")
	if _, err := Open(t.Context(), path, 1, 1, sqlexec.Limits{}); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v", err)
	}
}
