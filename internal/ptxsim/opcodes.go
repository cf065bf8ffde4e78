package ptxsim

import "math"

// opcodes maps every opcode that is known to what decodes it.
var opcodes map[string]func(*decoder)

func init() {
	opcodes = map[string]func(*decoder){
		"add": buildAdd, "sub": buildSub, "mul": buildMul, "mad": buildMad, "fma": buildFMA,
		"div": buildDiv, "rem": buildRem, "min": buildMinMax, "max": buildMinMax, "abs": buildAbs, "neg": buildNeg,
		"sad": buildSad, "dp4a": buildDP4A, "copysign": buildCopysign, "testp": buildTestp,
		"and": buildLogic, "or": buildLogic, "xor": buildLogic, "not": buildNot, "cnot": buildCnot,
		"lop3": buildLop3, "shl": buildShift, "shr": buildShift, "shf": buildFunnel,
		"popc": buildPopc, "clz": buildClz, "brev": buildBrev, "bfind": buildBfind, "bfe": buildBfe, "bfi": buildBfi,
		"prmt": buildPrmt,
		"rcp":  buildReciprocal, "sqrt": buildRoot, "rsqrt": buildReciprocalRoot,
		"ex2": buildTranscendental, "lg2": buildTranscendental, "sin": buildTranscendental,
		"cos": buildTranscendental, "tanh": buildTranscendental,
		"setp": buildSetp, "set": buildSet, "selp": buildSelp, "slct": buildSlct,
		"mov": buildMov, "cvt": buildConvert, "cvta": buildCvta, "isspacep": buildIsspacep,
		"ld": buildLoad, "ldu": buildLoad, "st": buildStore, "atom": buildAtomic, "red": buildAtomic,
		"prefetch": buildPrefetch, "prefetchu": buildPrefetch,
		"bra": buildBranch, "brx": buildBranchIndexed, "ret": buildExit, "exit": buildExit, "trap": buildTrap,
		"bar": buildBarrier, "barrier": buildBarrier, "membar": buildFence, "fence": buildFence, "nanosleep": buildNanosleep,
		"shfl": buildShuffle, "vote": buildVote, "match": buildMatch, "redux": buildRedux, "activemask": buildActiveMask,
		"cp": buildCopyAsync, "ldmatrix": buildLoadMatrix, "mma": buildMMA,
	}
}

func (d *decoder) unary(t, result typ, f unaryLanes) {
	ops := d.operands(2, 2)
	d.in.d, d.in.a = d.write(ops[0], result), d.read(ops[1], t)
	d.in.run = mapUnary(f)
}

func (d *decoder) binary(t, result typ, f binaryLanes) {
	ops := d.operands(3, 3)
	d.in.d, d.in.a, d.in.b = d.write(ops[0], result), d.read(ops[1], t), d.read(ops[2], t)
	d.in.run = mapBinary(f)
}

func (d *decoder) ternary(t, third, result typ, f ternaryLanes) {
	ops := d.operands(4, 4)
	d.in.d, d.in.a, d.in.b, d.in.c = d.write(ops[0], result), d.read(ops[1], t), d.read(ops[2], t), d.read(ops[3], third)
	d.in.run = mapTernary(f)
}

// floatMods takes what may stand between a float opcode and its type. Only rounding to nearest is modelled.
func (d *decoder) floatMods(t typ) (ftz, sat bool) {
	d.take("rn")
	if t.is("f32") {
		return d.take("ftz"), d.take("sat")
	}
	return false, false
}

func (d *decoder) floatBinary(t typ, single, double binaryLanes, half func(a, b float64) float64) {
	ftz, sat := d.floatMods(t)
	f := single
	switch t.bits {
	case 64:
		f = double
	case 16:
		f = halfBinary(half)
	}
	if ftz {
		f = flushBinary(f)
	}
	if sat {
		f = saturateBinary(f)
	}
	d.binary(t, t, f)
}

func doubled(wide typ) typ { return typ{wide.kind, wide.bits * 2} }

func buildAdd(d *decoder) {
	t := d.typ("u16", "s16", "u32", "s32", "u64", "s64", "f16", "f32", "f64")
	if t.integer() {
		d.binary(t, t, byInteger(t, addInt[int16], addInt[uint16], addInt[int32], addInt[uint32], addInt[int64], addInt[uint64]))
		return
	}
	d.floatBinary(t, addF32, addF64, func(a, b float64) float64 { return a + b })
}

func buildSub(d *decoder) {
	t := d.typ("u16", "s16", "u32", "s32", "u64", "s64", "f16", "f32", "f64")
	if t.integer() {
		d.binary(t, t, byInteger(t, subInt[int16], subInt[uint16], subInt[int32], subInt[uint32], subInt[int64], subInt[uint64]))
		return
	}
	d.floatBinary(t, subF32, subF64, func(a, b float64) float64 { return a - b })
}

func buildMul(d *decoder) {
	t := d.typ("u16", "s16", "u32", "s32", "u64", "s64", "f16", "f32", "f64")
	if !t.integer() {
		d.floatBinary(t, mulF32, mulF64, func(a, b float64) float64 { return a * b })
		return
	}
	switch d.need("lo", "hi", "wide") {
	case "lo":
		d.binary(t, t, byInteger(t, mulLow[int16], mulLow[uint16], mulLow[int32], mulLow[uint32], mulLow[int64], mulLow[uint64]))
	case "hi":
		d.binary(t, t, mulHigh(t))
	default:
		d.binary(t, doubled(t), d.mulWide(t))
	}
}

func mulHigh(t typ) binaryLanes {
	return byInteger(t, mulHigh16[int16], mulHigh16[uint16], mulHigh32[int32], mulHigh32[uint32], mulHighS64, mulHighU64)
}

func (d *decoder) mulWide(t typ) binaryLanes {
	if t.bits == 64 {
		d.fail(".wide needs operands of 16 or 32 bits")
	}
	return byInteger(t, mulWide[int16], mulWide[uint16], mulWide[int32], mulWide[uint32], nil, nil)
}

func buildMad(d *decoder) {
	t := d.typ("u16", "s16", "u32", "s32", "u64", "s64", "f32", "f64")
	if !t.integer() {
		d.mods = append(d.mods, t.String())
		buildFMA(d)
		return
	}
	switch d.need("lo", "hi", "wide") {
	case "lo":
		d.ternary(t, t, t, byInteger(t, madLow[int16], madLow[uint16], madLow[int32], madLow[uint32], madLow[int64], madLow[uint64]))
	case "hi":
		product := mulHigh(t)
		d.ternary(t, t, t, func(d, a, b, c *lanes) {
			var p lanes
			product(&p, a, b)
			for l := range d {
				d[l] = p[l] + c[l]
			}
		})
	default:
		d.mulWide(t)
		d.ternary(t, doubled(t), doubled(t), byInteger(t, madWide[int16], madWide[uint16], madWide[int32], madWide[uint32], nil, nil))
	}
}

func buildFMA(d *decoder) {
	t := d.typ("f16", "f32", "f64")
	d.need("rn")
	ftz, sat := d.floatMods(t)
	f := fmaF32
	switch t.bits {
	case 64:
		f = fmaF64
	case 16:
		f = halfFMA
	}
	if ftz {
		f = flushTernary(f)
	}
	if sat {
		f = saturateTernary(f)
	}
	d.ternary(t, t, t, f)
}

func buildDiv(d *decoder) {
	t := d.typ("u16", "s16", "u32", "s32", "u64", "s64", "f32", "f64")
	if t.integer() {
		d.binary(t, t, byInteger(t, divInt[int16], divInt[uint16], divInt[int32], divInt[uint32], divInt[int64], divInt[uint64]))
		return
	}
	if t.bits == 32 {
		if d.takeOne("approx", "full") != "" {
			d.mods = append(d.mods, "rn")
		}
	}
	if !d.take("rn") {
		d.fail("a division of floats needs .rn, or .approx or .full in .f32")
	}
	d.floatBinary(t, divF32, divF64, nil)
}

func buildRem(d *decoder) {
	t := d.typ("u16", "s16", "u32", "s32", "u64", "s64")
	d.binary(t, t, byInteger(t, remInt[int16], remInt[uint16], remInt[int32], remInt[uint32], remInt[int64], remInt[uint64]))
}

func buildMinMax(d *decoder) {
	t := d.typ("u16", "s16", "u32", "s32", "u64", "s64", "f16", "f32", "f64")
	least := d.statement.opcode == "min"
	if t.integer() {
		f := byInteger(t, maxInt[int16], maxInt[uint16], maxInt[int32], maxInt[uint32], maxInt[int64], maxInt[uint64])
		if least {
			f = byInteger(t, minInt[int16], minInt[uint16], minInt[int32], minInt[uint32], minInt[int64], minInt[uint64])
		}
		d.binary(t, t, f)
		return
	}
	ftz := t.is("f32") && d.take("ftz")
	propagate := t.bits != 64 && d.take("NaN")
	var f binaryLanes
	switch {
	case t.bits == 64 && least:
		f = minF64
	case t.bits == 64:
		f = maxF64
	case t.bits == 32 && least:
		f = minF32(propagate)
	case t.bits == 32:
		f = maxF32(propagate)
	case least:
		f = halfBinary(func(a, b float64) float64 { return minFloat(a, b, propagate) })
	default:
		f = halfBinary(func(a, b float64) float64 { return maxFloat(a, b, propagate) })
	}
	if ftz {
		f = flushBinary(f)
	}
	d.binary(t, t, f)
}

func signBit(t typ) uint64 { return 1 << (t.bits - 1) }

func buildAbs(d *decoder) {
	t := d.typ("s16", "s32", "s64", "f16", "f32", "f64")
	if t.integer() {
		d.unary(t, t, byInteger(t, absInt[int16], nil, absInt[int32], nil, absInt[int64], nil))
		return
	}
	d.signed(t, absBits)
}

func buildNeg(d *decoder) {
	t := d.typ("s16", "s32", "s64", "f16", "f32", "f64")
	if t.integer() {
		d.unary(t, t, negInt)
		return
	}
	d.signed(t, negBits)
}

func (d *decoder) signed(t typ, op func(x, sign uint64) uint64) {
	f := signBits(op, signBit(t))
	if t.is("f32") && d.take("ftz") {
		f = flushUnary(f)
	}
	d.unary(t, t, f)
}

func buildSad(d *decoder) {
	t := d.typ("u16", "s16", "u32", "s32", "u64", "s64")
	d.ternary(t, t, t, byInteger(t, sad[int16], sad[uint16], sad[int32], sad[uint32], sad[int64], sad[uint64]))
}

func buildDP4A(d *decoder) {
	b := d.typ("s32", "u32")
	a := d.typ("s32", "u32")
	d.ternary(a, a, a, dp4a(a.signed(), b.signed()))
}

func buildCopysign(d *decoder) {
	t := d.typ("f32", "f64")
	d.binary(t, t, copysign(signBit(t)))
}

func buildTestp(d *decoder) {
	t := d.typ("f32", "f64")
	test := d.need("finite", "infinite", "number", "notanumber", "normal", "subnormal")
	ops := d.operands(2, 2)
	in := d.in
	in.d, in.a = d.write(ops[0], types["pred"]), d.read(ops[1], t)
	load := loadFloat(t)
	exponent := uint64(0x7f800000)
	if t.bits == 64 {
		exponent = 0x7ff << 52
	}
	in.run = func(w *warp, in *instr, m uint32) {
		a := w.source(in.a)
		var p uint32
		for l := range a {
			f := load(a[l])
			if classify(f, test, f != 0 && a[l]&exponent == 0) {
				p |= 1 << l
			}
		}
		w.preds[in.d] = w.preds[in.d]&^m | p&m
	}
}

func buildLogic(d *decoder) {
	t := d.typ("pred", "b16", "b32", "b64")
	if t.kind == 'p' {
		d.predicateLogic()
		return
	}
	d.binary(t, t, map[string]binaryLanes{"and": andBits, "or": orBits, "xor": xorBits}[d.statement.opcode])
}

func buildNot(d *decoder) {
	t := d.typ("pred", "b16", "b32", "b64")
	if t.kind == 'p' {
		ops := d.operands(2, 2)
		in := d.in
		var not uint32
		in.d = d.write(ops[0], t)
		in.a, not = d.predicate(ops[1])
		in.run = func(w *warp, in *instr, m uint32) {
			w.preds[in.d] = w.preds[in.d]&^m | (^w.preds[in.a]^not)&m
		}
		return
	}
	d.unary(t, t, notBits)
}

func buildCnot(d *decoder) {
	t := d.typ("b16", "b32", "b64")
	d.unary(t, t, byInteger(t, nil, cnot[uint16], nil, cnot[uint32], nil, cnot[uint64]))
}

func (d *decoder) immediate(o operand) uint64 {
	if o.kind != operandImmediate {
		d.fail("this operand must be an integer constant")
	}
	return o.value
}

func buildLop3(d *decoder) {
	t := d.typ("b32")
	ops := d.operands(5, 5)
	in := d.in
	in.d, in.a, in.b, in.c = d.write(ops[0], t), d.read(ops[1], t), d.read(ops[2], t), d.read(ops[3], t)
	in.run = mapTernary(lop3(uint8(d.immediate(ops[4]))))
}

func buildShift(d *decoder) {
	t := d.typ("b16", "b32", "b64", "u16", "u32", "u64", "s16", "s32", "s64")
	f := byInteger(t, shrBits[int16], shrBits[uint16], shrBits[int32], shrBits[uint32], shrBits[int64], shrBits[uint64])
	if d.statement.opcode == "shl" {
		if t.kind != 'b' {
			d.fail("shl works on .b types")
		}
		f = byInteger(t, nil, shlBits[uint16], nil, shlBits[uint32], nil, shlBits[uint64])
	}
	ops := d.operands(3, 3)
	d.in.d, d.in.a, d.in.b = d.write(ops[0], t), d.read(ops[1], t), d.read(ops[2], types["u32"])
	d.in.run = mapBinary(f)
}

func buildFunnel(d *decoder) {
	t := d.typ("b32")
	left, wrap := d.need("l", "r") == "l", d.need("wrap", "clamp") == "wrap"
	f := shfRightClamp
	switch {
	case left && wrap:
		f = shfLeftWrap
	case left:
		f = shfLeftClamp
	case wrap:
		f = shfRightWrap
	}
	d.ternary(t, t, t, f)
}

func buildPopc(d *decoder) {
	t := d.typ("b32", "b64")
	d.unary(t, types["u32"], byInteger(t, nil, nil, nil, popc[uint32], nil, popc[uint64]))
}

func buildClz(d *decoder) {
	t := d.typ("b32", "b64")
	d.unary(t, types["u32"], byInteger(t, nil, nil, nil, clz32, nil, clz64))
}

func buildBrev(d *decoder) {
	t := d.typ("b32", "b64")
	d.unary(t, t, byInteger(t, nil, nil, nil, brev32, nil, brev64))
}

func buildBfind(d *decoder) {
	t := d.typ("u32", "s32", "u64", "s64")
	d.unary(t, types["u32"], bfind(t, d.take("shiftamt")))
}

func buildBfe(d *decoder) {
	t := d.typ("u32", "s32", "u64", "s64")
	ops := d.operands(4, 4)
	u := types["u32"]
	d.in.d, d.in.a, d.in.b, d.in.c = d.write(ops[0], t), d.read(ops[1], t), d.read(ops[2], u), d.read(ops[3], u)
	d.in.run = mapTernary(bfe(t))
}

func buildBfi(d *decoder) {
	t := d.typ("b32", "b64")
	ops := d.operands(5, 5)
	u := types["u32"]
	in := d.in
	in.d, in.a, in.b, in.c, in.e = d.write(ops[0], t), d.read(ops[1], t), d.read(ops[2], t), d.read(ops[3], u), d.read(ops[4], u)
	f := bfi(t)
	in.run = func(w *warp, in *instr, m uint32) {
		var r lanes
		f(&r, w.source(in.a), w.source(in.b), w.source(in.c), w.source(in.e))
		blend(&w.regs[in.d], &r, m)
	}
}

func buildPrmt(d *decoder) {
	t := d.typ("b32")
	d.ternary(t, t, t, prmt)
}

// floatUnary builds an instruction that has .approx and .rn forms; which are allowed is the caller's.
func (d *decoder) floatUnary(f func(float64) float64, t typ, forms ...string) {
	d.need(forms...)
	if t.bits == 64 {
		d.take("ftz") // rcp.approx.ftz.f64 has no other form
		d.unary(t, t, ofF64(f))
		return
	}
	g := ofF32(f)
	if d.take("ftz") {
		g = flushUnary(g)
	}
	d.unary(t, t, g)
}

func buildReciprocal(d *decoder) {
	d.floatUnary(reciprocal, d.typ("f32", "f64"), "approx", "rn")
}

func buildRoot(d *decoder) {
	d.floatUnary(math.Sqrt, d.typ("f32", "f64"), "approx", "rn")
}

func buildReciprocalRoot(d *decoder) {
	d.floatUnary(reciprocalRoot, d.typ("f32", "f64"), "approx")
}

func buildTranscendental(d *decoder) {
	f := map[string]func(float64) float64{
		"ex2": math.Exp2, "lg2": math.Log2, "sin": math.Sin, "cos": math.Cos, "tanh": approxTanh,
	}[d.statement.opcode]
	d.floatUnary(f, d.typ("f32"), "approx")
}
