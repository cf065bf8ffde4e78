package cuda

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/hone-ml/hone/internal/backend"
)

// A layout is how a view lies in memory.
type layout int

const (
	packed  layout = iota
	gaps           // between the elements of every axis
	rowGaps        // between rows, which begin on 16 bytes
	turned         // the first axis is the fastest
	rowsRepeat
	columnsRepeat
)

// lay makes a view of a shape in memory that put takes.
func lay(l layout, put func(shape ...int) *backend.View, shape ...int) *backend.View {
	last := len(shape) - 1
	switch l {
	case gaps:
		wide := slices.Clone(shape)
		for i := range wide {
			wide[i] += 1 + i%2
		}
		v := *put(wide...)
		for i, n := range shape {
			v = v.Slice(i, 1, n+1)
		}
		return &v
	case rowGaps:
		wide := slices.Clone(shape)
		wide[last] = roundUp(shape[last]+1, 16)
		v := put(wide...).Slice(last, 0, shape[last])
		return &v
	case turned:
		back := slices.Clone(shape)
		slices.Reverse(back)
		v := put(back...)
		slices.Reverse(v.Shape[:v.Rank])
		slices.Reverse(v.Strides[:v.Rank])
		return v
	case rowsRepeat, columnsRepeat:
		axis := 0
		if l == columnsRepeat {
			axis = last
		}
		one := slices.Clone(shape)
		one[axis] = 1
		v := put(one...)
		v.Shape[axis], v.Strides[axis] = shape[axis], 0
		return v
	}
	return put(shape...)
}

// A form is the shape of an op's operands, and how they lie in memory.
type form struct {
	shape  []int
	out, x layout
	y      layout
	offset int // of packed operands, in elements
	most   int // elements of a launch
}

// looseForms are for kernels that take any layout, alignedForms for those that take vectors of 16 bytes.
var (
	looseForms = []form{
		{shape: []int{300}, offset: 1},
		{shape: []int{5, 7}, x: turned, y: rowsRepeat},
		{shape: []int{5, 7}, out: turned, y: columnsRepeat},
		{shape: []int{2, 3, 5}, out: gaps, x: rowsRepeat, y: turned},
		{shape: []int{3, 2, 2, 3}, out: turned, x: gaps, y: gaps},
		{shape: []int{2, 3, 2, 2, 3}, x: gaps, y: turned},
		{shape: []int{2, 3, 2, 2, 3, 2}, out: gaps, x: turned, y: columnsRepeat},
		{shape: []int{1}, offset: 1},
		{shape: []int{7, 100}, out: gaps, x: turned, most: 300},
	}
	alignedForms = []form{
		{shape: []int{2, 40}, out: rowGaps, x: rowGaps, y: rowGaps}, {shape: []int{2, 41}, out: rowGaps, x: rowGaps, y: rowGaps},
		{shape: []int{2, 42}, out: rowGaps, x: rowGaps, y: rowGaps}, {shape: []int{2, 43}, out: rowGaps, x: rowGaps, y: rowGaps},
		{shape: []int{2, 44}, out: rowGaps, x: rowGaps, y: rowGaps}, {shape: []int{2, 45}, out: rowGaps, x: rowGaps, y: rowGaps},
		{shape: []int{2, 46}, out: rowGaps, x: rowGaps, y: rowGaps}, {shape: []int{2, 47}, out: rowGaps, x: rowGaps, y: rowGaps},
		{shape: []int{3, 24}, out: rowGaps, x: columnsRepeat, y: rowsRepeat}, {shape: []int{3, 21}, out: rowGaps, x: rowsRepeat, y: columnsRepeat},
		{shape: []int{3, 2, 24}, out: rowGaps, x: rowGaps, y: rowGaps}, {shape: []int{2, 3, 2, 24}, out: rowGaps, x: rowsRepeat, y: rowGaps},
		{shape: []int{2, 2, 3, 2, 20}, out: rowGaps, x: rowsRepeat, y: columnsRepeat}, {shape: []int{2, 2, 2, 3, 2, 20}, out: rowGaps, x: rowGaps, y: rowsRepeat},
		{shape: []int{4099}}, {shape: []int{64, 48}, out: rowGaps, x: rowGaps, y: rowGaps, most: 900},
	}
)

// formsOf are the forms that reach a kernel.
func formsOf(kernel string) []form {
	if strings.Contains(kernel, "vectors") {
		return alignedForms
	}
	return looseForms
}

// in and out make the operands of a form.
func (f form) in(r *rig, l layout, dt backend.DType, bytes func(dt backend.DType, n int) []byte) *backend.View {
	return lay(l, func(shape ...int) *backend.View {
		v := backend.NewView(nil, dt, shape...)
		return r.put(dt, bytes(dt, v.Len()), f.offset, shape...)
	}, f.shape...)
}

func (f form) result(r *rig, dt backend.DType) *backend.View {
	if f.most > 0 {
		r.atMost(f.most)
	}
	return lay(f.out, func(shape ...int) *backend.View { return r.out(dt, f.offset, shape...) }, f.shape...)
}

// atMost makes the device go over so few elements at once, until the rig settles.
func (r *rig) atMost(n int) {
	if b, ok := r.b.(*Backend); ok {
		was := b.most
		b.most = n
		r.free = append(r.free, func() { b.most = was })
	}
}

// dtypesOf are what a kernel computes with, by the class or the dtype that its name ends with.
func dtypesOf(kernel string) []backend.DType {
	switch suffix := kernel[strings.LastIndexByte(kernel, '_')+1:]; suffix {
	case "float":
		return []backend.DType{backend.F32, backend.BF16, backend.F16}
	case "integer":
		return []backend.DType{backend.I32, backend.I64, backend.U8}
	case "f32":
		return []backend.DType{backend.F32}
	case "bf16":
		return []backend.DType{backend.BF16}
	case "i64":
		return []backend.DType{backend.I64}
	case "u8":
		return []backend.DType{backend.U8, backend.Bool}
	case "u16":
		return []backend.DType{backend.BF16, backend.F16}
	case "u32":
		return []backend.DType{backend.F32, backend.I32}
	case "u64":
		return []backend.DType{backend.F64, backend.I64}
	}
	return []backend.DType{backend.F64}
}

// specials is numbers of all magnitudes among ordinary ones, for floats; any bits, and small ones, for integers.
func (r *rig) specials(dt backend.DType, n int) []byte {
	odd := []float64{0, math.Copysign(0, -1), math.NaN(), math.Inf(1), math.Inf(-1), 0.5, 1.5, -2.5, 1, -1, 1e-3, -1e-3, 1e-30, -1e30, 3e4, -88, 100, -700, 1000, -1000, 25, 2, 9.5, -5}
	x := normals(r.rng, 2, n)
	for i := range x {
		if r.rng.IntN(3) == 0 {
			x[i] = odd[r.rng.IntN(len(odd))]
		}
	}
	if dt.IsFloat() {
		return encode(r.t, dt, x)
	}
	return r.integers(dt, n, 2)
}

// plain is ordinary numbers, small ones of integers.
func (r *rig) plain(dt backend.DType, n int) []byte {
	if dt.IsFloat() {
		return encode(r.t, dt, normals(r.rng, 1, n))
	}
	return r.integers(dt, n, 0)
}

// integers are small, but for `wide` of three, which are of any size.
func (r *rig) integers(dt backend.DType, n, wide int) []byte {
	raw := make([]byte, 0, n*dt.Size())
	for range n {
		v := int64(r.rng.IntN(11) - 5)
		if r.rng.IntN(3) < wide {
			v = int64(r.rng.Uint64())
		}
		switch dt {
		case backend.I32:
			raw = binary.LittleEndian.AppendUint32(raw, uint32(v))
		case backend.I64:
			raw = binary.LittleEndian.AppendUint64(raw, uint64(v))
		case backend.Bool:
			raw = append(raw, byte(v&1))
		default:
			raw = append(raw, byte(v))
		}
	}
	return raw
}

func unaryExercise(kernel string) exercise {
	return func(r *rig) {
		finite := func(dt backend.DType, n int) []byte {
			x := decode(dt, r.specials(dt, n))
			for i := range x {
				if math.IsInf(x[i], 0) {
					x[i] = math.Copysign(60, x[i])
				}
			}
			return encode(r.t, dt, x)
		}
		for op := range backend.UnaryOp(backend.UnaryOps) {
			dtypes := dtypesOf(kernel)
			if kernel == "unary_f64" && inF64(op) {
				dtypes = append(dtypes, backend.F32, backend.BF16, backend.F16)
			}
			if kernel == "unary_integer" && op == backend.Not {
				dtypes = []backend.DType{backend.Bool}
			}
			if op == backend.Not && kernel != "unary_integer" || op >= backend.Exp && op != backend.ReLU && kernel == "unary_integer" ||
				strings.Contains(kernel, "vectors") && !hasVectors(op) || kernel == "unary_float" && inF64(op) {
				continue
			}
			for i, f := range formsOf(kernel) {
				dt := dtypes[i%len(dtypes)]
				values := r.specials
				if op >= backend.GELU { // GELU of −Inf is 0·Inf
					values = finite
				}
				r.b.Unary(op, f.result(r, dt), f.in(r, f.x, dt, values))
			}
			r.settle()
		}
	}
}

func activationExercise(kernel string) exercise {
	return func(r *rig) {
		dtypes := dtypesOf(kernel)
		for _, op := range []backend.UnaryOp{backend.SiLU, backend.GELU, backend.GELUTanh, backend.Softplus, backend.Sigmoid, backend.Tanh, backend.ReLU} {
			for i, f := range formsOf(kernel) {
				dt := dtypes[i%len(dtypes)]
				r.b.ActivationBackward(op, f.result(r, dt), f.in(r, f.x, dt, r.plain), f.in(r, f.y, dt, r.specials))
			}
			r.settle()
		}
	}
}

func binaryExercise(kernel string) exercise {
	if strings.HasPrefix(kernel, "where") {
		return whereExercise(kernel)
	}
	scalar := strings.HasPrefix(kernel, "scalar")
	return func(r *rig) {
		for op := range backend.BinaryOp(backend.BinaryOps) {
			dtypes := dtypesOf(kernel)
			if strings.HasSuffix(kernel, "_f64") && classOf(op, backend.F32) == "f64" {
				dtypes = append(dtypes, backend.F32, backend.BF16, backend.F16)
			}
			integers := strings.HasSuffix(kernel, "_integer")
			if integers && op.Logical() {
				dtypes = []backend.DType{backend.Bool}
			}
			if op.Logical() && !integers || op.NeedsFloat() && integers || strings.Contains(kernel, "vectors") && op > backend.Min ||
				strings.HasSuffix(kernel, "_float") && classOf(op, backend.F32) == "f64" {
				continue
			}
			for i, f := range formsOf(kernel) {
				dt := dtypes[i%len(dtypes)]
				to := dt
				if op.Compares() {
					to = backend.Bool
				}
				out, x := f.result(r, to), f.in(r, f.x, dt, r.specials)
				if scalar {
					r.b.Scalar(op, out, x, []float64{1.7, -2.3, 3}[i%3])
					continue
				}
				values := r.specials
				if integers && op.Divides() { // by −1 as well, not by 0
					values = func(dt backend.DType, n int) []byte {
						raw := r.integers(dt, n, 1)
						for i := range raw {
							if i%dt.Size() == 0 && raw[i] == 0 {
								raw[i] = 1
							}
						}
						return raw
					}
				}
				y := f.in(r, f.y, dt, values)
				r.b.Binary(op, out, x, y)
				if !op.Compares() && !op.Logical() && op != backend.Div { // equal operands
					continue
				}
				r.b.Binary(op, f.result(r, to), y, y)
			}
			r.settle()
		}
		if strings.HasSuffix(kernel, "_integer") {
			for _, op := range []backend.BinaryOp{backend.Div, backend.Remainder, backend.Fmod} {
				r.dividesByZero(op, scalar)
			}
		}
	}
}

// dividesByZero expects a division of integers by zero to be told.
func (r *rig) dividesByZero(op backend.BinaryOp, scalar bool) {
	defer r.release()
	err := func() (err error) {
		defer func() { err, _ = recover().(error) }()
		x, y := r.put(backend.I32, r.integers(backend.I32, 3, 0), 0, 3), r.put(backend.I32, []byte{1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0}, 0, 3)
		out := r.put(backend.I32, make([]byte, 12), 0, 3)
		if scalar {
			r.b.Scalar(op, out, x, 0)
		} else {
			r.b.Binary(op, out, x, y)
		}
		return r.b.Sync()
	}()
	if err == nil || !strings.Contains(err.Error(), "divide by zero") {
		panic(fmt.Sprintf("a division by zero gives %v", err))
	}
}

func whereExercise(kernel string) exercise {
	return func(r *rig) {
		dtypes := dtypesOf(kernel)
		for i, f := range looseForms {
			dt := dtypes[i%len(dtypes)]
			r.b.Where(f.result(r, dt), f.in(r, f.y, backend.Bool, r.plain), f.in(r, f.x, dt, r.specials), f.in(r, packed, dt, r.specials))
			r.settle()
		}
	}
}

func fillExercise(kernel string) exercise {
	return func(r *rig) {
		if kernel == "arange" {
			for _, dt := range []backend.DType{backend.F32, backend.F64, backend.BF16, backend.F16, backend.I32, backend.I64, backend.U8, backend.Bool} {
				for _, f := range looseForms {
					r.b.Arange(f.result(r, dt), 3, 0.1)
				}
				r.settle()
			}
			return
		}
		for _, dt := range dtypesOf(kernel) {
			for _, f := range looseForms {
				r.b.Fill(f.result(r, dt), 1.2345678)
			}
			r.settle()
			for offset := range 16 / dt.Size() {
				for _, n := range []int{1, 3, 15, 16, 17, 32, 33, 47} {
					r.b.Fill(r.out(dt, offset, n), -7.654321)
				}
			}
			r.b.Fill(r.out(dt, 1, 5000), 0.1)
			r.settle()
		}
	}
}

func randomExercise(string) exercise {
	return func(r *rig) {
		forms := slices.Concat(looseForms, alignedForms)
		for _, n := range []int{1, 2, 3, 4, 5, 6, 7, 8, 1029} {
			forms = append(forms, form{shape: []int{n}}, form{shape: []int{n}, offset: 2})
		}
		for most := range 9 { // parts that begin anywhere in a block of four
			forms = append(forms, form{shape: []int{25}, most: most + 3})
		}
		for i, f := range forms {
			counter := uint64(i) << 40
			for _, dt := range []backend.DType{backend.F32, backend.BF16, backend.F16, backend.F64} {
				if dt != backend.F64 { // in which F32 shows, 3 ulp of it
					r.b.Random(f.result(r, dt), backend.Normal, 99, counter, 0.5, 2)
				}
				r.b.Random(f.result(r, dt), backend.Uniform, 99, counter+1000, -1, 2)
			}
			for _, dt := range []backend.DType{backend.I32, backend.I64} {
				r.b.Random(f.result(r, dt), backend.Bits, 1<<40+5, counter, 0, 0)
			}
			r.settle()
		}
		r.b.Random(r.out(backend.F32, 0, 4000), backend.Uniform, 3, 4, 1, float64(math.Nextafter32(1, 2)))
	}
}
