package ptxsim

import (
	"math"
	"slices"
	"strings"
)

// exec does an instruction for the lanes of m, which is not empty.
type exec func(w *warp, in *instr, m uint32)

type instrKind uint8

const (
	kindPlain instrKind = iota
	kindBranch
	kindBranchIndexed
	kindExit
	kindBarrier
)

// An instr is a decoded instruction. Operands are slots of the warp's registers, or, negative, ^i for constant i.
type instr struct {
	run         exec
	d, a, b, c  int32
	e           int32 // a fourth source, or the second of two results
	guard       int32 // predicate, or -1
	guardNot    uint32
	kind        instrKind
	count       uint8 // elements of a vector access
	size        uint8 // bytes of an element
	unconverged bool  // a barrier without .aligned
	narrow      bool  // the address register has 32 bits
	target      int32
	reconverge  int32 // immediate post-dominator of a branch, or -1
	memory      int32 // index of the remembered allocation
	index       int32 // in the kernel's code
	offset      uint64
	list        []int32 // vector operands; targets of an indexed branch
	line        int
	text        string
}

type special struct {
	name string
	slot int32
}

// A reloc is a constant that is known when a device has loaded the module: the address of a global variable.
type reloc struct {
	constant int
	symbol   string
	add      int64
}

type constantKey struct {
	value  uint64
	symbol string
}

type decoder struct {
	module    *Module
	kernel    *Kernel
	function  *function
	statement *statement
	in        *instr
	mods      []string
	constants map[constantKey]int32
	specials  map[string]int32
	symbols   map[string]int // shared and local addresses
	scratch   int32
}

// decode lays out a kernel's shared memory, resolves its names and picks a loop for every instruction.
func decode(m *Module, f *function) (k *Kernel, err error) {
	k = &Kernel{Name: f.name, MaxThreads: f.maxThreads, module: m}
	d := &decoder{module: m, kernel: k, function: f, constants: map[constantKey]int32{}, specials: map[string]int32{}, scratch: -1}
	defer func() {
		if r := recover(); r != nil {
			e, ok := r.(*SyntaxError)
			if !ok {
				panic(r)
			}
			k, err = nil, e
		}
	}()
	for _, v := range f.params {
		k.Params = append(k.Params, Param{v.name, v.typ.String(), v.offset, v.size, v.align})
		k.ParamBytes = v.offset + v.size
	}
	d.layout()
	if len(f.body) > 0 {
		d.allocateRegisters()
	}
	k.code = make([]instr, len(f.body), len(f.body)+1)
	for i := range f.body {
		d.decode(&f.body[i], &k.code[i])
		k.code[i].index = int32(i)
	}
	end := instr{kind: kindExit, guard: -1, reconverge: -1, index: int32(len(f.body)), text: "}", line: f.line}
	if n := len(f.body); n > 0 {
		end.line = f.body[n-1].line + 1
	}
	k.code = append(k.code, end)
	setReconvergence(k.code)
	k.Registers = k.regs
	return k, nil
}

// layout gives shared and local variables their offsets. Variables of the module come first, then those of the
// kernel, then the dynamic part, where every extern array begins.
func (d *decoder) layout() {
	k := d.kernel
	names := make([]string, 0, len(d.module.variables))
	for name := range d.module.variables {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return d.module.variables[a].line - d.module.variables[b].line })
	d.symbols = map[string]int{}
	used := d.usedSymbols()
	dynamicAlign := 16
	place := func(v *variable) {
		switch {
		case v.space == "shared" && v.size == 0:
			dynamicAlign = max(dynamicAlign, v.align)
		case v.space == "shared":
			k.StaticShared = align(k.StaticShared, v.align)
			v.offset = k.StaticShared
			d.symbols[v.name] = v.offset
			k.StaticShared += v.size
		case v.space == "local":
			k.Local = align(k.Local, v.align)
			v.offset = k.Local
			k.Local += v.size
		}
	}
	for _, name := range names {
		if used[name] {
			place(d.module.variables[name])
		}
	}
	for _, v := range d.function.variables {
		place(v)
	}
	k.dynamicBase = align(k.StaticShared, dynamicAlign)
}

func (d *decoder) usedSymbols() map[string]bool {
	used := map[string]bool{}
	var visit func(o operand)
	visit = func(o operand) {
		if o.kind == operandSymbol {
			used[o.name] = true
		}
		for _, e := range o.list {
			visit(e)
		}
	}
	for _, s := range d.function.body {
		for _, o := range s.operands {
			visit(o)
		}
	}
	return used
}

func (d *decoder) fail(reason string) {
	panic(&SyntaxError{Line: d.statement.line, Text: d.statement.text, Reason: reason})
}

func (d *decoder) decode(s *statement, in *instr) {
	d.statement, d.in, d.mods = s, in, slices.Clone(s.mods)
	*in = instr{guard: -1, reconverge: -1, line: s.line, text: s.text}
	if s.guard != nil {
		in.guard = d.slot(s.guard)
		if s.guardNot {
			in.guardNot = fullWarp
		}
	}
	build, ok := opcodes[s.opcode]
	if !ok {
		d.fail("unknown opcode " + s.opcode)
	}
	build(d)
	if len(d.mods) > 0 {
		d.fail(s.opcode + " has no modifier ." + strings.Join(d.mods, ".") + " here")
	}
}

// take removes a modifier if it is there.
func (d *decoder) take(mod string) bool {
	if i := slices.Index(d.mods, mod); i >= 0 {
		d.mods = slices.Delete(d.mods, i, i+1)
		return true
	}
	return false
}

// takeOne removes and returns the one of mods that is there, or "".
func (d *decoder) takeOne(mods ...string) string {
	for _, m := range mods {
		if d.take(m) {
			return m
		}
	}
	return ""
}

// need is takeOne for a modifier that must be there.
func (d *decoder) need(mods ...string) string {
	m := d.takeOne(mods...)
	if m == "" {
		d.fail("expected one of the modifiers ." + strings.Join(mods, " ."))
	}
	return m
}

// typ takes the last modifier, which is the type of the instruction and must be one of those allowed.
func (d *decoder) typ(allowed ...string) typ {
	if len(d.mods) == 0 {
		d.fail("an instruction without a type")
	}
	name := d.mods[len(d.mods)-1]
	if !slices.Contains(allowed, name) {
		d.fail("the type ." + name + " is not one of ." + strings.Join(allowed, " ."))
	}
	d.mods = d.mods[:len(d.mods)-1]
	return types[name]
}

func (d *decoder) lastMod() string {
	if len(d.mods) == 0 {
		return ""
	}
	return d.mods[len(d.mods)-1]
}

func (d *decoder) operands(least, most int) []operand {
	if n := len(d.statement.operands); n < least || n > most {
		d.fail("wrong number of operands")
	}
	return d.statement.operands
}

func (d *decoder) slot(r *register) int32 {
	if r.slot < 0 {
		if r.typ.kind == 'p' {
			r.slot = int32(d.kernel.preds)
			d.kernel.preds++
		} else {
			r.slot = int32(d.kernel.regs)
			d.kernel.regs++
		}
	}
	return r.slot
}

// write resolves a result of type t.
func (d *decoder) write(o operand, t typ) int32 {
	switch o.kind {
	case operandRegister:
		d.checkWidth(o.reg, t)
		return d.slot(o.reg)
	case operandSink:
		if t.kind == 'p' {
			d.kernel.preds++
			return int32(d.kernel.preds - 1)
		}
		if d.scratch < 0 {
			d.scratch = int32(d.kernel.regs)
			d.kernel.regs++
		}
		return d.scratch
	}
	d.fail("the result must be a register")
	return 0
}

func (d *decoder) checkWidth(r *register, t typ) {
	if r.typ.bits != t.bits || (r.typ.kind == 'p') != (t.kind == 'p') {
		d.fail("register " + r.name + " is ." + r.typ.String() + ", the instruction wants ." + t.String())
	}
}

// read resolves a source of type t, which may be a register, a constant, a special register or an address.
func (d *decoder) read(o operand, t typ) int32 {
	if o.not {
		d.fail("! is not allowed on this operand")
	}
	switch o.kind {
	case operandRegister:
		d.checkWidth(o.reg, t)
		return d.slot(o.reg)
	case operandImmediate:
		if t.kind == 'f' && t.bits != 16 {
			d.fail("an integer where a float is wanted")
		}
		return d.constant(o.value)
	case operandFloat32:
		if t.bits != 32 {
			d.fail("a constant of 32 bits where ." + t.String() + " is wanted")
		}
		return d.constant(o.value)
	case operandFloat64:
		switch {
		case t.bits == 64 && t.kind != 's' && t.kind != 'u':
			return d.constant(o.value)
		case t.is("f32"):
			return d.constant(uint64(math.Float32bits(float32(math.Float64frombits(o.value)))))
		}
		d.fail("a float where ." + t.String() + " is wanted")
	case operandSpecial:
		return d.special(o.name)
	case operandSymbol:
		return d.symbol(o)
	}
	d.fail("this operand cannot be a source here")
	return 0
}

func (d *decoder) constant(v uint64) int32 { return d.constantFor(constantKey{value: v}) }

func (d *decoder) constantFor(key constantKey) int32 {
	if i, ok := d.constants[key]; ok {
		return i
	}
	var l lanes
	for i := range l {
		l[i] = key.value
	}
	d.kernel.consts = append(d.kernel.consts, l)
	i := ^int32(len(d.kernel.consts) - 1)
	if key.symbol != "" {
		d.kernel.relocs = append(d.kernel.relocs, reloc{len(d.kernel.consts) - 1, key.symbol, int64(key.value)})
	}
	d.constants[key] = i
	return i
}

func (d *decoder) special(name string) int32 {
	if i, ok := d.specials[name]; ok {
		return i
	}
	i := int32(d.kernel.regs)
	d.kernel.regs++
	d.specials[name] = i
	d.kernel.specials = append(d.kernel.specials, special{name, i})
	return i
}

// variable finds what a symbol names.
func (d *decoder) variable(name string) *variable {
	if v := d.statement.scope.variable(name); v != nil {
		return v
	}
	if v := d.module.variables[name]; v != nil {
		return v
	}
	d.fail(name + " is not declared")
	return nil
}

// symbol is the address of a variable within its state space. Global and const variables live in global memory.
func (d *decoder) symbol(o operand) int32 {
	v := d.variable(o.name)
	switch {
	case v.space == "global" || v.space == "const":
		if d.module.variables[v.name] != v {
			d.fail("global variables are declared at module level")
		}
		return d.constantFor(constantKey{uint64(o.offset), v.name})
	case v.space == "shared" && v.size == 0:
		return d.constant(uint64(int64(d.kernel.dynamicBase) + o.offset))
	}
	return d.constant(uint64(int64(v.offset) + o.offset))
}

// address resolves [base+offset] and sets the instruction's offset; the register may have 32 or 64 bits.
func (d *decoder) address(o operand) int32 {
	slot, offset := d.addressOf(o)
	d.in.offset = uint64(offset)
	d.in.narrow = o.list[0].kind == operandRegister && o.list[0].reg.typ.bits == 32
	return slot
}

func (d *decoder) addressOf(o operand) (slot int32, offset int64) {
	if o.kind != operandMemory {
		d.fail("expected an address in brackets")
	}
	switch base := o.list[0]; base.kind {
	case operandRegister:
		if b := base.reg.typ.bits; b != 32 && b != 64 || base.reg.typ.kind == 'f' {
			d.fail("an address register has 32 or 64 bits")
		}
		return d.slot(base.reg), base.offset
	case operandImmediate:
		return d.constant(base.value), base.offset
	case operandSymbol:
		return d.symbol(base), 0
	}
	d.fail("this cannot be an address")
	return 0, 0
}

// predicate resolves a predicate source; ! is returned as a mask to xor with.
func (d *decoder) predicate(o operand) (slot int32, not uint32) {
	if o.kind != operandRegister || o.reg.typ.kind != 'p' {
		d.fail("expected a predicate")
	}
	if o.not {
		not = fullWarp
	}
	return d.slot(o.reg), not
}
