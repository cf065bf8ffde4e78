package cpu

import (
	"math"
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/cpu/pool"
)

// CrossEntropy sets lse = log Σ exp(logits) and loss = lse − Σ target·logits for each row.
func (*Backend) CrossEntropy(loss, lse, logits, targets *backend.View, a backend.CrossEntropyArgs) {
	switch logits.DType {
	case backend.F64:
		crossEntropy[float64, float64](loss, lse, logits, targets, a)
	case backend.BF16:
		crossEntropy[uint16, float32](loss, lse, logits, targets, a)
	default:
		crossEntropy[float32, float32](loss, lse, logits, targets, a)
	}
}

func crossEntropy[L lane, A float](loss, lse, logits, targets *backend.View, a backend.CrossEntropyArgs) {
	checkTargets(targets, logits.Shape[1], a.IgnoreIndex)
	width := logits.Shape[1]
	pool.Run(logits.Shape[0], 1+grainScalar/max(width, 1), func(lo, hi int) {
		ws := getWorkspace()
		defer ws.put()
		scratch := take[L](ws, width)
		for i := lo; i < hi; i++ {
			var value, logSum A
			if target := targetAt(targets, i); target != a.IgnoreIndex {
				x := load(logits.DType, rowAt(logits, i), 1, width, scratch)
				m := rowMax(x)
				// The largest logit stays out of the differences, where it would cancel.
				logSumExp := math.Log(inBlocks(x, func(block []L) float64 { return rowSumExp(block, m) }))
				v := logSumExp - (wideOf(x[target]) - m)
				if a.Smoothing != 0 {
					mean := inBlocks(x, rowSum) / float64(width)
					v = (1-a.Smoothing)*v + a.Smoothing*(logSumExp-(mean-m))
				}
				value, logSum = A(v), A(logSumExp+m)
			}
			*elementAt[A](loss, i) = value
			if lse != nil {
				*elementAt[A](lse, i) = logSum
			}
		}
	})
}

// CrossEntropyPart folds a part of each row's logits into its running values.
func (*Backend) CrossEntropyPart(loss, lse, state, logits, targets *backend.View, a backend.CrossEntropyArgs) {
	switch logits.DType {
	case backend.F64:
		crossEntropyPart[float64, float64](loss, lse, state, logits, targets, a)
	case backend.BF16:
		crossEntropyPart[uint16, float32](loss, lse, state, logits, targets, a)
	default:
		crossEntropyPart[float32, float32](loss, lse, state, logits, targets, a)
	}
}

// The running values of a row.
const (
	largestLogit = iota
	sumOfExp     // Σ exp(logit − largest)
	targetLogit
	sumOfLogits // for smoothing
)

func crossEntropyPart[L lane, A float](loss, lse, state, logits, targets *backend.View, a backend.CrossEntropyArgs) {
	checkTargets(targets, a.Classes, a.IgnoreIndex)
	width := logits.Shape[1]
	last := a.First+width == a.Classes
	pool.Run(logits.Shape[0], 1+grainScalar/max(width, 1), func(lo, hi int) {
		ws := getWorkspace()
		defer ws.put()
		scratch := take[L](ws, width)
		for i := lo; i < hi; i++ {
			target := targetAt(targets, i)
			if target == a.IgnoreIndex {
				if last {
					*elementAt[A](loss, i), *elementAt[A](lse, i) = 0, 0
				}
				continue
			}
			r := slice[A](unsafe.Add(state.Ptr, i*backend.CrossEntropyState*state.DType.Size()), backend.CrossEntropyState)
			if a.First == 0 {
				clear(r)
				r[largestLogit] = A(math.Inf(-1))
			}
			x := load(logits.DType, rowAt(logits, i), 1, width, scratch)
			m := max(rowMax(x), float64(r[largestLogit]))
			old := float64(r[sumOfExp])
			if old != 0 {
				old *= math.Exp(float64(r[largestLogit]) - m)
			}
			r[largestLogit] = A(m)
			r[sumOfExp] = A(old + inBlocks(x, func(block []L) float64 { return rowSumExp(block, m) }))
			if j := target - a.First; j >= 0 && j < width {
				r[targetLogit] = A(wideOf(x[j]))
			}
			if a.Smoothing != 0 {
				r[sumOfLogits] += A(inBlocks(x, rowSum))
			}
			if last {
				logSumExp := math.Log(float64(r[sumOfExp]))
				v := logSumExp - (float64(r[targetLogit]) - m)
				if a.Smoothing != 0 {
					v = (1-a.Smoothing)*v + a.Smoothing*(logSumExp-(float64(r[sumOfLogits])/float64(a.Classes)-m))
				}
				*elementAt[A](loss, i), *elementAt[A](lse, i) = A(v), A(logSumExp+m)
			}
		}
	})
}

// CrossEntropyBackward sets dlogits = scale·(softmax(logits) − target) for each row.
func (*Backend) CrossEntropyBackward(dlogits, logits, lse, targets, scale *backend.View, a backend.CrossEntropyArgs) {
	switch {
	case logits.DType == backend.F64:
		crossEntropyBackward[float64, float64, float64](dlogits, logits, lse, targets, scale, a)
	case logits.DType == backend.BF16:
		crossEntropyBackward[uint16, uint16, float32](dlogits, logits, lse, targets, scale, a)
	case dlogits.DType == backend.BF16:
		crossEntropyBackward[uint16, float32, float32](dlogits, logits, lse, targets, scale, a)
	default:
		crossEntropyBackward[float32, float32, float32](dlogits, logits, lse, targets, scale, a)
	}
}

func crossEntropyBackward[D, L lane, A float](dlogits, logits, lse, targets, factor *backend.View, a backend.CrossEntropyArgs) {
	width := logits.Shape[1]
	if a.Classes == 0 {
		a.Classes = width
	}
	checkTargets(targets, a.Classes, a.IgnoreIndex)
	size := dlogits.DType.Size()
	pool.Run(logits.Shape[0], 1+grainScalar/max(width, 1), func(lo, hi int) {
		ws := getWorkspace()
		defer ws.put()
		scratch, ds := take[L](ws, width), take[D](ws, width)
		for i := lo; i < hi; i++ {
			p := rowAt(dlogits, i)
			target := targetAt(targets, i)
			if target == a.IgnoreIndex {
				clear(slice[byte](p, width*size))
				continue
			}
			x := load(logits.DType, rowAt(logits, i), 1, width, scratch)
			d := destination(dlogits.DType, p, 1, width, ds)
			bias, s := float64(*elementAt[A](lse, i)), float64(*elementAt[A](factor, i))
			shift := -s * a.Smoothing / float64(a.Classes)
			target -= a.First
			if target < 0 || target >= width {
				scaledExp(d, x, bias, s, shift)
				store(dlogits.DType, p, 1, d)
				continue
			}
			atTarget := [1]A{A(wideOf(x[target]))} // before dlogits overwrites it
			scaledExp(atTarget[:], atTarget[:], bias, s, shift)
			scaledExp(d, x, bias, s, shift)
			store(dlogits.DType, p, 1, d)
			put(dlogits.DType, unsafe.Add(p, target*size), atTarget[0]-A(s*(1-a.Smoothing)))
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
