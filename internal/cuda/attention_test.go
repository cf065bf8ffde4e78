package cuda

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/hone-ml/hone/internal/backend"
)

// attentionCase is operands of attention on the host.
type attentionCase struct {
	queries, keys, heads, kvHeads, dim int
	args                               backend.AttentionArgs
	q, k, v, dout                      []float32
}

func newAttentionCase(queries, keys, heads, kvHeads, dim int, causal bool) *attentionCase {
	rng := rand.New(rand.NewPCG(uint64(queries), uint64(keys*dim)))
	return &attentionCase{
		queries, keys, heads, kvHeads, dim,
		backend.AttentionArgs{Segments: []backend.Segment{{Q1: int32(queries), K1: int32(keys)}}, Causal: causal, Scale: 1 / math.Sqrt(float64(dim))},
		normal(rng, queries*heads*dim, 1), normal(rng, keys*kvHeads*dim, 1), normal(rng, keys*kvHeads*dim, 1), normal(rng, queries*heads*dim, 1),
	}
}

type attentionResult struct{ out, lse, dq, dk, dv []float32 }

// run computes everything in a dtype: BF16 on tensor cores, F32 by the kernels that take anything. The backward of both
// begins with the same results of forward, if they are given.
func (c *attentionCase) run(t testing.TB, b *Backend, dtype backend.DType, forward *attentionResult) *attentionResult {
	qShape, kShape := []int{c.queries, c.heads, c.dim}, []int{c.keys, c.kvHeads, c.dim}
	q, k, v := upload(t, b, dtype, c.q, qShape...), upload(t, b, dtype, c.k, kShape...), upload(t, b, dtype, c.v, kShape...)
	empty := func(dtype backend.DType, shape ...int) *backend.View {
		n := 1
		for _, d := range shape {
			n *= d
		}
		return upload(t, b, dtype, slices.Repeat([]float32{float32(math.NaN())}, n), shape...)
	}
	out, lse := empty(dtype, qShape...), empty(backend.F32, c.heads, c.queries)
	b.Attention(out, lse, q, k, v, c.args)
	r := &attentionResult{out: downloadF32(b, out), lse: downloadF32(b, lse)}
	if forward == nil {
		forward = r
	}
	dq, dk, dv := empty(dtype, qShape...), empty(dtype, kShape...), empty(dtype, kShape...)
	b.AttentionBackward(dq, dk, dv, upload(t, b, dtype, c.dout, qShape...), upload(t, b, dtype, forward.out, qShape...),
		upload(t, b, backend.F32, forward.lse, c.heads, c.queries), q, k, v, c.args)
	r.dq, r.dk, r.dv = downloadF32(b, dq), downloadF32(b, dk), downloadF32(b, dv)
	return r
}

// expectSame computes a case in BF16 and in F32 and compares.
func (c *attentionCase) expectSame(t *testing.T, b *Backend, label string, tolerance float64) *attentionResult {
	t.Helper()
	want := c.run(t, b, backend.F32, nil)
	got := c.run(t, b, backend.BF16, want)
	expectNear(t, label+": out", got.out, want.out, tolerance)
	expectNear(t, label+": lse", got.lse, want.lse, 1e-5)
	expectNear(t, label+": dq", got.dq, want.dq, tolerance)
	expectNear(t, label+": dk", got.dk, want.dk, tolerance)
	expectNear(t, label+": dv", got.dv, want.dv, tolerance)
	return got
}

func TestAttentionOnTensorCoresEqualsThatOfAnyDType(t *testing.T) {
	b := openSimulator(t)
	for _, dim := range []int{128, 64, 72, 8} {
		for _, causal := range []bool{false, true} {
			c := newAttentionCase(150, 170, 2, 1, dim, causal)
			c.expectSame(t, b, fmt.Sprintf("dimension %d, causal %v", dim, causal), 0x1p-7)
		}
	}
}

func TestFewQueriesOverManyKeysEqualAttentionOfAnyDType(t *testing.T) {
	b := openSimulator(t)
	for _, s := range []struct{ queries, keys, heads, kvHeads, dim int }{
		{1, 700, 2, 1, 128}, {1, 256, 16, 1, 64}, {5, 257, 3, 1, 128}, {16, 40, 2, 2, 64}, {2, 1, 2, 1, 64}, {3, 600, 10, 2, 96},
	} {
		c := newAttentionCase(s.queries, s.keys, s.heads, s.kvHeads, s.dim, true)
		b.Statistics()
		c.expectSame(t, b, fmt.Sprint(s), 0x1p-7)
		stats := b.Statistics()
		if stats["attention_few64_bf16"].Mma+stats["attention_few128_bf16"].Mma == 0 {
			t.Errorf("%v: the keys were not split", s)
		}
	}
}

func TestScoresOfAnyMagnitudeGiveTheRightWeights(t *testing.T) {
	b := openSimulator(t)
	for _, queries := range []int{3, 130} { // few, and tiles
		const keys, dim = 140, 64
		inf := float32(math.Inf(1))
		for _, m := range []struct {
			name string
			key  func(j int) float32 // the first element of key j, which meets 1 in the first of the query
		}{
			{"rising to 1e4", func(j int) float32 { return 8 * 50 * float32(j) }},
			{"falling to -1e4", func(j int) float32 { return -8 * 50 * float32(j) }},
			{"1e4 and -1e4 in turns", func(j int) float32 { return 8e4 * float32(1-j%2*2) }},
			{"one far above", func(j int) float32 { return map[bool]float32{j == 77: 8e4}[true] }},
			{"far below zero", func(j int) float32 { return -8e4 + 512*float32(j%7) }},
			{"-Inf but for some", func(j int) float32 { return map[bool]float32{j%5 != 2: -inf}[true] }},
			{"-Inf at first", func(j int) float32 { return map[bool]float32{j < 100: -inf}[true] }},
			{"-Inf everywhere", func(j int) float32 { return -inf }},
		} {
			c := newAttentionCase(queries, keys, 2, 1, dim, false)
			for i := range queries * 2 {
				c.q[i*dim] = 1
			}
			for j := range keys {
				for d := 1; d < dim; d++ {
					c.k[j*dim+d] /= 64
				}
				c.k[j*dim] = inBF16(m.key(j))
			}
			want := c.run(t, b, backend.F32, nil)
			got := c.run(t, b, backend.BF16, want)
			label := fmt.Sprintf("%d queries, scores %s: ", queries, m.name)
			expectNear(t, label+"out", got.out, want.out, 0x1p-6)
			expectNear(t, label+"lse", got.lse, want.lse, 1e-5)
			expectNear(t, label+"dv", got.dv, want.dv, 0x1p-6)
			if !strings.Contains(m.name, "Inf") {
				// Where one key has all the weight, dk is nothing but what rounding left of its terms, and so is dq where
				// it meets keys of 1e4.
				for i := 0; i < len(got.dq); i += dim {
					got.dq[i], want.dq[i] = 0, 0
				}
				expectWithin(t, label+"dq", got.dq, want.dq, 1e-3)
				expectWithin(t, label+"dk", got.dk, want.dk, 5e-2)
			}
			if m.name == "-Inf everywhere" && (got.out[0] != 0 || got.lse[0] != -inf) {
				t.Errorf("%sout is %v and lse %v, want 0 and -Inf", label, got.out[0], got.lse[0])
			}
		}
	}
}

func TestNaNInAQueryStaysInItsRow(t *testing.T) {
	b := openSimulator(t)
	for _, queries := range []int{3, 130} {
		c := newAttentionCase(queries, 140, 1, 1, 64, false)
		c.q[64+7] = float32(math.NaN())
		r := c.run(t, b, backend.BF16, nil)
		for i, v := range r.out {
			if math.IsNaN(float64(v)) != (i/64 == 1) {
				t.Fatalf("%d queries: element %d of row %d is %v", queries, i%64, i/64, v)
			}
		}
		if !math.IsNaN(float64(r.lse[1])) || math.IsNaN(float64(r.lse[0])) {
			t.Errorf("%d queries: lse is %v", queries, r.lse[:2])
		}
	}
}

// neededTiles counts the tiles of rows × columns that hold a pair of a query and a key that it sees.
func neededTiles(queries, keys, rows, columns int, causal bool) (n int64) {
	for q := 0; q < queries; q += rows {
		last := min(q+rows, queries) - 1
		for k := 0; k < keys; k += columns {
			if !causal || k <= last+keys-queries {
				n++
			}
		}
	}
	return n
}

func TestAttentionDoesNoMoreThanItsTilesNeed(t *testing.T) {
	b := openSimulator(t)
	const length, heads, kvHeads = 256, 2, 1
	for _, causal := range []bool{false, true} {
		for _, dim := range []int{64, 128} {
			c := newAttentionCase(length, length, heads, kvHeads, dim, causal)
			b.Statistics()
			c.run(t, b, backend.BF16, nil)
			stats := b.Statistics()
			columns := map[int]int{64: 64, 128: 32}[dim]
			for _, want := range []struct {
				kernel        string
				rows, columns int // of what a warp computes or leaves
				products      int
			}{
				{"attention_forward%d_bf16", 32, columns, 2},
				{"attention_queries%d_bf16", 16, columns, 3},
				{"attention_keys_values%d_bf16", columns, 16, 4},
			} {
				name := fmt.Sprintf(want.kernel, dim)
				s := stats[name]
				tile := int64(want.products * want.rows * want.columns * dim / (16 * 8 * 16))
				need := heads * neededTiles(length, length, want.rows, want.columns, causal) * tile
				if s.Mma != need {
					t.Errorf("%s, causal %v: %d instructions of tensor cores, the tiles need %d", name, causal, s.Mma, need)
				}
				if s.SharedBankConflicts != 0 {
					t.Errorf("%s, causal %v: %d of %d accesses to shared memory wait for a bank", name, causal, s.SharedBankConflicts, s.SharedAccesses)
				}
			}
		}
	}
}

func TestFewQueriesReadKeysAndValuesOnce(t *testing.T) {
	b := openSimulator(t)
	for _, dim := range []int{64, 128} {
		const keys, kvHeads = 1024, 2
		c := newAttentionCase(1, keys, 4, kvHeads, dim, true)
		b.Statistics()
		c.run(t, b, backend.BF16, nil)
		s := b.Statistics()[fmt.Sprintf("attention_few%d_bf16", dim)]
		if least := int64(2 * keys * kvHeads * dim * 2); s.GlobalLoadBytes > least*11/10 {
			t.Errorf("dimension %d: %d bytes loaded, keys and values have %d", dim, s.GlobalLoadBytes, least)
		}
		if s.SharedBankConflicts != 0 {
			t.Errorf("dimension %d: %d of %d accesses to shared memory wait for a bank", dim, s.SharedBankConflicts, s.SharedAccesses)
		}
	}
}

func TestTasksCoverEveryRowOnceAndVisitEverySegment(t *testing.T) {
	a := backend.AttentionArgs{Causal: true, Segments: []backend.Segment{
		{Q0: 20, Q1: 33, K0: 30, K1: 43}, {Q0: 3, Q1: 15, K0: 2, K1: 35}, {Q0: 15, Q1: 15, K0: 0, K1: 50},
	}}
	covered := make([]int, 40)
	longest := math.MaxInt
	for _, task := range queryTasks(a, 40, 8) {
		if w := task.work(); w > longest {
			t.Errorf("a task of %d pairs follows one of %d", w, longest)
		} else {
			longest = w
		}
		for i := task.Q0; i < task.Q1; i++ {
			covered[i]++
		}
		if inside := task.Q0 >= 3 && task.Q1 <= 15 || task.Q0 >= 20 && task.Q1 <= 33; inside == (task.K0 == task.K1) || task.Q1-task.Q0 > 8 {
			t.Errorf("the queries [%d, %d) have the keys [%d, %d)", task.Q0, task.Q1, task.K0, task.K1)
		}
	}
	if slices.Min(covered) != 1 || slices.Max(covered) != 1 {
		t.Errorf("queries are covered %v times", covered)
	}
	tasks, visits := keyTasks(a, 50, 8)
	covered = make([]int, 50)
	for _, task := range tasks {
		for j := task.K0; j < task.K1; j++ {
			covered[j]++
			var want []attentionTask
			for _, s := range a.Segments[:2] {
				if j >= s.K0 && j < s.K1 {
					want = append(want, taskOf(s, true))
				}
			}
			if got := visits[task.First : task.First+task.Count]; !slices.Equal(got, want) {
				t.Errorf("key %d visits %v, want %v", j, got, want)
			}
		}
	}
	if slices.Min(covered) != 1 || slices.Max(covered) != 1 {
		t.Errorf("keys are covered %v times", covered)
	}
}

func TestPartsOfFewQueriesHoldAllTheirKeys(t *testing.T) {
	parts, merges := fewTasks([]attentionTask{
		{Q0: 0, Q1: 1, K0: 5, K1: 5 + 600, Diagonal: 1 << 30}, {Q0: 1, Q1: 2, K0: 0, K1: 900, Diagonal: 300}, {Q0: 2, Q1: 3}, {Q0: 3, Q1: 4, K0: 9, K1: 20, Diagonal: -10},
	})
	want := [][]int32{{5, 261, 261, 517, 517, 605}, {0, 256, 256, 302}, {0, 0}, {9, 9}}
	for i, m := range merges {
		var got []int32
		for _, p := range parts[m.First : m.First+m.Count] {
			if got = append(got, p.K0, p.K1); p.Q0 != m.Q0 || p.Q1 != m.Q1 {
				t.Errorf("a part of [%d, %d) has the queries [%d, %d)", m.Q0, m.Q1, p.Q0, p.Q1)
			}
		}
		if !slices.Equal(got, want[i]) {
			t.Errorf("task %d: parts %v, want %v", i, got, want[i])
		}
	}
}
