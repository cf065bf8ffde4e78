package cuda

import (
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
)

// SumSquares sets out[i] = Σ x² over the i-th chunk of x.
func (b *Backend) SumSquares(out, x *backend.View, chunk int) {
	n := x.Len()
	chunks := ceilDiv(n, chunk)
	if n == 0 {
		return
	}
	aligned := fast(x.DType) && alignedRows(x) && (chunks == 1 || chunk*x.DType.Size()%16 == 0)
	team := looseTeam(chunk/4, 512)
	grid, block := teamLaunch(chunks, team)
	launch(b, b.function("sumsquares", "sumsquares_"+x.DType.String()), grid, block, 0, &struct {
		Out, X                unsafe.Pointer
		N, Chunk              int64
		Chunks, Vectors, Team uint32
	}{out.Ptr, x.Ptr, int64(n), int64(chunk), uint32(chunks), flag(aligned), uint32(team)})
}
