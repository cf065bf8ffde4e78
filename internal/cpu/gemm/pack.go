package gemm

import (
	"unsafe"

	"github.com/x448/float16"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/cpu/simd"
)

// packA copies the rows×k block a to panels: each holds the next rows, as many as panelRows says,
// element p of all of them before element p+1. dst needs slack.
func (ks *kernels) packA(w *Workspace, dst unsafe.Pointer, a Operand, rows, k int) {
	a = ks.staged(w, a, rows, k)
	for row := 0; row < rows; {
		h := panelRows(rows-row, ks.mr)
		ks.packPanel(unsafe.Add(dst, row*k*ks.dtype.Size()), h, a.from(row, 0), h, k)
		row += h
	}
}

// packB copies the k×cols block b to panels of nr columns, row by row. Columns that are missing in the
// last panel have undefined contents.
func (ks *kernels) packB(w *Workspace, dst unsafe.Pointer, b Operand, k, cols int) {
	b = ks.staged(w, b.transposed(), cols, k)
	for col := 0; col < cols; col += ks.nr {
		ks.packPanel(unsafe.Add(dst, col*k*ks.dtype.Size()), ks.nr, b.from(col, 0), min(ks.nr, cols-col), k)
	}
}

// packPanel copies the lanes×k matrix src: element p of all lanes goes to the p-th row, of pitch elements.
// Where lanes lie in one piece it writes them only, as tasks that share a panel need; otherwise a vector at a time.
func (ks *kernels) packPanel(dst unsafe.Pointer, pitch int, src Operand, lanes, k int) {
	size := ks.dtype.Size()
	switch {
	case src.RowStride == 1 && lanes <= ks.nr && ks.packRows != nil:
		ks.packRows(dst, pitch*size, src.Ptr, src.ColStride*size, k, lanes)
	case src.ColStride == 1 && ks.packColumns != nil:
		for l := 0; l < lanes; l += ks.vector {
			ks.packColumns(unsafe.Add(dst, l*size), pitch*size, src.at(l, 0), src.RowStride*size, min(ks.vector, lanes-l), k)
		}
	case ks.dtype == backend.F64:
		packStrided[float64](dst, pitch, src, lanes, k)
	default:
		packStrided[float32](dst, pitch, src, lanes, k)
	}
}

// packStrided is the copy for any strides, in plain Go.
func packStrided[T float](dst unsafe.Pointer, pitch int, src Operand, lanes, k int) {
	d := unsafe.Slice((*T)(dst), (k-1)*pitch+lanes)
	for p := range k {
		for l := range lanes {
			d[p*pitch+l] = *(*T)(src.at(l, p))
		}
	}
}

// staged is src itself if it has the kernels' dtype, and otherwise a converted copy that packPanel copies the
// same way.
func (ks *kernels) staged(w *Workspace, src Operand, lanes, k int) Operand {
	if src.DType == ks.dtype {
		return src
	}
	t := Operand{w.stage.grow(lanes * k * ks.dtype.Size()), ks.dtype, k, 1}
	if src.RowStride == 1 && (lanes > 1 || src.ColStride != 1) {
		t.RowStride, t.ColStride = 1, lanes
		for p := range k {
			widen(t.at(0, p), ks.dtype, src.from(0, p).transposed(), lanes)
		}
		return t
	}
	for l := range lanes {
		widen(t.at(l, 0), ks.dtype, src.from(l, 0), k)
	}
	return t
}

// widen converts n elements of the row src to consecutive ones of dtype F32 or F64.
func widen(dst unsafe.Pointer, dtype backend.DType, src Operand, n int) {
	if dtype == backend.F64 {
		for j, d := 0, unsafe.Slice((*float64)(dst), n); j < n; j++ {
			d[j] = load(src.at(0, j), src.DType)
		}
		return
	}
	d := unsafe.Slice((*float32)(dst), n)
	switch {
	case src.DType == backend.F32 && src.ColStride == 1:
		copy(d, unsafe.Slice((*float32)(src.Ptr), n))
	case src.DType == backend.BF16 && src.ColStride == 1:
		simd.BF16ToF32(d, unsafe.Slice((*uint16)(src.Ptr), n))
	case src.DType.IsQuantized():
		Dequantize(d, unsafe.Slice((*byte)(src.Ptr), src.DType.Bytes(n)), src.DType)
	case src.DType == backend.F16 && src.ColStride == 1:
		for j, h := range unsafe.Slice((*uint16)(src.Ptr), n) {
			d[j] = float16.Frombits(h).Float32()
		}
	default:
		for j := range d {
			d[j] = float32(load(src.at(0, j), src.DType))
		}
	}
}
