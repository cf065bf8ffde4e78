package main

import (
	"fmt"
	"strings"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// A tile is one of AMX's registers TMM0 to TMM7: 16 rows of 64 bytes each.
type tile byte

func (t tile) String() string { return fmt.Sprintf("TMM%d", byte(t)) }

// tileConfig begins the use of tiles with the configuration at m.
func (f *file) tileConfig(m address) {
	f.code(fmt.Sprintf("LDTILECFG %v", m),
		append(vex(prefixNone, 0x49, 0, m.indexNumber(), number(m.base), 0), m.bytes(0)...)...)
}

// tileRelease ends the use of tiles.
func (f *file) tileRelease() {
	f.code("TILERELEASE", append(vex(prefixNone, 0x49, 0, 0, 0, 0), registerOperand)...)
}

func (f *file) tileZero(t tile) {
	f.code(fmt.Sprintf("TILEZERO %v", t), append(vex(prefixF2, 0x49, 0, 0, 0, 0), registerOperand|byte(t)<<3)...)
}

// tileLoad reads a tile whose rows begin at m's base, m's index apart.
func (f *file) tileLoad(m address, t tile) {
	f.code(fmt.Sprintf("TILELOADD %v, %v", m, t),
		append(vex(prefixF2, 0x4b, 0, m.indexNumber(), number(m.base), 0), m.bytes(byte(t))...)...)
}

// tileStream is tileLoad for what is read once: it should not drive other lines out of the first-level cache.
func (f *file) tileStream(m address, t tile) {
	f.code(fmt.Sprintf("TILELOADDT1 %v, %v", m, t),
		append(vex(prefix66, 0x4b, 0, m.indexNumber(), number(m.base), 0), m.bytes(byte(t))...)...)
}

func (f *file) tileStore(t tile, m address) {
	f.code(fmt.Sprintf("TILESTORED %v, %v", t, m),
		append(vex(prefixF3, 0x4b, 0, m.indexNumber(), number(m.base), 0), m.bytes(byte(t))...)...)
}

// tileProduct adds a·b to c: a has rows of 32 bfloat16, b 16 rows of 16 pairs of them, c rows of 16 F32.
func (f *file) tileProduct(a, b, c tile) {
	f.code(fmt.Sprintf("TDPBF16PS %v, %v, %v", b, a, c),
		append(vex(prefixF3, 0x5c, 0, 0, 0, byte(b)), registerOperand|byte(c)<<3|byte(a))...)
}

// gridSignature is that of the functions that multiply packed panels of bfloat16.
const gridSignature = "func(rows, cols, steps int, a *uint16, aRow, aTile, aStep, aPanel int, " +
	"b *uint16, bPanel int, in *float32, inRow int, out *float32, outRow int, " +
	"nextA, nextB *uint16, result *byte, resultRow, resultSquare int)"

const gridDoc = "sets out to in + a·b, or to a·b without in. out has rows×cols squares\n" +
	"of 16×16. a consists of panels of two tiles of 16 rows of 32 elements, and b of panels of two tiles of 16\n" +
	"rows of 16 pairs of elements; the last panels have one tile where rows or cols is odd. The product is over\n" +
	"steps > 0 times 32 elements. Distances are in bytes: rows of a tile of a lie aRow apart, the tiles of a\n" +
	"panel aTile and successive ones aStep, panels aPanel and bPanel, rows of in and out inRow and outRow.\n" +
	"What is left are hints of what to bring into the second-level cache meanwhile: unless nextA is nil, 256\n" +
	"bytes a step from nextA and nextB on; and unless result is nil, the rows, resultRow apart, to which out will\n" +
	"be converted, where those of two squares take resultSquare bytes, 64 or 128."

// tileGrid writes the product of packed panels on AMX tiles. A block of c of 2×2 tiles stays in registers
// over all steps, so that each of the four loads of a step is used twice. Tiles are configured and released
// within the call: nothing else ever sees them in use.
func tileGrid(f *file) {
	f.Function("multiplyGridAMX")
	f.Attributes(build.NOSPLIT)
	f.SignatureExpr(gridSignature)
	f.Pragma("noescape")
	f.Doc(strings.Split("multiplyGridAMX "+gridDoc, "\n")...)

	config := f.StaticGlobal("tiles")
	f.DataAttributes(build.RODATA | build.NOPTR)
	const (
		palette  = 1
		rowBytes = 0x0040_0040_0040_0040 // of four tiles
		rows     = 0x1010_1010_1010_1010 // of eight
	)
	for _, word := range []uint64{palette, 0, rowBytes, rowBytes, 0, 0, rows, 0} {
		f.AppendDatum(operand.U64(word))
	}

	var (
		in, out, row        = reg.RDX, reg.R12, reg.R13
		a, a2, aRow, step   = reg.RSI, reg.R10, reg.R8, reg.RCX
		b, sixtyFour, spare = reg.RDI, reg.R9, reg.RAX
		nextA, nextB        = reg.RBX, reg.R11
		result, resultRow   = reg.R14, row
	)
	param := f.paramAddress
	at := func(base, stride reg.Physical, disp int32) address { return address{base, stride, 1, disp} }

	panel, rowsLeft, resultBlock := f.AllocLocal(8), f.AllocLocal(8), f.AllocLocal(8)

	// A step asks for four rows of the result: a block's 32 in the usual eight steps.
	fourRows := func(base, stride reg.GPPhysical, disp int) {
		f.PREFETCHT1(operand.Mem{Base: base, Disp: disp})
		f.PREFETCHT1(operand.Mem{Base: base, Index: stride, Scale: 1, Disp: disp})
		f.LEAQ(operand.Mem{Base: base, Index: stride, Scale: 2}, spare)
		f.PREFETCHT1(operand.Mem{Base: spare, Disp: disp})
		f.PREFETCHT1(operand.Mem{Base: spare, Index: stride, Scale: 1, Disp: disp})
	}

	// The squares of c are TMM0 to TMM3, by rows; a's tiles TMM4 and TMM5, b's TMM6 and TMM7.
	square := func(i, j int) tile { return tile(2*i + j) }
	block := func(down, across int) {
		name := fmt.Sprintf("%dx%d", down, across)
		eachSquare := func(base reg.Physical, stride string, do func(t tile, m address)) {
			f.MOVQ(param(stride), row)
			for i := range down {
				if i == 1 {
					f.MOVQ(row, spare)
					f.SHLQ(operand.Imm(4), spare)
					f.ADDQ(base, spare)
					base = spare
				}
				for j := range across {
					do(square(i, j), at(base, row, int32(64*j)))
				}
			}
		}
		f.TESTQ(in, in)
		f.JZ(operand.LabelRef("zero" + name))
		eachSquare(in, "inRow", func(t tile, m address) { f.tileLoad(m, t) })
		f.JMP(operand.LabelRef("begin" + name))
		f.Label("zero" + name)
		for i := range down {
			for j := range across {
				f.tileZero(square(i, j))
			}
		}
		f.Label("begin" + name)
		f.MOVQ(param("resultRow"), resultRow)
		f.MOVQ(resultBlock, result)
		f.Label("step" + name)
		f.tileLoad(at(b, sixtyFour, 0), 6)
		f.tileStream(at(a, aRow, 0), 4)
		f.tileProduct(4, 6, square(0, 0))
		if across == 2 {
			f.tileLoad(at(b, sixtyFour, 1024), 7)
			f.tileProduct(4, 7, square(0, 1))
		}
		if down == 2 {
			f.tileStream(at(a2, aRow, 0), 5)
			f.tileProduct(5, 6, square(1, 0))
			if across == 2 {
				f.tileProduct(5, 7, square(1, 1))
			}
			f.ADDQ(param("aStep"), a2)
		}
		f.ADDQ(param("aStep"), a)
		f.TESTQ(nextA, nextA)
		f.JZ(operand.LabelRef("last" + name))
		f.prefetch(nextA)
		f.prefetch(nextB)
		f.Label("last" + name)
		f.TESTQ(result, result)
		f.JZ(operand.LabelRef("hinted" + name))
		f.CMPQ(param("resultSquare"), operand.Imm(64))
		f.JE(operand.LabelRef("single" + name))
		fourRows(result, resultRow, 64)
		f.Label("single" + name)
		fourRows(result, resultRow, 0)
		f.LEAQ(operand.Mem{Base: result, Index: resultRow, Scale: 4}, result)
		f.Label("hinted" + name)
		f.ADDQ(operand.U32(2048), b)
		f.DECQ(step)
		f.JNZ(operand.LabelRef("step" + name))
		eachSquare(out, "outRow", f.tileStore)
		f.JMP(operand.LabelRef("next"))
	}

	f.LEAQ(config, spare)
	f.tileConfig(address{base: spare})
	f.MOVQ(operand.U32(64), sixtyFour)
	f.MOVQ(param("aRow"), aRow)
	f.MOVQ(param("nextA"), nextA)
	f.MOVQ(param("nextB"), nextB)

	f.Label("column")
	f.MOVQ(param("rows"), spare)
	f.MOVQ(spare, rowsLeft)
	f.MOVQ(param("in"), in)
	f.MOVQ(param("out"), out)
	f.MOVQ(param("a"), a)
	f.MOVQ(a, panel)
	f.MOVQ(param("result"), spare)
	f.MOVQ(spare, resultBlock)

	f.Label("row")
	f.MOVQ(param("aTile"), a2)
	f.ADDQ(a, a2)
	f.MOVQ(param("b"), b)
	f.MOVQ(param("steps"), step)
	f.CMPQ(rowsLeft, operand.Imm(1))
	f.JE(operand.LabelRef("low"))
	f.CMPQ(param("cols"), operand.Imm(1))
	f.JE(operand.LabelRef("narrow"))
	block(2, 2)
	f.Label("narrow")
	block(2, 1)
	f.Label("low")
	f.CMPQ(param("cols"), operand.Imm(1))
	f.JE(operand.LabelRef("single"))
	block(1, 2)
	f.Label("single")
	block(1, 1)

	f.Label("next")
	f.SUBQ(operand.Imm(2), rowsLeft)
	f.JLE(operand.LabelRef("bottom"))
	f.MOVQ(panel, a)
	f.ADDQ(param("aPanel"), a)
	f.MOVQ(a, panel)
	f.MOVQ(param("resultRow"), spare)
	f.SHLQ(operand.Imm(5), spare)
	f.ADDQ(spare, resultBlock)
	f.MOVQ(param("outRow"), spare)
	f.SHLQ(operand.Imm(5), spare)
	f.ADDQ(spare, out)
	f.TESTQ(in, in)
	f.JZ(operand.LabelRef("row"))
	f.MOVQ(param("inRow"), spare)
	f.SHLQ(operand.Imm(5), spare)
	f.ADDQ(spare, in)
	f.JMP(operand.LabelRef("row"))

	f.Label("bottom")
	f.nextColumns(in, spare)
	f.tileRelease()
	f.RET()
}

// prefetch brings four cache lines from p on into the second-level cache and moves p behind them.
func (f *file) prefetch(p reg.GPPhysical) {
	for i := range 4 {
		f.PREFETCHT1(operand.Mem{Base: p, Disp: 64 * i})
	}
	f.ADDQ(operand.U32(256), p)
}

// paramAddress is where a parameter of the function lies.
func (f *file) paramAddress(name string) operand.Mem {
	p, err := f.Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	return p.Addr
}

// nextColumns moves the parameters of gridSignature on by a panel of b and goes to the label column, or
// falls through after the last.
func (f *file) nextColumns(in, spare reg.GPPhysical) {
	param := f.paramAddress
	f.SUBQ(operand.Imm(2), param("cols"))
	f.JLE(operand.LabelRef("done"))
	f.MOVQ(param("bPanel"), spare)
	f.ADDQ(spare, param("b"))
	f.ADDQ(operand.U32(128), param("out"))
	f.MOVQ(param("resultSquare"), spare)
	f.ADDQ(spare, param("result"))
	f.TESTQ(in, in)
	f.JZ(operand.LabelRef("column"))
	f.ADDQ(operand.U32(128), param("in"))
	f.JMP(operand.LabelRef("column"))
	f.Label("done")
}
