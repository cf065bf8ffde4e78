package cuda

import (
	"cmp"
	"math"
	"slices"
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
)

// Attention runs flash attention on tensor cores for BF16 rows that are aligned to 16 bytes, of heads of up to 128
// elements, and otherwise the same algorithm with fused multiply-adds.
func (b *Backend) Attention(out, lse, q, k, v *backend.View, a backend.AttentionArgs) {
	c := newAttention(q, k, v, a)
	c.Out = headRows(out)
	if lse != nil {
		c.LSE = lse.Ptr
	}
	tile := c.tileFor(q, k, v, out)
	if tile.fast && c.few(a) {
		c.runFew(b, a, tile, k.Shape[1])
		return
	}
	tasks := queryTasks(a, q.Shape[0], tile.queries)
	c.run(b, tasks, nil, "forward", tile, tile.forwardShared, c.Heads)
}

// AttentionBackward computes the scores again, in one kernel for dk and dv and in one for dq, both in a fixed order.
func (b *Backend) AttentionBackward(dq, dk, dv, dout, out, lse, q, k, v *backend.View, a backend.AttentionArgs) {
	c := newAttention(q, k, v, a)
	c.Out, c.DOut, c.LSE = headRows(out), headRows(dout), lse.Ptr
	c.DQ, c.DK, c.DV = headRows(dq), headRows(dk), headRows(dv)
	tile := c.tileFor(q, k, v, out, dout, dq, dk, dv)

	rows := q.Shape[0] * q.Shape[1]
	stats, done := b.scratch(2 * q.DType.Accumulator().Size() * rows)
	defer done()
	c.Stats = stats
	launch(b, b.function("attention_other", "attention_stats_"+c.kind), dim3{(rows + 7) / 8, 1, 1}, 256, 0, &struct{ A attentionArgs }{c.attentionArgs})
	if dk != nil || dv != nil {
		tasks, visits := keyTasks(a, k.Shape[0], tile.keys)
		c.run(b, tasks, visits, "keys_values", tile, tile.keysShared, c.Heads/max(c.Group, 1))
	}
	if dq != nil {
		c.run(b, queryTasks(a, q.Shape[0], tile.backwardQueries), nil, "queries", tile, tile.queriesShared, c.Heads)
	}
}

// attentionArgs is struct Attention of kernels/attention.cuh.
type attentionArgs struct {
	Q, K, V, Out, DOut, DQ, DK, DV attentionRows
	LSE, Stats, Tasks, Visits      unsafe.Pointer
	Scale                          float64
	Log2Scale                      float32
	Dim, Heads, Group, Queries     int32
	F16                            int32
}

// attentionRows is struct Rows of kernels/attention.cuh.
type attentionRows struct {
	Data      unsafe.Pointer
	Row, Head int64
}

func headRows(v *backend.View) attentionRows {
	if v == nil {
		return attentionRows{}
	}
	return attentionRows{v.Ptr, int64(v.Strides[0]), int64(v.Strides[1])}
}

// An attention is one call.
type attention struct {
	attentionArgs
	dtype backend.DType
	kind  string // of the kernels that take any dimension
}

func newAttention(q, k, v *backend.View, a backend.AttentionArgs) *attention {
	c := &attention{dtype: q.DType, kind: q.DType.String()}
	if q.DType.Size() == 2 {
		c.kind = "half"
	}
	if q.DType == backend.F16 {
		c.F16 = 1
	}
	c.Q, c.K, c.V = headRows(q), headRows(k), headRows(v)
	c.Scale, c.Log2Scale = a.Scale, float32(a.Scale*math.Log2E)
	c.Dim, c.Heads, c.Queries = int32(q.Shape[2]), int32(q.Shape[1]), int32(q.Shape[0])
	c.Group = int32(q.Shape[1] / max(k.Shape[1], 1))
	return c
}

// An attentionTile says which kernels run and how many rows a block of each has.
type attentionTile struct {
	fast                                     bool // tensor cores
	family, backwardFamily, suffix           string
	threads                                  int
	queries, keys, backwardQueries           int
	forwardShared, keysShared, queriesShared int // bytes of dynamic shared memory
}

// tileFor chooses kernels for operands, of which some may be nil.
func (c *attention) tileFor(operands ...*backend.View) attentionTile {
	fast := c.dtype == backend.BF16 && c.Dim%8 == 0 && c.Dim > 0 && c.Dim <= 128 && c.Scale > 0
	for _, v := range operands {
		fast = fast && (v == nil || alignedTo(v.Ptr, v.DType, 16, between(v.Strides[0], v.Shape[0]), between(v.Strides[1], v.Shape[1])))
	}
	tile := attentionTile{fast: fast, family: "attention", backwardFamily: "attention_backward", threads: 128, queries: 128, keys: 64, backwardQueries: 64}
	switch {
	case fast && c.Dim <= 64:
		tile.suffix = "64_bf16"
		tile.keysShared = (2*64+4*64)*64*2 + 2*64*8
	case fast:
		tile.suffix = "128_bf16"
		tile.keysShared = (2*64+4*32)*128*2 + 2*32*8
	default:
		const rows, piece = 4, 32
		tile = attentionTile{family: "attention_other", backwardFamily: "attention_other", suffix: "_" + c.kind, threads: 32, queries: rows, keys: rows, backwardQueries: rows}
		size, dim := c.dtype.Accumulator().Size()*rows, int(c.Dim)
		tile.forwardShared = size * (2*dim + piece)
		tile.queriesShared = size * (3*dim + piece)
		tile.keysShared = size * (4*dim + 2*piece)
	}
	return tile
}

// run uploads the tasks and issues a kernel with a block for each of them and each head.
func (c *attention) run(b *Backend, tasks, visits []attentionTask, kernel string, tile attentionTile, shared int, heads int32) {
	if len(tasks) == 0 {
		return
	}
	family := tile.family
	if kernel != "forward" {
		family = tile.backwardFamily
	}
	var done func()
	c.Tasks, c.Visits, done = b.uploadTasks(tasks, visits)
	defer done()
	launch(b, b.function(family, "attention_"+kernel+tile.suffix), dim3{len(tasks) * int(heads), 1, 1}, tile.threads, shared, &struct{ A attentionArgs }{c.attentionArgs})
}

// uploadTasks copies two lists of tasks to scratch memory, which done gives back.
func (b *Backend) uploadTasks(first, second []attentionTask) (firstList, secondList unsafe.Pointer, done func()) {
	const size = int(unsafe.Sizeof(attentionTask{}))
	all := append(first, second...)
	list, done := b.scratch(len(all) * size)
	b.CopyIn(list, unsafe.Slice((*byte)(unsafe.Pointer(&all[0])), len(all)*size))
	return list, unsafe.Add(list, len(first)*size), done
}

// attentionTask is struct Task of kernels/attention.cuh.
type attentionTask struct{ Q0, Q1, K0, K1, Diagonal, First, Count, _ int32 }

// taskOf is a segment as a task.
func taskOf(s backend.Segment, causal bool) attentionTask {
	t := attentionTask{Q0: s.Q0, Q1: s.Q1, K0: s.K0, K1: s.K1, Diagonal: 1 << 30}
	if causal {
		t.Diagonal = s.K1 - s.Q1
	}
	return t
}

// work is how many pairs of rows a task looks at, about.
func (t *attentionTask) work() int {
	return int(t.Q1-t.Q0) * max(int(min(t.K1, t.Q1+t.Diagonal)-t.K0), 0)
}

// queryTasks cuts the queries of each segment into tasks of so many rows. Rows outside all segments are tasks without
// keys. The longest tasks come first, so that none is left over for the end.
func queryTasks(a backend.AttentionArgs, queries, rows int) []attentionTask {
	segments := slices.DeleteFunc(slices.Clone(a.Segments), func(s backend.Segment) bool { return s.Q0 >= s.Q1 })
	slices.SortFunc(segments, func(s, t backend.Segment) int { return cmp.Compare(s.Q0, t.Q0) })
	var tasks []attentionTask
	cut := func(t attentionTask) {
		for end := t.Q1; t.Q0 < end; t.Q0 = t.Q1 {
			t.Q1 = min(t.Q0+int32(rows), end)
			tasks = append(tasks, t)
		}
	}
	at := int32(0)
	for _, s := range segments {
		cut(attentionTask{Q0: at, Q1: s.Q0})
		cut(taskOf(s, a.Causal))
		at = s.Q1
	}
	cut(attentionTask{Q0: at, Q1: int32(queries)})
	slices.SortStableFunc(tasks, func(s, t attentionTask) int { return cmp.Compare(t.work(), s.work()) })
	return tasks
}

// keyTasks cuts the keys, where segments begin and end and into so many rows, into tasks that visit all segments in
// which the rows are keys, in the order of the segments.
func keyTasks(a backend.AttentionArgs, keys, rows int) (tasks, visits []attentionTask) {
	cuts := []int32{0, int32(keys)}
	for _, s := range a.Segments {
		cuts = append(cuts, s.K0, s.K1)
	}
	slices.Sort(cuts)
	cuts = slices.Compact(cuts)
	for i, k0 := range cuts[:len(cuts)-1] {
		end := cuts[i+1]
		t := attentionTask{First: int32(len(visits))}
		for _, s := range a.Segments {
			if s.Q0 < s.Q1 && s.K0 <= k0 && end <= s.K1 {
				visits = append(visits, taskOf(s, a.Causal))
				t.Count++
				t.Q1 += s.Q1 - s.Q0
			}
		}
		for t.K0 = k0; t.K0 < end; t.K0 = t.K1 {
			t.K1 = min(t.K0+int32(rows), end)
			tasks = append(tasks, t)
		}
	}
	return tasks, visits
}
