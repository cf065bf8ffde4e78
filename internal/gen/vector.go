package main

import (
	"fmt"
	"slices"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// A loop describes a function over slices of one length.
type loop struct {
	slices []string // the slices' names, the one that gives the length first
	unroll int      // vectors a turn, each with accumulators of its own
	sums   int      // accumulators for each of them, zero at first

	// step works on one vector of each slice. part says that only the lanes of emitter.partial count.
	step func(v *vector)
	// prepare, if not nil, gives the accumulators sums[u][i] other contents.
	prepare func(sums [][]reg.VecVirtual)
	// finish, if not nil, folds the accumulators and stores the result.
	finish func(sums [][]reg.VecVirtual)
}

// A vector is the place at which a step works.
type vector struct {
	*emitter
	base  map[string]reg.GPVirtual
	index reg.GPVirtual
	disp  int // in elements
	part  bool
	sums  []reg.VecVirtual
}

// at is the address of the vector in a slice whose elements take size bytes.
func (v *vector) at(slice string, size int) operand.Mem {
	return operand.Mem{Base: v.base[slice], Index: v.index, Scale: uint8(size), Disp: size * v.disp}
}

// read loads a vector of a slice of float32, or of bfloat16 in uint16, which it widens.
func (v *vector) read(slice string) reg.VecVirtual {
	r := v.vec()
	if v.elements[slice] == "uint16" {
		v.loadBF16(v.at(slice, 2), r, v.part)
	} else {
		v.load(v.at(slice, 4), r, v.part)
	}
	return r
}

// write stores a vector to a slice of float32, or of bfloat16 in uint16, to which it rounds.
func (v *vector) write(slice string, r reg.VecVirtual) {
	switch {
	case v.elements[slice] != "uint16":
		v.store(r, v.at(slice, 4), v.part)
	case v.rounds():
		v.storeRounded(r, v.at(slice, 2), v.part)
	default:
		v.storeUpper(v.roundBF16(r), v.at(slice, 2), v.part)
	}
}

// emit writes the function: turns of several vectors, then single ones, then part of one.
func (e *emitter) emit(l loop) {
	v := &vector{emitter: e, base: map[string]reg.GPVirtual{}, index: e.GP64()}
	rest := e.GP64()
	e.rest = rest
	e.Load(e.Param(l.slices[0]).Len(), rest)
	for _, s := range l.slices {
		v.base[s] = e.pointer(s, true)
	}
	if e.elements[l.slices[0]] == "uint16" && l.finish == nil && !e.rounds() {
		e.prepareRounding()
	}
	e.XORQ(v.index, v.index)
	sums := make([][]reg.VecVirtual, l.unroll)
	for u := range sums {
		sums[u] = e.vecs(l.sums)
		for _, s := range sums[u] {
			e.zero(s)
		}
	}
	if l.prepare != nil {
		l.prepare(sums)
	}
	step := func(u int, part bool) {
		v.sums, v.disp, v.part = sums[u], u*e.lanes, part
		l.step(v)
	}
	for _, vectors := range slices.Compact([]int{l.unroll, 1}) {
		here, next := fmt.Sprintf("by%d", vectors), fmt.Sprintf("after%d", vectors)
		e.Label(here)
		e.CMPQ(rest, operand.U32(uint32(vectors*e.lanes)))
		e.JL(operand.LabelRef(next))
		for u := range vectors {
			step(u, false)
		}
		e.ADDQ(operand.U32(uint32(vectors*e.lanes)), v.index)
		e.SUBQ(operand.U32(uint32(vectors*e.lanes)), rest)
		e.JMP(operand.LabelRef(here))
		e.Label(next)
	}
	e.TESTQ(rest, rest)
	e.JZ(operand.LabelRef("done"))
	e.partial(rest)
	step(0, true)
	e.Label("done")
	if l.finish != nil {
		l.finish(sums)
	}
	e.end()
}
