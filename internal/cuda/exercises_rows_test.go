package cuda

import (
	"fmt"
	"math"
	"strings"

	"github.com/hone-ml/hone/internal/backend"
)

// A variant is what the name of a kernel says: its dtype, and whether it takes vectors of 16 bytes or any row.
type variant struct {
	dtype    backend.DType
	anyRow   bool
	backward bool
	offset   int // of inputs and outputs, in elements: vectors cannot be where it is not 0
}

func variantOf(kernel string) variant {
	v := variant{dtype: backend.F32, backward: strings.Contains(kernel, "_backward") || strings.Contains(kernel, "_columns") || strings.HasPrefix(kernel, "add_partials")}
	for name, dt := range map[string]backend.DType{"_f64": backend.F64, "_bf16": backend.BF16, "_f16": backend.F16} {
		if strings.HasSuffix(kernel, name) && !strings.HasSuffix(kernel, "_to"+name) {
			v.dtype = dt
		}
	}
	v.anyRow = strings.Contains(kernel, "_any_") || strings.Contains(kernel, "_columns_") || v.dtype == backend.F16 || v.dtype == backend.F64
	if v.anyRow {
		v.offset = 1
	}
	return v
}

// shapes are rows of a warp and of a block; more of them than a block takes.
func (v variant) shapes() [][2]int {
	if v.anyRow {
		return [][2]int{{70, 33}, {2, 1}, {3, 701}}
	}
	s := [][2]int{{70, 64}, {20, 1024}, {3, 1040}, {2, 8192}, {300, 1056}}
	for k := range heldElements * v.dtype.Size() / 16 { // rows that end with the first lane's vector k
		s = append(s, [2]int{2, (32*k + 1) * 16 / v.dtype.Size()})
	}
	return s
}

func normExercise(kernel string) exercise {
	v := variantOf(kernel)
	acc, offset := v.dtype.Accumulator(), v.offset
	layer := strings.HasPrefix(kernel, "layernorm")
	dtypes := []backend.DType{v.dtype}
	if kernel == "add_partials_f32" {
		dtypes = []backend.DType{backend.BF16, backend.F16}
	}
	return func(r *rig) {
		for i, s := range v.shapes() {
			n, d, dt := s[0], s[1], dtypes[i%len(dtypes)]
			x, w, bias := r.in(dt, offset, n, d), r.in(dt, offset, d), r.in(dt, offset, d)
			mean, rstd := r.in(acc, 0, n), r.positive(acc, 0, n)
			dy, dx, dw, db := r.in(dt, offset, n, d), r.out(dt, offset, n, d), r.keep(r.in(acc, 0, d), 0), r.keep(r.in(dt, 1, d), 1)
			outMean, outRstd := r.out(acc, 0, n), r.out(acc, 0, n)
			switch {
			case layer && v.backward:
				r.b.LayerNormBackward(dx, dw, db, dy, x, w, mean, rstd)
			case layer:
				r.b.LayerNorm(dx, outMean, outRstd, x, w, bias, 1e-5)
			case v.backward:
				r.b.RMSNormBackward(dx, dw, dy, x, w, rstd)
				r.b.RMSNormBackward(nil, db, dy, x, w, rstd)
				r.b.RMSNormBackward(dy, nil, r.keep(dy, offset), x, w, rstd)
			default:
				r.b.RMSNorm(dx, outRstd, x, w, 1e-5)
			}
			r.settle()
		}
	}
}

func ropeExercise(kernel string) exercise {
	v := variantOf(kernel)
	dt, acc, offset := v.dtype, v.dtype.Accumulator(), v.offset
	return func(r *rig) {
		for _, s := range [][3]int{{3, 5, 64}, {70, 2, 48}, {1030, 1, 16}, {2, 1, 128}, {3, 2, 16}, {3, 2, 32}, {1, 1, 520}, {2, 20, 128}, {2, 3, 8}} {
			if v.anyRow {
				s[2] += 2
			}
			n, h, d := s[0], s[1], s[2]
			x, w, dy, rstd := r.in(dt, offset, n, h, d), r.in(dt, offset, d), r.in(dt, offset, n, h, d), r.positive(acc, 0, n, h)
			cos, sin := r.in(acc, 0, n, d/2), r.in(acc, 0, n, d/2)
			out, dw := r.out(dt, offset, n, h, d), r.keep(r.in(acc, 0, d), 0)
			switch {
			case strings.HasPrefix(kernel, "rope"):
				r.b.RoPE(out, x, cos, sin, false)
				r.b.RoPE(dy, r.keep(dy, offset), cos, sin, true)
			case v.backward:
				r.b.NormRoPEBackward(out, dw, dy, x, w, rstd, cos, sin)
				r.b.NormRoPEBackward(nil, dw, dy, x, w, rstd, cos, sin)
			default:
				r.b.NormRoPE(out, r.keep(rstd, 0), x, w, cos, sin, 1e-5)
			}
			r.settle()
		}
	}
}

func swigluExercise(kernel string) exercise {
	v := variantOf(kernel)
	dt, offset := v.dtype, v.offset
	return func(r *rig) {
		for _, s := range [][2]int{{3, 40}, {2, 2304}} {
			n, d := s[0], s[1]+offset
			// Halves of rows: not without gaps.
			both, dboth := r.in(dt, offset, n, 2*d), r.out(dt, offset, n, 2*d)
			gate, up := both.Slice(1, 0, d), both.Slice(1, d, 2*d)
			dgate, dup := dboth.Slice(1, 0, d), dboth.Slice(1, d, 2*d)
			if dy := r.in(dt, offset, n, d); v.backward {
				r.b.SwiGLUBackward(&dgate, &dup, dy, &gate, &up)
			} else {
				r.b.SwiGLU(&dgate, &gate, &up)
			}
			r.settle()
		}
	}
}

func softmaxExercise(kernel string) exercise {
	v := variantOf(kernel)
	shapes := v.shapes()
	if v.anyRow {
		shapes = append(shapes, [2]int{60, 9000})
	}
	return func(r *rig) {
		for _, s := range shapes {
			n, d := s[0], s[1]
			offset, pitch := v.offset, d
			if d == 9000 { // vectors, and a rest
				offset, d = 0, d-5
			}
			x, dy, out := r.rows(v.dtype, offset, n, pitch).Slice(1, 0, d), r.in(v.dtype, offset, n, pitch).Slice(1, 0, d), r.out(v.dtype, offset, n, pitch).Slice(1, 0, d)
			if v.backward {
				r.b.SoftmaxBackward(&out, &dy, &x)
			} else {
				r.b.Softmax(&out, &x)
			}
			r.settle()
		}
	}
}

func sumSquaresExercise(kernel string) exercise {
	dt := variantOf(kernel).dtype
	return func(r *rig) {
		for _, offset := range []int{0, 1} {
			for _, chunk := range []int{1, 96, 5000, 5001} {
				n := 3*chunk + 17
				r.b.SumSquares(r.out(dt.Accumulator(), 0, ceilDiv(n, chunk)), r.in(dt, offset, n), chunk)
				r.settle()
			}
		}
	}
}

func crossEntropyExercise(kernel string) exercise {
	v := variantOf(kernel)
	return func(r *rig) { r.crossEntropy(v.dtype, kernel, v.backward) }
}

func optimizerExercise(kernel string) exercise { return func(r *rig) { r.optimizer(kernel) } }

func quantizedExercise(kernel string) exercise { return func(r *rig) { r.quantized(kernel) } }

// rows draws rows of which the largest numbers lie at many places, some as far apart as exp can tell.
func (r *rig) rows(dt backend.DType, offset, n, d int) *backend.View {
	x := normals(r.rng, 3, n*d)
	for i := range n {
		row := x[i*d : (i+1)*d]
		switch i % 4 {
		case 1: // one far above the others
			row[r.rng.IntN(d)] = 2000
		case 2: // rising
			for j := range row {
				row[j] = float64(j*60)/float64(d) - 30
			}
		case 3:
			row[r.rng.IntN(d)] = math.Inf(-1)
		}
	}
	return r.put(dt, encode(r.t, dt, x), offset, n, d)
}

func (r *rig) crossEntropy(dt backend.DType, kernel string, backward bool) {
	acc := dt.Accumulator()
	for _, s := range [][3]int{{9, 70, 0}, {60, 72, 0}, {6, 1100, 0}, {6, 701, 1}, {3, 9001, 0}, {90, 300, 0}} {
		n, d, offset := s[0], s[1], s[2]
		targets := make([]float64, n)
		for i := range targets {
			targets[i] = float64(r.rng.IntN(d))
		}
		targets[n-1], targets[n-2], targets[0] = -100, float64(d-1), 0
		index := r.put(backend.I32, encode(r.t, backend.I32, targets), 0, n)
		// Rows that begin on 16 bytes though their length may be odd.
		pitch := roundUp(d, 8) + offset
		whole := r.rows(dt, offset, n, pitch)
		x := whole.Slice(1, 0, d)
		for _, smoothing := range []float64{0, 0.1} {
			args := backend.CrossEntropyArgs{IgnoreIndex: -100, Smoothing: smoothing}
			if backward {
				from, to := dt, dt
				if strings.HasSuffix(kernel, "_to_bf16") {
					to = backend.BF16
				}
				// No smaller than the largest logit, so that nothing is too large to compare.
				logSums := make([]float64, n)
				for i := range logSums {
					if logSums[i] = 35; i%4 == 1 {
						logSums[i] = 2000
					}
				}
				lse := r.put(from.Accumulator(), encode(r.t, from.Accumulator(), logSums), 0, n)
				scale, out := r.in(from.Accumulator(), 0, n), r.out(to, offset, n, pitch)
				o := out.Slice(1, 0, d)
				r.b.CrossEntropyBackward(&o, &x, lse, index, scale, args)
				if to != from { // over the logits
					logits := r.keep(r.rows(dt, offset, n, pitch), offset)
					over, x := *logits, logits.Slice(1, 0, d)
					over.DType = to
					over.Strides[0] *= 2
					over = over.Slice(1, 0, d)
					r.b.CrossEntropyBackward(&over, &x, lse, index, scale, args)
				}
				continue
			}
			r.b.CrossEntropy(r.out(acc, 0, n), r.out(acc, 0, n), &x, index, args)
			state := r.put(acc, make([]byte, acc.Bytes(4*n)), 0, n, 4)
			args.Classes = d
			for at := 0; at < d; {
				to := min(at+d/3+1, d)
				args.First = at
				part := x.Slice(1, at, to)
				if to < d {
					r.b.CrossEntropyPart(nil, nil, state, &part, index, args)
				} else {
					r.b.CrossEntropyPart(r.out(acc, 0, n), r.out(acc, 0, n), state, &part, index, args)
				}
				at = to
			}
		}
		r.settle()
	}
	bad := r.put(backend.I32, encode(r.t, backend.I32, []float64{1, 3, -1, 2}), 0, 4)
	x, lse, scale := r.in(dt, 0, 4, 3), r.in(acc, 0, 4), r.in(acc, 0, 4)
	defer func() {
		e, ok := recover().(*backend.IndexError)
		if !ok || *e != (backend.IndexError{Position: 1, Index: 3, Limit: 3}) {
			panic(fmt.Sprintf("bad targets give %v", e))
		}
	}()
	args := backend.CrossEntropyArgs{IgnoreIndex: -100}
	if backward {
		if strings.HasSuffix(kernel, "_to_bf16") {
			dt = backend.BF16
		}
		r.b.CrossEntropyBackward(r.in(dt, 0, 4, 3), x, lse, bad, scale, args)
	} else {
		r.b.CrossEntropy(r.in(acc, 0, 4), r.in(acc, 0, 4), x, bad, args)
	}
	if err := r.b.Sync(); err != nil {
		panic(err)
	}
}

// hyper are what an optimizer reads on the device.
func (r *rig) hyper() *backend.View {
	return r.put(backend.F32, encode(r.t, backend.F32, []float64{0.01, 0.1, 1.5, 2.5, 0.25, 7}), 0, 6)
}

func (r *rig) optimizer(kernel string) {
	if kernel == "adamw_f64" {
		for _, param := range []backend.DType{backend.F64, backend.F32, backend.BF16, backend.F16} {
			for _, coupled := range []bool{false, true} {
				const n = 256
				s := backend.AdamWState{Master: r.keep(r.in(backend.F64, 0, n), 0), M: r.keep(r.in(backend.F64, 0, n), 0), V: r.keep(r.positive(backend.F64, 0, n), 0)}
				if param != backend.F64 {
					s.Param = r.out(param, 0, n)
				}
				r.b.AdamW(s, r.in(backend.F64, 0, n), r.hyper(), backend.AdamWArgs{Beta1: 0.9, Beta2: 0.99, Eps: 1e-6, Coupled: coupled})
				r.settle()
			}
		}
		return
	}
	moments := backend.F32
	if strings.HasSuffix(kernel, "_bf16") {
		moments = backend.BF16
	} else if strings.HasSuffix(kernel, "_u8") {
		moments = backend.U8
	}
	for _, n := range []int{1, 2, 3, 512, 515} {
		for offset := range 2 {
			for form := range 5 {
				for _, grad := range []backend.DType{backend.F32, backend.BF16} {
					if n < 3 && grad == backend.BF16 && form > 0 {
						continue
					}
					r.settle()
					hyper := r.hyper()
					var s backend.AdamWState
					switch form {
					case 0:
						s.Master = r.keep(r.in(backend.F32, offset, n), offset)
					case 1, 2, 3:
						s.Master, s.Param = r.keep(r.in(backend.F32, offset, n), offset), r.out([]backend.DType{backend.BF16, backend.F16, backend.F64}[form-1], offset, n)
					case 4:
						s.Param, s.Remainder = r.keep(r.in(backend.BF16, offset, n), offset), r.keep(r.put(backend.U8, encode(r.t, backend.U8, r.codes(2*n)), 2*offset, n, 2), 2*offset)
					}
					g := r.in(grad, offset, n)
					if kernel == "sgd" || kernel == "lion" {
						w := backend.WeightState{Param: s.Param, Master: s.Master, Remainder: s.Remainder}
						for _, moment := range []backend.DType{backend.F32, backend.BF16, backend.U8} {
							m := backend.MomentumState{WeightState: w}
							if moment != backend.U8 {
								m.M = r.keep(r.in(moment, offset, n), offset)
							}
							switch {
							case kernel == "sgd":
								r.b.SGD(m, g, hyper, backend.SGDArgs{Momentum: 0.9, Nesterov: form%2 == 0})
							case m.M != nil:
								r.b.Lion(m, g, hyper, backend.LionArgs{Beta1: 0.9, Beta2: 0.99})
							}
						}
						continue
					}
					if moments == backend.U8 {
						blocks := ceilDiv(n, backend.QuantBlock)
						s.M, s.V = r.keep(r.put(backend.U8, encode(r.t, backend.U8, r.codes(n)), offset, n), offset), r.keep(r.put(backend.U8, encode(r.t, backend.U8, r.codes(n)), offset, n), offset)
						s.MScale, s.VScale = r.keep(r.in(backend.F32, 0, blocks), 0), r.keep(r.positive(backend.F32, 0, blocks), 0)
					} else {
						s.M, s.V = r.keep(r.in(moments, offset, n), offset), r.keep(r.positive(moments, offset, n), offset)
					}
					bare := form == 0 && grad == backend.BF16
					if bare {
						s.Master, s.Param = nil, r.keep(r.in(backend.BF16, offset, n), offset)
					}
					r.b.AdamW(s, g, hyper, backend.AdamWArgs{Beta1: 0.9, Beta2: 0.99, Eps: 1e-6, Stream: 77, Coupled: form == 1})
				}
			}
		}
	}
}

func (r *rig) codes(n int) []float64 {
	x := make([]float64, n)
	for i := range x {
		x[i] = float64(r.rng.IntN(256))
	}
	return x
}

func (r *rig) quantized(kernel string) {
	dt := backend.Q8_0
	if strings.Contains(kernel, "q4_0") {
		dt = backend.Q4_0
	}
	blocks := func(n, offset int) *backend.View {
		raw := make([]byte, dt.Bytes(n))
		for i := range raw {
			if raw[i] = byte(r.rng.Uint32()); i%dt.Size() == 1 {
				raw[i] &= 0x3f
			}
		}
		v := *r.put(backend.U8, raw, offset, len(raw))
		v = backend.NewView(v.Ptr, dt, n)
		return &v
	}
	for _, other := range []backend.DType{backend.F32, backend.BF16, backend.F16} {
		r.settle()
		switch {
		case strings.HasPrefix(kernel, "quantize"):
			x := normals(r.rng, 1, 32*11)
			for i := 32; i < 64; i++ {
				x[i] = 0
			}
			x[70], x[100], x[130], x[140] = math.NaN(), math.Inf(1), 4, -4
			out := *r.out(backend.U8, 1, dt.Bytes(len(x)))
			out = backend.NewView(out.Ptr, dt, len(x))
			r.b.Quantize(&out, r.put(other, encode(r.t, other, x), 1, len(x)))
		case strings.HasPrefix(kernel, "dequantize"):
			r.b.Dequantize(r.out(other, 1, 32*11), blocks(32*11, 1))
			r.b.Dequantize(r.out(other, 1, 256), blocks(256, 1))
		default:
			m := int(kernel[len(kernel)-1] - '0')
			for _, s := range [][3]int{{9, 544, 1}, {4099 + 4096*(1/m), 128, 0}, {70, 256, 2}, {3, max(4096/m, 1024) + 96, 0}, {4, 512, 0}} {
				n, k := s[0], s[1]
				if n > 1000 && other != backend.F32 {
					continue
				}
				w := blocks(n*k, s[2])
				*w = backend.NewView(w.Ptr, dt, n, k)
				r.b.MatMulQuantized(r.keep(r.in(other, 1, m, n), 1), r.in(other, 1, m, k), w, n%2 == 1)
				if m > 2 {
					r.b.MatMulQuantized(r.out(other, 0, m-1, n), r.in(other, 0, m-1, k), w, false)
				}
				r.settle()
			}
		}
	}
}
