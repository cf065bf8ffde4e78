package ptxsim

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
)

const header = ".version 7.0\n.target sm_80\n.address_size 64\n"

func parse(t testing.TB, source string) *Module {
	t.Helper()
	m, err := Parse(source)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// arguments packs a parameter buffer with natural alignment.
func arguments(values ...any) []byte {
	var b []byte
	pad := func(n int) { b = append(b, make([]byte, align(len(b), n)-len(b))...) }
	for _, v := range values {
		switch v := v.(type) {
		case uint64:
			pad(8)
			b = binary.LittleEndian.AppendUint64(b, v)
		case int:
			pad(4)
			b = binary.LittleEndian.AppendUint32(b, uint32(v))
		case float32:
			pad(4)
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
		default:
			panic(fmt.Sprintf("argument of type %T", v))
		}
	}
	return b
}

func device(t testing.TB, c Config) *Device {
	d := NewDevice(c)
	t.Cleanup(d.Close)
	return d
}

func alloc(t testing.TB, d *Device, n int) uint64 {
	t.Helper()
	a, err := d.Alloc(n)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func upload(t testing.TB, d *Device, b []byte) uint64 {
	t.Helper()
	a := alloc(t, d, len(b))
	if err := d.Write(a, b); err != nil {
		t.Fatal(err)
	}
	return a
}

func download(t testing.TB, d *Device, addr uint64, n int) []byte {
	t.Helper()
	b := make([]byte, n)
	if err := d.Read(b, addr); err != nil {
		t.Fatal(err)
	}
	return b
}

// registers names a type's register in the kernels of evaluate.
var registerOf = map[uint8]string{8: "h", 16: "h", 32: "r", 64: "d"}

// evaluate runs one instruction, in which D, A, B and C stand for registers of the given types, with a thread for
// every row of inputs, and returns the bits of the results. A predicate result arrives as 0 or 1.
func evaluate(t testing.TB, instruction, result string, operands []string, inputs [][]uint64) []uint64 {
	t.Helper()
	var s strings.Builder
	s.WriteString(header + `.visible .entry k(.param .u64 out, .param .u64 in, .param .u32 n)
{
	.reg .pred %p<4>;
	.reg .b16 %h<8>;
	.reg .b32 %r<8>;
	.reg .b64 %d<16>;
	.reg .b32 %t, %n;
	mov.u32 %t, %tid.x;
	ld.param.u32 %n, [n];
	setp.ge.u32 %p0, %t, %n;
	@%p0 ret;
	ld.param.u64 %d8, [out];
	ld.param.u64 %d9, [in];
	mul.wide.u32 %d10, %t, 8;
	add.u64 %d8, %d8, %d10;
	mul.wide.u32 %d10, %t, 24;
	add.u64 %d9, %d9, %d10;
`)
	for i, o := range operands {
		if o == "pred" {
			fmt.Fprintf(&s, "ld.global.u32 %%r7, [%%d9+%d];\nsetp.ne.u32 %%p%d, %%r7, 0;\n", 8*i, i+1)
			instruction = strings.ReplaceAll(instruction, string(rune('A'+i)), fmt.Sprintf("%%p%d", i+1))
			continue
		}
		r := registerOf[types[o].bits]
		fmt.Fprintf(&s, "ld.global.b%d %%%s%d, [%%d9+%d];\n", types[o].bits, r, i+1, 8*i)
		instruction = strings.ReplaceAll(instruction, string(rune('A'+i)), fmt.Sprintf("%%%s%d", r, i+1))
	}
	if result == "pred" {
		s.WriteString(strings.ReplaceAll(instruction, "D", "%p3") + "\nselp.u64 %d0, 1, 0, %p3;\n")
	} else {
		bits := types[result].bits
		r := registerOf[bits]
		s.WriteString(strings.ReplaceAll(instruction, "D", "%"+r+"0") + "\n")
		if bits < 64 {
			fmt.Fprintf(&s, "cvt.u64.u%d %%d0, %%%s0;\n", max(bits, 16), r)
		}
	}
	s.WriteString("st.global.u64 [%d8], %d0;\nret;\n}\n")
	m, err := Parse(s.String())
	if err != nil {
		t.Fatalf("%s: %v", instruction, err)
	}
	d := NewDevice(Config{Workers: 1})
	defer d.Close()
	out := make([]uint64, 0, len(inputs))
	for len(inputs) > 0 {
		n := min(len(inputs), 1024)
		in := make([]byte, 24*n)
		for i, row := range inputs[:n] {
			for j, v := range row {
				binary.LittleEndian.PutUint64(in[24*i+8*j:], v)
			}
		}
		po, pi := alloc(t, d, 8*n), upload(t, d, in)
		if _, err := d.Launch(m.Kernels[0], [3]int{1, 1, 1}, [3]int{align(n, 32), 1, 1}, 0, arguments(po, pi, n)); err != nil {
			t.Fatalf("%s: %v", instruction, err)
		}
		b := download(t, d, po, 8*n)
		for i := range n {
			out = append(out, binary.LittleEndian.Uint64(b[8*i:]))
		}
		inputs = inputs[n:]
	}
	return out
}

// fails parses a kernel body, runs it and returns the Fault that it must give.
func fails(t testing.TB, rule Rule, err error) *Fault {
	t.Helper()
	var f *Fault
	if !errors.As(err, &f) {
		t.Fatalf("want a fault %q, got %v", rule, err)
	}
	if f.Rule != rule {
		t.Fatalf("want a fault %q, got:\n%v", rule, f)
	}
	return f
}
