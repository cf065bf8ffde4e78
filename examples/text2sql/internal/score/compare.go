package score

import (
	"math"
	"slices"
	"strconv"

	"github.com/hone-ml/hone/examples/text2sql/internal/sqlexec"
)

// Tolerance is how far apart two numbers may be, relative to the larger, and
// still be the same answer.
const Tolerance = 1e-6

// Equal is the strict rule. The results have the same number of columns and
// the same rows, each as often, with the columns in any one order that makes
// them so; the rows come in the same order too when ordered is true (see
// [Ordered]).
//
// Two cells are the same when both are NULL, both the same text, both the same
// bytes, both the same boolean, or both numbers that differ by no more than
// [Tolerance]. Two integers must be exactly equal, so that one id in a million
// is not taken for the next. 1 equals 1.0; neither 1 and '1' nor NULL and ”
// are equal. NaN equals NaN.
//
// The search for the order of columns gives up, and says false, after work far
// beyond what results of real queries take.
func Equal(gold, pred *sqlexec.Result, ordered bool) bool {
	if len(gold.Columns) != len(pred.Columns) || len(gold.Rows) != len(pred.Rows) {
		return false
	}
	if slices.EqualFunc(gold.Rows, pred.Rows, func(a, b []any) bool { return slices.EqualFunc(a, b, sameCell) }) {
		return true // as nearly all right answers are
	}
	if ordered {
		return sameRowsInOrder(gold.Rows, pred.Rows, len(gold.Columns))
	}
	return newSearch(gold.Rows, pred.Rows, len(gold.Columns)).run()
}

// SetEqual is the rule of the BIRD benchmark: the results are the same set of
// rows, so that neither order nor repetition of rows counts, while the order
// of columns does. Numbers are equal when they have exactly the same value, 1
// and 1.0 included.
// See https://github.com/AlibabaResearch/DAMO-ConvAI/tree/main/bird.
func SetEqual(gold, pred *sqlexec.Result) bool {
	want := map[string]bool{}
	for _, row := range gold.Rows {
		want[rowKey(row)] = true
	}
	got := map[string]bool{}
	for _, row := range pred.Rows {
		key := rowKey(row)
		if !want[key] {
			return false
		}
		got[key] = true
	}
	return len(got) == len(want)
}

// rowKey is the same text for rows that SetEqual takes for the same.
func rowKey(row []any) string {
	var key []byte
	for _, cell := range row {
		switch v := cell.(type) {
		case int64:
			key = strconv.AppendInt(append(key, 'n'), v, 10)
		case bool:
			key = strconv.AppendInt(append(key, 'n'), int64(truth(v)), 10)
		case float64:
			if v == math.Trunc(v) && math.Abs(v) < 1<<63 {
				key = strconv.AppendInt(append(key, 'n'), int64(v), 10)
			} else {
				key = strconv.AppendFloat(append(key, 'n'), v, 'x', -1, 64)
			}
		default:
			key = appendExact(key, cell)
		}
		key = append(key, ',')
	}
	return string(key)
}

func truth(b bool) int {
	if b {
		return 1
	}
	return 0
}

// appendExact appends a text that is the same for two cells that are no
// numbers exactly when they are the same, and that no number's key begins with.
func appendExact(key []byte, cell any) []byte {
	switch v := cell.(type) {
	case nil:
		return append(key, '0')
	case bool:
		return append(key, 't', byte('0'+truth(v)))
	case string:
		key = strconv.AppendInt(append(key, 's'), int64(len(v)), 10)
		return append(append(key, ':'), v...)
	case []byte:
		key = strconv.AppendInt(append(key, 'b'), int64(len(v)), 10)
		return append(append(key, ':'), v...)
	}
	return append(key, '?')
}

// A numeric is a number of a result; whole ones keep all of their digits.
type numeric struct {
	value float64
	whole bool
	exact int64 // when whole
}

func number64(cell any) (numeric, bool) {
	switch v := cell.(type) {
	case int64:
		return numeric{value: float64(v), whole: true, exact: v}, true
	case float64:
		return numeric{value: v}, true
	}
	return numeric{}, false
}

// compare orders numbers by size, NaN first.
func (a numeric) compare(b numeric) int {
	switch {
	case a.whole && b.whole:
		return sign(a.exact < b.exact, a.exact > b.exact)
	case math.IsNaN(a.value) || math.IsNaN(b.value):
		return sign(math.IsNaN(a.value) && !math.IsNaN(b.value), !math.IsNaN(a.value) && math.IsNaN(b.value))
	}
	return sign(a.value < b.value, a.value > b.value)
}

func sign(less, greater bool) int { return truth(greater) - truth(less) }

// near reports whether two numbers are the same answer.
func (a numeric) near(b numeric) bool {
	if a.whole && b.whole {
		return a.exact == b.exact
	}
	x, y := a.value, b.value
	if x == y || math.IsNaN(x) && math.IsNaN(y) {
		return true
	}
	if math.IsInf(x, 0) || math.IsInf(y, 0) {
		return false
	}
	return math.Abs(x-y) <= Tolerance*max(math.Abs(x), math.Abs(y))
}

// sameCell is the strict rule for two cells.
func sameCell(a, b any) bool {
	x, isNumber := number64(a)
	y, otherIs := number64(b)
	switch {
	case isNumber && otherIs:
		return x.near(y)
	case isNumber || otherIs:
		return false
	}
	if s, ok := a.(string); ok {
		t, ok := b.(string)
		return ok && s == t
	}
	return string(appendExact(nil, a)) == string(appendExact(nil, b))
}

// sameRowsInOrder reports whether some order of pred's columns makes every row
// the same as gold's at its place. Each pair of columns can be compared alone,
// so this is a matching of columns.
func sameRowsInOrder(gold, pred [][]any, columns int) bool {
	fits := make([][]int, columns)
	for g := range fits {
		for p := range columns {
			if sameColumn(gold, pred, g, p) {
				fits[g] = append(fits[g], p)
			}
		}
	}
	return perfectMatching(fits, columns)
}

func sameColumn(gold, pred [][]any, g, p int) bool {
	for i := range gold {
		if !sameCell(gold[i][g], pred[i][p]) {
			return false
		}
	}
	return true
}

// perfectMatching reports whether each of the n left nodes can have a right
// node of its own among those that it fits (Kuhn's augmenting paths).
func perfectMatching(fits [][]int, n int) bool {
	owner := slices.Repeat([]int{-1}, n)
	seen := slices.Repeat([]int{-1}, n) // the last root from which a right node was visited
	var augment func(left, root int) bool
	augment = func(left, root int) bool {
		for _, right := range fits[left] {
			if seen[right] == root {
				continue
			}
			seen[right] = root
			if owner[right] < 0 || augment(owner[right], root) {
				owner[right] = left
				return true
			}
		}
		return false
	}
	for left := range fits {
		if !augment(left, left) {
			return false
		}
	}
	return true
}
