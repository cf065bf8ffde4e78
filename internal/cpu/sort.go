package cpu

import (
	"cmp"
	"math"
	"slices"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/cpu/pool"
)

// Sort finds the order of rows. An element becomes an unsigned key whose order is that of the elements, and its
// place the tie-breaker below it: then any sort is stable.
func (*Backend) Sort(index, x *backend.View, descending bool) {
	switch x.DType {
	case backend.F64:
		sortRows(index, x, descending, orderWide[float64], func(v float64) uint64 {
			if v != v {
				return math.MaxUint64
			}
			return ascending64(math.Float64bits(v + 0)) // −0 + 0 is 0
		})
	case backend.I64:
		sortRows(index, x, descending, orderWide[int64], func(v int64) uint64 { return uint64(v) ^ 1<<63 })
	case backend.I32:
		sortRows(index, x, descending, orderNarrow[int32], func(v int32) uint64 { return uint64(uint32(v) ^ 1<<31) })
	case backend.U8, backend.Bool:
		sortRows(index, x, descending, orderNarrow[uint8], func(v uint8) uint64 { return uint64(v) })
	default:
		sortRows(index, x, descending, orderNarrow[float32], func(v float32) uint64 {
			if v != v {
				return math.MaxUint32
			}
			return uint64(ascending32(math.Float32bits(v + 0)))
		})
	}
}

// ascending64 makes the bits of floats ordered as the floats are: those of negative ones are turned around.
func ascending64(b uint64) uint64 { return b ^ (uint64(int64(b)>>63) | 1<<63) }
func ascending32(b uint32) uint32 { return b ^ (uint32(int32(b)>>31) | 1<<31) }

// sortRows calls order for each row of x, with the first places of the row in the index.
func sortRows[T element](index, x *backend.View, descending bool, order func(places []int32, row []T, key func(T) uint64, flip uint64), key func(T) uint64) {
	axis := x.Rank - 1
	length, k, stride := x.Shape[axis], index.Shape[axis], x.Strides[axis]
	if index.Len() == 0 {
		return
	}
	flip := uint64(0)
	if descending {
		flip = math.MaxUint64
	}
	rows, places := x.Slice(axis, 0, 1), index.Slice(axis, 0, 1)
	n := newOrderedNest(&places, &rows)
	pool.Run(n.total, 1+grainMath/length, func(lo, hi int) {
		scratch := make([]T, length)
		for i := lo; i < hi; i++ {
			at := n.coordsOf(i)
			order(slice[int32](n.at(0, &at), k), load(x.DType, n.at(1, &at), stride, length, scratch), key, flip)
		}
	})
}

// orderNarrow sorts keys of 32 bits with their places in the 32 bits below.
func orderNarrow[T element](places []int32, row []T, key func(T) uint64, flip uint64) {
	packed := func(i int) uint64 { return (key(row[i])^flip)<<32 | uint64(i) }
	first := smallest(len(row), len(places), packed, sortPacked, func(a, b uint64) bool { return a < b })
	for i := range places {
		places[i] = int32(uint32(first[i]))
	}
}

// sortPacked sorts keys with places below them, which ascend: many by their digits, the least one first (a radix
// sort, whose passes keep the order of equals).
func sortPacked(items []uint64) {
	const radix, few = 8, 200
	if len(items) < few {
		slices.Sort(items)
		return
	}
	from, to := items, make([]uint64, len(items))
	for shift := 32; shift < 64; shift += radix {
		var starts [1 << radix]int
		for _, v := range from {
			starts[uint8(v>>shift)]++
		}
		if starts[uint8(from[0]>>shift)] == len(from) { // one digit for all
			continue
		}
		at := 0
		for i, count := range starts {
			starts[i] = at
			at += count
		}
		for _, v := range from {
			digit := uint8(v >> shift)
			to[starts[digit]] = v
			starts[digit]++
		}
		from, to = to, from
	}
	if &from[0] != &items[0] {
		copy(items, from)
	}
}

// orderWide does the same with keys of 64 bits.
func orderWide[T element](places []int32, row []T, key func(T) uint64, flip uint64) {
	type item struct {
		key   uint64
		place int32
	}
	compare := func(a, b item) int {
		if a.key != b.key {
			return cmp.Compare(a.key, b.key)
		}
		return cmp.Compare(a.place, b.place)
	}
	first := smallest(len(row), len(places), func(i int) item { return item{key(row[i]) ^ flip, int32(i)} },
		func(items []item) { slices.SortFunc(items, compare) }, func(a, b item) bool { return compare(a, b) < 0 })
	for i := range places {
		places[i] = first[i].place
	}
}

// smallest is the k smallest of n different items, in order. For a few of many it keeps no more than twice
// those that may be among them.
func smallest[E any](n, k int, item func(i int) E, sort func([]E), less func(a, b E) bool) []E {
	if k > n/4 {
		all := make([]E, n)
		for i := range all {
			all[i] = item(i)
		}
		sort(all)
		return all[:k]
	}
	best := make([]E, 0, 2*k)
	var limit E // the k-th smallest of the items before the last cut
	cut := false
	for i := range n {
		e := item(i)
		if cut && less(limit, e) {
			continue
		}
		if best = append(best, e); len(best) == 2*k {
			sort(best)
			best = best[:k]
			limit, cut = best[k-1], true
		}
	}
	sort(best)
	return best[:k]
}
