package score

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/hone-ml/hone/examples/text2sql/internal/sqlexec"
)

// table makes a result of rows with n columns.
func table(n int, rows ...[]any) *sqlexec.Result {
	return &sqlexec.Result{Columns: make([]string, n), Rows: rows}
}

// column makes a result of one column.
func column(cells ...any) *sqlexec.Result {
	r := table(1)
	for _, c := range cells {
		r.Rows = append(r.Rows, []any{c})
	}
	return r
}

type row = []any

func TestCellsOfOneAnswer(t *testing.T) {
	i := func(v int64) any { return v }
	for _, c := range []struct {
		a, b        any
		strict, set bool
	}{
		{i(1), i(1), true, true},
		{i(1), 1.0, true, true},
		{i(1), i(2), false, false},
		{i(1000001), i(1000002), false, false}, // ids
		{1e6, 1e6 + 0.5, true, false},
		{1e6, 1e6 + 2, false, false},
		{i(1000000), 1000000.5, true, false},
		{0.30000000000000004, 0.3, true, false},
		{1.0 / 3, 0.3333333, true, false},
		{1.0 / 3, 0.333, false, false},
		{0.0, 1e-9, false, false},
		{0.0, math.Copysign(0, -1), true, true},
		{-1.5, 1.5, false, false},
		{math.Inf(1), math.Inf(1), true, true},
		{math.Inf(1), 1e308, false, false},
		{math.Inf(1), math.Inf(-1), false, false},
		{i(math.MaxInt64), i(math.MaxInt64 - 1), false, false},
		{i(1), "1", false, false},
		{"1", "1.0", false, false},
		{"a", "A", false, false},
		{nil, nil, true, true},
		{nil, "", false, false},
		{nil, i(0), false, false},
		{"", "", true, true},
		{[]byte("a"), []byte("a"), true, true},
		{[]byte("a"), "a", false, false},
		{true, true, true, true},
		{true, false, false, false},
	} {
		for _, ordered := range []bool{false, true} {
			if got := Equal(column(c.a), column(c.b), ordered); got != c.strict {
				t.Errorf("strict: %#v, %#v: got %v", c.a, c.b, got)
			}
		}
		if got := SetEqual(column(c.a), column(c.b)); got != c.set {
			t.Errorf("set: %#v, %#v: got %v", c.a, c.b, got)
		}
	}
}

func TestRowsColumnsAndTheirOrder(t *testing.T) {
	base := table(2, row{int64(1), "a"}, row{int64(2), "b"}, row{int64(2), "b"})
	for name, c := range map[string]struct {
		pred                    *sqlexec.Result
		unordered, ordered, set bool
	}{
		"the same":                {base, true, true, true},
		"rows in another order":   {table(2, row{int64(2), "b"}, row{int64(1), "a"}, row{int64(2), "b"}), true, false, true},
		"columns swapped":         {table(2, row{"a", int64(1)}, row{"b", int64(2)}, row{"b", int64(2)}), true, true, false},
		"both":                    {table(2, row{"b", int64(2)}, row{"b", int64(2)}, row{"a", int64(1)}), true, false, false},
		"a repetition less":       {table(2, row{int64(1), "a"}, row{int64(2), "b"}), false, false, true},
		"another row repeated":    {table(2, row{int64(1), "a"}, row{int64(1), "a"}, row{int64(2), "b"}), false, false, true},
		"values across rows":      {table(2, row{int64(1), "b"}, row{int64(2), "a"}, row{int64(2), "b"}), false, false, false},
		"a column more":           {table(3, row{int64(1), "a", nil}, row{int64(2), "b", nil}, row{int64(2), "b", nil}), false, false, false},
		"a column less":           {table(1, row{int64(1)}, row{int64(2)}, row{int64(2)}), false, false, false},
		"nothing":                 {table(2), false, false, false},
		"a column twice":          {table(2, row{int64(1), int64(1)}, row{int64(2), int64(2)}, row{int64(2), int64(2)}), false, false, false},
		"text that runs together": {table(2, row{int64(1), "a"}, row{int64(2), "b"}, row{int64(2), "b "}), false, false, false},
	} {
		if got := Equal(base, c.pred, false); got != c.unordered {
			t.Errorf("%s, unordered: got %v", name, got)
		}
		if got := Equal(base, c.pred, true); got != c.ordered {
			t.Errorf("%s, ordered: got %v", name, got)
		}
		if got := SetEqual(base, c.pred); got != c.set {
			t.Errorf("%s, set: got %v", name, got)
		}
	}
	if !Equal(table(2), table(2), false) || Equal(table(2), table(1), false) || !SetEqual(table(2), table(1)) {
		t.Error("empty results: strict wants as many columns, set does not")
	}
}

func TestNearNumbersPairUpWhateverTheirOrder(t *testing.T) {
	// The first numbers are near but sort differently, so that pairing in
	// sorted order would compare 1 with 2.
	a := table(2, row{1.0, 1.5}, row{1.0000001, 2.5})
	b := table(2, row{1.0000001, 1.5}, row{1.0, 2.5})
	if !Equal(a, b, false) {
		t.Error("each row has a near one")
	}
	if Equal(a, table(2, row{1.0, 1.5}, row{1.0, 1.5}), false) {
		t.Error("one row cannot serve two")
	}
}

// shuffled returns r with its columns, and its rows if rows is true, in
// another order.
func shuffled(r *sqlexec.Result, rng *rand.Rand, rows bool) *sqlexec.Result {
	order := rng.Perm(len(r.Columns))
	out := table(len(r.Columns))
	for _, from := range r.Rows {
		to := make([]any, len(from))
		for i, j := range order {
			to[i] = from[j]
		}
		out.Rows = append(out.Rows, to)
	}
	if rows {
		rng.Shuffle(len(out.Rows), func(i, j int) { out.Rows[i], out.Rows[j] = out.Rows[j], out.Rows[i] })
	}
	return out
}

func TestAnyOrderOfColumnsIsFound(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		n, m := 1+rng.IntN(6), rng.IntN(12)
		r := table(n)
		for range m {
			cells := make([]any, n)
			for i := range cells {
				// Few values, so that columns look alike.
				cells[i] = []any{nil, "x", int64(rng.IntN(2)), float64(rng.IntN(2)) + 0.5}[rng.IntN(4)]
			}
			r.Rows = append(r.Rows, cells)
		}
		if !Equal(r, shuffled(r, rng, true), false) || !Equal(r, shuffled(r, rng, false), true) {
			t.Fatalf("not found for %v", r.Rows)
		}
		if m == 0 {
			continue
		}
		changed := shuffled(r, rng, true)
		changed.Rows[rng.IntN(m)][rng.IntN(n)] = "new"
		if Equal(r, changed, false) || Equal(r, changed, true) {
			t.Fatalf("a changed cell went unseen in %v", r.Rows)
		}
	}
}

func TestTwentyColumnsDoNotExplode(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	const columns, rows = 20, 200
	make20 := func(cell func(r, c int) any) *sqlexec.Result {
		out := table(columns)
		for r := range rows {
			cells := make([]any, columns)
			for c := range cells {
				cells[c] = cell(r, c)
			}
			out.Rows = append(out.Rows, cells)
		}
		return out
	}
	perms := make([][]int, columns)
	for c := range perms {
		perms[c] = rng.Perm(rows)
	}
	for name, r := range map[string]*sqlexec.Result{
		"all the same":                   make20(func(int, int) any { return "x" }),
		"all NULL":                       make20(func(int, int) any { return nil }),
		"permutations of the same":       make20(func(r, c int) any { return int64(perms[c][r]) }),
		"permutations of fractions":      make20(func(r, c int) any { return float64(perms[c][r]) / 7 }),
		"balanced bits":                  make20(func(r, c int) any { return int64(perms[c][r] % 2) }),
		"balanced bits, two of each":     make20(func(r, c int) any { return int64(perms[c/2][r] % 2) }),
		"balanced bits among fractions":  make20(func(r, c int) any { return float64(perms[c][r]%2) + 0.5 }),
		"rotations of a row of integers": make20(func(r, c int) any { return int64((r + c) % columns) }),
	} {
		start := time.Now()
		if !Equal(r, shuffled(r, rng, true), false) {
			t.Errorf("%s: a permutation was not found", name)
		}
		// The hard case: all columns fit alone, no order fits all.
		wrong := shuffled(r, rng, true)
		if len(r.Rows) > 1 && sameMultisetAfterSwap(wrong) && Equal(r, wrong, false) {
			t.Errorf("%s: a wrong result was taken for right", name)
		}
		if took := time.Since(start); took > 8*time.Second {
			t.Errorf("%s: took %v", name, took)
		}
	}
}

// sameMultisetAfterSwap swaps two different cells of the first column, which
// leaves every column's values as they were, and reports whether it could.
func sameMultisetAfterSwap(r *sqlexec.Result) bool {
	for i := range r.Rows {
		if r.Rows[i][0] != r.Rows[0][0] {
			r.Rows[0][0], r.Rows[i][0] = r.Rows[i][0], r.Rows[0][0]
			return true
		}
	}
	return false
}

func TestLargeResultsCompareFast(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	big := table(4)
	for i := range 50_000 {
		big.Rows = append(big.Rows, []any{int64(i), "name", rng.Float64(), nil})
	}
	start := time.Now()
	if !Equal(big, shuffled(big, rng, true), false) {
		t.Error("not the same")
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
}
