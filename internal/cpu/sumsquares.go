package cpu

import (
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/cpu/pool"
)

// SumSquares sets out[i] = Σ x² over the i-th chunk of x.
func (*Backend) SumSquares(out, x *backend.View, chunk int) {
	if x.DType == backend.F64 {
		sumChunks[float64](out, x, chunk)
	} else {
		sumChunks[float32](out, x, chunk)
	}
}

func sumChunks[C float](out, x *backend.View, chunk int) {
	sums := slice[C](out.Ptr, out.Len())
	pool.Run(x.Len(), chunk, func(lo, hi int) {
		ws := getWorkspace()
		defer ws.put()
		scratch := take[C](ws, blockLen)
		total := 0.0
		for i := lo; i < hi; i += blockLen {
			n := min(blockLen, hi-i)
			total += rowSquares(load(x.DType, unsafe.Add(x.Ptr, i*x.DType.Size()), 1, n, scratch))
		}
		sums[lo/chunk] = C(total)
	})
}
