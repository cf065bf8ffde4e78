package ptxsim

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand"
	"testing"
)

// warpwide runs a body in a whole warp, in which %a holds the lane's number times 7 plus 3 and %t its number, and
// returns %o of every lane.
func warpwide(t *testing.T, body string) []uint32 {
	t.Helper()
	m := parse(t, header+`.visible .entry k(.param .u64 out)
{
	.reg .pred %p<4>;
	.reg .b32 %a, %t, %o, %q, %r<4>;
	.reg .b64 %d<4>;
	.shared .align 16 .b8 s[1024];
	mov.u32 %t, %tid.x;
	mad.lo.u32 %a, %t, 7, 3;
	mov.u32 %o, 0;
	`+body+`
	ld.param.u64 %d0, [out];
	mul.wide.u32 %d1, %t, 4;
	add.u64 %d0, %d0, %d1;
	st.global.u32 [%d0], %o;
	ret;
}`)
	d := device(t, Config{})
	out := alloc(t, d, 128)
	mustLaunch(t, d, m.Kernel("k"), [3]int{1, 1, 1}, [3]int{32, 1, 1}, arguments(out))
	b := download(t, d, out, 128)
	r := make([]uint32, 32)
	for l := range r {
		r[l] = binary.LittleEndian.Uint32(b[4*l:])
	}
	return r
}

func wantLanes(t *testing.T, name string, got []uint32, want func(l int) uint32) {
	t.Helper()
	for l, g := range got {
		if w := want(l); g != w {
			t.Errorf("%s: lane %d has %#x, want %#x", name, l, g, w)
			return
		}
	}
}

func TestShufflesMoveValuesBetweenLanes(t *testing.T) {
	value := func(l int) uint32 { return uint32(7*l + 3) }
	for _, c := range []struct {
		text string
		from func(l int) (lane int, in bool)
	}{
		{"bfly.b32 %o|%p0, %a, 5, 31", func(l int) (int, bool) { return l ^ 5, true }},
		{"up.b32 %o|%p0, %a, 3, 0", func(l int) (int, bool) { return l - 3, l >= 3 }},
		{"down.b32 %o|%p0, %a, 3, 31", func(l int) (int, bool) { return l + 3, l+3 < 32 }},
		{"idx.b32 %o|%p0, %a, 9, 31", func(int) (int, bool) { return 9, true }},
		{"idx.b32 %o|%p0, %a, %t, 31", func(l int) (int, bool) { return l, true }},
		// Segments of 8 lanes: mask 24 in the upper part of c.
		{"down.b32 %o|%p0, %a, 3, 6175", func(l int) (int, bool) { return l + 3, l%8+3 < 8 }},
		{"up.b32 %o|%p0, %a, 3, 6144", func(l int) (int, bool) { return l - 3, l%8 >= 3 }},
		{"idx.b32 %o|%p0, %a, 2, 6175", func(l int) (int, bool) { return l&^7 + 2, true }},
	} {
		got := warpwide(t, "shfl.sync."+c.text+", -1;\n@!%p0 add.u32 %o, %o, 1000;")
		wantLanes(t, c.text, got, func(l int) uint32 {
			if from, in := c.from(l); in {
				return value(from)
			}
			return value(l) + 1000
		})
	}
}

func TestVotesMatchesAndReductions(t *testing.T) {
	less := "setp.lt.u32 %p0, %t, 5;\n"
	for _, c := range []struct {
		name, body string
		want       func(l int) uint32
	}{
		{"ballot", less + "vote.sync.ballot.b32 %o, %p0, -1;", func(int) uint32 { return 31 }},
		{"ballot of the opposite", less + "vote.sync.ballot.b32 %o, !%p0, -1;", func(int) uint32 { return ^uint32(31) }},
		{"any", less + "vote.sync.any.pred %p1, %p0, -1;\nselp.u32 %o, 1, 2, %p1;", func(int) uint32 { return 1 }},
		{"all", less + "vote.sync.all.pred %p1, %p0, -1;\nselp.u32 %o, 1, 2, %p1;", func(int) uint32 { return 2 }},
		{"uni", less + "vote.sync.uni.pred %p1, %p0, -1;\nselp.u32 %o, 1, 2, %p1;", func(int) uint32 { return 2 }},
		{"active mask", less + "@%p0 activemask.b32 %o;", func(l int) uint32 {
			if l < 5 {
				return 31
			}
			return 0
		}},
		{"match any", "and.b32 %r0, %t, 3;\nmatch.any.sync.b32 %o, %r0, -1;", func(l int) uint32 { return 0x11111111 << (l & 3) }},
		{"match all of different", "match.all.sync.b32 %o|%p0, %t, -1;\n@%p0 mov.u32 %o, 7;", func(int) uint32 { return 0 }},
		{"match all of equal", "mov.u32 %r0, 4;\nmatch.all.sync.b32 %o|%p0, %r0, -1;", func(int) uint32 { return fullWarp }},
		{"sum", "redux.sync.add.u32 %o, %a, -1;", func(int) uint32 { return 7*496 + 96 }},
		{"signed least", "sub.u32 %r0, %t, 9;\nredux.sync.min.s32 %o, %r0, -1;", func(int) uint32 { return ^uint32(8) }},
		{"unsigned greatest", "sub.u32 %r0, %t, 9;\nredux.sync.max.u32 %o, %r0, -1;", func(int) uint32 { return ^uint32(0) }},
		{"or", "redux.sync.or.b32 %o, %t, -1;", func(int) uint32 { return 31 }},
		{"lane masks", "mov.u32 %o, %lanemask_lt;", func(l int) uint32 { return 1<<l - 1 }},
		{"lane masks above", "mov.u32 %o, %lanemask_gt;", func(l int) uint32 { return uint32(uint64(fullWarp) << (l + 1)) }},
	} {
		wantLanes(t, c.name, warpwide(t, c.body), c.want)
	}
}

func TestAtomicOperationsReturnTheOldValue(t *testing.T) {
	for _, c := range []struct {
		op, operands string
		start        uint32
		step         func(old uint32, l int) uint32
	}{
		{"add.u32", "%a", 5, func(old uint32, l int) uint32 { return old + uint32(7*l+3) }},
		{"min.s32", "%a", 0xffffff00, func(old uint32, l int) uint32 { return uint32(min(int32(old), int32(7*l+3))) }},
		{"max.u32", "%a", 100, func(old uint32, l int) uint32 { return max(old, uint32(7*l+3)) }},
		{"and.b32", "%a", 0xff, func(old uint32, l int) uint32 { return old & uint32(7*l+3) }},
		{"or.b32", "%a", 0, func(old uint32, l int) uint32 { return old | uint32(7*l+3) }},
		{"xor.b32", "%a", 9, func(old uint32, l int) uint32 { return old ^ uint32(7*l+3) }},
		{"exch.b32", "%a", 1, func(_ uint32, l int) uint32 { return uint32(7*l + 3) }},
		{"cas.b32", "%t, %a", 0, func(old uint32, l int) uint32 {
			if old == uint32(l) {
				return uint32(7*l + 3)
			}
			return old
		}},
		{"inc.u32", "6", 3, func(old uint32, _ int) uint32 {
			if old >= 6 {
				return 0
			}
			return old + 1
		}},
		{"dec.u32", "6", 3, func(old uint32, _ int) uint32 {
			if old == 0 || old > 6 {
				return 6
			}
			return old - 1
		}},
	} {
		body := fmt.Sprintf("setp.eq.u32 %%p0, %%t, 0;\n@%%p0 st.shared.u32 [s], %d;\nbar.sync 0;\natom.shared.%s %%o, [s], %s;", c.start, c.op, c.operands)
		olds, old := make([]uint32, 32), c.start
		for l := range olds {
			olds[l] = old
			old = c.step(old, l)
		}
		wantLanes(t, c.op, warpwide(t, body), func(l int) uint32 { return olds[l] })
	}
}

func TestLoadMatrixGivesFragments(t *testing.T) {
	// Halves 0, 1, 2, … in shared memory; row r of the matrix is at 16*r, so element (r, c) is 8r + c.
	fill := "mul.lo.u32 %r0, %t, 4;\nshl.b32 %r1, %t, 1;\nadd.u32 %r2, %r1, 1;\nshl.b32 %r2, %r2, 16;\nor.b32 %r1, %r1, %r2;\nst.shared.u32 [%r0], %r1;\nbar.sync 0;\n" +
		"and.b32 %r0, %t, 7;\nshl.b32 %r0, %r0, 4;\n"
	wantLanes(t, "x1", warpwide(t, fill+"ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%o}, [%r0];"), func(l int) uint32 {
		e := uint32(8*(l/4) + 2*(l%4))
		return e | (e+1)<<16
	})
	wantLanes(t, "x2 transposed", warpwide(t, fill+"ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%q, %o}, [%r0];"), func(l int) uint32 {
		r, c := uint32(2*(l%4)), uint32(l/4)
		return 8*r + c | (8*(r+1)+c)<<16
	})
}

// TestTensorCoresOfEveryType compares one mma with a plain product of the elements that the ISA's tables of
// fragments give to each lane (9.7.14.5).
func TestTensorCoresOfEveryType(t *testing.T) {
	r := rand.New(rand.NewSource(6))
	for _, c := range []struct {
		shape, typ string
		k, per     int
	}{{"m16n8k16", "bf16", 16, 2}, {"m16n8k16", "f16", 16, 2}, {"m16n8k8", "bf16", 8, 2}, {"m16n8k8", "f16", 8, 2}, {"m16n8k8", "tf32", 8, 1}, {"m16n8k4", "tf32", 4, 1}} {
		var a [16][16]float32
		var b [16][8]float32
		for i := range a {
			for k := range c.k {
				a[i][k] = float32(r.Intn(33)-16) / 4
			}
		}
		for k := range c.k {
			for j := range b[k] {
				b[k][j] = float32(r.Intn(33)-16) / 4
			}
		}
		encode := func(f float32) uint32 {
			switch c.typ {
			case "bf16":
				return math.Float32bits(f) >> 16
			case "f16":
				return uint32(halfFromFloat64(float64(f), roundNearest))
			}
			return math.Float32bits(f)
		}
		na := 16 * c.k / 32 / c.per
		nb := na / 2
		registers := make([]byte, 4*32*(na+nb))
		put := func(n, lane int, v uint32) { binary.LittleEndian.PutUint32(registers[4*(32*n+lane):], v) }
		for l := range 32 {
			g, q := l/4, l%4
			for n := range na {
				row, col := g+8*(n%2), q*c.per+n/2*4*c.per
				v := encode(a[row][col])
				if c.per == 2 {
					v |= encode(a[row][col+1]) << 16
				}
				put(n, l, v)
			}
			for n := range nb {
				row := q*c.per + n*4*c.per
				v := encode(b[row][g])
				if c.per == 2 {
					v |= encode(b[row+1][g]) << 16
				}
				put(na+n, l, v)
			}
		}
		text := header + ".visible .entry k(.param .u64 out, .param .u64 in)\n{\n.reg .b32 %r<8>, %t;\n.reg .f32 %f<4>;\n.reg .b64 %d<4>;\n" +
			"ld.param.u64 %d0, [out];\nld.param.u64 %d1, [in];\nmov.u32 %t, %tid.x;\nmul.wide.u32 %d2, %t, 4;\nadd.u64 %d1, %d1, %d2;\nmul.wide.u32 %d2, %t, 16;\nadd.u64 %d0, %d0, %d2;\n"
		list := func(from, n int) string {
			s := "{"
			for i := range n {
				if i > 0 {
					s += ", "
				}
				s += fmt.Sprintf("%%r%d", from+i)
			}
			return s + "}"
		}
		for n := range na + nb {
			text += fmt.Sprintf("ld.global.b32 %%r%d, [%%d1+%d];\n", n, 128*n)
		}
		for i := range 4 {
			text += fmt.Sprintf("mov.f32 %%f%d, 0f3F800000;\n", i)
		}
		text += fmt.Sprintf("mma.sync.aligned.%s.row.col.f32.%s.%s.f32 {%%f0, %%f1, %%f2, %%f3}, %s, %s, {%%f0, %%f1, %%f2, %%f3};\n", c.shape, c.typ, c.typ, list(0, na), list(na, nb))
		text += "st.global.v4.f32 [%d0], {%f0, %f1, %f2, %f3};\nret;\n}\n"
		m := parse(t, text)
		d := device(t, Config{})
		out := alloc(t, d, 512)
		mustLaunch(t, d, m.Kernel("k"), [3]int{1, 1, 1}, [3]int{32, 1, 1}, arguments(out, upload(t, d, registers)))
		for i, got := range floats(download(t, d, out, 512)) {
			l, n := i/4, i%4
			row, col := l/4+8*(n/2), l%4*2+n%2
			want := float32(1)
			for k := range c.k {
				want += a[row][k] * b[k][col]
			}
			if got != want {
				t.Errorf("%s %s: element (%d, %d) is %v, want %v", c.shape, c.typ, row, col, got, want)
				break
			}
		}
	}
}

func TestTensorCoresCutOff(t *testing.T) {
	for _, x := range []float64{1 + 0x1p-24, 1 + 0x1.8p-23, -(1 + 0x1.fp-24), 0x1p-140 + 0x1p-160, -0x1.8p-149, 0x1.ffffffp127, 0x1p128, 0, 3} {
		got := cutOff(x)
		if f := float32(got); float64(f) != got || math.Abs(got) > math.Abs(x) || math.Abs(x) < 0x1p128 && math.Abs(float64(nextAway(f))) <= math.Abs(x) {
			t.Errorf("%v is cut off to %v", x, got)
		}
	}
	if !math.IsInf(cutOff(math.Inf(1)), 1) || cutOff(math.NaN()) == 0 {
		t.Error("Inf or NaN")
	}
}

func nextAway(f float32) float32 { return math.Float32frombits(math.Float32bits(f) + 1) }

func TestRegistersThatAreNotAliveTogetherShareASlot(t *testing.T) {
	body := ""
	for i := range 100 {
		body += fmt.Sprintf("add.u32 %%r%d, %%r%d, 1;\n", i+1, i)
	}
	m := parse(t, header+".visible .entry k()\n{\n.reg .b32 %r<200>;\nmov.u32 %r0, 5;\n"+body+"ret;\n}\n")
	if n := m.Kernel("k").Registers; n > 3 {
		t.Errorf("a chain of 101 registers takes %d slots", n)
	}
	// A value that a loop carries must not share with what the loop's body makes.
	got := warpwide(t, `mov.u32 %r0, 0;
	mov.u32 %r3, 100;
L:	add.u32 %r1, %r0, 1;
	mul.lo.u32 %r2, %r1, 2;
	add.u32 %r3, %r3, %r2;
	mov.u32 %r0, %r1;
	setp.lt.u32 %p0, %r0, %t;
	@%p0 bra L;
	mov.u32 %o, %r3;`)
	wantLanes(t, "loop", got, func(l int) uint32 { n := uint32(max(l, 1)); return 100 + n*(n+1) })
	if parse(t, header+".visible .entry k()\n{\nret;\n}\n").Kernel("k").Registers != 0 {
		t.Error("a kernel without registers takes slots")
	}
}
