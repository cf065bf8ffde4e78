package cuda

import (
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
)

const (
	fewRows = 16  // queries times heads that share a key head, of a block of kernels/attention_few.cu
	fewKeys = 256 // of a block: enough to be worth one, and few enough that one sequence occupies a card
)

// few reports whether the queries of every segment fit into one block of fewRows.
func (c *attention) few(a backend.AttentionArgs) bool {
	for _, s := range a.Segments {
		if int(s.Q1-s.Q0)*int(c.Group) > fewRows {
			return false
		}
	}
	return c.Group <= fewRows
}

// runFew splits the keys among blocks and merges what they find.
func (c *attention) runFew(b *Backend, a backend.AttentionArgs, tile attentionTile, kvHeads int) {
	if c.Queries == 0 || c.Heads == 0 {
		return
	}
	width, suffix := 64, "64_bf16"
	if c.Dim > 64 {
		width, suffix = 128, "128_bf16"
	}
	tasks, merges := fewTasks(queryTasks(a, int(c.Queries), fewRows/int(c.Group)))
	rows := len(tasks) * kvHeads * fewRows
	sums := rows * width * 4
	partial, done := b.scratch(sums + rows*8)
	defer done()
	type arguments struct {
		A              attentionArgs
		Partial, Found unsafe.Pointer
	}
	args := arguments{c.attentionArgs, partial, unsafe.Add(partial, sums)}
	first, second, free := b.uploadTasks(tasks, merges)
	defer free()
	args.A.Tasks = first
	launch(b, b.function("attention_few", "attention_few"+suffix), dim3{len(tasks) * kvHeads, 1, 1}, 128, (fewRows+4*64)*width*2, &args)
	args.A.Tasks = second
	launch(b, b.function("attention_few", "attention_merge"+suffix), dim3{len(merges) * kvHeads, 1, 1}, 128, 0, &args)
}

// fewTasks cuts the keys of tasks. Each merge is the queries of a task with the places of its parts.
func fewTasks(tasks []attentionTask) (parts, merges []attentionTask) {
	for _, t := range tasks {
		end := min(t.K1, t.Q1+t.Diagonal)
		merge := attentionTask{Q0: t.Q0, Q1: t.Q1, First: int32(len(parts))}
		for more := true; more; more = t.K0 < end {
			t.K1 = max(t.K0, min(t.K0+fewKeys, end))
			parts = append(parts, t)
			merge.Count++
			t.K0 = t.K1
		}
		merges = append(merges, merge)
	}
	return parts, merges
}
