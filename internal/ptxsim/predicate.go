package ptxsim

import (
	"math/bits"
	"slices"
)

// Comparison and selection: PTX ISA 9.7.5 and 9.7.6. A predicate register of a warp is a mask of lanes.

// compare returns a loop that gives the mask of lanes for which a relates to b.
func compareInt[T integer](relation string) func(a, b *lanes) uint32 {
	switch relation {
	case "eq":
		return func(a, b *lanes) (p uint32) {
			for l := range a {
				if T(a[l]) == T(b[l]) {
					p |= 1 << l
				}
			}
			return p
		}
	case "ne":
		return func(a, b *lanes) (p uint32) {
			for l := range a {
				if T(a[l]) != T(b[l]) {
					p |= 1 << l
				}
			}
			return p
		}
	case "lt", "lo":
		return lessInt[T]
	case "gt", "hi":
		return func(a, b *lanes) uint32 { return lessInt[T](b, a) }
	case "ge", "hs":
		return func(a, b *lanes) uint32 { return ^lessInt[T](a, b) }
	case "le", "ls":
		return func(a, b *lanes) uint32 { return ^lessInt[T](b, a) }
	}
	return nil
}

func lessInt[T integer](a, b *lanes) (p uint32) {
	for l := range a {
		if T(a[l]) < T(b[l]) {
			p |= 1 << l
		}
	}
	return p
}

// compareFloat handles the ordered relations and, with a u, those that hold if an operand is NaN.
func compareFloat(load func(uint64) float64, relation string) func(a, b *lanes) uint32 {
	each := func(f func(x, y float64) bool) func(a, b *lanes) uint32 {
		return func(a, b *lanes) (p uint32) {
			for l := range a {
				if f(load(a[l]), load(b[l])) {
					p |= 1 << l
				}
			}
			return p
		}
	}
	switch relation {
	case "eq":
		return each(func(x, y float64) bool { return x == y })
	case "ne":
		return each(func(x, y float64) bool { return x < y || x > y })
	case "lt":
		return each(func(x, y float64) bool { return x < y })
	case "le":
		return each(func(x, y float64) bool { return x <= y })
	case "gt":
		return each(func(x, y float64) bool { return x > y })
	case "ge":
		return each(func(x, y float64) bool { return x >= y })
	case "equ":
		return each(func(x, y float64) bool { return !(x < y || x > y) })
	case "neu":
		return each(func(x, y float64) bool { return x != y })
	case "ltu":
		return each(func(x, y float64) bool { return !(x >= y) })
	case "leu":
		return each(func(x, y float64) bool { return !(x > y) })
	case "gtu":
		return each(func(x, y float64) bool { return !(x <= y) })
	case "geu":
		return each(func(x, y float64) bool { return !(x < y) })
	case "num":
		return each(func(x, y float64) bool { return x == x && y == y })
	case "nan":
		return each(func(x, y float64) bool { return x != x || y != y })
	}
	return nil
}

var relations = []string{"eq", "ne", "lt", "le", "gt", "ge", "lo", "ls", "hi", "hs",
	"equ", "neu", "ltu", "leu", "gtu", "geu", "num", "nan"}

// comparison takes the relation and type of setp and set.
func (d *decoder) comparison(t typ) func(a, b *lanes) uint32 {
	relation := d.need(relations...)
	ftz := t.is("f32") && d.take("ftz")
	var f func(a, b *lanes) uint32
	switch {
	case !t.integer():
		load := loadFloat(t)
		if ftz {
			load = func(b uint64) float64 { return float64(f32(flush(b))) }
		}
		f = compareFloat(load, relation)
	default:
		if t.signed() && slices.Contains([]string{"lo", "ls", "hi", "hs"}, relation) || t.kind == 'b' && relation != "eq" && relation != "ne" {
			d.fail("this relation needs an unsigned type")
		}
		f = byInteger(t, compareInt[int16], compareInt[uint16], compareInt[int32], compareInt[uint32], compareInt[int64], compareInt[uint64])(relation)
	}
	if f == nil {
		d.fail("this relation does not fit the type")
	}
	return f
}

var comparable = []string{"b16", "b32", "b64", "u16", "u32", "u64", "s16", "s32", "s64", "f16", "f32", "f64"}

func buildSetp(d *decoder) {
	t := d.typ(comparable...)
	f := d.comparison(t)
	combine := d.takeOne("and", "or", "xor")
	ops := d.operands(3, 4)
	in := d.in
	in.e = -1
	result := ops[0]
	if result.kind == operandPair {
		in.e = d.write(result.list[1], types["pred"])
		result = result.list[0]
	}
	in.d, in.a, in.b = d.write(result, types["pred"]), d.read(ops[1], t), d.read(ops[2], t)
	if (len(ops) == 4) != (combine != "") {
		d.fail("wrong number of operands")
	}
	if combine == "" && in.e < 0 {
		in.run = func(w *warp, in *instr, m uint32) {
			w.preds[in.d] = w.preds[in.d]&^m | f(w.source(in.a), w.source(in.b))&m
		}
		return
	}
	var not uint32
	if combine != "" {
		in.c, not = d.predicate(ops[3])
	}
	in.run = func(w *warp, in *instr, m uint32) {
		p := f(w.source(in.a), w.source(in.b))
		q := ^p
		if combine != "" {
			c := w.preds[in.c] ^ not
			p, q = logic(combine, p, c), logic(combine, q, c)
		}
		w.preds[in.d] = w.preds[in.d]&^m | p&m
		if in.e >= 0 {
			w.preds[in.e] = w.preds[in.e]&^m | q&m
		}
	}
}

func logic(op string, a, b uint32) uint32 {
	switch op {
	case "and":
		return a & b
	case "or":
		return a | b
	}
	return a ^ b
}

// buildSet decodes set, which writes all ones, or 1.0 with .f32, where the comparison holds.
func buildSet(d *decoder) {
	t := d.typ(comparable...)
	result := d.typ("u32", "s32", "f32")
	f := d.comparison(t)
	ops := d.operands(3, 3)
	in := d.in
	in.d, in.a, in.b = d.write(ops[0], result), d.read(ops[1], t), d.read(ops[2], t)
	yes := uint64(0xffffffff)
	if result.is("f32") {
		yes = 0x3f800000
	}
	in.run = mapBinary(func(d, a, b *lanes) {
		p := f(a, b)
		for l := range d {
			d[l] = yes & -uint64(p>>l&1)
		}
	})
}

func (d *decoder) predicateLogic() {
	ops := d.operands(3, 3)
	in := d.in
	in.d = d.write(ops[0], types["pred"])
	var notA, notB uint32
	in.a, notA = d.predicate(ops[1])
	in.b, notB = d.predicate(ops[2])
	op := d.statement.opcode
	in.run = func(w *warp, in *instr, m uint32) {
		w.preds[in.d] = w.preds[in.d]&^m | logic(op, w.preds[in.a]^notA, w.preds[in.b]^notB)&m
	}
}

func buildSelp(d *decoder) {
	t := d.typ(comparable...)
	ops := d.operands(4, 4)
	in := d.in
	in.d, in.a, in.b = d.write(ops[0], t), d.read(ops[1], t), d.read(ops[2], t)
	var not uint32
	in.c, not = d.predicate(ops[3])
	in.run = func(w *warp, in *instr, m uint32) {
		d, a, b, p := &w.regs[in.d], w.source(in.a), w.source(in.b), w.preds[in.c]^not
		if m == fullWarp && p == fullWarp {
			*d = *a
			return
		}
		if m == fullWarp && p == 0 {
			*d = *b
			return
		}
		for ; m != 0; m &= m - 1 {
			l := bits.TrailingZeros32(m) & 31
			if p>>l&1 != 0 {
				d[l] = a[l]
			} else {
				d[l] = b[l]
			}
		}
	}
}

// buildSlct decodes slct: a where c >= 0, else b.
func buildSlct(d *decoder) {
	third := d.typ("s32", "f32")
	ftz := third.is("f32") && d.take("ftz")
	t := d.typ(comparable...)
	ops := d.operands(4, 4)
	in := d.in
	in.d, in.a, in.b, in.c = d.write(ops[0], t), d.read(ops[1], t), d.read(ops[2], t), d.read(ops[3], third)
	in.run = mapTernary(func(d, a, b, c *lanes) {
		for l := range d {
			yes := int32(c[l]) >= 0
			if !third.integer() {
				v := c[l]
				if ftz {
					v = flush(v)
				}
				yes = f32(v) >= 0
			}
			r := b[l]
			if yes {
				r = a[l]
			}
			d[l] = r
		}
	})
}
