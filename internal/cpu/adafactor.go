package cpu

import (
	"math"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/cpu/pool"
	"github.com/hone-ml/hone/internal/cpu/simd"
)

// Adafactor does one step of Adafactor. Its rule wants the squares of all gradients before the first update,
// and the size of the whole update before the first weight: so gradients are read three times, weights
// twice, and weights are written once. Nothing of the parameter's size is kept in between; the update is
// made again from the gradient.
func (*Backend) Adafactor(s backend.AdafactorState, grad, hyper *backend.View, a backend.AdafactorArgs) {
	n := grad.Len()
	h := slice[float32](hyper.Ptr, backend.AdafactorHyper)
	f := adafactor{
		w: newWeights(s.WeightState, n), grad: grad, rows: 1, cols: n,
		squareScale: h[2] * h[2], q: h[4], eps1: a.Eps1, least: float32(max(a.Eps1*a.Eps1, 0x1p-126)),
	}
	var weights float64 // their squares
	if s.V != nil {
		f.v = slice[float32](s.V.Ptr, n)
		weights = f.measureVector()
	} else {
		f.rows, f.cols = grad.Shape[grad.Rank-2], grad.Shape[grad.Rank-1]
		f.row, f.col = slice[float32](s.Row.Ptr, s.Row.Len()), slice[float32](s.Col.Ptr, s.Col.Len())
		weights = f.measureMatrices()
	}
	updates := f.over(func(b adafactorBlock) float64 {
		f.update(&b)
		return float64(simd.SumSquares(b.u))
	})
	rms := func(squares float64) float64 { return math.Sqrt(squares / float64(n)) }
	gradScale := float64(h[2]) // is not yet in the updates
	step := float64(h[3]) * max(a.Eps2, rms(weights)) / max(1, math.Abs(gradScale)*rms(updates)/a.D) * gradScale
	keep := float32(1 - float64(h[0])*float64(h[1]))
	f.over(func(b adafactorBlock) float64 {
		f.update(&b)
		w := f.w.load(b.lo, b.lo+len(b.u), b.scratch)
		simd.MulScaleAdd(w, w, keep, b.u, float32(-step))
		f.w.store(b.lo, w)
		return 0
	})
}

// adafactor is a parameter of matrices [rows, cols] in a step, or a vector.
type adafactor struct {
	w              weights
	grad           *backend.View
	rows, cols     int
	row, col       []float32 // for each row and each column of each matrix
	inverse        []float32 // 1/max(mean of row, ε1) of each matrix
	v              []float32 // instead, of a vector
	squareScale, q float32
	eps1           float64
	least          float32 // ε1²
}

// adafactorBlock is elements of one row, from lo on: gradients, and as many elements to write to.
type adafactorBlock struct {
	lo               int
	grad, u, scratch []float32
}

// over calls fn for blocks that cover the parameter and adds up what it returns.
func (f *adafactor) over(fn func(b adafactorBlock) float64) (total float64) {
	n := f.grad.Len()
	sums := make([]float64, (n+grainCheap-1)/grainCheap)
	pool.Run(n, grainCheap, func(first, last int) {
		ws := getWorkspace()
		defer ws.put()
		g, u, scratch := take[float32](ws, blockLen), take[float32](ws, blockLen), take[float32](ws, blockLen)
		for lo := first; lo < last; {
			hi := min(lo+blockLen, last, (lo/f.cols+1)*f.cols)
			sums[first/grainCheap] += fn(adafactorBlock{lo, loadFlat(f.grad, lo, hi, g), u[:hi-lo], scratch})
			lo = hi
		}
	})
	for _, s := range sums {
		total += s
	}
	return total
}

// update makes u the update, but for the gradient's scale: g/√max(v, ε1²).
func (f *adafactor) update(b *adafactorBlock) {
	hi := b.lo + len(b.u)
	if f.v != nil {
		simd.LargerScalar(b.u, f.v[b.lo:hi], f.least)
	} else {
		row, at := b.lo/f.cols, b.lo%f.cols
		matrix := row / f.rows
		simd.Scale(b.u, f.col[matrix*f.cols+at:][:len(b.u)], f.row[row]*f.inverse[matrix])
		simd.LargerScalar(b.u, b.u, f.least)
	}
	simd.Sqrt(b.u, b.u)
	simd.Div(b.u, b.grad, b.u)
}

// measureVector takes the squares of a vector's gradients into v, and gives the sum of the weights'.
func (f *adafactor) measureVector() float64 {
	return f.over(func(b adafactorBlock) float64 {
		hi := b.lo + len(b.u)
		simd.Mul(b.u, b.grad, b.grad)
		simd.MulScaleAdd(f.v[b.lo:hi], f.v[b.lo:hi], 1-f.q, b.u, f.q*f.squareScale)
		return float64(simd.SumSquares(f.w.load(b.lo, hi, b.scratch)))
	})
}

// measureMatrices takes the squares of the gradients into row and col, and gives the sum of the weights'.
func (f *adafactor) measureMatrices() (total float64) {
	size := f.rows * f.cols
	sums := make([]float64, f.grad.Len()/size)
	f.inverse = make([]float32, len(sums))
	pool.Run(len(sums), 1+grainCheap/size, func(lo, hi int) {
		for matrix := lo; matrix < hi; matrix++ {
			sums[matrix] = f.measure(matrix)
		}
	})
	for _, s := range sums {
		total += s
	}
	return total
}

// maxParts is how many parts of a matrix have sums of columns of their own.
const maxParts = 32

// measure is measureMatrices for one of them.
func (f *adafactor) measure(matrix int) (total float64) {
	perPart := max(1+(grainCheap-1)/f.cols, 1+(f.rows-1)/maxParts)
	parts := 1 + (f.rows-1)/perPart
	ws := getWorkspace()
	defer ws.put()
	columns := take[float32](ws, parts*f.cols)
	clear(columns)
	weights, rows := make([]float64, parts), make([]float64, parts)
	pool.Run(f.rows, perPart, func(lo, hi int) {
		part := lo / perPart
		weights[part], rows[part] = f.measureRows(matrix, lo, hi, columns[part*f.cols:(part+1)*f.cols])
	})
	mean := 0.0
	for part := range parts {
		total, mean = total+weights[part], mean+rows[part]
		if part > 0 {
			simd.Add(columns[:f.cols], columns[:f.cols], columns[part*f.cols:(part+1)*f.cols])
		}
	}
	col := f.col[matrix*f.cols:][:f.cols]
	simd.MulScaleAdd(col, col, 1-f.q, columns[:f.cols], f.q*f.squareScale/float32(f.rows))
	f.inverse[matrix] = float32(1 / max(mean/float64(f.rows), f.eps1))
	return total
}

// measureRows takes the squares of the rows [lo, hi) of a matrix into row and columns. It gives the sums of
// the weights' squares and of row.
func (f *adafactor) measureRows(matrix, lo, hi int, columns []float32) (weights, rows float64) {
	ws := getWorkspace()
	defer ws.put()
	scratchG, scratchW := take[float32](ws, blockLen), take[float32](ws, blockLen)
	for r := matrix*f.rows + lo; r < matrix*f.rows+hi; r++ {
		squares := 0.0
		for c := 0; c < f.cols; c += blockLen {
			end := min(c+blockLen, f.cols)
			g := loadFlat(f.grad, r*f.cols+c, r*f.cols+end, scratchG)
			simd.MulAdd(columns[c:end], g, g)
			squares += float64(simd.SumSquares(g))
			weights += float64(simd.SumSquares(f.w.load(r*f.cols+c, r*f.cols+end, scratchW)))
		}
		mean := squares * float64(f.squareScale) / float64(f.cols)
		f.row[r] += f.q * (float32(mean) - f.row[r])
		rows += float64(f.row[r])
	}
	return weights, rows
}
