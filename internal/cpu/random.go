package cpu

import (
	"fmt"
	"math"

	"github.com/hone-ml/hone/internal/backend"
)

// Random draws out's elements, in row-major order, from the stream (key, counter).
func (*Backend) Random(out *backend.View, d backend.Dist, key, counter uint64, lo, hi float64) {
	switch d {
	case backend.Bits:
		switch out.DType {
		case backend.I32:
			draw(out, key, counter, func(w [4]uint32) [4]int32 {
				return [4]int32{int32(w[0]), int32(w[1]), int32(w[2]), int32(w[3])}
			})
		case backend.I64:
			draw(out, key, counter, func(w [4]uint32) [4]int64 {
				return [4]int64{int64(int32(w[0])), int64(int32(w[1])), int64(int32(w[2])), int64(int32(w[3]))}
			})
		default:
			panic(fmt.Sprintf("cpu: Random of bits into %v: need i32 or i64", out))
		}
	case backend.Uniform:
		low, width, high := float32(lo), float32(hi-lo), float32(hi)
		below := math.Nextafter32(high, low)
		drawFloats(out, key, counter, func(w [4]uint32) (x [4]float32) {
			for i, word := range w {
				// The product is rounded before the sum on every architecture, and hi stays out.
				x[i] = float32(backend.UnitFloat(word)*width) + low
				if x[i] >= high && low < high {
					x[i] = below
				}
			}
			return x
		})
	case backend.Normal:
		mean, deviation := float32(lo), float32(hi)
		drawFloats(out, key, counter, func(w [4]uint32) (x [4]float32) {
			x[0], x[1] = backend.BoxMuller(w[0], w[1])
			x[2], x[3] = backend.BoxMuller(w[2], w[3])
			for i, z := range x {
				x[i] = float32(z*deviation) + mean
			}
			return x
		})
	default:
		panic(fmt.Sprintf("cpu: Random from distribution %d", d))
	}
}

func drawFloats(out *backend.View, key, counter uint64, numbers func(words [4]uint32) [4]float32) {
	if out.DType != backend.F64 {
		draw(out, key, counter, numbers)
		return
	}
	draw(out, key, counter, func(words [4]uint32) (x [4]float64) {
		for i, v := range numbers(words) {
			x[i] = float64(v)
		}
		return x
	})
}

func draw[T number](out *backend.View, key, counter uint64, numbers func(words [4]uint32) [4]T) {
	n := newOrderedNest(out)
	n.run(grainMath, func(ws *workspace, at *coords, count int) {
		dst := writable[T](n, 0, ws, at, count)
		for i, first := 0, n.index(at); i < count; {
			x := numbers(backend.Philox(counter+uint64((first+i)/4), key))
			i += copy(dst[i:], x[(first+i)%4:])
		}
		write(n, 0, at, dst)
	})
}
