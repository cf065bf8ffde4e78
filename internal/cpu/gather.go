package cpu

import (
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/cpu/pool"
)

// Gather sets out[i,…] = x[index[i],…].
func (*Backend) Gather(out, x, index *backend.View) {
	rows := indices(index, x.Shape[0])
	width := rowLen(out)
	if width == 0 {
		return
	}
	bytes := width * out.DType.Size()
	o, s := out.At(0), x.At(0)
	direct := o.Contiguous() && s.Contiguous()
	pool.Run(len(rows), 1+grainCheap/width, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			if direct {
				dst := unsafe.Add(out.Ptr, i*out.Strides[0]*out.DType.Size())
				src := unsafe.Add(x.Ptr, int(rows[i])*x.Strides[0]*x.DType.Size())
				copy(slice[byte](dst, bytes), slice[byte](src, bytes))
				continue
			}
			dst, src := out.At(i), x.At(int(rows[i]))
			new(Backend).Copy(&dst, &src)
		}
	})
}

// ScatterAdd adds x[i,…] to out[index[i],…] in the order of i. It sorts the index by destination, so
// that tasks own what they add to, and an element of out is rounded once however often it is hit.
func (*Backend) ScatterAdd(out, index, x *backend.View) {
	switch out.DType {
	case backend.F64:
		scatterAdd[float64](out, index, x)
	case backend.I32:
		scatterAdd[int32](out, index, x)
	case backend.I64:
		scatterAdd[int64](out, index, x)
	case backend.U8, backend.Bool:
		scatterAdd[uint8](out, index, x)
	default:
		scatterAdd[float32](out, index, x)
	}
}

func scatterAdd[T number](out, index, x *backend.View) {
	const columns = 256 // a run of equal indices is split into tasks of so many
	rows := indices(index, out.Shape[0])
	width := rowLen(out)
	if width == 0 || len(rows) == 0 {
		return
	}
	order := sortedByValue(rows, out.Shape[0])
	var runs []int // where in order each destination begins
	for i, position := range order {
		if i == 0 || rows[position] != rows[order[i-1]] {
			runs = append(runs, i)
		}
	}
	destinations := len(runs)
	runs = append(runs, len(order))

	add := arithmetic[T](backend.Add)
	outRow, xRow := out.At(0), x.At(0)
	n := newNest(&outRow, &xRow)
	// A block of columns must be a run of both rows; otherwise the whole nest is the block.
	direct := n.rank == 1
	block := width
	if direct {
		block = min(width, columns)
	}
	blocks := (width + block - 1) / block
	perTask := max(len(order)*width/(destinations*blocks), 1)
	pool.Run(destinations*blocks, 1+grainScalar/perTask, func(lo, hi int) {
		ws := getWorkspace()
		defer ws.put()
		for task := lo; task < hi; task++ {
			run, first := task/blocks, task%blocks*block
			count := min(block, width-first)
			hits := order[runs[run]:runs[run+1]]
			ws.reset()
			at := n.coordsOf(first)
			row := *n
			row.operands[0].ptr = unsafe.Add(out.Ptr, int(rows[hits[0]])*out.Strides[0]*out.DType.Size())
			acc := take[T](ws, count)
			copy(acc, read[T](&row, 0, ws, &at, count))
			mark := ws.mark()
			for _, i := range hits {
				ws.rewind(mark)
				row.operands[1].ptr = unsafe.Add(x.Ptr, int(i)*x.Strides[0]*x.DType.Size())
				add(acc, acc, read[T](&row, 1, ws, &at, count))
			}
			write(&row, 0, &at, acc)
		}
	})
}

// indices reads an index into ints that lie in [0, limit).
func indices(index *backend.View, limit int) []int32 {
	n := index.Len()
	if index.DType == backend.I64 {
		wide := slice[int64](index.Ptr, n)
		narrow := make([]int32, n)
		for i, v := range wide {
			if v < 0 || v >= int64(limit) {
				panic(&backend.IndexError{Position: i, Index: v, Limit: limit})
			}
			narrow[i] = int32(v)
		}
		return narrow
	}
	rows := slice[int32](index.Ptr, n)
	for i, v := range rows {
		if v < 0 || int(v) >= limit {
			panic(&backend.IndexError{Position: i, Index: int64(v), Limit: limit})
		}
	}
	return rows
}

// rowLen is the number of elements of one index of the first axis.
func rowLen(v *backend.View) int {
	n := 1
	for _, d := range v.Shape[1:v.Rank] {
		n *= d
	}
	return n
}

// sortedByValue is the stable order of values in [0, limit): a radix sort, least digit first.
func sortedByValue(values []int32, limit int) []int32 {
	const bits = 11
	order, next := make([]int32, len(values)), make([]int32, len(values))
	for i := range order {
		order[i] = int32(i)
	}
	var starts [1 << bits]int32
	for shift := 0; (limit-1)>>shift > 0; shift += bits {
		clear(starts[:])
		for _, v := range values {
			starts[v>>shift&(1<<bits-1)]++
		}
		total := int32(0)
		for i, count := range starts {
			starts[i] = total
			total += count
		}
		for _, i := range order {
			digit := values[i] >> shift & (1<<bits - 1)
			next[starts[digit]] = i
			starts[digit]++
		}
		order, next = next, order
	}
	return order
}
