package cuda

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/hone-ml/hone/internal/backend"
)

func copyExercise(kernel string) exercise {
	return func(r *rig) {
		switch {
		case strings.HasPrefix(kernel, "move"):
			forms := formsOf(kernel)
			if strings.Contains(kernel, "vectors") {
				for k := range 16 { // every rest of a vector of bytes
					forms = append(forms, form{shape: []int{3, 16 + k}, out: rowGaps, x: rowGaps})
				}
			}
			for _, dt := range dtypesOf(kernel) {
				for _, f := range forms {
					r.b.Copy(f.result(r, dt), f.in(r, f.x, dt, r.specials))
				}
				r.settle()
			}
		case strings.HasPrefix(kernel, "transpose"):
			for _, dt := range dtypesOf(kernel) {
				for _, f := range []form{
					{shape: []int{40, 35}, x: turned}, {shape: []int{33, 64}, out: rowGaps, x: turned}, {shape: []int{16, 16}, x: turned},
					{shape: []int{3, 2, 20, 17}, out: rowGaps, x: turned}, {shape: []int{100, 70}, x: turned},
				} {
					r.b.Copy(f.result(r, dt), f.in(r, f.x, dt, r.specials))
					r.settle()
				}
			}
		case strings.HasPrefix(kernel, "convert_vectors"):
			from, to := backend.F32, backend.BF16
			if strings.HasSuffix(kernel, "f32") {
				from, to = to, from
			}
			for _, f := range alignedForms {
				r.b.Copy(f.result(r, to), f.in(r, f.x, from, r.specials))
			}
			r.settle()
		default:
			all := []backend.DType{backend.F32, backend.F64, backend.BF16, backend.F16, backend.I32, backend.I64, backend.U8, backend.Bool}
			from := dtypesOf(kernel)
			if kernel == "convert_integer" {
				from = append(from, backend.Bool)
			}
			for _, x := range from {
				for _, out := range all {
					for _, f := range looseForms {
						values := r.specials
						if x.IsFloat() && !out.IsFloat() && out != backend.Bool { // that integers can hold
							values = func(dt backend.DType, n int) []byte {
								v := normals(r.rng, 20, n)
								for i := range v {
									if out == backend.U8 && v[i] < 0 {
										v[i] = -v[i]
									}
								}
								return encode(r.t, dt, v)
							}
						}
						if x != out {
							r.b.Copy(f.result(r, out), f.in(r, f.x, x, values))
						}
					}
					r.settle()
				}
			}
		}
	}
}

// index draws places among limit, some often.
func (r *rig) index(dt backend.DType, n, limit int) *backend.View {
	raw := make([]byte, 0, n*dt.Size())
	for i := range n {
		v := uint64(r.rng.IntN(limit))
		if i%3 == 0 {
			v = uint64(limit / 2)
		}
		if dt == backend.I32 {
			raw = binary.LittleEndian.AppendUint32(raw, uint32(v))
		} else {
			raw = binary.LittleEndian.AppendUint64(raw, v)
		}
	}
	return r.put(dt, raw, 0, n)
}

// refuses expects an index out of range to be told, wherever it is.
func (r *rig) refuses(op func(index *backend.View, limit int)) {
	for _, c := range []struct {
		at    int
		value int32
	}{{2, 7}, {5, -1}, {0, 9}} {
		values := []int32{0, 6, 3, 3, 1, 5}
		values[c.at] = c.value
		raw := make([]byte, 0, 24)
		for _, v := range values {
			raw = binary.LittleEndian.AppendUint32(raw, uint32(v))
		}
		want := backend.IndexError{Position: c.at, Index: int64(c.value), Limit: 7}
		func() {
			defer func() {
				if told, ok := recover().(*backend.IndexError); !ok || *told != want {
					panic(fmt.Sprintf("a bad index gives %+v, want %+v", told, want))
				}
			}()
			op(r.put(backend.I32, raw, 0, len(values)), 7)
			if err := r.b.Sync(); err != nil {
				panic(err)
			}
		}()
		r.release()
	}
}

// A table is rows that an index finds, and where they go.
type table struct {
	shape  []int // of rows
	out, x layout
}

func gatherExercise(kernel string) exercise {
	tables := []table{{}, {shape: []int{3}}, {shape: []int{300}, x: gaps}, {shape: []int{2, 5}, out: gaps, x: turned}, {shape: []int{2, 3, 2, 2, 3}, out: turned, x: gaps}}
	if strings.Contains(kernel, "vectors") {
		tables = []table{{shape: []int{16}}, {shape: []int{4112}}, {shape: []int{3, 2, 16}, x: rowGaps, out: rowGaps}, {shape: []int{2, 2, 3, 2, 32}, x: rowGaps}}
	}
	return func(r *rig) {
		for i, dt := range slices.Repeat(dtypesOf(kernel), 2) {
			for _, t := range tables {
				if i > 1 {
					r.atMost(600)
				}
				integer := []backend.DType{backend.I32, backend.I64}[i/2]
				const n, m = 9, 6
				x := lay(t.x, func(shape ...int) *backend.View {
					v := backend.NewView(nil, dt, shape...)
					return r.put(dt, r.specials(dt, v.Len()), 0, shape...)
				}, slices.Concat([]int{m}, t.shape)...)
				out := lay(t.out, func(shape ...int) *backend.View { return r.out(dt, 0, shape...) }, slices.Concat([]int{n}, t.shape)...)
				r.b.Gather(out, x, r.index(integer, n, m))
				r.settle()
			}
		}
		dt := dtypesOf(kernel)[0]
		width := 3
		if strings.Contains(kernel, "vectors") {
			width = 16
		}
		r.refuses(func(index *backend.View, limit int) {
			x := r.put(dt, r.specials(dt, limit*width), 0, limit, width)
			r.b.Gather(r.put(dt, r.specials(dt, index.Len()*width), 0, index.Len(), width), x, index)
		})
	}
}

func scatterExercise(kernel string) exercise {
	type pair struct{ out, x backend.DType }
	var pairs []pair
	tables := []table{{}, {shape: []int{3}}, {shape: []int{300}, x: gaps}, {shape: []int{2, 5}, out: gaps, x: turned}, {shape: []int{2, 3, 2, 2, 3}, out: turned, x: gaps}}
	switch kernel {
	case "scatter_keys":
		pairs = []pair{{backend.I64, backend.I64}}
	case "scatter_add_float":
		pairs = []pair{{backend.F32, backend.F32}, {backend.BF16, backend.BF16}, {backend.F16, backend.F16}, {backend.F32, backend.BF16}, {backend.F32, backend.F16}}
	case "scatter_add_f64":
		pairs = []pair{{backend.F64, backend.F64}}
	case "scatter_add_integer":
		pairs = []pair{{backend.I32, backend.I32}, {backend.I64, backend.I64}, {backend.U8, backend.U8}}
	default:
		tables = []table{{shape: []int{16}}, {shape: []int{512}}, {shape: []int{528}}, {shape: []int{1040}}, {shape: []int{32}, out: rowGaps, x: rowGaps}}
		pairs = []pair{{backend.BF16, backend.BF16}}
		if strings.HasPrefix(kernel, "scatter_vectors_f32") {
			pairs = []pair{{backend.F32, dtypesOf(kernel)[0]}}
		}
	}
	return func(r *rig) {
		for _, p := range pairs {
			for i, t := range tables {
				const m = 6
				n := []int{40, 9, 300}[i%3]
				if len(t.shape) == 1 && t.shape[0] > 100 {
					n = 17
				}
				integer := []backend.DType{backend.I32, backend.I64}[i%2]
				x := lay(t.x, func(shape ...int) *backend.View {
					v := backend.NewView(nil, p.x, shape...)
					return r.put(p.x, r.plain(p.x, v.Len()), 0, shape...)
				}, slices.Concat([]int{n}, t.shape)...)
				out := lay(t.out, func(shape ...int) *backend.View {
					v := backend.NewView(nil, p.out, shape...)
					return r.keep(r.put(p.out, r.plain(p.out, v.Len()), 0, shape...), 0)
				}, slices.Concat([]int{m}, t.shape)...)
				r.b.ScatterAdd(out, r.index(integer, n, m), x)
				r.settle()
			}
		}
		r.refuses(func(index *backend.View, limit int) {
			out := r.put(backend.F32, r.plain(backend.F32, limit*16), 0, limit, 16)
			r.b.ScatterAdd(out, index, r.put(backend.F32, r.plain(backend.F32, index.Len()*16), 0, index.Len(), 16))
		})
	}
}
