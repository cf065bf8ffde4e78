package cpu

import (
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/cpu/pool"
)

// Softmax sets out = exp(x − max) / Σ exp(x − max) over the last axis.
func (*Backend) Softmax(out, x *backend.View) {
	if out.DType == backend.F64 {
		softmax[float64](out, x)
	} else {
		softmax[float32](out, x)
	}
}

// softmax keeps a row of exponentials in C, also of BF16: none can be rounded before their sum is known.
func softmax[C float](out, x *backend.View) {
	forRows(func(r *rows) {
		o := destination(out.DType, r.ptr[0], 1, r.width, take[C](r.ws, r.width))
		in := load(x.DType, r.ptr[1], 1, r.width, o)
		total := expSum(o, in, maximum(in))
		scale(o, o, C(1/total))
		store(out.DType, r.ptr[0], 1, o)
	}, out, x)
}

// expSum is exp with a sum that stays accurate over long rows.
func expSum[C float](out, x []C, bias C) float64 {
	total := 0.0
	for len(x) > blockLen {
		total += float64(exp(out[:blockLen], x[:blockLen], bias))
		out, x = out[blockLen:], x[blockLen:]
	}
	return total + float64(exp(out, x, bias))
}

// SoftmaxBackward sets dx = y·(dy − Σ dy·y) over the last axis.
func (*Backend) SoftmaxBackward(dx, dy, y *backend.View) {
	switch dx.DType {
	case backend.F64:
		softmaxBackward[float64](dx, dy, y)
	case backend.BF16:
		softmaxBackward[uint16](dx, dy, y)
	default:
		softmaxBackward[float32](dx, dy, y)
	}
}

func softmaxBackward[L lane](dx, dy, y *backend.View) {
	forRows(func(r *rows) {
		d := destination(dx.DType, r.ptr[0], 1, r.width, take[L](r.ws, r.width))
		g := load(dy.DType, r.ptr[1], 1, r.width, d)
		p := load(y.DType, r.ptr[2], 1, r.width, take[L](r.ws, r.width))
		minusTimes(d, g, p, inBlocks2(g, p, rowDot))
		store(dx.DType, r.ptr[0], 1, d)
	}, dx, dy, y)
}

// inBlocks adds up f over blocks of x, so that sums in float32 stay accurate over long rows.
func inBlocks[L lane](x []L, f func(block []L) float64) float64 {
	total := 0.0
	for len(x) > blockLen {
		total += f(x[:blockLen])
		x = x[blockLen:]
	}
	return total + f(x)
}

// inBlocks2 is inBlocks over two rows.
func inBlocks2[L lane](x, y []L, f func(x, y []L) float64) float64 {
	total := 0.0
	for len(x) > blockLen {
		total += f(x[:blockLen], y[:blockLen])
		x, y = x[blockLen:], y[blockLen:]
	}
	return total + f(x, y)
}

// rows is what forRows hands on: the addresses of one row of each view.
type rows struct {
	ws    *workspace
	ptr   [maxOperands]unsafe.Pointer
	width int
}

// forRows calls fn for each row along the last axis of views that have one shape and rank 1 at least.
func forRows(fn func(r *rows), views ...*backend.View) {
	width := views[0].Shape[views[0].Rank-1]
	if width == 0 {
		return
	}
	heads := make([]backend.View, len(views))
	pointers := make([]*backend.View, len(views))
	for i, v := range views {
		heads[i] = v.Slice(v.Rank-1, 0, 1)
		pointers[i] = &heads[i]
	}
	n := newNest(pointers...)
	pool.Run(n.total, 1+grainScalar/width, func(lo, hi int) {
		r := rows{ws: getWorkspace(), width: width}
		defer r.ws.put()
		for i := lo; i < hi; i++ {
			at := n.coordsOf(i)
			for k := range n.count {
				r.ptr[k] = n.at(k, &at)
			}
			r.ws.reset()
			fn(&r)
		}
	})
}
