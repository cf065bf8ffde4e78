package cpu

import (
	"math"
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/cpu/gemm"
	"github.com/hone-ml/hone/internal/cpu/pool"
	"github.com/hone-ml/hone/internal/cpu/simd"
)

// muonSmall is the largest matrix that one processor orthogonalises on its own: it and its scratch stay in
// the second-level cache, and no product waits for another processor.
const muonSmall = 1 << 17

// Muon does one step over matrices of one shape: small ones side by side, large ones one after the other.
func (*Backend) Muon(matrices []backend.MuonState, hyper, scratch *backend.View, a backend.MuonArgs) {
	if len(matrices) == 0 || matrices[0].Master.Len() == 0 {
		return
	}
	h := slice[float32](hyper.Ptr, backend.MuonHyper)
	rows, cols := matrices[0].Master.Shape[0], matrices[0].Master.Shape[1]
	m := muon{rows: rows, cols: cols, lr: float64(h[0]), decay: float64(h[1]), gradScale: h[2], momentum: float32(a.Momentum), steps: a.Steps}
	if rows*cols > muonSmall {
		m.parallel = true
		m.take(slice[float32](scratch.Ptr, scratch.Len()))
		for i := range matrices {
			m.step(&matrices[i])
		}
		return
	}
	pool.Run(len(matrices), 1, func(lo, hi int) {
		ws, products := getWorkspace(), gemm.GetWorkspace()
		defer ws.put()
		defer products.Put()
		one := m
		one.products = products
		one.take(take[float32](ws, backend.MuonScratch(rows, cols)))
		for i := lo; i < hi; i++ {
			one.step(&matrices[i])
		}
	})
}

// muon is the step over one matrix at a time.
type muon struct {
	rows, cols          int
	lr, decay           float64
	gradScale, momentum float32
	steps               int

	parallel     bool
	products     *gemm.Workspace // unless parallel
	x, y         []float32       // [rows, cols]: the matrix to orthogonalise, and where its successor goes
	gram, square []float32       // [n, n], n the smaller of rows and cols
}

// take cuts scratch into pieces.
func (m *muon) take(scratch []float32) {
	size, n := m.rows*m.cols, min(m.rows, m.cols)
	m.x, m.y = scratch[:size], scratch[size:2*size]
	m.gram, m.square = scratch[2*size:2*size+n*n], scratch[2*size+n*n:2*size+2*n*n]
}

// each calls f for ranges of [0, n).
func (m *muon) each(n int, f func(lo, hi int)) {
	if m.parallel {
		pool.Run(n, grainCheap, f)
	} else {
		f(0, n)
	}
}

func (m *muon) multiply(c, a, b gemm.Operand, rows, cols, k int) {
	if m.parallel {
		gemm.Mul(c, a, b, rows, cols, k, false)
	} else {
		gemm.MulSerial(m.products, c, a, b, rows, cols, k, false)
	}
}

// multiplySymmetric is for products of n×n that are symmetric.
func (m *muon) multiplySymmetric(c, a, b gemm.Operand, n, k int, accumulate bool) {
	if m.parallel {
		gemm.MulSymmetric(c, a, b, n, k, accumulate)
	} else {
		gemm.MulSymmetricSerial(m.products, c, a, b, n, k, accumulate)
	}
}

func (m *muon) step(s *backend.MuonState) {
	size := m.rows * m.cols
	m.each(size, func(lo, hi int) { m.accumulate(s, lo, hi) })
	m.orthogonalise()
	wide := math.Sqrt(max(1, float64(m.rows)/float64(m.cols)))
	along := float32(-m.lr * wide / muonUnit)
	keep := float32(1 - m.lr*m.decay)
	w := slice[float32](s.Master.Ptr, size)
	m.each(size, func(lo, hi int) {
		simd.MulScaleAdd(w[lo:hi], w[lo:hi], keep, m.x[lo:hi], along)
		if s.Param != nil {
			publish(s.Param, w, lo, hi)
		}
	})
}

// accumulate moves the momentum on and sets x to where it points to, for the elements [lo, hi).
func (m *muon) accumulate(s *backend.MuonState, lo, hi int) {
	ws := getWorkspace()
	defer ws.put()
	mark := ws.mark()
	for i := lo; i < hi; i += blockLen {
		n := min(blockLen, hi-i)
		ws.rewind(mark)
		at := func(v *backend.View) unsafe.Pointer { return unsafe.Add(v.Ptr, i*v.DType.Size()) }
		g := load(s.Grad.DType, at(s.Grad), 1, n, take[float32](ws, n))
		p := load(s.Momentum.DType, at(s.Momentum), 1, n, take[float32](ws, n))
		simd.MulScaleAdd(p, p, m.momentum, g, m.gradScale)
		simd.MulScaleAdd(m.x[i:i+n], g, m.gradScale, p, m.momentum)
		store(s.Momentum.DType, at(s.Momentum), 1, p)
	}
}

// muonUnit is what orthogonalise gives where the definition gives 1: in x·⁴√c the polynomial of x·xᵀ has
// the leading coefficient 1, so that one product adds the square to what is there already.
var muonUnit = math.Sqrt(math.Sqrt(backend.MuonC))

// orthogonalise iterates from x/‖x‖. It leaves the result, times muonUnit, in x. A wide matrix is iterated
// transposed, which comes to the same: all products then read their operands where they are.
func (m *muon) orthogonalise() {
	norm := math.Sqrt(rowSquares(m.x)) + 1e-7
	m.each(len(m.x), func(lo, hi int) { scale(m.x[lo:hi], m.x[lo:hi], float32(muonUnit/norm)) })
	if m.rows < m.cols {
		m.transpose(m.rows, m.cols)
	}
	n, long := min(m.rows, m.cols), max(m.rows, m.cols)
	gram, square := matrixOf(m.gram, n), matrixOf(m.square, n)
	linear := float32(backend.MuonB / math.Sqrt(backend.MuonC))
	for range m.steps {
		x, y := matrixOf(m.x, n), matrixOf(m.y, n)
		m.multiplySymmetric(gram, transposed(x), x, n, long, false)
		m.each(n*n, func(lo, hi int) { scale(m.square[lo:hi], m.gram[lo:hi], linear) })
		for i := range n {
			m.square[i*n+i] += backend.MuonA
		}
		m.multiplySymmetric(square, gram, gram, n, n, true)
		m.multiply(y, x, square, long, n, n)
		m.x, m.y = m.y, m.x
	}
	if m.rows < m.cols {
		m.transpose(m.cols, m.rows)
	}
}

// transpose makes the rows×cols matrix in x its transpose.
func (m *muon) transpose(rows, cols int) {
	const grain = 64
	strip := func(lo, hi int) {
		gemm.TransposeTight(m.y[lo*rows:hi*rows], matrixOf(m.x[lo:], cols), rows, hi-lo)
	}
	if m.parallel {
		pool.Run(cols, grain, strip)
	} else {
		strip(0, cols)
	}
	m.x, m.y = m.y, m.x
}
