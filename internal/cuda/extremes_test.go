package cuda

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/hone-ml/hone/internal/backend"
)

// extremeRows are rows of width numbers that bring out what a fold over a row gets wrong: maxima that are missed or too
// early, infinities that cancel, numbers that are none.
func extremeRows(width int) (names []string, rows [][]float64) {
	rng := rand.New(rand.NewPCG(11, 12))
	inf := math.Inf(1)
	add := func(name string, at func(i int) float64) {
		row := make([]float64, width)
		for i := range row {
			row[i] = at(i)
		}
		names, rows = append(names, name), append(rows, row)
	}
	where := func(at int, special float64) func(i int) float64 {
		return func(i int) float64 {
			if i == at {
				return special
			}
			return rng.NormFloat64()
		}
	}
	add("all −Inf", func(int) float64 { return -inf })
	add("all −1e30", func(int) float64 { return -1e30 })
	add("all 1e30", func(int) float64 { return 1e30 })
	for _, at := range []int{0, 1, width / 2, width - 1} {
		add(fmt.Sprintf("NaN at %d", at), where(at, math.NaN()))
		add(fmt.Sprintf("+Inf at %d", at), where(at, inf))
		add(fmt.Sprintf("1e30 at %d", at), where(at, 1e30))
		add(fmt.Sprintf("nothing but −Inf and 3 at %d", at), func(i int) float64 {
			if i == at {
				return 3
			}
			return -inf
		})
	}
	add("−Inf first", func(i int) float64 {
		if i < width/2 {
			return -inf
		}
		return float64(i % 5)
	})
	add("rising", func(i int) float64 { return float64(i * 400 / width) })
	add("falling", func(i int) float64 { return float64((width - i) * 400 / width) })
	add("alternating", func(i int) float64 { return float64(i%2*200 - 100) })
	return names, rows
}

// stored is x as dt holds it.
func stored(dt backend.DType, x float64) float64 {
	if dt == backend.BF16 && x == x {
		bits := math.Float32bits(float32(x))
		return float64(math.Float32frombits((bits + 0x7fff + bits>>16&1) &^ 0xffff))
	}
	return float64(float32(x))
}

// near reports whether got is want up to the precision of dt and an absolute error.
func near(dt backend.DType, got, want, absolute float64) bool {
	if math.IsNaN(want) || math.IsNaN(got) {
		return math.IsNaN(want) && math.IsNaN(got)
	}
	relative := 1e-4
	if dt == backend.BF16 {
		relative = 1.0 / 128
	}
	return got == want || math.Abs(got-want) <= relative*math.Abs(want)+absolute
}

func TestSoftmaxAndCrossEntropyStandExtremes(t *testing.T) {
	b := openSimulator(t)
	for _, width := range []int{24, 1021, 1024, 2048, 9000} { // in a warp, not aligned, held by a warp and by a block, and read twice
		names, rows := extremeRows(width)
		n := len(rows)
		for _, dt := range []backend.DType{backend.F32, backend.BF16} {
			t.Run(fmt.Sprintf("%d of %v", width, dt), func(t *testing.T) {
				var flat, targets []float64
				for i, row := range rows {
					for j := range row {
						row[j] = stored(dt, row[j])
					}
					flat, targets = append(flat, row...), append(targets, float64(i*width/n))
				}
				x, index, ones := upload(t, b, dt, flat, n, width), upload(t, b, backend.I32, targets, n), make([]float64, n)
				for i := range ones {
					ones[i] = 1
				}
				scale := upload(t, b, backend.F32, ones, n)
				soft, d, loss, lse := empty(t, b, dt, n, width), empty(t, b, dt, n, width), empty(t, b, backend.F32, n), empty(t, b, backend.F32, n)
				partLoss, partLse, state := empty(t, b, backend.F32, n), empty(t, b, backend.F32, n), empty(t, b, backend.F32, n, backend.CrossEntropyState)
				args := backend.CrossEntropyArgs{IgnoreIndex: -100}
				b.Softmax(soft, x)
				b.CrossEntropy(loss, lse, x, index, args)
				b.CrossEntropyBackward(d, x, lse, index, scale, args)
				args.Classes = width
				first, rest := x.Slice(1, 0, width/3), x.Slice(1, width/3, width)
				b.CrossEntropyPart(nil, nil, state, &first, index, args)
				args.First = width / 3
				b.CrossEntropyPart(partLoss, partLse, state, &rest, index, args)

				gotSoft, gotD, gotLoss, gotParts := downloadFloats(t, b, soft), downloadFloats(t, b, d), downloadFloats(t, b, loss), downloadFloats(t, b, partLoss)
				for i, row := range rows {
					largest, sum, target := math.Inf(-1), 0.0, int(targets[i])
					for _, v := range row {
						largest = math.Max(largest, v)
					}
					for _, v := range row {
						sum += math.Exp(v - largest)
					}
					wantLoss := math.Log(sum) - (row[target] - largest)
					if math.IsInf(row[target], -1) && math.IsInf(wantLoss, 1) {
						wantLoss = math.Inf(1)
					}
					for what, got := range map[string]float64{"the loss": gotLoss[i], "the loss of parts": gotParts[i]} {
						if !near(backend.F32, got, wantLoss, 1e-4) {
							t.Errorf("%s: %s is %v, want %v", names[i], what, got, wantLoss)
						}
					}
					for j, v := range row {
						p := math.Exp(v-largest) / sum
						if got := gotSoft[i*width+j]; !near(dt, got, p, 1e-30) {
							t.Errorf("%s: softmax %d is %v, want %v", names[i], j, got, p)
							break
						}
						want := math.Exp(v - (largest + math.Log(sum)))
						if j == target {
							want--
						}
						if got := gotD[i*width+j]; !near(dt, got, want, 1e-4) {
							t.Errorf("%s: gradient %d is %v, want %v", names[i], j, got, want)
							break
						}
					}
				}
			})
		}
	}
}

func TestSwiGLUStandsExtremes(t *testing.T) {
	b := openSimulator(t)
	inf := math.Inf(1)
	gates := []float64{0, math.Copysign(0, -1), 1, -1, 30, -30, 88, -88, 89, -89, 104, -104, 1e4, -1e4, 1e30, -1e30, inf, -inf, math.NaN(), 1e-30}
	for _, dt := range []backend.DType{backend.F32, backend.BF16} {
		for _, n := range []int{len(gates), 32} { // element by element, and in vectors
			var gate, up, dy []float64
			for i := range n {
				gate, up, dy = append(gate, stored(dt, gates[i%len(gates)])), append(up, 1.5), append(dy, -2)
			}
			out, dgate, dup := empty(t, b, dt, 1, n), empty(t, b, dt, 1, n), empty(t, b, dt, 1, n)
			g, u := upload(t, b, dt, gate, 1, n), upload(t, b, dt, up, 1, n)
			b.SwiGLU(out, g, u)
			b.SwiGLUBackward(dgate, dup, upload(t, b, dt, dy, 1, n), g, u)
			gotOut, gotGate, gotUp := downloadFloats(t, b, out), downloadFloats(t, b, dgate), downloadFloats(t, b, dup)
			for i, g := range gate {
				s := 1 / (1 + math.Exp(-g))
				for what, c := range map[string]struct{ got, want float64 }{
					"out": {gotOut[i], g * s * 1.5}, "dup": {gotUp[i], -2 * g * s}, "dgate": {gotGate[i], -2 * 1.5 * s * (1 + g*(1-s))},
				} {
					if !near(dt, c.got, c.want, 1e-35) {
						t.Errorf("%v, gate %v: %s is %v, want %v", dt, g, what, c.got, c.want)
					}
				}
			}
		}
	}
}

func TestANormKeepsANaNInItsRow(t *testing.T) {
	b := openSimulator(t)
	rng := rand.New(rand.NewPCG(13, 14))
	for _, dt := range []backend.DType{backend.F32, backend.BF16} {
		for _, width := range []int{33, 64, 1024, 2048} {
			const n, bad = 20, 7
			x := normals(rng, 1e15, n*width)
			x[bad*width+width-1] = math.NaN()
			ones := make([]float64, width)
			for i := range ones {
				ones[i] = 1
			}
			in, w, bias := upload(t, b, dt, x, n, width), upload(t, b, dt, ones, width), upload(t, b, dt, make([]float64, width), width)
			rms, layer := empty(t, b, dt, n, width), empty(t, b, dt, n, width)
			b.RMSNorm(rms, nil, in, w, 1e-6)
			b.LayerNorm(layer, nil, nil, in, w, bias, 1e-6)
			for name, v := range map[string]*backend.View{"RMSNorm": rms, "LayerNorm": layer} {
				got := downloadFloats(t, b, v)
				for i := range n {
					squares := 0.0
					for _, v := range got[i*width : (i+1)*width] {
						squares += v * v
					}
					if math.IsNaN(squares) != (i == bad) || i != bad && math.Abs(squares/float64(width)-1) > 0.01 {
						t.Errorf("%s of %v[%d %d]: row %d has mean square %v", name, dt, n, width, i, squares/float64(width))
					}
				}
			}
		}
	}
}
