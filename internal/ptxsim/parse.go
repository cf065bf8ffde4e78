package ptxsim

import (
	"encoding/binary"
	"math"
	"strconv"
	"strings"
)

// Parse reads a PTX source (ISA 7.0 as clang emits it for sm_80) and decodes every kernel. Whatever it does not
// know — a directive, an opcode, a modifier that the opcode does not have — is a *SyntaxError with the line.
func Parse(source string) (*Module, error) {
	tokens, err := lex(source)
	if err != nil {
		return nil, err
	}
	p := &parser{source: source, tokens: tokens, module: &Module{
		variables: map[string]*variable{}, functions: map[string]*function{},
	}}
	if err := p.run(); err != nil {
		return nil, err
	}
	for _, f := range p.entries {
		k, err := decode(p.module, f)
		if err != nil {
			return nil, err
		}
		p.module.Kernels = append(p.module.Kernels, k)
	}
	return p.module, nil
}

type parser struct {
	source  string
	tokens  []token
	pos     int
	module  *Module
	entries []*function
}

// run turns the panic by which the parser leaves its depths into an error.
func (p *parser) run() (err error) {
	defer func() {
		if r := recover(); r != nil {
			e, ok := r.(*SyntaxError)
			if !ok {
				panic(r)
			}
			err = e
		}
	}()
	for p.pos < len(p.tokens) {
		p.topLevel()
	}
	if p.module.Version == "" {
		p.fail("no .version directive")
	}
	return nil
}

func (p *parser) fail(reason string) {
	e := &SyntaxError{Line: 1, Reason: reason}
	if n := len(p.tokens); n > 0 {
		t := p.tokens[min(p.pos, n-1)]
		e.Line, e.Text = t.line, t.text
	}
	panic(e)
}

func (p *parser) peek() string {
	if p.pos < len(p.tokens) {
		return p.tokens[p.pos].text
	}
	return ""
}

func (p *parser) next() string {
	if p.pos >= len(p.tokens) {
		p.fail("the source ends in the middle of a statement")
	}
	p.pos++
	return p.tokens[p.pos-1].text
}

func (p *parser) accept(s string) bool {
	if p.peek() == s {
		p.pos++
		return true
	}
	return false
}

func (p *parser) expect(s string) {
	if !p.accept(s) {
		p.fail("expected " + strconv.Quote(s) + " here")
	}
}

func (p *parser) skipLine() {
	line := p.tokens[p.pos].line
	for p.pos < len(p.tokens) && p.tokens[p.pos].line == line {
		p.pos++
	}
}

func (p *parser) skipTo(end string) {
	for p.next() != end {
	}
}

// topLevel reads one directive of the module (ISA 11).
func (p *parser) topLevel() {
	switch p.peek() {
	case ".version":
		p.next()
		p.module.Version = p.next()
	case ".target":
		p.next()
		p.module.Target = p.next()
		for p.accept(",") {
			p.next()
		}
	case ".address_size":
		p.next()
		if p.next() != "64" {
			p.pos--
			p.fail("only .address_size 64 is known")
		}
	case ".file", ".loc":
		p.skipLine()
	case ".section":
		p.skipTo("{")
		p.skipTo("}")
	case ".pragma":
		p.skipTo(";")
	case ".visible", ".extern", ".weak", ".common", ".entry", ".func", ".global", ".const", ".shared":
		p.definition()
	default:
		p.fail("unknown directive")
	}
}

func (p *parser) definition() {
	extern := false
	for {
		switch p.peek() {
		case ".visible", ".weak", ".common":
			p.next()
			continue
		case ".extern":
			extern = true
			p.next()
			continue
		case ".entry", ".func":
			p.function()
		case ".global", ".const", ".shared":
			v := p.variable(nil)
			v.extern = extern
			p.module.variables[v.name] = v
		default:
			p.fail("expected a variable or a function")
		}
		return
	}
}

// variable reads `.space .align n .type name[size] = {…};` (ISA 5.4).
func (p *parser) variable(sc *scope) *variable {
	v := &variable{line: p.tokens[p.pos].line, space: strings.TrimPrefix(p.next(), ".")}
	vector := 1
	for v.name == "" {
		w := p.next()
		switch {
		case w == ".align":
			v.align = p.integer()
		case w == ".v2":
			vector = 2
		case w == ".v4":
			vector = 4
		case w[0] == '.':
			t, ok := types[w[1:]]
			if !ok || t.kind == 'p' {
				p.pos--
				p.fail("unknown type of a variable")
			}
			v.typ = t
		default:
			v.name = w
		}
	}
	if v.typ.bits == 0 {
		p.fail("a variable without a type")
	}
	v.size = v.typ.bytes() * vector
	v.align = max(v.align, v.size)
	open := false
	for first := true; p.accept("["); first = false {
		if p.accept("]") {
			if !first {
				p.fail("only the first dimension of an array may be open")
			}
			open = true
			continue
		}
		v.size *= p.integer()
		p.expect("]")
	}
	if p.accept("=") {
		if v.space != "global" && v.space != "const" {
			p.fail("only .global and .const variables have initialisers")
		}
		p.initialiser(v)
		if open {
			v.size = len(v.init)
		} else if len(v.init) > v.size {
			p.fail("the initialiser of " + v.name + " is longer than the variable")
		}
	} else if open {
		v.size = 0
	}
	p.expect(";")
	if sc != nil {
		sc.variables[v.name] = v
	}
	return v
}

func (p *parser) initialiser(v *variable) {
	if p.accept("{") {
		for !p.accept("}") {
			p.initialiser(v)
			p.accept(",")
		}
		return
	}
	n := v.typ.bytes()
	var bits uint64
	switch w := p.peek(); {
	case w == "" || w == "-" || w[0] >= '0' && w[0] <= '9':
		o := p.number()
		bits = o.value
		if o.kind == operandFloat64 && v.typ.is("f32") {
			bits = uint64(math.Float32bits(float32(math.Float64frombits(o.value))))
		}
	default:
		generic := p.accept("generic")
		if generic {
			p.expect("(")
		}
		s := initSymbol{offset: len(v.init), name: p.next()}
		if p.accept("+") {
			s.add = int64(p.integer())
		}
		if generic {
			p.expect(")")
		}
		if n != 8 {
			p.fail("an address in an initialiser needs a 64-bit type")
		}
		v.symbols = append(v.symbols, s)
	}
	v.init = binary.LittleEndian.AppendUint64(v.init, bits)[:len(v.init)+n]
}

func (p *parser) integer() int {
	o := p.number()
	if o.kind != operandImmediate {
		p.fail("expected an integer")
	}
	return int(o.value)
}

// number reads a constant (ISA 4.5).
func (p *parser) number() operand {
	neg := false
	for p.peek() == "-" || p.peek() == "+" {
		neg = neg != (p.next() == "-")
	}
	w := p.next()
	bad := func() { p.pos--; p.fail("not a number") }
	switch {
	case len(w) == 10 && (strings.HasPrefix(w, "0f") || strings.HasPrefix(w, "0F")):
		b, err := strconv.ParseUint(w[2:], 16, 32)
		if err != nil {
			bad()
		}
		if neg {
			b ^= 1 << 31
		}
		return operand{kind: operandFloat32, value: b}
	case len(w) == 18 && (strings.HasPrefix(w, "0d") || strings.HasPrefix(w, "0D")):
		b, err := strconv.ParseUint(w[2:], 16, 64)
		if err != nil {
			bad()
		}
		if neg {
			b ^= 1 << 63
		}
		return operand{kind: operandFloat64, value: b}
	}
	if b, err := strconv.ParseUint(strings.TrimSuffix(w, "U"), 0, 64); err == nil && !strings.Contains(w, "_") {
		if neg {
			b = -b
		}
		return operand{kind: operandImmediate, value: b}
	}
	f, err := strconv.ParseFloat(w, 64)
	if err != nil {
		bad()
	}
	if neg {
		f = -f
	}
	return operand{kind: operandFloat64, value: math.Float64bits(f)}
}

// function reads an .entry or .func (ISA 11.1), its performance directives and its body.
func (p *parser) function() {
	f := &function{line: p.tokens[p.pos].line, entry: p.next() == ".entry", labels: map[labelKey]int{}}
	if !f.entry && p.peek() == "(" {
		f.results = p.params()
	}
	f.name = p.next()
	if p.peek() == "(" {
		f.params = p.params()
	}
	for {
		switch p.peek() {
		case ".maxntid", ".reqntid":
			p.next()
			f.maxThreads = p.integer()
			for p.accept(",") {
				f.maxThreads *= p.integer()
			}
			continue
		case ".minnctapersm", ".maxnctapersm", ".maxnreg":
			p.next()
			p.integer()
			continue
		case ".noreturn":
			p.next()
			continue
		case ".pragma":
			p.skipTo(";")
			continue
		}
		break
	}
	if p.accept(";") {
		if p.module.functions[f.name] == nil {
			p.module.functions[f.name] = f // a declaration
		}
		return
	}
	p.expect("{")
	p.block(f, nil)
	p.module.functions[f.name] = f
	if f.entry {
		p.entries = append(p.entries, f)
	}
}

// params reads a list of formal parameters and lays them out with natural alignment.
func (p *parser) params() []*variable {
	p.expect("(")
	var list []*variable
	offset := 0
	for !p.accept(")") {
		v := &variable{line: p.tokens[p.pos].line, space: "param"}
		kind := p.next()
		if kind != ".param" {
			p.pos--
			p.fail("parameters are in .param space")
		}
		for v.name == "" {
			w := p.next()
			switch {
			case w == ".align":
				n := p.integer()
				if v.typ.bits == 0 {
					v.align = n
				}
			case w == ".ptr" || w == ".global" || w == ".shared" || w == ".const" || w == ".local":
			case w[0] == '.':
				t, ok := types[w[1:]]
				if !ok {
					p.pos--
					p.fail("unknown type of a parameter")
				}
				v.typ = t
			default:
				v.name = w
			}
		}
		v.size = v.typ.bytes()
		if p.accept("[") {
			v.size *= p.integer()
			p.expect("]")
		}
		v.align = max(v.align, v.typ.bytes())
		offset = align(offset, v.align)
		v.offset = offset
		offset += v.size
		list = append(list, v)
		if p.peek() != ")" {
			p.expect(",")
		}
	}
	return list
}

func align(n, to int) int { return (n + to - 1) / to * to }
