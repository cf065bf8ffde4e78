package ptxsim

import "math"

// Conversions: PTX ISA 9.7.9.21 (cvt).

type rounding uint8

const (
	roundNearest rounding = iota // to nearest, ties to even
	roundZero
	roundDown
	roundUp
)

// roundIntegral rounds to an integral value.
func roundIntegral(f float64, r rounding) float64 {
	switch r {
	case roundZero:
		return math.Trunc(f)
	case roundDown:
		return math.Floor(f)
	case roundUp:
		return math.Ceil(f)
	}
	return math.RoundToEven(f)
}

// toInteger converts to an integer of type t: NaN gives zero, what lies outside the range its nearest end.
func toInteger(f float64, t typ, r rounding) uint64 {
	if f != f {
		return 0
	}
	f = roundIntegral(f, r)
	if t.signed() {
		limit := math.Ldexp(1, int(t.bits)-1)
		switch {
		case f >= limit:
			return 1<<(t.bits-1) - 1
		case f < -limit:
			return uint64(int64(-1) << (t.bits - 1))
		}
		return uint64(int64(f))
	}
	switch {
	case f <= 0:
		return 0
	case f >= math.Ldexp(1, int(t.bits)):
		return ^uint64(0) >> (64 - t.bits)
	}
	return uint64(f)
}

// integerToFloat32 rounds an integer once; way over float64 would round twice for 64 bits.
func integerToFloat32(x uint64, signed bool, r rounding) float32 {
	neg := signed && int64(x) < 0
	if neg {
		x = -x
		switch r {
		case roundDown:
			r = roundUp
		case roundUp:
			r = roundDown
		}
	}
	f := math.Float32frombits(uint32(packFloat(x, 0, false, 8, 23, r)))
	if neg {
		f = -f
	}
	return f
}

func integerToFloat64(x uint64, signed bool, r rounding) float64 {
	neg := signed && int64(x) < 0
	if neg {
		x = -x
		switch r {
		case roundDown:
			r = roundUp
		case roundUp:
			r = roundDown
		}
	}
	f := math.Float64frombits(packFloat(x, 0, false, 11, 52, r))
	if neg {
		f = -f
	}
	return f
}

// packFloat rounds mant * 2^exp, plus a little if sticky, to a positive IEEE float with the given widths of exponent
// and fraction. It is the one place where rounding to a narrower format is done bit by bit.
func packFloat(mant uint64, exp int, sticky bool, expBits, fracBits uint, r rounding) uint64 {
	if mant == 0 {
		return 0
	}
	for mant>>63 == 0 {
		mant <<= 1
		exp--
	}
	bias := 1<<(expBits-1) - 1
	e := exp + 63 + bias // biased exponent of the leading bit
	drop := 63 - fracBits
	if e <= 0 { // subnormal
		drop += uint(1 - e)
		e = 0
	}
	var frac, rest, half uint64
	if drop < 64 {
		frac = mant >> drop
		rest = mant & (1<<drop - 1)
		half = 1 << (drop - 1)
	} else {
		// Everything is below the last place: keep how it compares with half of it.
		frac = 0
		if drop == 64 {
			rest, half = mant>>1|mant&1, 1<<62
		} else {
			rest, half = 1, 2
		}
	}
	up := false
	switch r {
	case roundNearest:
		up = rest > half || rest == half && (sticky || frac&1 == 1)
	case roundUp:
		up = rest != 0 || sticky
	}
	if up {
		frac++
	}
	var out uint64
	if e == 0 {
		out = frac // a carry makes the smallest normal number
	} else {
		out = uint64(e-1)<<fracBits + frac // frac holds its leading bit
	}
	if inf := uint64(1<<expBits-1) << fracBits; out >= inf {
		if r == roundZero || r == roundDown {
			return inf - 1
		}
		return inf
	}
	return out
}

// narrow rounds a float64 to a format of the given widths; NaN becomes all ones below the sign.
func narrow(f float64, expBits, fracBits uint, r rounding) uint64 {
	sign := uint64(0)
	if math.Signbit(f) {
		sign = 1 << (expBits + fracBits)
		switch r {
		case roundDown:
			r = roundUp
		case roundUp:
			r = roundDown
		}
	}
	switch {
	case f != f:
		return 1<<(expBits+fracBits) - 1
	case math.IsInf(f, 0):
		return sign | (1<<expBits-1)<<fracBits
	}
	frac, exp := math.Frexp(math.Abs(f))
	return sign | packFloat(uint64(frac*0x1p53), exp-53, false, expBits, fracBits, r)
}

func halfFromFloat64(f float64, r rounding) uint16 { return uint16(narrow(f, 5, 10, r)) }

func float32FromFloat64(f float64, r rounding) uint64 {
	if r == roundNearest {
		return bits32(float32(f))
	}
	return narrow(f, 8, 23, r)
}

func halfToFloat64(h uint16) float64 {
	sign, e, m := 1.0, int(h>>10&31), float64(h&1023)
	if h>>15 != 0 {
		sign = -1
	}
	switch e {
	case 0:
		return sign * m * 0x1p-24
	case 31:
		if m != 0 {
			return math.NaN()
		}
		return math.Inf(int(sign))
	}
	return sign * math.Ldexp(1024+m, e-25)
}

// bfloatFromFloat32 rounds to bfloat16.
func bfloatFromFloat32(b uint64, r rounding) uint64 {
	u := uint32(b)
	if u&0x7fffffff > 0x7f800000 {
		return 0x7fff
	}
	if r == roundZero {
		return uint64(u >> 16)
	}
	return uint64((u + 0x7fff + u>>16&1) >> 16)
}

// loader returns how a register of type t is read as a float64, which holds every value of the narrower floats.
func loadFloat(t typ) func(uint64) float64 {
	switch {
	case t.is("f16"):
		return func(b uint64) float64 { return halfToFloat64(uint16(b)) }
	case t.is("bf16"):
		return func(b uint64) float64 { return float64(math.Float32frombits(uint32(b) << 16)) }
	case t.is("f32"):
		return func(b uint64) float64 { return float64(f32(b)) }
	}
	return f64
}

func extend(t typ) func(uint64) uint64 {
	shift := 64 - t.bits
	if t.signed() {
		return func(b uint64) uint64 { return uint64(int64(b<<shift) >> shift) }
	}
	return func(b uint64) uint64 { return b << shift >> shift }
}

func loop(f func(uint64) uint64) unaryLanes {
	return func(d, a *lanes) {
		for l := range d {
			d[l] = f(a[l])
		}
	}
}

func buildConvert(d *decoder) {
	ops := d.operands(2, 3)
	from := d.typ("u8", "s8", "u16", "s16", "u32", "s32", "u64", "s64", "f16", "f32", "f64")
	if m := d.lastMod(); m == "bf16x2" || m == "f16x2" || m == "bf16" {
		d.packedConvert(ops, from)
		return
	}
	to := d.typ("u8", "s8", "u16", "s16", "u32", "s32", "u64", "s64", "f16", "f32", "f64")
	ftz, sat := d.take("ftz"), d.take("sat")
	mode := d.takeOne("rn", "rz", "rm", "rp", "rni", "rzi", "rmi", "rpi")
	r := map[string]rounding{"rn": roundNearest, "rni": roundNearest, "rz": roundZero, "rzi": roundZero,
		"rm": roundDown, "rmi": roundDown, "rp": roundUp, "rpi": roundUp}[mode]
	integral := len(mode) == 3
	in := d.in
	if len(ops) != 2 {
		d.fail("wrong number of operands")
	}
	// Registers may be wider than the types of cvt (ISA 9.4.1).
	in.d = d.writeAtLeast(ops[0], to)
	in.a = d.readAtLeast(ops[1], from)
	toFloat, fromFloat := !to.integer(), !from.integer()
	switch {
	case mode == "" && fromFloat && !toFloat:
		d.fail("a conversion from float to integer needs an integer rounding")
	case mode == "" && toFloat && (!fromFloat || to.bits < from.bits):
		d.fail("this conversion needs a rounding modifier")
	case mode != "" && !toFloat && !fromFloat, mode != "" && toFloat && !fromFloat && integral,
		fromFloat && !toFloat && !integral,
		mode != "" && !integral && toFloat && fromFloat && to.bits >= from.bits:
		d.fail("the rounding modifier does not fit these types")
	case ftz && !from.is("f32") && !to.is("f32"):
		d.fail(".ftz needs a .f32")
	}
	load := extend(from)
	if from.is("f32") && ftz {
		raw := load
		load = func(b uint64) uint64 { return flush(raw(b)) }
	}
	var f func(uint64) uint64
	switch {
	case !toFloat && !fromFloat:
		f = func(b uint64) uint64 { return load(b) }
		switch {
		case sat:
			f = func(b uint64) uint64 { return saturateInteger(load(b), from, to) }
		case to.bits <= from.bits: // truncation: readers truncate anyway, except where the register is wider
			store := extend(to)
			f = store
			if from.bits >= 32 && to.bits >= 32 {
				in.run = mapUnary(copyLanes)
				return
			}
		case from.is("u32"):
			in.run = mapUnary(zeroExtend32)
			return
		case from.is("s32"):
			in.run = mapUnary(signExtend32)
			return
		}
	case !toFloat:
		read := loadFloat(from)
		f = func(b uint64) uint64 { return toInteger(read(load(b)), to, r) }
	case !fromFloat && to.is("f32"):
		f = func(b uint64) uint64 { return bits32(integerToFloat32(load(b), from.signed(), r)) }
		if from.bits <= 32 && r == roundNearest {
			signed := from.signed()
			f = func(b uint64) uint64 { // exact in float64, so it rounds once
				if signed {
					return bits32(float32(int64(load(b))))
				}
				return bits32(float32(float64(load(b))))
			}
		}
	case !fromFloat && to.is("f64"):
		f = func(b uint64) uint64 { return bits64(integerToFloat64(load(b), from.signed(), r)) }
	case !fromFloat:
		f = func(b uint64) uint64 {
			x, neg := load(b), false
			if from.signed() && int64(x) < 0 {
				x, neg = -x, true
			}
			h := packFloat(x, 0, false, 5, 10, directed(r, neg))
			if neg {
				h |= 0x8000
			}
			return h
		}
	default:
		read := loadFloat(from)
		f = func(b uint64) uint64 {
			x := read(load(b))
			if integral {
				x = roundIntegral(x, r)
			}
			switch to.bits {
			case 16:
				return uint64(halfFromFloat64(x, r))
			case 32:
				return float32FromFloat64(x, r)
			}
			return bits64(x)
		}
		if from == to && !integral {
			f = load // only .ftz or .sat
		}
	}
	if to.is("f32") && ftz {
		g := f
		f = func(b uint64) uint64 { return flush(g(b)) }
	}
	if toFloat && sat {
		g, read := f, loadFloat(to)
		one := map[uint8]uint64{16: 0x3c00, 32: 0x3f800000, 64: 0x3ff0000000000000}[to.bits]
		f = func(b uint64) uint64 {
			v := g(b)
			switch x := read(v); {
			case !(x > 0):
				return 0
			case x > 1:
				return one
			}
			return v
		}
	}
	in.run = mapUnary(loop(f))
}

func directed(r rounding, neg bool) rounding {
	if neg && r == roundDown {
		return roundUp
	}
	if neg && r == roundUp {
		return roundDown
	}
	return r
}

func saturateInteger(x uint64, from, to typ) uint64 {
	if to.signed() {
		limit := int64(1)<<(to.bits-1) - 1
		if !from.signed() {
			return min(x, uint64(limit))
		}
		return uint64(max(-limit-1, min(int64(x), limit)))
	}
	if from.signed() && int64(x) < 0 {
		return 0
	}
	return min(x, ^uint64(0)>>(64-to.bits))
}

func copyLanes(d, a *lanes) { *d = *a }

func zeroExtend32(d, a *lanes) {
	for l := range d {
		d[l] = uint64(uint32(a[l]))
	}
}

func signExtend32(d, a *lanes) {
	for l := range d {
		d[l] = uint64(int64(int32(a[l])))
	}
}

// packedConvert builds cvt.{rn,rz}[.relu].{bf16,bf16x2,f16x2}.f32; of a pair, the first source is the upper half.
func (d *decoder) packedConvert(ops []operand, from typ) {
	to := d.lastMod()
	d.mods = d.mods[:len(d.mods)-1]
	if !from.is("f32") {
		d.fail("." + to + " is converted from .f32 only")
	}
	r := roundNearest
	if d.need("rn", "rz") == "rz" {
		r = roundZero
	}
	relu := d.take("relu")
	one := func(b uint64) uint64 {
		var h uint64
		if to == "f16x2" {
			h = uint64(halfFromFloat64(float64(f32(b)), r))
		} else {
			h = bfloatFromFloat32(b, r)
		}
		if relu && h&0x8000 != 0 {
			h = 0
		}
		return h
	}
	in := d.in
	if to == "bf16" {
		if len(ops) != 2 {
			d.fail("wrong number of operands")
		}
		in.d, in.a = d.write(ops[0], types["b16"]), d.read(ops[1], from)
		in.run = mapUnary(loop(one))
		return
	}
	if len(ops) != 3 {
		d.fail("wrong number of operands")
	}
	in.d, in.a, in.b = d.write(ops[0], types["b32"]), d.read(ops[1], from), d.read(ops[2], from)
	in.run = mapBinary(func(d, a, b *lanes) {
		for l := range d {
			d[l] = one(a[l])<<16 | one(b[l])
		}
	})
}

// writeAtLeast and readAtLeast allow a register wider than t, as cvt, ld and st do.
func (d *decoder) writeAtLeast(o operand, t typ) int32 {
	if o.kind == operandRegister && o.reg.typ.kind != 'p' && o.reg.typ.bits > t.bits {
		return d.slot(o.reg)
	}
	return d.write(o, registerType(t))
}

func (d *decoder) readAtLeast(o operand, t typ) int32 {
	if o.kind == operandRegister && o.reg.typ.kind != 'p' && o.reg.typ.bits > t.bits {
		return d.slot(o.reg)
	}
	return d.read(o, registerType(t))
}

// registerType is t, or the narrowest type that a register may have: there are no 8-bit registers.
func registerType(t typ) typ {
	if t.bits == 8 {
		return typ{t.kind, 16}
	}
	return t
}
