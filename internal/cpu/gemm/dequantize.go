package gemm

import (
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/cpu/simd"
	"github.com/hone-ml/hone/internal/quant"
)

// Dequantize sets dst, whose length is a multiple of a block's, to the weights of the blocks src.
func Dequantize(dst []float32, src []byte, dt backend.DType) {
	kernel := paths[simd.Active()].dequantize[dt]
	if kernel == nil {
		quant.Dequantize(dt, dst, src)
		return
	}
	const atATime = 1 << 9 // blocks: some microseconds, for assembly cannot be preempted
	for block, blocks := 0, len(dst)/dt.Block(); block < blocks; block += atATime {
		kernel(&dst[block*dt.Block()], unsafe.SliceData(src[block*dt.Size():]), min(atATime, blocks-block))
	}
}
