package data

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// linesOf reads JSON Lines with their fields.
func linesOf(t *testing.T, text string) (lines []Line) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "f.jsonl")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	for l, err := range (Reader{}).Lines(path) {
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, l)
	}
	return lines
}

// manyRows are ten rows on each of 30 databases; databases 0 and 1, and 1 and 2, share a question.
func manyRows(t *testing.T) []Line {
	var b strings.Builder
	for db := range 30 {
		for i := range 10 {
			q := fmt.Sprintf("Question %d of %d?", i, db)
			switch {
			case i == 0 && db <= 1:
				q = "How many are there?"
			case i == 1 && db == 1:
				q = "Which one is IT?"
			case i == 1 && db == 2:
				q = "which  one is it"
			}
			fmt.Fprintf(&b, `{"db_id":"db%d","topic":%d,"question":%q,"sql":"SELECT %d"}`+"\n", db, db%2, q, i)
		}
	}
	return linesOf(t, b.String())
}

func TestNoDatabaseAndNoQuestionIsInTwoParts(t *testing.T) {
	lines := manyRows(t)
	for seed := range uint64(20) {
		sets, err := Split(lines, "db_id", []float64{0.1, 0.2}, seed)
		if err != nil {
			t.Fatal(err)
		}
		counts, of := [3]int{}, map[string]int{}
		for i, l := range lines {
			counts[sets[i]]++
			for _, key := range []string{"db " + l.DBID, "question " + foldQuestion(l.Question)} {
				if set, seen := of[key]; seen && set != sets[i] {
					t.Errorf("seed %d: %s is in parts %d and %d", seed, key, set, sets[i])
				}
				of[key] = sets[i]
			}
		}
		if of["db db0"] != of["db db2"] {
			t.Errorf("seed %d: databases that share questions by way of a third are in two parts", seed)
		}
		for i, want := range []int{210, 30, 60} {
			if got := counts[i]; got < want-20 || got > want+20 {
				t.Errorf("seed %d: part %d has %d rows, want about %d", seed, i, got, want)
			}
		}
	}
}

func TestASplitDependsOnRowsAndSeedAlone(t *testing.T) {
	lines := manyRows(t)
	a, err := Split(lines, "db_id", []float64{0.2}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := Split(manyRows(t), "db_id", []float64{0.2}, 1); !reflect.DeepEqual(a, b) {
		t.Error("the same rows and seed are split in another way")
	}
	if b, _ := Split(lines, "db_id", []float64{0.2}, 2); reflect.DeepEqual(a, b) {
		t.Error("another seed splits in the same way")
	}
	rows, err := Split(lines, "", []float64{0.1}, 1)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, set := range rows {
		n += set
	}
	if n < 28 || n > 32 {
		t.Errorf("row by row %d of 300 are in the part of a tenth", n)
	}
}

func TestWhatCannotBeSplitIsRefused(t *testing.T) {
	lines := manyRows(t)
	for by, want := range map[string]string{
		"absent": `line 1: field "absent" is missing`,
		"topic":  `10 % of the rows cannot be taken apart without splitting what belongs together: there are 1 groups of "topic" and questions, the largest of 300 of 300 rows, that of line 1`,
	} {
		if _, err := Split(lines, by, []float64{0.1}, 1); err == nil || err.Error() != want {
			t.Errorf("by %s:\ngot  %v\nwant %s", by, err, want)
		}
	}
}
