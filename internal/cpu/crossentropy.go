package cpu

import (
	"math"
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/cpu/pool"
)

// CrossEntropy sets lse = log Σ exp(logits) and loss = lse − Σ target·logits for each row.
func (*Backend) CrossEntropy(loss, lse, logits, targets *backend.View, a backend.CrossEntropyArgs) {
	if logits.DType == backend.F64 {
		crossEntropy[float64](loss, lse, logits, targets, a)
	} else {
		crossEntropy[float32](loss, lse, logits, targets, a)
	}
}

func crossEntropy[C float](loss, lse, logits, targets *backend.View, a backend.CrossEntropyArgs) {
	checkTargets(targets, logits.Shape[1], a.IgnoreIndex)
	width := logits.Shape[1]
	pool.Run(logits.Shape[0], 1+grainScalar/max(width, 1), func(lo, hi int) {
		ws := getWorkspace()
		defer ws.put()
		scratch, row := take[C](ws, blockLen), take[C](ws, width)
		for i := lo; i < hi; i++ {
			var value, logSum C
			if target := targetAt(targets, i); target != a.IgnoreIndex {
				x := load(logits.DType, rowAt(logits, i), 1, width, row)
				m := maximum(x)
				sumExp, sumX := 0.0, 0.0
				for first := 0; first < width; first += blockLen {
					block := x[first:min(first+blockLen, width)]
					sumExp += float64(exp(scratch[:len(block)], block, m))
					if a.Smoothing != 0 {
						sumX += float64(sum(block))
					}
				}
				// The largest logit stays out of the differences, where it would cancel.
				logSumExp := math.Log(sumExp)
				v := logSumExp - (float64(x[target]) - float64(m))
				if a.Smoothing != 0 {
					v = (1-a.Smoothing)*v + a.Smoothing*(logSumExp-(sumX/float64(width)-float64(m)))
				}
				value, logSum = C(v), C(logSumExp+float64(m))
			}
			*elementAt[C](loss, i) = value
			if lse != nil {
				*elementAt[C](lse, i) = logSum
			}
		}
	})
}

// CrossEntropyBackward sets dlogits = scale·(softmax(logits) − target) for each row.
func (*Backend) CrossEntropyBackward(dlogits, logits, lse, targets, scale *backend.View, a backend.CrossEntropyArgs) {
	if logits.DType == backend.F64 {
		crossEntropyBackward[float64](dlogits, logits, lse, targets, scale, a)
	} else {
		crossEntropyBackward[float32](dlogits, logits, lse, targets, scale, a)
	}
}

func crossEntropyBackward[C float](dlogits, logits, lse, targets, factor *backend.View, a backend.CrossEntropyArgs) {
	width := logits.Shape[1]
	checkTargets(targets, width, a.IgnoreIndex)
	pool.Run(logits.Shape[0], 1+grainScalar/max(width, 1), func(lo, hi int) {
		ws := getWorkspace()
		defer ws.put()
		scratch := take[C](ws, width)
		for i := lo; i < hi; i++ {
			p := rowAt(dlogits, i)
			d := destination(dlogits.DType, p, 1, width, scratch)
			if target := targetAt(targets, i); target == a.IgnoreIndex {
				clear(d)
			} else {
				s := *elementAt[C](factor, i)
				x := load(logits.DType, rowAt(logits, i), 1, width, scratch)
				exp(d, x, *elementAt[C](lse, i))
				scale(d, d, s)
				if a.Smoothing != 0 {
					addScalar(d, d, -s*C(a.Smoothing/float64(width)))
				}
				d[target] -= s * C(1-a.Smoothing)
			}
			store(dlogits.DType, p, 1, d)
		}
	})
}

func targetAt(targets *backend.View, i int) int { return int(*elementAt[int32](targets, i)) }

// elementAt is element i of a view of rank 1.
func elementAt[T any](v *backend.View, i int) *T {
	return (*T)(unsafe.Add(v.Ptr, i*v.Strides[0]*v.DType.Size()))
}

// checkTargets panics in the caller, before any work.
func checkTargets(targets *backend.View, classes, ignore int) {
	for i := range targets.Shape[0] {
		if t := targetAt(targets, i); t != ignore && (t < 0 || t >= classes) {
			panic(&backend.IndexError{Position: i, Index: int64(t), Limit: classes})
		}
	}
}
