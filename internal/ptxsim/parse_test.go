package ptxsim

import (
	"errors"
	"strings"
	"testing"
)

func TestParseNamesTheLineOfWhatItDoesNotKnow(t *testing.T) {
	body := func(s string) string {
		return header + ".visible .entry k()\n{\n.reg .b32 %r<4>;\n.reg .f32 %f<2>;\n.reg .b64 %d<2>;\n.reg .pred %p<2>;\n" + s + "\nret;\n}\n"
	}
	for _, c := range []struct {
		name, source, reason string
		line                 int
	}{
		{"opcode", body("frobnicate.u32 %r0, %r1;"), "unknown opcode", 10},
		{"modifier", body("add.ftz.u32 %r0, %r1, %r2;"), "no modifier", 10},
		{"type", body("add.b32 %r0, %r1, %r2;"), "type", 10},
		{"register", body("add.u32 %r0, %r1, %r9;"), "not declared", 10},
		{"width", body("add.u32 %r0, %r1, %d0;"), "wants", 10},
		{"label", body("bra nowhere;"), "not defined", 10},
		{"operands", body("add.u32 %r0, %r1;"), "operands", 10},
		{"bf16 to f32, which sm_80 cannot do", body("cvt.f32.bf16 %f0, %r0;"), "bf16", 10},
		{"rounding left out", body("cvt.s32.f32 %r0, %f0;"), "rounding", 10},
		{"float atomics", body("red.global.add.f32 [%d0], %f0;"), "type", 10},
		{"directive", ".version 7.0\n.nonsense\n", "unknown directive", 2},
		{"end", header + ".visible .entry k()\n{\n", "ends", 5},
		{"symbol", body("mov.u64 %d0, nothing;"), "not declared", 10},
	} {
		_, err := Parse(c.source)
		var s *SyntaxError
		if !errors.As(err, &s) || s.Line != c.line || !strings.Contains(s.Error(), c.reason) {
			t.Errorf("%s: want line %d and %q, got %v", c.name, c.line, c.reason, err)
		}
	}
}

func TestParamsHaveNaturalAlignment(t *testing.T) {
	m := parse(t, header+`.visible .entry k(
	.param .u8 a, .param .u64 b, .param .f32 c, .param .align 16 .b8 d[24], .param .u16 e)
.maxntid 128, 2, 1
{
	.shared .align 16 .b8 x[100];
	.shared .align 8 .b8 y[8];
	ret;
}`)
	k := m.Kernel("k")
	want := []Param{{"a", "u8", 0, 1, 1}, {"b", "u64", 8, 8, 8}, {"c", "f32", 16, 4, 4}, {"d", "b8", 32, 24, 16}, {"e", "u16", 56, 2, 2}}
	for i, p := range k.Params {
		if p != want[i] {
			t.Errorf("parameter %d is %+v, want %+v", i, p, want[i])
		}
	}
	if k.ParamBytes != 58 || k.MaxThreads != 256 || k.StaticShared != 112 || m.Version != "7.0" || m.Target != "sm_80" {
		t.Errorf("%d bytes of parameters, %d threads, %d bytes of shared memory, version %q, target %q",
			k.ParamBytes, k.MaxThreads, k.StaticShared, m.Version, m.Target)
	}
	if m.Kernel("other") != nil {
		t.Error("a kernel that is not there")
	}
}
