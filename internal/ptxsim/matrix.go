package ptxsim

import "math"

// Matrix instructions of a warp: PTX ISA 9.7.14.5 (mma, fragments of m16n8k16 and m16n8k8) and 9.7.14.5.15 (ldmatrix).

// whole faults unless every lane of the warp is here, as .sync.aligned demands.
func (w *warp) whole(in *instr, m uint32) {
	if m != fullWarp {
		w.fault(in, lowest(m), DivergentCollective, "", 0, "only lanes %08x of the warp execute it; all 32 must", m)
	}
}

func buildLoadMatrix(d *decoder) {
	d.need("sync")
	d.need("aligned")
	d.need("m8n8")
	n := map[string]int{"x1": 1, "x2": 2, "x4": 4}[d.need("x1", "x2", "x4")]
	trans := d.take("trans")
	d.takeOne("shared", "shared::cta")
	d.typ("b16")
	ops := d.operands(2, 2)
	d.in.count = uint8(n)
	d.elements(ops[0], func(o operand) int32 { return d.write(o, types["b32"]) })
	d.in.a = d.address(ops[1])
	d.in.run = func(w *warp, in *instr, m uint32) { w.loadMatrix(in, m, n, trans) }
}

// loadMatrix reads n matrices of 8 rows of 16 bytes; lane 8i+r gives the address of row r of matrix i.
func (w *warp) loadMatrix(in *instr, m uint32, n int, trans bool) {
	w.whole(in, m)
	s := &w.block.shared
	var addrs [32]uint32
	for l := range 8 * n {
		a := w.sharedBytes(in, l, w.address(in, l), 16)
		addrs[l] = uint32(a)
		w.readShared(in, l, a, 16)
	}
	w.countPhases(&addrs, uint32(1<<(8*n)-1), 16)
	for i, slot := range in.list {
		d := &w.regs[slot]
		rows := addrs[8*i : 8*i+8]
		for l := range d {
			if !trans {
				d[l] = load(s.data[int(rows[l/4])+4*(l%4):], 4)
				continue
			}
			c := 2 * (l / 4)
			lo := load(s.data[int(rows[2*(l%4)])+c:], 2)
			hi := load(s.data[int(rows[2*(l%4)+1])+c:], 2)
			d[l] = lo | hi<<16
		}
	}
}

// buildMMA decodes mma.sync of bf16, f16 and tf32 with float32 sums.
func buildMMA(d *decoder) {
	d.need("sync")
	d.need("aligned")
	shape := d.need("m16n8k16", "m16n8k8", "m16n8k4")
	d.need("row")
	d.need("col")
	d.typ("f32")
	b, a := d.popMod(), d.popMod()
	d.typ("f32")
	k := map[string]int{"m16n8k16": 16, "m16n8k8": 8, "m16n8k4": 4}[shape]
	if a != b || (a == "tf32") != (k == 4) && !(k == 8) || a != "bf16" && a != "f16" && a != "tf32" {
		d.fail("mma of these types and shape is not modelled")
	}
	ops := d.operands(4, 4)
	in := d.in
	// Registers of 32 bits hold two halves or one tf32: A has 16*k elements, B has k*8.
	per := 2
	if a == "tf32" {
		per = 1
	}
	sizes := []int{4, 16 * k / 32 / per, 8 * k / 32 / per, 4}
	for i, o := range ops {
		if o.kind != operandVector || len(o.list) != sizes[i] {
			d.fail("the operands do not fit the shape")
		}
		for _, e := range o.list {
			switch i {
			case 0:
				in.list = append(in.list, d.write(e, types["f32"]))
			case 3:
				in.list = append(in.list, d.read(e, types["f32"]))
			default:
				in.list = append(in.list, d.read(e, types["b32"]))
			}
		}
	}
	in.count = uint8(k)
	switch a {
	case "bf16":
		in.run = func(w *warp, in *instr, m uint32) { w.mma(in, m, 2, bfloatPair) }
	case "f16":
		in.run = func(w *warp, in *instr, m uint32) { w.mma(in, m, 2, halfPair) }
	default:
		in.run = func(w *warp, in *instr, m uint32) { w.mma(in, m, 1, tf32Single) }
	}
}

func (d *decoder) popMod() string {
	m := d.lastMod()
	if m == "" {
		d.fail("a type is missing")
	}
	d.mods = d.mods[:len(d.mods)-1]
	return m
}

func bfloatPair(v uint64) (lo, hi float64) {
	return float64(math.Float32frombits(uint32(v) << 16)), float64(math.Float32frombits(uint32(v) & 0xffff0000))
}

func halfPair(v uint64) (lo, hi float64) {
	return halfToFloat64(uint16(v)), halfToFloat64(uint16(v >> 16))
}

// tf32Single drops the 13 low bits, as the tensor core does with a float32 that was not converted.
func tf32Single(v uint64) (x, none float64) {
	return float64(math.Float32frombits(uint32(v) &^ 0x1fff)), 0
}

// mma computes D = A*B + C. A tensor core of sm_80 adds 8 products (4 of tf32) and the sum so far at once: the
// products are exact, they are aligned and added with a few bits more than float32 has, and the result is cut off,
// not rounded (Fasi, Higham, Mikaitis, Pranesh: "Numerical behavior of NVIDIA tensor cores", 2021). Here such a step
// adds exact products in float64, pairwise, and cuts off to float32: never less precise than the card, and with the
// same bias toward zero.
func (w *warp) mma(in *instr, m uint32, per int, decode func(uint64) (lo, hi float64)) {
	w.whole(in, m)
	w.block.stats.Mma++
	k := int(in.count)
	var a [16][16]float64
	var b [8][16]float64
	var sum [16][8]float64
	d, s := in.list[:4], in.list[4:]
	na := 16 * k / 32 / per
	nb := na / 2
	half := k / 2 // columns of A from one register to the next
	for i, slot := range s[:na] {
		r := w.source(slot)
		for l := range r {
			row, col := l/4+8*(i&1), l%4*per+half*(i>>1)
			lo, hi := decode(r[l])
			a[row&15][col&15] = lo
			if per == 2 {
				a[row&15][(col+1)&15] = hi
			}
		}
	}
	for i, slot := range s[na : na+nb] {
		r := w.source(slot)
		for l := range r {
			row := l%4*per + half*i
			lo, hi := decode(r[l])
			b[l/4][row&15] = lo
			if per == 2 {
				b[l/4][(row+1)&15] = hi
			}
		}
	}
	c := s[na+nb:]
	for i := range 4 {
		r := w.source(c[i])
		for l := range r {
			sum[l/4+8*(i>>1)][l%4*2+i&1] = float64(f32(r[l]))
		}
	}
	for q := 0; q < k; q += 4 * per {
		if per == 2 {
			addProducts8(&sum, &a, &b, q&8)
		} else {
			addProducts4(&sum, &a, &b, q&4)
		}
	}
	for i, slot := range d {
		r := &w.regs[slot]
		for l := range r {
			r[l] = bits32(float32(sum[l/4+8*(i>>1)][l%4*2+i&1]))
		}
	}
}

// addProducts8 is one step of a tensor core for halves: k from q to q+7.
func addProducts8(sum *[16][8]float64, a *[16][16]float64, b *[8][16]float64, q int) {
	for r := range a {
		x := (*[8]float64)(a[r][q:])
		x0, x1, x2, x3, x4, x5, x6, x7 := x[0], x[1], x[2], x[3], x[4], x[5], x[6], x[7]
		row := &sum[r]
		for c := range row {
			y := (*[8]float64)(b[c][q:])
			p := ((x0*y[0] + x1*y[1]) + (x2*y[2] + x3*y[3])) + ((x4*y[4] + x5*y[5]) + (x6*y[6] + x7*y[7]))
			row[c] = cutOff(row[c] + p)
		}
	}
}

// addProducts4 is one step for tf32.
func addProducts4(sum *[16][8]float64, a *[16][16]float64, b *[8][16]float64, q int) {
	for r := range a {
		x := (*[4]float64)(a[r][q:])
		row := &sum[r]
		for c := range row {
			y := (*[4]float64)(b[c][q:])
			row[c] = cutOff(row[c] + ((x[0]*y[0] + x[1]*y[1]) + (x[2]*y[2] + x[3]*y[3])))
		}
	}
}

// cutOff rounds to the float32 that is next toward zero. In its normal range that drops the low 29 bits.
func cutOff(s float64) float64 {
	u := math.Float64bits(s)
	if u>>52&0x7ff-897 < 254 {
		return math.Float64frombits(u &^ (1<<29 - 1))
	}
	return cutOffRare(s)
}

func cutOffRare(s float64) float64 {
	f := float64(float32(s))
	switch {
	case s-s != 0 || f == s: // Inf, NaN, exact
		return s
	case math.IsInf(f, 0):
		return math.Copysign(math.MaxFloat32, s)
	case math.Abs(f) > math.Abs(s):
		return float64(math.Float32frombits(math.Float32bits(float32(f)) - 1))
	}
	return f
}
