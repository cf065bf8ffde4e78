package simd

import "unsafe"

// Less sets out to 1 where x < y and to 0 elsewhere, also where one is NaN.
func Less[E Element](out []uint8, x, y []E) { compare(out, x, y, of[E]().less) }

// LessEqual sets out to 1 where x ≤ y and to 0 elsewhere, also where one is NaN.
func LessEqual[E Element](out []uint8, x, y []E) { compare(out, x, y, of[E]().lessEqual) }

// Equal sets out to 1 where x == y and to 0 elsewhere, also where one is NaN.
func Equal[E Element](out []uint8, x, y []E) { compare(out, x, y, of[E]().equal) }

// NotEqual sets out to 1 where x ≠ y, also where one is NaN, and to 0 elsewhere.
func NotEqual[E Element](out []uint8, x, y []E) { compare(out, x, y, of[E]().notEqual) }

func compare[E Element](out []uint8, x, y []E, f func(out []uint8, x, y []E)) {
	n := len(out)
	x, y = cut(x, n), cut(y, n)
	if n <= block {
		f(out, x, y)
		return
	}
	inBlocks(n, func(lo, hi int) { f(out[lo:hi], x[lo:hi], y[lo:hi]) })
}

// Where sets out = cond ? x : y; any byte but 0 is true. Elements are mere bits.
func Where[U uint16 | uint32](out []U, cond []uint8, x, y []U) {
	n := len(out)
	cond, x, y = cut(cond, n), cut(x, n), cut(y, n)
	f := whereOf[U]()
	if n <= block {
		f(out, cond, x, y)
		return
	}
	inBlocks(n, func(lo, hi int) { f(out[lo:hi], cond[lo:hi], x[lo:hi], y[lo:hi]) })
}

func whereOf[U uint16 | uint32]() func(out []U, cond []uint8, x, y []U) {
	if unsafe.Sizeof(*new(U)) == 2 {
		return *(*func(out []U, cond []uint8, x, y []U))(unsafe.Pointer(&k.where16))
	}
	return *(*func(out []U, cond []uint8, x, y []U))(unsafe.Pointer(&k.where32))
}

func lessGeneric(out []uint8, x, y []float32) {
	for i := range out {
		out[i] = truth(x[i] < y[i])
	}
}

func lessEqualGeneric(out []uint8, x, y []float32) {
	for i := range out {
		out[i] = truth(x[i] <= y[i])
	}
}

func equalGeneric(out []uint8, x, y []float32) {
	for i := range out {
		out[i] = truth(x[i] == y[i])
	}
}

func notEqualGeneric(out []uint8, x, y []float32) {
	for i := range out {
		out[i] = truth(x[i] != y[i])
	}
}

func truth(b bool) uint8 {
	if b {
		return 1
	}
	return 0
}

func whereGeneric[U uint16 | uint32](out []U, cond []uint8, x, y []U) {
	for i := range out {
		v := x[i]
		if cond[i] == 0 {
			v = y[i]
		}
		out[i] = v
	}
}
