package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"math"
	"strings"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/gotypes"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// An isa is an instruction set with vectors of lanes float32.
type isa struct {
	name  string
	lanes int
}

var (
	avx2   = isa{"AVX2", 8}
	avx512 = isa{"AVX512", 16}
	// avx512bf16 rounds to bfloat16 in one instruction. It has only the loops to which that matters.
	avx512bf16 = isa{"AVX512BF16", 16}
)

func (x isa) suffix() string { return strings.ToLower(x.name) }
func (x isa) wide() bool     { return x.lanes == 16 }
func (x isa) rounds() bool   { return x == avx512bf16 }

// kinds are the element types for which it has loops.
func (x isa) kinds() []kind {
	if x.rounds() {
		return []kind{bf16}
	}
	return []kind{f32, bf16}
}

// A file is an assembly file in the making.
type file struct {
	*build.Context
	tables map[string]operand.Mem
}

// An emitter writes one function for one instruction set. It hides what differs between them: the
// registers, how part of a vector is loaded and stored, and where constants live.
type emitter struct {
	*file
	isa
	kmask reg.Register   // the lanes in use: an opmask,
	vmask reg.VecVirtual // or a vector of all ones and all zeros

	elements map[string]string // the element types of the slices, by their names
	rest     reg.GPVirtual     // elements that are left: where a part of a vector is, fewer than lanes
	rounding rounding          // of results to bfloat16
	stage    operand.Mem       // room for a part of a vector of 16-bit or 8-bit elements, on AVX2
	labels   int               // made by label
}

// function begins a function named after the instruction set.
func (x isa) function(f *file, name, signature, doc string) *emitter {
	name += x.name
	f.Function(name)
	f.Attributes(build.NOSPLIT)
	f.SignatureExpr(signature)
	f.Pragma("noescape")
	f.Doc(strings.Split(name+" "+doc, "\n")...)
	return &emitter{file: f, isa: x, elements: elementTypes(signature)}
}

// elementTypes are those of the slices among a function's parameters.
func elementTypes(signature string) map[string]string {
	f, err := parser.ParseExpr(signature)
	if err != nil {
		panic(err)
	}
	types := map[string]string{}
	for _, field := range f.(*ast.FuncType).Params.List {
		if slice, ok := field.Type.(*ast.ArrayType); ok {
			for _, name := range field.Names {
				types[name.Name] = slice.Elt.(*ast.Ident).Name
			}
		}
	}
	return types
}

// label is a label that no other has.
func (e *emitter) label(name string) string {
	e.labels++
	return fmt.Sprintf("%s%d", name, e.labels)
}

func (e *emitter) end() {
	e.VZEROUPPER()
	e.RET()
}

// Store makes r, whose lowest lane holds a float32, a result of the function. It is not avo's: that would
// write MOVSS in its legacy encoding, and such an instruction while the upper halves of vectors are in use
// costs Intel's processors from Ice Lake on 150 ns, more than a loop over 500 elements.
func (e *emitter) Store(r reg.Register, result gotypes.Component) {
	to, err := result.Resolve()
	if err != nil {
		panic(err)
	}
	e.VMOVSS(r, to.Addr)
}

func (e *emitter) vec() reg.VecVirtual {
	if e.wide() {
		return e.ZMM()
	}
	return e.YMM()
}

func (e *emitter) vecs(n int) []reg.VecVirtual {
	vs := make([]reg.VecVirtual, n)
	for i := range vs {
		vs[i] = e.vec()
	}
	return vs
}

// pointer loads the base address of a slice or pointer parameter.
func (e *emitter) pointer(param string, slice bool) reg.GPVirtual {
	r := e.GP64()
	if slice {
		e.Load(e.Param(param).Base(), r)
	} else {
		e.Load(e.Param(param), r)
	}
	return r
}

func (e *emitter) integer(param string) reg.GPVirtual {
	r := e.GP64()
	e.Load(e.Param(param), r)
	return r
}

// scalar broadcasts a float32 parameter.
func (e *emitter) scalar(param string) reg.VecVirtual {
	b, err := e.Param(param).Resolve()
	if err != nil {
		panic(err)
	}
	v := e.vec()
	e.VBROADCASTSS(b.Addr, v)
	return v
}

// constant is a vector of one number as a source operand: a register where there are many, memory
// where there are few.
func (e *emitter) constant(name string, value float64) operand.Op {
	return e.bits(name, math.Float32bits(float32(value)))
}

func (e *emitter) bits(name string, bits uint32) operand.Op {
	if e.wide() {
		r, v := e.GP32(), e.vec()
		e.MOVL(operand.U32(bits), r)
		e.VPBROADCASTD(r, v)
		return v
	}
	words := make([]uint32, 8)
	for i := range words {
		words[i] = bits
	}
	return e.table(name, words)
}

// table puts words into read-only memory and gives its address. A name stands for one content a file.
func (f *file) table(name string, words []uint32) operand.Mem {
	if m, ok := f.tables[name]; ok {
		return m
	}
	m := f.StaticGlobal(name)
	f.DataAttributes(build.RODATA | build.NOPTR)
	for _, w := range words {
		f.AppendDatum(operand.U32(w))
	}
	f.tables[name] = m
	return m
}

// floats is a table of float32.
func (f *file) floats(name string, values []float64) operand.Mem {
	words := make([]uint32, len(values))
	for i, v := range values {
		words[i] = math.Float32bits(float32(v))
	}
	return f.table(name, words)
}

// partial makes the first n lanes, 0 < n ≤ lanes, those that loadPart and storePart touch.
func (e *emitter) partial(n reg.Register) {
	if e.wide() {
		r := e.GP64()
		e.MOVQ(operand.I32(-1), r)
		e.BZHIQ(n, r, r)
		k := e.K()
		e.KMOVW(r.As32(), k)
		e.kmask = k
		return
	}
	x, v := e.XMM(), e.YMM()
	e.VMOVQ(n, x)
	e.VPBROADCASTD(x, v)
	e.VPCMPGTD(e.table("lanes", []uint32{0, 1, 2, 3, 4, 5, 6, 7}), v, v)
	e.vmask = v
}

// load reads a vector; part reads the lanes of partial and makes the others zero.
func (e *emitter) load(m operand.Mem, v reg.Register, part bool) {
	switch {
	case !part:
		e.VMOVUPS(m, v)
	case e.wide():
		e.VMOVUPS_Z(m, e.kmask, v)
	default:
		e.VMASKMOVPS(m, e.vmask, v)
	}
}

func (e *emitter) store(v reg.Register, m operand.Mem, part bool) {
	switch {
	case !part:
		e.VMOVUPS(v, m)
	case e.wide():
		e.VMOVUPS(v, e.kmask, m)
	default:
		e.VMASKMOVPS(v, e.vmask, m)
	}
}

// keepPart makes the lanes outside of partial zero.
func (e *emitter) keepPart(v reg.Register) {
	if e.wide() {
		e.VMOVAPS_Z(v, e.kmask, v)
		return
	}
	e.VANDPS(e.vmask, v, v)
}

func (e *emitter) zero(v reg.Register) {
	if e.wide() {
		e.VPXORD(v, v, v)
		return
	}
	e.VXORPS(v, v, v)
}

// foldLanes folds v into its lowest lane, halving the vector each time. It destroys v.
func (e *emitter) foldLanes(v reg.VecVirtual, op func(ops ...operand.Op)) reg.Register {
	x, t := v.AsX(), e.XMM()
	if e.wide() {
		h := e.YMM()
		e.VEXTRACTF64X4(operand.Imm(1), v, h)
		op(h, v.AsY(), v.AsY())
		e.VEXTRACTF32X4(operand.Imm(1), v.AsY(), t)
	} else {
		e.VEXTRACTF128(operand.Imm(1), v, t)
	}
	op(t, x, x)
	e.VPERMILPS(operand.Imm(0b1110), x, t)
	op(t, x, x)
	e.VPERMILPS(operand.Imm(0b0001), x, t)
	op(t, x, x)
	return x
}

// rows reach four rows of a matrix from one pointer: at 0, 1, 2 and 3 strides.
type rows struct {
	*emitter
	base, stride, stride3 reg.GPVirtual
}

// rows loads a matrix's parameters: its address and its row stride in bytes.
func (e *emitter) rows(base, stride string) rows {
	r := rows{e, e.pointer(base, false), e.integer(stride), e.GP64()}
	e.LEAQ(operand.Mem{Base: r.stride, Index: r.stride, Scale: 2}, r.stride3)
	return r
}

// row is the address of byte disp of row i < 4.
func (r rows) row(i, disp int) operand.Mem {
	m := operand.Mem{Base: r.base, Disp: disp}
	switch i {
	case 1, 2:
		m.Index, m.Scale = r.stride, uint8(i)
	case 3:
		m.Index, m.Scale = r.stride3, 1
	}
	return m
}

// advance moves on by one row or by four.
func (r rows) advance(n int) {
	r.LEAQ(operand.Mem{Base: r.base, Index: r.stride, Scale: uint8(n)}, r.base)
}

// next are the four rows behind these.
func (r rows) next() rows {
	n := r
	n.base = r.GP64()
	r.LEAQ(operand.Mem{Base: r.base, Index: r.stride, Scale: 4}, n.base)
	return n
}
