package cuda

import (
	"math"
	"math/bits"
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
)

// The numbers of sort.cu.
const (
	digitBits = 8
	digits    = 1 << digitBits
	sortTile  = 2048 // keys of a block
)

// A sorter is the device memory in which rows of keys are sorted together with their places in the row.
type sorter struct {
	b        *Backend
	rows, n  int
	size     int            // bytes of a key, 4 or 8
	keys     unsafe.Pointer // [rows, n]
	places   unsafe.Pointer // u32[rows, n]
	keysTo   unsafe.Pointer // where a pass moves them
	placesTo unsafe.Pointer
	counts   unsafe.Pointer // u32[rows, digits, tiles]
}

// sorter takes memory for a sort until done is called.
func (b *Backend) sorter(rows, n, keySize int) (s sorter, done func()) {
	s = sorter{b: b, rows: rows, n: n, size: keySize}
	keys, places, counts := align(rows*n*keySize), align(rows*n*4), rows*digits*s.tiles()*4
	p, done := b.scratch(2*keys + 2*places + counts)
	s.keys, s.keysTo = p, unsafe.Add(p, keys)
	s.places, s.placesTo = unsafe.Add(p, 2*keys), unsafe.Add(p, 2*keys+places)
	s.counts = unsafe.Add(p, 2*keys+2*places)
	return s, done
}

func align(n int) int { return (n + 255) &^ 255 }

func (s *sorter) tiles() int { return (s.n + sortTile - 1) / sortTile }

// sort puts keys and places in order, where no key is larger than most.
func (s *sorter) sort(most int) {
	type pass struct{ n, tiles, shift uint32 }
	suffix := map[int]string{4: "_u32", 8: "_u64"}[s.size]
	count, starts, move := s.b.function("sort", "sort_count"+suffix), s.b.function("sort", "sort_starts"), s.b.function("sort", "sort_move"+suffix)
	grid := dim3{s.rows * s.tiles(), 1, 1}
	for shift := range bits.Len(uint(most)) {
		if shift%digitBits != 0 {
			continue
		}
		p := pass{uint32(s.n), uint32(s.tiles()), uint32(shift)}
		launch(s.b, count, grid, blockThreads, 0, &struct {
			keys, counts unsafe.Pointer
			pass         pass
		}{s.keys, s.counts, p})
		launch(s.b, starts, dim3{s.rows, 1, 1}, blockThreads, 0, &struct {
			counts unsafe.Pointer
			tiles  uint32
		}{s.counts, p.tiles})
		launch(s.b, move, grid, blockThreads, 0, &struct {
			keys, places, keysTo, placesTo, starts unsafe.Pointer
			pass                                   pass
		}{s.keys, s.places, s.keysTo, s.placesTo, s.counts, p})
		s.keys, s.keysTo = s.keysTo, s.keys
		s.places, s.placesTo = s.placesTo, s.places
	}
}

// Sort finds the order of rows: index gets the places of the first elements of each row of x.
func (b *Backend) Sort(index, x *backend.View, descending bool) {
	axis := x.Rank - 1
	n, k := x.Shape[axis], index.Shape[axis]
	if index.Len() == 0 {
		return
	}
	places := index.Slice(axis, 0, 1)
	rows := x.Slice(axis, 0, 1)
	all := newOrderedNest(&places, &rows)
	total := all.total()
	size, most, name := 4, math.MaxUint32, "sort_keys_"+class(x.DType)
	if x.DType.Size() == 8 {
		size, most = 8, math.MaxInt64
		if x.DType == backend.I64 {
			name = "sort_keys_i64"
		}
	}
	s, done := b.sorter(total, n, size)
	defer done()
	nest := device[[1]deviceOperand](all.only(1), 1)
	f, grid, stride := b.function("sort", name), blocks(total*n), int64(x.Strides[axis])
	if size == 8 {
		flip := uint64(0)
		if descending {
			flip = math.MaxUint64
		}
		launch(b, f, grid, blockThreads, 0, &struct {
			rows         nest1
			n            uint32
			stride       int64
			keys, places unsafe.Pointer
			flip         uint64
		}{nest, uint32(n), stride, s.keys, s.places, flip})
	} else {
		flip := uint32(0)
		if descending {
			flip = math.MaxUint32
		}
		launch(b, f, grid, blockThreads, 0, &struct {
			rows         nest1
			n            uint32
			stride       int64
			keys, places unsafe.Pointer
			flip         uint32
		}{nest, uint32(n), stride, s.keys, s.places, flip})
	}
	s.sort(most)
	launch(b, b.function("sort", "sort_first"), blocks(total*k), blockThreads, 0, &struct {
		places, out unsafe.Pointer
		rows        int64
		n, k        uint32
	}{s.places, index.Ptr, int64(total), uint32(n), uint32(k)})
}
