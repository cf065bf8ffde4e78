package cuda

import (
	"github.com/hone-ml/hone/internal/backend"
)

// deviceAxis is struct Axis of scan.cu.
type deviceAxis struct {
	length  int64
	strides [3]int64
}

// Scan sets out[i] = a[i]·out[i−1] + b[i] along an axis, or from its end.
func (b *Backend) Scan(out, x, y *backend.View, axis int, start float64, reverse bool) {
	length := out.Shape[axis]
	if out.Len() == 0 {
		return
	}
	along := deviceAxis{length: int64(length)}
	var lanes [3]backend.View // one for each position of the other axes
	for k, v := range []*backend.View{out, x, y} {
		lanes[k] = v.Slice(axis, 0, 1)
		along.strides[k] = int64(v.Strides[axis])
		if reverse {
			lanes[k] = v.Slice(axis, length-1, length)
			along.strides[k] = -along.strides[k]
		}
	}
	newNest(0, &lanes[0], &lanes[1], &lanes[2]).parts(b.most, func(n *nest, _ int) {
		nest := device[[3]deviceOperand](n, 1)
		computed := "f64"
		if !out.DType.IsFloat() {
			computed = "integer"
		}
		name, grid := "scan_lanes_"+computed, blocks(n.total())
		// Neighbouring threads should read neighbouring elements, of which a row has many or the other axes do.
		if length >= blockThreads && (n.total() < manyBlocks || abs(out.Strides[axis]) == 1) {
			name, grid = "scan_rows_"+computed, dim3{n.total(), 1, 1}
		}
		f := b.function("scan", name)
		if computed == "integer" {
			launchScan(b, f, grid, nest, along, int64(start))
		} else {
			launchScan(b, f, grid, nest, along, start)
		}
	})
}

func launchScan[A float64 | int64](b *Backend, f *function, grid dim3, lanes nest3, axis deviceAxis, start A) {
	launch(b, f, grid, blockThreads, 0, &struct {
		lanes nest3
		axis  deviceAxis
		start A
	}{lanes, axis, start})
}
