package score

import (
	"cmp"
	"slices"
)

// A search looks for an order of pred's columns in which its rows are gold's
// as a multiset.
//
// It gives each gold column a pred column in turn, those with the fewest
// candidates first; a candidate holds the same values when each column is
// taken alone. After each choice the rows are compared on the columns chosen
// so far: a wrong choice nearly always shows at once, so that the search is a
// walk, not a tree.
type search struct {
	gold, pred [][]any
	candidates [][]int // pred columns for each gold column
	order      []int   // gold columns, fewest candidates first
	twin       []int   // for each pred column, the first one with the same cells
	approx     [][]bool
	used       []bool
	numbers    [][2]int // chosen pairs of columns that hold fractional numbers
	budget     int      // of rows that may still be looked at
}

// searchBudget is enough for thousands of choices on results of real size.
const searchBudget = 20_000_000

func newSearch(gold, pred [][]any, columns int) *search {
	s := &search{gold: gold, pred: pred, used: make([]bool, columns), budget: searchBudget}
	goldStats, predStats := columnStats(gold, columns), columnStats(pred, columns)
	s.candidates, s.approx = make([][]int, columns), make([][]bool, columns)
	for g := range columns {
		s.order = append(s.order, g)
		s.approx[g] = make([]bool, columns)
		for p := range columns {
			s.approx[g][p] = goldStats[g].fractional || predStats[p].fractional
			if goldStats[g].fits(predStats[p]) {
				s.candidates[g] = append(s.candidates[g], p)
			}
		}
		// The column at the same place is the likeliest.
		if i := slices.Index(s.candidates[g], g); i > 0 {
			s.candidates[g] = slices.Insert(slices.Delete(s.candidates[g], i, i+1), 0, g)
		}
	}
	slices.SortStableFunc(s.order, func(a, b int) int { return cmp.Compare(len(s.candidates[a]), len(s.candidates[b])) })
	for p := range columns {
		first := 0
		for first < p && !identical(pred, first, p) {
			first++
		}
		s.twin = append(s.twin, first)
	}
	return s
}

func (s *search) run() bool {
	start := make([]int, len(s.gold))
	return s.place(0, start, start)
}

// place chooses a column for the gold column order[at]. The classes number the
// rows by what they hold in the columns chosen before, numbers in fractional
// columns left out; equal rows of both sides have equal classes.
func (s *search) place(at int, goldClass, predClass []int) bool {
	if at == len(s.order) {
		return true
	}
	g := s.order[at]
	var tried []int
	for _, p := range s.candidates[g] {
		if s.used[p] || slices.Contains(tried, s.twin[p]) {
			continue
		}
		tried = append(tried, s.twin[p])
		if s.budget -= len(s.gold); s.budget < 0 {
			return false
		}
		goldNext, predNext, ok := s.refine(g, p, goldClass, predClass)
		if !ok {
			continue
		}
		numbers := s.numbers
		if s.approx[g][p] {
			s.numbers = append(slices.Clone(numbers), [2]int{g, p})
		}
		s.used[p] = true
		if s.numbersMatch(goldNext, predNext) && s.place(at+1, goldNext, predNext) {
			return true
		}
		s.used[p], s.numbers = false, numbers
	}
	return false
}

// refine splits the classes by one more pair of columns. ok is false if a
// class has not the same number of rows on both sides.
func (s *search) refine(g, p int, goldClass, predClass []int) (goldNext, predNext []int, ok bool) {
	type part struct {
		class int
		cell  string
	}
	ids := map[part]int{}
	var counts []int
	goldNext, predNext = make([]int, len(s.gold)), make([]int, len(s.pred))
	approx := s.approx[g][p]
	for i, row := range s.gold {
		key := part{goldClass[i], cellKey(row[g], approx)}
		id, there := ids[key]
		if !there {
			id = len(counts)
			ids[key] = id
			counts = append(counts, 0)
		}
		goldNext[i] = id
		counts[id]++
	}
	for i, row := range s.pred {
		id, there := ids[part{predClass[i], cellKey(row[p], approx)}]
		if !there || counts[id] == 0 {
			return nil, nil, false
		}
		predNext[i] = id
		counts[id]--
	}
	return goldNext, predNext, true
}

// cellKey is the same for cells that are the same; for all numbers alike when
// they are compared with a tolerance, apart.
func cellKey(cell any, approx bool) string {
	_, ok := number64(cell)
	switch {
	case !ok:
		return string(appendExact(nil, cell))
	case approx:
		return "#"
	}
	return rowKey([]any{cell})
}

// numbersMatch reports whether, within each class, the rows of both sides can
// be paired so that the numbers of the chosen fractional columns are near.
func (s *search) numbersMatch(goldClass, predClass []int) bool {
	if len(s.numbers) == 0 {
		return true
	}
	goldRows, predRows := s.vectors(s.gold, goldClass, 0), s.vectors(s.pred, predClass, 1)
	for from := 0; from < len(goldRows); {
		to := from + 1
		for to < len(goldRows) && goldRows[to].class == goldRows[from].class {
			to++
		}
		if !s.pairUp(goldRows[from:to], predRows[from:to]) {
			return false
		}
		from = to
	}
	return true
}

// A vector is a row's class and its numbers in the chosen fractional columns.
type vector struct {
	class   int
	numbers []numeric
}

// vectors returns the rows sorted by class, then by numbers.
func (s *search) vectors(rows [][]any, class []int, side int) []vector {
	out := make([]vector, len(rows))
	for i, row := range rows {
		v := vector{class[i], make([]numeric, len(s.numbers))}
		for k, pair := range s.numbers {
			v.numbers[k], _ = number64(row[pair[side]])
		}
		out[i] = v
	}
	slices.SortFunc(out, func(a, b vector) int {
		return cmp.Or(cmp.Compare(a.class, b.class), slices.CompareFunc(a.numbers, b.numbers, numeric.compare))
	})
	return out
}

// pairUp reports whether two sorted lists of vectors can be paired. In order
// they nearly always can be; numbers that are near but not the same can make
// the orders differ, and then it takes a matching.
func (s *search) pairUp(gold, pred []vector) bool {
	if slices.EqualFunc(gold, pred, vector.near) {
		return true
	}
	if len(s.numbers) == 1 {
		return false // on a line, pairing in order is as good as any
	}
	fits := make([][]int, len(gold))
	from := 0
	for i, g := range gold {
		// The candidates lie in a window, for both lists are sorted by the first number.
		for from < len(pred) && pred[from].numbers[0].compare(g.numbers[0]) < 0 && !pred[from].numbers[0].near(g.numbers[0]) {
			from++
		}
		for j := from; j < len(pred); j++ {
			first := pred[j].numbers[0]
			if first.compare(g.numbers[0]) > 0 && !first.near(g.numbers[0]) {
				break
			}
			if s.budget--; s.budget < 0 {
				return false
			}
			if g.near(pred[j]) {
				fits[i] = append(fits[i], j)
			}
		}
		if len(fits[i]) == 0 {
			return false
		}
	}
	return perfectMatching(fits, len(pred))
}

func (a vector) near(b vector) bool { return slices.EqualFunc(a.numbers, b.numbers, numeric.near) }

// A columnStat is what a column holds, whatever the order of its rows.
type columnStat struct {
	fractional bool      // some number is no integer of the database
	numbers    []numeric // sorted
	others     []string  // keys of the other cells, sorted
}

func columnStats(rows [][]any, columns int) []columnStat {
	stats := make([]columnStat, columns)
	for c := range stats {
		st := &stats[c]
		for _, row := range rows {
			if n, ok := number64(row[c]); ok {
				st.numbers = append(st.numbers, n)
				st.fractional = st.fractional || !n.whole
			} else {
				st.others = append(st.others, string(appendExact(nil, row[c])))
			}
		}
		slices.SortFunc(st.numbers, numeric.compare)
		slices.Sort(st.others)
	}
	return stats
}

// fits reports whether two columns, each alone, hold the same cells.
func (a columnStat) fits(b columnStat) bool {
	return slices.Equal(a.others, b.others) && slices.EqualFunc(a.numbers, b.numbers, numeric.near)
}

// identical reports whether two columns hold the same cells, row by row.
func identical(rows [][]any, a, b int) bool {
	for _, row := range rows {
		if cellKey(row[a], false) != cellKey(row[b], false) {
			return false
		}
	}
	return true
}
