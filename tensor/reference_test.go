package tensor_test

import (
	"math"
	"slices"
)

// nd is an array on the host, row-major, in which references are computed with plain loops.
type nd struct {
	shape []int
	data  []float64
}

func zeros(shape ...int) nd { return nd{shape, make([]float64, length(shape))} }

func length(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// indices calls fn for every index of shape in row-major order.
func indices(shape []int, fn func(at []int)) {
	at := make([]int, len(shape))
	for range length(shape) {
		fn(at)
		for axis := len(at) - 1; axis >= 0; axis-- {
			if at[axis]++; at[axis] < shape[axis] {
				break
			}
			at[axis] = 0
		}
	}
}

// at is the element at an index that may have more axes than x, or larger ones: those that x lacks or has
// with length 1 are ignored, as in broadcasting.
func (x nd) at(at ...int) *float64 {
	i := 0
	at = at[len(at)-len(x.shape):]
	for axis, n := range x.shape {
		i *= n
		if n > 1 {
			i += at[axis]
		}
	}
	return &x.data[i]
}

// build is the array whose elements fn gives.
func build(shape []int, fn func(at []int) float64) nd {
	y := zeros(shape...)
	i := 0
	indices(shape, func(at []int) {
		y.data[i] = fn(at)
		i++
	})
	return y
}

// broadcastShape is the common shape of x and y.
func broadcastShape(x, y []int) []int {
	if len(x) < len(y) {
		x, y = y, x
	}
	shape := slices.Clone(x)
	for i, d := range y {
		if j := i + len(x) - len(y); shape[j] == 1 {
			shape[j] = d
		}
	}
	return shape
}

func map1(fn func(float64) float64) func(x []nd) nd {
	return func(x []nd) nd {
		return build(x[0].shape, func(at []int) float64 { return fn(*x[0].at(at...)) })
	}
}

func map2(fn func(x, y float64) float64) func(x []nd) nd {
	return func(x []nd) nd {
		return build(broadcastShape(x[0].shape, x[1].shape), func(at []int) float64 { return fn(*x[0].at(at...), *x[1].at(at...)) })
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// foldRef reduces the axes, all if there are none, and keeps them.
func foldRef(start float64, fn func(acc, x float64) float64, axes ...int) func(x []nd) nd {
	return func(x []nd) nd {
		shape := slices.Clone(x[0].shape)
		for i := range shape {
			if len(axes) == 0 || slices.Contains(axes, i) || slices.Contains(axes, i-len(shape)) {
				shape[i] = 1
			}
		}
		y := build(shape, func([]int) float64 { return start })
		indices(x[0].shape, func(at []int) {
			acc := y.at(at...)
			*acc = fn(*acc, *x[0].at(at...))
		})
		return y
	}
}

func plus(x, y float64) float64 { return x + y }

// meanRef is the mean over the axes, which it keeps.
func meanRef(axes ...int) func(x []nd) nd {
	return func(x []nd) nd {
		y := foldRef(0, plus, axes...)(x)
		for i := range y.data {
			y.data[i] *= float64(len(y.data)) / float64(len(x[0].data))
		}
		return y
	}
}

// shaped is ref with the result's elements in another shape.
func shaped(shape []int, ref func(x []nd) nd) func(x []nd) nd {
	return func(x []nd) nd { return nd{shape, ref(x).data} }
}

// matmulRef is the product over the last two axes.
func matmulRef(x []nd) nd {
	a, b := x[0], x[1]
	ra, rb := len(a.shape), len(b.shape)
	lead := broadcastShape(a.shape[:ra-2], b.shape[:rb-2])
	inner := a.shape[ra-1]
	return build(append(slices.Clone(lead), a.shape[ra-2], b.shape[rb-1]), func(at []int) float64 {
		l, i, j := at[:len(lead)], at[len(lead)], at[len(lead)+1]
		sum := 0.0
		for k := range inner {
			sum += *a.at(append(slices.Clone(l), i, k)...) * *b.at(append(slices.Clone(l), k, j)...)
		}
		return sum
	})
}

// softmaxRef is the softmax over the last axis.
func softmaxRef(x []nd) nd {
	y := zeros(x[0].shape...)
	n := x[0].shape[len(x[0].shape)-1]
	for lo := 0; lo < len(y.data); lo += n {
		softmaxRow(y.data[lo:lo+n], x[0].data[lo:lo+n])
	}
	return y
}

func softmaxRow(y, x []float64) {
	top, sum := slices.Max(x), 0.0
	for i, v := range x {
		y[i] = math.Exp(v - top)
		sum += y[i]
	}
	for i := range y {
		y[i] /= sum
	}
}

// rmsNormRef is x/√(mean(x²)+eps)·w.
func rmsNormRef(eps float64) func(x []nd) nd {
	return func(x []nd) nd {
		d := len(x[1].data)
		y := zeros(x[0].shape...)
		for i := range y.data {
			row, sum := x[0].data[i/d*d:i/d*d+d], 0.0
			for _, v := range row {
				sum += v * v
			}
			y.data[i] = x[0].data[i] / math.Sqrt(sum/float64(d)+eps) * x[1].data[i%d]
		}
		return y
	}
}

func layerNormRef(eps float64) func(x []nd) nd {
	return func(x []nd) nd {
		d := len(x[1].data)
		y := zeros(x[0].shape...)
		for i := range y.data {
			row, mean, variance := x[0].data[i/d*d:i/d*d+d], 0.0, 0.0
			for _, v := range row {
				mean += v / float64(d)
			}
			for _, v := range row {
				variance += (v - mean) * (v - mean) / float64(d)
			}
			y.data[i] = (x[0].data[i]-mean)/math.Sqrt(variance+eps)*x[1].data[i%d] + x[2].data[i%d]
		}
		return y
	}
}

// ropeRef rotates x [..., H, D] by cos and sin [N, D/2].
func ropeRef(x []nd) nd {
	rank := len(x[0].shape)
	h, d := x[0].shape[rank-2], x[0].shape[rank-1]
	y := zeros(x[0].shape...)
	for i := range y.data {
		n, j := i/(h*d), i%d
		k := j % (d / 2)
		cos, sin := x[1].data[n*d/2+k], x[2].data[n*d/2+k]
		if j < d/2 {
			y.data[i] = x[0].data[i]*cos - x[0].data[i+d/2]*sin
		} else {
			y.data[i] = x[0].data[i]*cos + x[0].data[i-d/2]*sin
		}
	}
	return y
}

// problem is an attention problem over flat rows.
type problem struct{ q0, q1, k0, k1 int }

// attentionRef is attention of q [B, T, H, D] and k, v [B, S, KV, D] for the problems.
func attentionRef(causal bool, scale float64, problems ...problem) func(x []nd) nd {
	return func(x []nd) nd {
		q, k, v := x[0], x[1], x[2]
		h, d, kv := q.shape[2], q.shape[3], k.shape[2]
		y := zeros(q.shape...)
		for _, p := range problems {
			for i := p.q0; i < p.q1; i++ {
				keys := p.k1 - p.k0
				if causal {
					keys = min(keys, i-p.q0+1+(p.k1-p.k0)-(p.q1-p.q0))
				}
				if keys <= 0 {
					continue
				}
				scores := make([]float64, keys)
				for head := range h {
					from := head * kv / h
					for j := range scores {
						scores[j] = 0
						for c := range d {
							scores[j] += scale * q.data[(i*h+head)*d+c] * k.data[((p.k0+j)*kv+from)*d+c]
						}
					}
					softmaxRow(scores, slices.Clone(scores))
					for j, w := range scores {
						for c := range d {
							y.data[(i*h+head)*d+c] += w * v.data[((p.k0+j)*kv+from)*d+c]
						}
					}
				}
			}
		}
		return y
	}
}

// crossEntropyRef is the loss of logits and targets, with weights of the rows if there is a third array.
func crossEntropyRef(ignore int, smoothing, divisor float64) func(x []nd) nd {
	return func(x []nd) nd {
		classes := x[0].shape[len(x[0].shape)-1]
		sum, count := 0.0, 0.0
		p := make([]float64, classes)
		for i, target := range x[1].data {
			if int(target) == ignore {
				continue
			}
			softmaxRow(p, x[0].data[i*classes:(i+1)*classes])
			loss := -(1 - smoothing) * math.Log(p[int(target)])
			for _, v := range p {
				loss -= smoothing / float64(classes) * math.Log(v)
			}
			if len(x) > 2 {
				loss *= x[2].data[i]
			}
			sum += loss
			count++
		}
		if divisor != 0 {
			count = divisor
		}
		return nd{nil, []float64{sum / count}}
	}
}

// crossEntropyRows is the losses of the rows of logits, by the weights of the classes if there is a third array.
func crossEntropyRows(ignore int, smoothing float64) func(x []nd) nd {
	return func(x []nd) nd {
		classes := x[0].shape[len(x[0].shape)-1]
		out := zeros(x[1].shape...)
		p := make([]float64, classes)
		for i, target := range x[1].data {
			if int(target) == ignore {
				continue
			}
			softmaxRow(p, x[0].data[i*classes:(i+1)*classes])
			for class, v := range p {
				share := smoothing / float64(classes)
				if class == int(target) {
					share += 1 - smoothing
				}
				if len(x) > 2 {
					share *= x[2].data[class]
				}
				out.data[i] -= share * math.Log(v)
			}
		}
		return out
	}
}
