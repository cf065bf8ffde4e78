package ptxsim

import "math/bits"

// Integer arithmetic, logic, shifts and bit fields: PTX ISA 9.7.1, 9.7.2 and 9.7.8.

type integer interface {
	int16 | uint16 | int32 | uint32 | int64 | uint64
}

// A lane function computes all 32 lanes of a result; whoever calls it keeps those that are active. It must not
// depend on which are: no lane function faults.
type (
	unaryLanes   = func(d, a *lanes)
	binaryLanes  = func(d, a, b *lanes)
	ternaryLanes = func(d, a, b, c *lanes)
)

func mapUnary(f unaryLanes) exec {
	return func(w *warp, in *instr, m uint32) {
		if m == fullWarp {
			f(&w.regs[in.d], w.source(in.a))
			return
		}
		var t lanes
		f(&t, w.source(in.a))
		blend(&w.regs[in.d], &t, m)
	}
}

func mapBinary(f binaryLanes) exec {
	return func(w *warp, in *instr, m uint32) {
		if m == fullWarp {
			f(&w.regs[in.d], w.source(in.a), w.source(in.b))
			return
		}
		var t lanes
		f(&t, w.source(in.a), w.source(in.b))
		blend(&w.regs[in.d], &t, m)
	}
}

func mapTernary(f ternaryLanes) exec {
	return func(w *warp, in *instr, m uint32) {
		if m == fullWarp {
			f(&w.regs[in.d], w.source(in.a), w.source(in.b), w.source(in.c))
			return
		}
		var t lanes
		f(&t, w.source(in.a), w.source(in.b), w.source(in.c))
		blend(&w.regs[in.d], &t, m)
	}
}

// blend copies the lanes of m.
func blend(d, s *lanes, m uint32) {
	for ; m != 0; m &= m - 1 {
		l := bits.TrailingZeros32(m) & 31
		d[l] = s[l]
	}
}

// byInteger picks the instance for t; b types count as unsigned.
func byInteger[F any](t typ, s16, u16, s32, u32, s64, u64 F) F {
	switch {
	case t.bits == 16 && t.signed():
		return s16
	case t.bits == 16:
		return u16
	case t.bits == 32 && t.signed():
		return s32
	case t.bits == 32:
		return u32
	case t.signed():
		return s64
	}
	return u64
}

func addInt[T integer](d, a, b *lanes) {
	for l := range d {
		d[l] = uint64(T(a[l]) + T(b[l]))
	}
}

func subInt[T integer](d, a, b *lanes) {
	for l := range d {
		d[l] = uint64(T(a[l]) - T(b[l]))
	}
}

func mulLow[T integer](d, a, b *lanes) {
	for l := range d {
		d[l] = uint64(T(a[l]) * T(b[l]))
	}
}

// mulWide is the whole product of operands of at most 32 bits; shift 0 gives .wide, the width gives .hi.
func mulWide[T int16 | uint16 | int32 | uint32](d, a, b *lanes) {
	for l := range d {
		d[l] = uint64(int64(T(a[l])) * int64(T(b[l])))
	}
}

func mulHigh16[T int16 | uint16](d, a, b *lanes) {
	for l := range d {
		d[l] = uint64(int64(T(a[l])) * int64(T(b[l])) >> 16)
	}
}

func mulHigh32[T int32 | uint32](d, a, b *lanes) {
	for l := range d {
		d[l] = uint64(int64(T(a[l]))*int64(T(b[l]))) >> 32
	}
}

func mulHighU64(d, a, b *lanes) {
	for l := range d {
		d[l], _ = bits.Mul64(a[l], b[l])
	}
}

func mulHighS64(d, a, b *lanes) {
	for l := range d {
		x, y := a[l], b[l]
		h, _ := bits.Mul64(x, y)
		if int64(x) < 0 {
			h -= y
		}
		if int64(y) < 0 {
			h -= x
		}
		d[l] = h
	}
}

func madLow[T integer](d, a, b, c *lanes) {
	for l := range d {
		d[l] = uint64(T(a[l])*T(b[l]) + T(c[l]))
	}
}

func madWide[T int16 | uint16 | int32 | uint32](d, a, b, c *lanes) {
	for l := range d {
		d[l] = uint64(int64(T(a[l]))*int64(T(b[l]))) + c[l]
	}
}

// divInt gives all ones for a division by zero, as the hardware does (the ISA leaves it open).
func divInt[T integer](d, a, b *lanes) {
	for l := range d {
		if y := T(b[l]); y != 0 {
			d[l] = uint64(T(a[l]) / y)
		} else {
			d[l] = ^uint64(0)
		}
	}
}

// remInt gives the dividend for a division by zero.
func remInt[T integer](d, a, b *lanes) {
	for l := range d {
		if y := T(b[l]); y != 0 {
			d[l] = uint64(T(a[l]) % y)
		} else {
			d[l] = a[l]
		}
	}
}

func minInt[T integer](d, a, b *lanes) {
	for l := range d {
		d[l] = uint64(min(T(a[l]), T(b[l])))
	}
}

func maxInt[T integer](d, a, b *lanes) {
	for l := range d {
		d[l] = uint64(max(T(a[l]), T(b[l])))
	}
}

func negInt(d, a *lanes) {
	for l := range d {
		d[l] = -a[l]
	}
}

func absInt[T int16 | int32 | int64](d, a *lanes) {
	for l := range d {
		x := T(a[l])
		if x < 0 {
			x = -x
		}
		d[l] = uint64(x)
	}
}

func sad[T integer](d, a, b, c *lanes) {
	for l := range d {
		x, y := T(a[l]), T(b[l])
		d[l] = uint64(T(c[l]) + max(x, y) - min(x, y))
	}
}

func andBits(d, a, b *lanes) {
	for l := range d {
		d[l] = a[l] & b[l]
	}
}

func orBits(d, a, b *lanes) {
	for l := range d {
		d[l] = a[l] | b[l]
	}
}

func xorBits(d, a, b *lanes) {
	for l := range d {
		d[l] = a[l] ^ b[l]
	}
}

func notBits(d, a *lanes) {
	for l := range d {
		d[l] = ^a[l]
	}
}

func cnot[T integer](d, a *lanes) {
	for l := range d {
		d[l] = 0
		if T(a[l]) == 0 {
			d[l] = 1
		}
	}
}

// shlBits and shrBits clamp the amount, an unsigned 32-bit value, to the width: ISA 9.7.8.8 and 9.7.8.9.
func shlBits[T uint16 | uint32 | uint64](d, a, b *lanes) {
	for l := range d {
		d[l] = uint64(T(a[l]) << uint32(b[l]))
	}
}

func shrBits[T integer](d, a, b *lanes) {
	for l := range d {
		d[l] = uint64(T(a[l]) >> uint32(b[l]))
	}
}

// Funnel shifts of [b:a] by c: ISA 9.7.8.7.
func shfLeftWrap(d, a, b, c *lanes) {
	for l := range d {
		d[l] = (b[l]<<32 | a[l]&0xffffffff) << (c[l] & 31) >> 32
	}
}

func shfLeftClamp(d, a, b, c *lanes) {
	for l := range d {
		d[l] = (b[l]<<32 | a[l]&0xffffffff) << min(uint32(c[l]), 32) >> 32
	}
}

func shfRightWrap(d, a, b, c *lanes) {
	for l := range d {
		d[l] = (b[l]<<32 | a[l]&0xffffffff) >> (c[l] & 31)
	}
}

func shfRightClamp(d, a, b, c *lanes) {
	for l := range d {
		d[l] = (b[l]<<32 | a[l]&0xffffffff) >> min(uint32(c[l]), 32)
	}
}

func lop3(table uint8) ternaryLanes {
	return func(d, a, b, c *lanes) {
		for l := range d {
			x, y, z := uint32(a[l]), uint32(b[l]), uint32(c[l])
			var r uint32
			for i := range 8 {
				if table>>i&1 == 0 {
					continue
				}
				t := uint32(fullWarp)
				if i&4 != 0 {
					t &= x
				} else {
					t &^= x
				}
				if i&2 != 0 {
					t &= y
				} else {
					t &^= y
				}
				if i&1 != 0 {
					t &= z
				} else {
					t &^= z
				}
				r |= t
			}
			d[l] = uint64(r)
		}
	}
}

func popc[T uint32 | uint64](d, a *lanes) {
	for l := range d {
		d[l] = uint64(bits.OnesCount64(uint64(T(a[l]))))
	}
}

func clz32(d, a *lanes) {
	for l := range d {
		d[l] = uint64(bits.LeadingZeros32(uint32(a[l])))
	}
}

func clz64(d, a *lanes) {
	for l := range d {
		d[l] = uint64(bits.LeadingZeros64(a[l]))
	}
}

func brev32(d, a *lanes) {
	for l := range d {
		d[l] = uint64(bits.Reverse32(uint32(a[l])))
	}
}

func brev64(d, a *lanes) {
	for l := range d {
		d[l] = bits.Reverse64(a[l])
	}
}

// bfind finds the most significant bit that differs from the sign; .shiftamt gives the left shift that brings it to
// the top: ISA 9.7.1.16.
func bfind(t typ, shiftAmount bool) unaryLanes {
	return func(d, a *lanes) {
		for l := range d {
			x := a[l]
			if t.bits == 32 {
				x = uint64(uint32(x))
				if t.signed() {
					x = uint64(int64(int32(x)))
				}
			}
			if t.signed() && int64(x) < 0 {
				x = ^x
			}
			n := bits.Len64(x) - 1
			if shiftAmount && n >= 0 {
				n = int(t.bits) - 1 - n
			}
			d[l] = uint64(uint32(int32(n)))
		}
	}
}

// bfe extracts a bit field, sign-extended for signed types: ISA 9.7.1.19.
func bfe(t typ) ternaryLanes {
	msb := int(t.bits) - 1
	return func(d, a, b, c *lanes) {
		for l := range d {
			x := a[l]
			if msb == 31 {
				x = uint64(uint32(x))
			}
			pos, n := int(b[l]&255), int(c[l]&255)
			sign := uint64(0)
			if t.signed() && n > 0 {
				sign = x >> min(pos+n-1, msb) & 1
			}
			r := uint64(0)
			if pos <= msb {
				r = x >> pos
				if n <= msb {
					r &= 1<<n - 1
				}
			}
			// Bits from the end of the field, or of the operand, to the top repeat the sign.
			if sign != 0 {
				if have := max(0, min(n, msb+1-pos)); have < 64 {
					r |= ^uint64(0) << have
				}
			}
			d[l] = r
		}
	}
}

// bfi inserts the low bits of a into b: ISA 9.7.1.20.
func bfi(t typ) func(d, a, b, c, e *lanes) {
	msb := int(t.bits) - 1
	return func(d, a, b, c, e *lanes) {
		for l := range d {
			pos, n := int(c[l]&255), int(e[l]&255)
			var mask uint64
			if pos <= msb {
				n = min(n, msb+1-pos)
				mask = ^uint64(0)
				if n < 64 {
					mask = 1<<n - 1
				}
			}
			d[l] = b[l]&^(mask<<pos) | a[l]&mask<<pos
		}
	}
}

// prmt picks bytes of [b:a]: ISA 9.7.8.6 (the modes 9.7.8.6 calls f4e, b4e, rc8, ecl, ecr, rc16 are not modelled).
func prmt(d, a, b, c *lanes) {
	for l := range d {
		v := b[l]<<32 | a[l]&0xffffffff
		var r uint64
		for i := range 4 {
			s := c[l] >> (4 * i)
			x := v >> (8 * (s & 7)) & 0xff
			if s&8 != 0 {
				x = uint64(uint8(int8(x) >> 7))
			}
			r |= x << (8 * i)
		}
		d[l] = r
	}
}

// dp4a is a dot product of four bytes each, plus c: ISA 9.7.1.23.
func dp4a(aSigned, bSigned bool) ternaryLanes {
	return func(d, a, b, c *lanes) {
		for l := range d {
			sum := int32(c[l])
			for i := range 4 {
				x, y := int32(uint8(a[l]>>(8*i))), int32(uint8(b[l]>>(8*i)))
				if aSigned {
					x = int32(int8(x))
				}
				if bSigned {
					y = int32(int8(y))
				}
				sum += x * y
			}
			d[l] = uint64(sum)
		}
	}
}
