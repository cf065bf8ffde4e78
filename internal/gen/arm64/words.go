package arm64

import "fmt"

// A Group is vector registers on which the same is done, one after the other, so that the instructions of
// independent elements stand beside each other. Operands of one instruction have one length, or length 1
// for what is common to all.
type Group []V

// Same is the group of one register.
func Same(v V) Group { return Group{v} }

func (g Group) at(i int) V {
	if len(g) == 1 {
		return g[0]
	}
	return g[i]
}

// The encodings are those of the Arm Architecture Reference Manual for A-profile (DDI 0487), section C7.2.

// three writes an instruction with two sources for each register of d.
func (f *Func) three(encoding uint32, name string, d, n, m Group, arrangement string) {
	for i, v := range d {
		vn, vm := n.at(i), m.at(i)
		f.word(encoding|uint32(vm)<<16|uint32(vn)<<5|uint32(v),
			"%s v%d.%s, v%d.%s, v%d.%s", name, v, arrangement, vn, arrangement, vm, arrangement)
	}
}

// two writes an instruction with one source for each register of d.
func (f *Func) two(encoding uint32, name string, d, n Group, to, from, suffix string) {
	for i, v := range d {
		vn := n.at(i)
		f.word(encoding|uint32(vn)<<5|uint32(v), "%s v%d.%s, v%d.%s%s", name, v, to, vn, from, suffix)
	}
}

// Arithmetic of four float32: d = n op m.

func (f *Func) FADD(d, n, m Group)  { f.three(0x4E20D400, "fadd", d, n, m, "4s") }
func (f *Func) FSUB(d, n, m Group)  { f.three(0x4EA0D400, "fsub", d, n, m, "4s") }
func (f *Func) FMUL(d, n, m Group)  { f.three(0x6E20DC00, "fmul", d, n, m, "4s") }
func (f *Func) FDIV(d, n, m Group)  { f.three(0x6E20FC00, "fdiv", d, n, m, "4s") }
func (f *Func) FMAX(d, n, m Group)  { f.three(0x4E20F400, "fmax", d, n, m, "4s") } // NaN if one is
func (f *Func) FMIN(d, n, m Group)  { f.three(0x4EA0F400, "fmin", d, n, m, "4s") }
func (f *Func) FADDP(d, n, m Group) { f.three(0x6E20D400, "faddp", d, n, m, "4s") } // pairs of n, then of m
func (f *Func) FCMEQ(d, n, m Group) { f.three(0x4E20E400, "fcmeq", d, n, m, "4s") } // all ones or zeros

// FMLA adds n·m to d, FMLS subtracts it, with one rounding.
func (f *Func) FMLA(d, n, m Group) {
	for i, v := range d {
		f.I("VFMLA %v.S4, %v.S4, %v.S4", m.at(i), n.at(i), v)
	}
}

func (f *Func) FMLS(d, n, m Group) {
	for i, v := range d {
		f.I("VFMLS %v.S4, %v.S4, %v.S4", m.at(i), n.at(i), v)
	}
}

// byElement writes an instruction whose second source is one lane of m.
func (f *Func) byElement(encoding uint32, name string, d, n Group, m V, lane int) {
	for i, v := range d {
		vn := n.at(i)
		f.word(encoding|uint32(lane&1)<<21|uint32(lane>>1)<<11|uint32(m)<<16|uint32(vn)<<5|uint32(v),
			"%s v%d.4s, v%d.4s, v%d.s[%d]", name, v, vn, m, lane)
	}
}

// FMULLane, FMLALane and FMLSLane are FMUL, FMLA and FMLS by one lane of m.
func (f *Func) FMULLane(d, n Group, m V, lane int) { f.byElement(0x4F809000, "fmul", d, n, m, lane) }
func (f *Func) FMLALane(d, n Group, m V, lane int) { f.byElement(0x4F801000, "fmla", d, n, m, lane) }
func (f *Func) FMLSLane(d, n Group, m V, lane int) { f.byElement(0x4F805000, "fmls", d, n, m, lane) }

func (f *Func) FNEG(d, n Group)   { f.two(0x6EA0F800, "fneg", d, n, "4s", "4s", "") }
func (f *Func) FSQRT(d, n Group)  { f.two(0x6EA1F800, "fsqrt", d, n, "4s", "4s", "") }
func (f *Func) FCVTNS(d, n Group) { f.two(0x4E21A800, "fcvtns", d, n, "4s", "4s", "") } // to the nearest integer
func (f *Func) SCVTF(d, n Group)  { f.two(0x4E21D800, "scvtf", d, n, "4s", "4s", "") }

// FMAXV sets the lowest lane of d to the largest lane of n, NaN if there is one.
func (f *Func) FMAXV(d, n V) {
	f.word(0x6E30F800|uint32(n)<<5|uint32(d), "fmaxv s%d, v%d.4s", d, n)
}

// FMINV sets the lowest lane of d to the smallest lane of n, NaN if there is one.
func (f *Func) FMINV(d, n V) {
	f.word(0x6EB0F800|uint32(n)<<5|uint32(d), "fminv s%d, v%d.4s", d, n)
}

// SSHR shifts int32 to the right, 0 < bits ≤ 32.
func (f *Func) SSHR(d, n Group, bits int) {
	f.two(0x4F000400|uint32(64-bits)<<16, "sshr", d, n, "4s", "4s", fmt.Sprintf(", #%d", bits))
}

// SSHLL widens four int16 in the lower half of n to 32 bits.
func (f *Func) SSHLL(d, n Group) { f.two(0x0F10A400, "sshll", d, n, "4s", "4h", ", #0") }

// SMAX is the larger of int32.
func (f *Func) SMAX(d, n, m Group) { f.three(0x4EA06400, "smax", d, n, m, "4s") }

// SHRN shifts four uint32 to the right and keeps the lower 16 bits of each, in the lower half of d.
func (f *Func) SHRN(d, n Group, bits int) {
	f.two(0x0F008400|uint32(32-bits)<<16, "shrn", d, n, "4h", "4s", fmt.Sprintf(", #%d", bits))
}

// SHLL widens the lower four 16-bit elements to 32 bits, shifted to the left by 16: bfloat16 to float32.
func (f *Func) SHLL(d, n Group) { f.two(0x2E613800, "shll", d, n, "4s", "4h", ", #16") }

// XTN keeps the lower 16 bits of each of four uint32, in the lower half of d.
func (f *Func) XTN(d, n Group) { f.two(0x0E612800, "xtn", d, n, "4h", "4s", "") }

// ADDHN adds uint32 and keeps the upper 16 bits of each sum, in the lower half of d.
func (f *Func) ADDHN(d, n, m Group) {
	for i, v := range d {
		vn, vm := n.at(i), m.at(i)
		f.word(0x0E604000|uint32(vm)<<16|uint32(vn)<<5|uint32(v), "addhn v%d.4h, v%d.4s, v%d.4s", v, vn, vm)
	}
}

// BFCVTN rounds four float32 to bfloat16, in the lower half of d. It needs Armv8.6 BF16, as BFMMLA does.
func (f *Func) BFCVTN(d, n Group) { f.two(0x0EA16800, "bfcvtn", d, n, "4h", "4s", "") }

// BFMMLA adds to d, a 2×2 matrix of float32 by rows, the product of the 2×4 matrix n of bfloat16 by rows
// and the 4×2 matrix m by columns.
func (f *Func) BFMMLA(d, n, m V) {
	f.word(0x6E40EC00|uint32(m)<<16|uint32(n)<<5|uint32(d), "bfmmla v%d.4s, v%d.8h, v%d.8h", d, n, m)
}

// Instructions of Go's assembler on groups.

// each writes the instruction for each register of d. The operands are registers in the order of Go's
// assembler, destination last.
func (f *Func) each(format string, d Group, sources ...Group) {
	for i, v := range d {
		operands := make([]any, 0, len(sources)+1)
		for _, s := range sources {
			operands = append(operands, s.at(i))
		}
		f.I(format, append(operands, v)...)
	}
}

// Move sets d to n.
func (f *Func) Move(d, n Group) { f.each("VMOV %v.B16, %v.B16", d, n) }

// Zero sets d to zero.
func (f *Func) Zero(d Group) {
	for _, v := range d {
		f.I("VEOR %v.B16, %v.B16, %v.B16", v, v, v)
	}
}

// Integers: ADD is n + m, SUB is n − m, SHL shifts to the left.

func (f *Func) ADD(d, n, m Group) { f.each("VADD %v.S4, %v.S4, %v.S4", d, m, n) }
func (f *Func) SUB(d, n, m Group) { f.each("VSUB %v.S4, %v.S4, %v.S4", d, m, n) }
func (f *Func) AND(d, n, m Group) { f.each("VAND %v.B16, %v.B16, %v.B16", d, m, n) }
func (f *Func) ORR(d, n, m Group) { f.each("VORR %v.B16, %v.B16, %v.B16", d, m, n) }

// Select sets d to n where the mask is zero and leaves it where the mask is one.
func (f *Func) Select(d, n, mask Group) { f.each("VBIF %v.B16, %v.B16, %v.B16", d, mask, n) }

func (f *Func) SHL(d, n Group, bits int) {
	f.each(fmt.Sprintf("VSHL $%d, %%v.S4, %%v.S4", bits), d, n)
}

func (f *Func) USHR(d, n Group, bits int) {
	f.each(fmt.Sprintf("VUSHR $%d, %%v.S4, %%v.S4", bits), d, n)
}

// Fold sets the lowest lane of v to the sum of its lanes, added pairwise.
func (f *Func) Fold(v V) {
	g := Same(v)
	f.FADDP(g, g, g)
	f.FADDP(g, g, g)
}
