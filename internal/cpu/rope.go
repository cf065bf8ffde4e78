package cpu

import (
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/cpu/pool"
)

// RoPE rotates the pairs (x[j], x[j+D/2]) of each head by the angles whose cosines and sines are given.
func (*Backend) RoPE(out, x, cos, sin *backend.View, inverse bool) {
	if x.DType == backend.F64 {
		rope[float64](out, x, cos, sin, inverse)
	} else {
		rope[float32](out, x, cos, sin, inverse)
	}
}

func rope[C float](out, x, cos, sin *backend.View, inverse bool) {
	n, heads, d := x.Shape[0], x.Shape[1], x.Shape[2]
	half, size := d/2, x.DType.Size()
	if d == 0 {
		return
	}
	pool.Run(n, 1+grainScalar/max(heads*d, 1), func(lo, hi int) {
		ws := getWorkspace()
		defer ws.put()
		// out = x·[cos | cos] + [x2 | x1]·[−sin | sin]
		cc, ss := take[C](ws, d), take[C](ws, d)
		swapped, scratch := take[C](ws, d), take[C](ws, d)
		for i := lo; i < hi; i++ {
			loadInto(cc[:half], cos.DType, rowAt(cos, i), cos.Strides[1])
			loadInto(ss[half:], sin.DType, rowAt(sin, i), sin.Strides[1])
			round(cc[:half], x.DType, scratch)
			round(ss[half:], x.DType, scratch)
			copy(cc[half:], cc[:half])
			scale(ss[:half], ss[half:], -1)
			if inverse {
				scale(ss, ss, -1)
			}
			for h := range heads {
				p := unsafe.Add(rowAt(out, i), h*out.Strides[1]*size)
				in := load(x.DType, unsafe.Add(rowAt(x, i), h*x.Strides[1]*size), 1, d, scratch)
				o := destination(out.DType, p, 1, d, scratch)
				copy(swapped, in[half:])
				copy(swapped[half:], in[:half])
				mul(o, in, cc)
				mulAdd(o, swapped, ss)
				store(out.DType, p, 1, o)
			}
		}
	})
}

// round makes x what it would be if it had been stored as dt.
func round[C float](x []C, dt backend.DType, scratch []C) {
	if storedAs[C](dt) {
		return
	}
	p := unsafe.Pointer(unsafe.SliceData(scratch))
	store(dt, p, 1, x)
	loadInto(x, dt, p, 1)
}
