package cuda

import (
	"encoding/binary"
	"math"
	"slices"
	"strings"

	"github.com/hone-ml/hone/internal/backend"
)

// folded is a shape of which some axes are folded.
type folded struct {
	shape []int
	axes  []int
	x     layout
}

func reduceExercise(kernel string) exercise {
	if strings.HasPrefix(kernel, "arg") {
		return argExercise(kernel)
	}
	sums := strings.HasPrefix(kernel, "sum")
	var folds []folded
	switch {
	case strings.HasPrefix(kernel, "sum_rows"):
		for _, n := range []int{8, 16, 24, 40, 72, 136, 264, 520, 1000, 4128, 9000, 40000} {
			folds = append(folds, folded{shape: []int{5, n}, axes: []int{1}})
		}
		folds = append(folds, folded{shape: []int{3, 2, 48}, axes: []int{2}, x: rowGaps}, folded{shape: []int{70, 16}, axes: []int{1}}, folded{shape: []int{1, 1 << 17}, axes: []int{1}})
	case strings.HasPrefix(kernel, "sum_columns"):
		for k := range 9 {
			folds = append(folds, folded{shape: []int{9, 40 + k}, axes: []int{0}, x: rowGaps})
		}
		folds = append(folds, folded{shape: []int{300, 300}, axes: []int{0}, x: rowGaps}, folded{shape: []int{3, 20, 2, 24}, axes: []int{1}, x: rowGaps},
			folded{shape: []int{5, 3, 7, 24}, axes: []int{0, 2}, x: rowGaps}, folded{shape: []int{2, 200, 40}, axes: []int{1}})
	case strings.HasPrefix(kernel, "reduce_rows"):
		for _, n := range []int{1, 2, 3, 7, 13, 30, 50, 500, 700, 4099} {
			folds = append(folds, folded{shape: []int{5, n}, axes: []int{1}, x: gaps})
		}
		folds = append(folds, folded{shape: []int{3, 5, 7}, axes: []int{0, 2}, x: gaps}, folded{shape: []int{2, 3, 2, 2, 3, 2}, axes: []int{0, 2, 5}, x: gaps},
			folded{shape: []int{70, 3}, axes: []int{1}, x: gaps}, folded{shape: []int{4, 0}, axes: []int{1}})
	default:
		folds = []folded{{shape: []int{9, 5}, axes: []int{0}}, {shape: []int{21, 33}, axes: []int{0}}, {shape: []int{300, 70}, axes: []int{0}},
			{shape: []int{3, 130, 2, 7}, axes: []int{1}}, {shape: []int{5, 3, 7, 6}, axes: []int{0, 2}}, {shape: []int{5, 3, 4, 2, 5, 3}, axes: []int{0, 2, 4}}}
	}
	return func(r *rig) {
		dtypes := dtypesOf(kernel)
		if sums && strings.HasSuffix(kernel, "_f32") { // it adds up partial sums of the others, too
			dtypes = []backend.DType{backend.F32, backend.BF16, backend.F16}
		}
		ops := []backend.ReduceOp{backend.Sum, backend.ReduceMax, backend.ReduceMin, backend.Prod}
		if sums {
			ops = ops[:1]
		}
		for _, op := range ops {
			dtypes := dtypes
			switch {
			case strings.HasSuffix(kernel, "_integer") && (op == backend.ReduceMax || op == backend.ReduceMin):
				dtypes = append(dtypes, backend.Bool)
			case strings.HasSuffix(kernel, "_f64") && op == backend.Prod:
				dtypes = append(dtypes, backend.F32, backend.BF16, backend.F16)
			case strings.HasSuffix(kernel, "_float") && op == backend.Prod:
				continue
			case strings.HasSuffix(kernel, "_float") && op == backend.Sum && !strings.HasPrefix(kernel, "reduce_rows"):
				dtypes = []backend.DType{backend.F16}
			}
			for _, f := range folds {
				for _, dt := range dtypes {
					r.fold(op, f, dt, dt)
					if sums && dt == backend.BF16 {
						r.fold(op, f, dt, backend.F32)
					}
				}
			}
		}
	}
}

func (r *rig) fold(op backend.ReduceOp, f folded, dt, to backend.DType) {
	x := lay(f.x, func(shape ...int) *backend.View {
		v := backend.NewView(nil, dt, shape...)
		values := r.plain(dt, v.Len())
		if extreme := op == backend.ReduceMax || op == backend.ReduceMin; extreme && !dt.IsFloat() {
			values = r.integers(dt, v.Len(), 3)
		} else if extreme && len(f.shape) > 2 {
			values = r.specials(dt, v.Len())
		} else if op == backend.Prod && dt.IsFloat() { // products that stay in range
			p := normals(r.rng, 0.01, v.Len())
			for i := range p {
				p[i] = math.Copysign(1+p[i], p[i])
			}
			values = encode(r.t, dt, p)
		}
		return r.put(dt, values, 0, shape...)
	}, f.shape...)
	shape := slices.Clone(f.shape)
	for _, a := range f.axes {
		shape[a] = 1
	}
	r.b.Reduce(op, lay(gaps, func(shape ...int) *backend.View { return r.out(to, 0, shape...) }, shape...), x)
	r.settle()
}

func argExercise(kernel string) exercise {
	return func(r *rig) {
		for _, op := range []backend.ReduceOp{backend.ArgMax, backend.ArgMin} {
			dtypes := dtypesOf(kernel)
			if kernel == "arg_rows_integer" {
				dtypes = append(dtypes, backend.Bool)
			}
			for i, f := range []form{
				{shape: []int{9, 300}}, {shape: []int{20, 7}, x: turned}, {shape: []int{3, 2, 700}, x: gaps, out: turned}, {shape: []int{2, 3, 2, 2, 3, 40}, x: gaps},
				{shape: []int{40, 257}, x: rowGaps}, {shape: []int{5, 1}}, {shape: []int{64, 520}, x: gaps},
			} {
				kept := f
				kept.shape = slices.Clone(f.shape)
				kept.shape[len(f.shape)-1] = 1
				for _, dt := range dtypes {
					r.b.Reduce(op, kept.result(r, backend.I32), f.in(r, f.x, dt, r.plain))
					r.b.Reduce(op, kept.result(r, []backend.DType{backend.I32, backend.I64}[i%2]), f.in(r, f.x, dt, r.specials))
					r.settle()
				}
			}
		}
	}
}

func scanExercise(kernel string) exercise {
	forms := []form{{shape: []int{7, 5}}, {shape: []int{300, 4}, x: turned, y: gaps}, {shape: []int{6, 3, 5}, out: gaps, x: gaps, y: turned}, {shape: []int{9, 3, 2, 2, 3}, out: turned, x: gaps, y: gaps}}
	axis := 0
	if strings.HasPrefix(kernel, "scan_rows") {
		forms = []form{{shape: []int{3, 300}, x: gaps, y: rowGaps}, {shape: []int{2, 600}, out: gaps, y: turned}, {shape: []int{3, 2, 260}, x: turned}}
		axis = -1
	}
	return func(r *rig) {
		dtypes := dtypesOf(kernel)
		if strings.HasSuffix(kernel, "_f64") {
			dtypes = append(dtypes, backend.F32, backend.BF16, backend.F16)
		}
		// Of the factors some are 1 and some 0, and products stay in range.
		factors := func(dt backend.DType, n int) []byte {
			if !dt.IsFloat() {
				return r.integers(dt, n, 1)
			}
			x := normals(r.rng, 0.3, n)
			for i := range x {
				if x[i] = 1 - math.Abs(x[i]); i%7 == 0 {
					x[i] = -1
				}
			}
			return encode(r.t, dt, x)
		}
		for i, dt := range slices.Repeat(dtypes, 2) {
			for _, f := range forms {
				along := axis
				if along < 0 {
					along += len(f.shape)
				}
				for _, constant := range []int{0, 1, 2} {
					x, y := f.in(r, f.x, dt, factors), f.in(r, f.y, dt, r.plain)
					one := form{shape: []int{1}}.in(r, packed, dt, factors)
					one.Shape, one.Rank, one.Strides = x.Shape, x.Rank, [backend.MaxRank]int{}
					switch constant {
					case 1:
						x = one
					case 2:
						y = one
					}
					r.b.Scan(f.result(r, dt), x, y, along, 2.5, i >= len(dtypes))
					r.settle()
				}
			}
		}
	}
}

func sortExercise(kernel string) exercise {
	dtypes := []backend.DType{backend.F32, backend.F16, backend.BF16, backend.I32, backend.U8}
	switch kernel {
	case "sort_keys_float":
		dtypes = dtypes[:3]
	case "sort_keys_integer":
		dtypes = []backend.DType{backend.I32, backend.U8, backend.Bool}
	case "sort_keys_f64":
		dtypes = []backend.DType{backend.F64}
	case "sort_keys_i64":
		dtypes = []backend.DType{backend.I64}
	case "sort_count_u64", "sort_move_u64":
		dtypes = []backend.DType{backend.F64, backend.I64}
	}
	return func(r *rig) {
		for i, f := range []form{
			{shape: []int{3, 70}, x: gaps}, {shape: []int{2, 2, 300}, x: turned}, {shape: []int{2, 3, 2, 2, 2, 33}, x: gaps},
			{shape: []int{2, 2100}}, {shape: []int{1, 4500}, x: gaps}, {shape: []int{5, 1}},
		} {
			for _, dt := range dtypes {
				n := f.shape[len(f.shape)-1]
				places := slices.Clone(f.shape)
				places[len(places)-1] = []int{n, (n + 1) / 2}[i%2]
				r.b.Sort(r.out(backend.I32, 0, places...), f.in(r, f.x, dt, r.specials), i%2 == 1)
				r.settle()
				if n > 1000 && kernel != "sort_count_u64" && kernel != "sort_move_u64" {
					break
				}
			}
		}
		// Keys of one digit only, and all equal.
		for _, dt := range dtypes {
			r.b.Sort(r.out(backend.I32, 0, 1, 700), r.put(dt, bytesOf(dt, 700, func(i int) uint64 { return uint64(i * 7 % 256) }), 0, 1, 700), false)
			r.b.Sort(r.out(backend.I32, 0, 1, 700), r.put(dt, make([]byte, 700*dt.Size()), 0, 1, 700), true)
		}
		r.settle()
	}
}

// bytesOf is words of a dtype's size.
func bytesOf(dt backend.DType, n int, word func(i int) uint64) []byte {
	raw := make([]byte, 0, n*dt.Size())
	for i := range n {
		var b [8]byte
		w := word(i)
		if dt == backend.Bool {
			w &= 1
		}
		binary.LittleEndian.PutUint64(b[:], w)
		raw = append(raw, b[:dt.Size()]...)
	}
	return raw
}
