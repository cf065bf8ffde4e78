package cuda

import (
	"math/bits"
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
)

// angles are cosines and sines [N, D/2] for a kernel: struct Angles of rope.cu.
type angles struct {
	Cos, Sin                             unsafe.Pointer
	CosRow, CosColumn, SinRow, SinColumn int64 // strides in elements
}

func anglesOf(cos, sin *backend.View) angles {
	return angles{cos.Ptr, sin.Ptr, int64(cos.Strides[0]), int64(cos.Strides[1]), int64(sin.Strides[0]), int64(sin.Strides[1])}
}

// RoPE rotates the pairs (x[j], x[j+D/2]) of each head by the angles whose cosines and sines are given.
func (b *Backend) RoPE(out, x, cos, sin *backend.View, inverse bool) {
	n, heads, half := x.Shape[0], x.Shape[1], x.Shape[2]/2
	if x.Len() == 0 {
		return
	}
	name, vectors := "rope_any_", half
	if per := 16 / x.DType.Size(); fast(x.DType) && half%per == 0 && alignedRows(out, x) {
		name, vectors = "rope_", half/per
	}
	block := min(roundUp(heads*vectors, 32), 256)
	launch(b, b.function("rope", name+x.DType.String()), dim3{n, 1, 1}, block, 2*half*x.DType.Accumulator().Size(), &struct {
		Out, X               rowView
		Angles               angles
		Heads, Half, Inverse uint32
	}{headsOf(out), headsOf(x), anglesOf(cos, sin), uint32(heads), uint32(half), flag(inverse)})
}

func flag(set bool) uint32 {
	if set {
		return 1
	}
	return 0
}

// headLanes is how many lanes of a warp work on a head whose halves they hold in a vector each; 0 if such lanes cannot.
func headLanes(half int, x *backend.View, others ...*backend.View) int {
	if !fast(x.DType) || half*x.DType.Size()%16 != 0 || !alignedRows(x) || !alignedRows(others...) {
		return 0
	}
	if vectors := half * x.DType.Size() / 16; vectors <= 32 {
		return 1 << bits.Len(uint(vectors-1))
	}
	return 0
}

// NormRoPE sets rstd = 1/√(mean(x²)+eps) over each head and rotates T(x·rstd)·w.
func (b *Backend) NormRoPE(out, rstd, x, w, cos, sin *backend.View, eps float64) {
	n, heads, half := x.Shape[0], x.Shape[1], x.Shape[2]/2
	if x.Len() == 0 {
		return
	}
	lanes := headLanes(half, x, out, w)
	if lanes == 0 {
		b.RMSNorm(out, rstd, x, w, eps)
		b.RoPE(out, out, cos, sin, false)
		return
	}
	tokens := min(ceilDiv(n, 1024), 16)
	launch(b, b.function("rope", "normrope_forward_"+x.DType.String()), dim3{ceilDiv(n, tokens), 1, 1}, headBlock(heads, lanes), headShared(half, x), &struct {
		Out                           rowView
		Rstd                          unsafe.Pointer
		X                             rowView
		W                             unsafe.Pointer
		Angles                        angles
		N, Heads, Half, Lanes, Tokens uint32
		Eps                           float32
	}{headsOf(out), pointerOf(rstd), headsOf(x), w.Ptr, anglesOf(cos, sin), uint32(n), uint32(heads), uint32(half), uint32(lanes), uint32(tokens), float32(eps)})
}

// headBlock is the threads of a block for the heads of a token, so many lanes each.
func headBlock(heads, lanes int) int { return min(roundUp(heads*lanes, 32), 256) }

// headShared is the bytes of shared memory for the angles of a token and the weights of a head.
func headShared(half int, x *backend.View) int { return 2 * half * (4 + x.DType.Size()) }

// NormRoPEBackward turns dy back and goes on as RMSNormBackward.
func (b *Backend) NormRoPEBackward(dx, dw, dy, x, w, rstd, cos, sin *backend.View) {
	n, heads, half := x.Shape[0], x.Shape[1], x.Shape[2]/2
	if x.Len() == 0 || dx == nil && dw == nil {
		return
	}
	lanes := headLanes(half, x, dx, dy, w)
	if lanes == 0 {
		turned := dx
		if turned == nil {
			p, done := b.scratch(x.Len() * x.DType.Size())
			defer done()
			v := backend.NewView(p, x.DType, x.Dims()...)
			turned = &v
		}
		b.RoPE(turned, dy, cos, sin, true)
		b.RMSNormBackward(dx, dw, turned, x, w, rstd)
		return
	}
	tokens := rowsPerSum(n, 1, 16)
	sums := b.newRowSums(2*half, ceilDiv(n, tokens), x.DType, dw)
	defer sums.done()
	launch(b, b.function("rope", "normrope_backward_"+x.DType.String()), dim3{sums.groups, 1, 1}, headBlock(heads, lanes), headShared(half, x), &struct {
		Dx                            rowView
		Partials                      unsafe.Pointer
		Dy, X                         rowView
		W, Rstd                       unsafe.Pointer
		Angles                        angles
		N, Heads, Half, Lanes, Tokens uint32
	}{headsOf(dx), sums.partials, headsOf(dy), headsOf(x), w.Ptr, rstd.Ptr, anglesOf(cos, sin), uint32(n), uint32(heads), uint32(half), uint32(lanes), uint32(tokens)})
	sums.addTo(dw, 0)
}
