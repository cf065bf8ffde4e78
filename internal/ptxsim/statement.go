package ptxsim

import (
	"strings"
)

// block reads the statements of a function up to the closing brace.
func (p *parser) block(f *function, parent *scope) {
	sc := &scope{parent: parent, registers: map[string]*register{}, ranges: map[string]registerRange{},
		variables: map[string]*variable{}, tables: map[string][]string{}}
	if parent == nil {
		for _, v := range f.params {
			sc.variables[v.name] = v
		}
		for _, v := range f.results {
			sc.variables[v.name] = v
		}
	}
	for !p.accept("}") {
		switch w := p.peek(); {
		case w == "":
			p.next() // fails: the source has ended
		case w == "{":
			p.next()
			p.block(f, sc)
		case w == ";":
			p.next()
		case w == ".reg":
			p.registers(sc)
		case w == ".shared" || w == ".local" || w == ".param" || w == ".global" || w == ".const":
			f.variables = append(f.variables, p.variable(sc))
		case w == ".loc" || w == ".file":
			p.skipLine()
		case w == ".pragma":
			p.skipTo(";")
		case p.pos+1 < len(p.tokens) && p.tokens[p.pos+1].text == ":":
			p.label(f, sc)
		case w == "@" || w[0] >= 'a' && w[0] <= 'z':
			p.instruction(f, sc)
		default:
			p.fail("unknown directive or statement")
		}
	}
}

func (p *parser) label(f *function, sc *scope) {
	name := p.next()
	p.expect(":")
	if p.accept(".branchtargets") {
		var targets []string
		for {
			targets = append(targets, p.next())
			if !p.accept(",") {
				break
			}
		}
		p.expect(";")
		sc.tables[name] = targets
		return
	}
	if p.peek() == ".callprototype" || p.peek() == ".calltargets" {
		p.fail("indirect calls are not modelled")
	}
	key := labelKey{sc, name}
	if _, ok := f.labels[key]; ok {
		p.fail("the label " + name + " is defined twice")
	}
	f.labels[key] = len(f.body)
}

// registers reads `.reg .type %a, %b, %r<n>;`.
func (p *parser) registers(sc *scope) {
	p.next()
	w := p.next()
	t, ok := types[strings.TrimPrefix(w, ".")]
	if !ok || t.bits == 128 {
		p.pos--
		p.fail("unknown type of a register")
	}
	for {
		name := p.next()
		if p.accept("<") {
			sc.ranges[name] = registerRange{t, p.integer()}
			p.expect(">")
		} else {
			sc.registers[name] = &register{name: name, typ: t, slot: -1}
		}
		if !p.accept(",") {
			break
		}
	}
	p.expect(";")
}

// register finds a declared register by name, or nil.
func (sc *scope) register(name string) *register {
	digits := len(name)
	for digits > 0 && name[digits-1] >= '0' && name[digits-1] <= '9' {
		digits--
	}
	for s := sc; s != nil; s = s.parent {
		if r := s.registers[name]; r != nil {
			return r
		}
		if rr, ok := s.ranges[name[:digits]]; ok && digits < len(name) {
			n := 0
			for _, c := range name[digits:] {
				n = n*10 + int(c-'0')
			}
			if n < rr.n {
				r := &register{name: name, typ: rr.typ, slot: -1}
				s.registers[name] = r
				return r
			}
		}
	}
	return nil
}

func (sc *scope) variable(name string) *variable {
	for s := sc; s != nil; s = s.parent {
		if v := s.variables[name]; v != nil {
			return v
		}
	}
	return nil
}

func (sc *scope) table(name string) []string {
	for s := sc; s != nil; s = s.parent {
		if t := s.tables[name]; t != nil {
			return t
		}
	}
	return nil
}

// instruction reads `[@[!]p] opcode.modifiers operands;` (ISA 4.3.2, 9.3).
func (p *parser) instruction(f *function, sc *scope) {
	first := p.tokens[p.pos]
	s := statement{line: first.line, scope: sc}
	if p.accept("@") {
		s.guardNot = p.accept("!")
		name := p.next()
		s.guard = sc.register(name)
		if s.guard == nil || s.guard.typ.kind != 'p' {
			p.pos--
			p.fail("a guard that is not a declared predicate")
		}
	}
	parts := strings.Split(p.next(), ".")
	s.opcode, s.mods = parts[0], parts[1:]
	for p.peek() != ";" {
		s.operands = append(s.operands, p.operand(sc))
		if p.peek() != ";" {
			p.expect(",")
		}
	}
	last := p.tokens[p.pos]
	p.next()
	s.text = strings.Join(strings.Fields(p.source[first.start:last.end]), " ")
	f.body = append(f.body, s)
}

func (p *parser) operand(sc *scope) operand {
	o := p.primary(sc)
	if p.accept("|") {
		second := p.primary(sc)
		return operand{kind: operandPair, list: []operand{o, second}}
	}
	return o
}

func (p *parser) primary(sc *scope) operand {
	w := p.peek()
	switch {
	case w == "{" || w == "(":
		p.next()
		end, kind := "}", operandVector
		if w == "(" {
			end, kind = ")", operandList
		}
		o := operand{kind: kind}
		for !p.accept(end) {
			o.list = append(o.list, p.primary(sc))
			if p.peek() != end {
				p.expect(",")
			}
		}
		return o
	case w == "[":
		p.next()
		base := p.primary(sc)
		if p.peek() == "+" || p.peek() == "-" { // a register plus an offset; a symbol has taken its own
			base.offset += int64(p.integer())
		}
		p.expect("]")
		return operand{kind: operandMemory, list: []operand{base}}
	case w == "!":
		p.next()
		o := p.primary(sc)
		o.not = true
		return o
	case w == "_":
		p.next()
		return operand{kind: operandSink}
	case w == "-" || w == "+" || w != "" && w[0] >= '0' && w[0] <= '9':
		return p.number()
	case w == "" || strings.IndexByte("{}[]()<>;:,@!|+-=*\"", w[0]) >= 0:
		p.fail("expected an operand")
	}
	p.next()
	if r := sc.register(w); r != nil {
		return operand{kind: operandRegister, reg: r}
	}
	if isSpecial(w) {
		return operand{kind: operandSpecial, name: w}
	}
	if w == "WARP_SZ" {
		return operand{kind: operandImmediate, value: 32}
	}
	if w[0] == '%' {
		p.pos--
		p.fail("a register that is not declared")
	}
	o := operand{kind: operandSymbol, name: w}
	if p.peek() == "+" || p.peek() == "-" {
		o.offset = int64(p.integer())
	}
	return o
}
