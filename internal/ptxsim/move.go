package ptxsim

// Moves between registers and address spaces: PTX ISA 9.7.9.1–9.7.9.3 (mov), 9.7.9.20 (cvta).

// Generic addresses of shared and local memory lie in windows of their own, far above every allocation.
const (
	sharedWindow = 0x7fff_0000_0000_0000
	localWindow  = 0x7ffe_0000_0000_0000
	windowSize   = 1 << 32
)

func buildMov(d *decoder) {
	t := d.typ("pred", "b16", "b32", "b64", "u16", "u32", "u64", "s16", "s32", "s64", "f16", "f32", "f64")
	ops := d.operands(2, 2)
	in := d.in
	switch {
	case t.kind == 'p':
		in.d = d.write(ops[0], t)
		if ops[1].kind == operandImmediate {
			value := uint32(0)
			if ops[1].value != 0 {
				value = fullWarp
			}
			in.run = func(w *warp, in *instr, m uint32) { w.preds[in.d] = w.preds[in.d]&^m | value&m }
			return
		}
		var not uint32
		in.a, not = d.predicate(ops[1])
		in.run = func(w *warp, in *instr, m uint32) { w.preds[in.d] = w.preds[in.d]&^m | (w.preds[in.a]^not)&m }
	case ops[1].kind == operandVector:
		d.pack(t, ops)
	case ops[0].kind == operandVector:
		d.unpack(t, ops)
	default:
		in.d, in.a = d.write(ops[0], t), d.read(ops[1], t)
		in.run = mapUnary(copyLanes)
	}
}

func (d *decoder) part(t typ, n int) typ {
	part := typ{'b', t.bits / uint8(n)}
	if n != 2 && n != 4 || part.bits < 16 {
		d.fail("a vector that does not fit the type")
	}
	return part
}

func (d *decoder) pack(t typ, ops []operand) {
	in := d.in
	in.d = d.write(ops[0], t)
	part := d.part(t, len(ops[1].list))
	for _, o := range ops[1].list {
		in.list = append(in.list, d.read(o, part))
	}
	mask := uint64(1)<<part.bits - 1
	in.run = func(w *warp, in *instr, m uint32) {
		var r lanes
		for i, s := range in.list {
			v := w.source(s)
			shift := i * int(part.bits)
			for l := range r {
				r[l] |= v[l] & mask << shift
			}
		}
		blend(&w.regs[in.d], &r, m)
	}
}

func (d *decoder) unpack(t typ, ops []operand) {
	in := d.in
	in.a = d.read(ops[1], t)
	part := d.part(t, len(ops[0].list))
	for _, o := range ops[0].list {
		in.list = append(in.list, d.write(o, part))
	}
	in.run = func(w *warp, in *instr, m uint32) {
		v := *w.source(in.a) // a copy: a result may be its source
		for i, s := range in.list {
			var r lanes
			shift := i * int(part.bits)
			for l := range r {
				r[l] = v[l] >> shift
			}
			blend(&w.regs[s], &r, m)
		}
	}
}

// buildCvta adds or subtracts the window of a space. Global and const addresses are generic as they are.
func buildCvta(d *decoder) {
	t := d.typ("u64")
	to := d.take("to")
	var window uint64
	switch d.need("global", "const", "shared", "local", "param") {
	case "shared":
		window = sharedWindow
	case "local":
		window = localWindow
	case "param":
		d.fail("generic addresses of parameters are not modelled")
	}
	if to {
		window = -window
	}
	if window == 0 {
		d.unary(t, t, copyLanes)
		return
	}
	d.unary(t, t, func(d, a *lanes) {
		for l := range d {
			d[l] = a[l] + window
		}
	})
}

func inWindow(address, window uint64) bool { return address-window < windowSize }

func buildIsspacep(d *decoder) {
	space := d.need("global", "const", "shared", "local")
	ops := d.operands(2, 2)
	in := d.in
	in.d, in.a = d.write(ops[0], types["pred"]), d.read(ops[1], types["u64"])
	in.run = func(w *warp, in *instr, m uint32) {
		var p uint32
		for l, a := range w.source(in.a) {
			shared, local := inWindow(a, sharedWindow), inWindow(a, localWindow)
			if space == "shared" && shared || space == "local" && local || space == "global" && !shared && !local {
				p |= 1 << l
			}
		}
		w.preds[in.d] = w.preds[in.d]&^m | p&m
	}
}
