package ptxsim

import (
	"math/big"
	"math/bits"
	"strconv"
	"testing"
)

var integerEdges = []uint64{0, 1, 2, 3, 7, 31, 32, 33, 63, 64, 65, 127, 128, 255, 256, 0x7fff, 0x8000, 0xffff, 0x10000,
	0x7fffffff, 0x80000000, 0x80000001, 0xfffffffe, 0xffffffff, 0x100000000, 0x123456789abcdef0,
	0x7fffffffffffffff, 0x8000000000000000, 0xfffffffffffffffe, 0xffffffffffffffff}

func product(edges []uint64, n int) [][]uint64 {
	rows := [][]uint64{nil}
	for range n {
		var next [][]uint64
		for _, r := range rows {
			for _, e := range edges {
				next = append(next, append(append([]uint64(nil), r...), e))
			}
		}
		rows = next
	}
	return rows
}

func check(t *testing.T, instruction, result string, operands []string, inputs [][]uint64, want func(v []uint64) uint64) {
	t.Helper()
	mask := uint64(1)
	if result != "pred" {
		mask = ^uint64(0) >> (64 - types[result].bits)
	}
	for i, got := range evaluate(t, instruction, result, operands, inputs) {
		if w := want(inputs[i]) & mask; got&mask != w {
			t.Errorf("%s of %#x: got %#x, want %#x", instruction, inputs[i], got&mask, w)
			return
		}
	}
}

func TestIntegerArithmeticIsGo(t *testing.T) {
	pairs := product(integerEdges, 2)
	for _, c := range []struct {
		text string
		want func(a, b int32) int32
	}{
		{"add.s32 D, A, B;", func(a, b int32) int32 { return a + b }},
		{"sub.s32 D, A, B;", func(a, b int32) int32 { return a - b }},
		{"mul.lo.s32 D, A, B;", func(a, b int32) int32 { return a * b }},
		{"mul.hi.s32 D, A, B;", func(a, b int32) int32 { return int32(int64(a) * int64(b) >> 32) }},
		{"min.s32 D, A, B;", func(a, b int32) int32 { return min(a, b) }},
		{"max.s32 D, A, B;", func(a, b int32) int32 { return max(a, b) }},
		{"and.b32 D, A, B;", func(a, b int32) int32 { return a & b }},
		{"or.b32 D, A, B;", func(a, b int32) int32 { return a | b }},
		{"xor.b32 D, A, B;", func(a, b int32) int32 { return a ^ b }},
		{"shr.s32 D, A, B;", func(a, b int32) int32 { return a >> min(uint32(b), 32) }},
		{"shl.b32 D, A, B;", func(a, b int32) int32 { return a << min(uint32(b), 32) }},
		{"div.s32 D, A, B;", func(a, b int32) int32 {
			if b == 0 {
				return -1
			}
			return a / b
		}},
		{"rem.s32 D, A, B;", func(a, b int32) int32 {
			if b == 0 {
				return a
			}
			return a % b
		}},
	} {
		check(t, c.text, "s32", []string{"s32", "s32"}, pairs, func(v []uint64) uint64 { return uint64(uint32(c.want(int32(v[0]), int32(v[1])))) })
	}
	for _, c := range []struct {
		text string
		want func(a, b uint64) uint64
	}{
		{"add.u64 D, A, B;", func(a, b uint64) uint64 { return a + b }},
		{"sub.u64 D, A, B;", func(a, b uint64) uint64 { return a - b }},
		{"mul.lo.u64 D, A, B;", func(a, b uint64) uint64 { return a * b }},
		{"mul.hi.u64 D, A, B;", func(a, b uint64) uint64 { h, _ := bits.Mul64(a, b); return h }},
		{"max.u64 D, A, B;", func(a, b uint64) uint64 { return max(a, b) }},
		{"min.s64 D, A, B;", func(a, b uint64) uint64 { return uint64(min(int64(a), int64(b))) }},
	} {
		check(t, c.text, "u64", []string{"u64", "u64"}, pairs, func(v []uint64) uint64 { return c.want(v[0], v[1]) })
	}
	check(t, "mul.wide.u32 D, A, B;", "u64", []string{"u32", "u32"}, pairs, func(v []uint64) uint64 { return uint64(uint32(v[0])) * uint64(uint32(v[1])) })
	check(t, "mul.wide.s32 D, A, B;", "u64", []string{"s32", "s32"}, pairs, func(v []uint64) uint64 { return uint64(int64(int32(v[0])) * int64(int32(v[1]))) })
	check(t, "mul.wide.s16 D, A, B;", "s32", []string{"s16", "s16"}, pairs, func(v []uint64) uint64 { return uint64(uint32(int32(int16(v[0])) * int32(int16(v[1])))) })
	check(t, "add.s16 D, A, B;", "s16", []string{"s16", "s16"}, pairs, func(v []uint64) uint64 { return v[0] + v[1] })
	check(t, "shr.u64 D, A, B;", "u64", []string{"u64", "u32"}, pairs, func(v []uint64) uint64 { return v[0] >> uint32(v[1]) })
	check(t, "popc.b64 D, A;", "u32", []string{"b64"}, product(integerEdges, 1), func(v []uint64) uint64 { return uint64(bits.OnesCount64(v[0])) })
	check(t, "clz.b32 D, A;", "u32", []string{"b32"}, product(integerEdges, 1), func(v []uint64) uint64 { return uint64(bits.LeadingZeros32(uint32(v[0]))) })
}

// reference loops written from the ISA's own pseudo-code, bit by bit.
func bfeByBits(v []uint64, width int, signed bool) uint64 {
	msb := width - 1
	pos, n := int(v[1]&255), int(v[2]&255)
	bit := func(i int) uint64 { return v[0] >> i & 1 }
	sign := uint64(0)
	if signed && n > 0 {
		sign = bit(min(pos+n-1, msb))
	}
	var d uint64
	for i := 0; i <= msb; i++ {
		b := sign
		if i < n && pos+i <= msb {
			b = bit(pos + i)
		}
		d |= b << i
	}
	return d
}

func TestBitFieldsFollowThePseudoCode(t *testing.T) {
	rows := product([]uint64{0, 1, 5, 31, 32, 33, 63, 64, 200, 255, 0x80000000, 0xdeadbeef, 0x8000000000000001, 0x7edcba9876543210}, 3)
	for _, c := range []struct {
		typ    string
		width  int
		signed bool
	}{{"u32", 32, false}, {"s32", 32, true}, {"u64", 64, false}, {"s64", 64, true}} {
		check(t, "bfe."+c.typ+" D, A, B, C;", c.typ, []string{c.typ, "u32", "u32"}, rows, func(v []uint64) uint64 { return bfeByBits(v, c.width, c.signed) })
	}
	for _, n := range []uint64{0, 1, 7, 32, 64, 255} {
		for width, typ := range map[int]string{32: "b32", 64: "b64"} {
			text := "bfi." + typ + " D, A, B, C, " + strconv.Itoa(int(n)) + ";"
			check(t, text, typ, []string{typ, typ, "u32"}, rows, func(v []uint64) uint64 {
				f, pos := v[1], int(v[2]&255)
				for i := 0; i < int(n) && pos+i < width; i++ {
					f = f&^(1<<(pos+i)) | v[0]>>i&1<<(pos+i)
				}
				return f
			})
		}
	}
	check(t, "prmt.b32 D, A, B, C;", "b32", []string{"b32", "b32", "b32"}, product([]uint64{0x3210, 0x7654, 0xfedc, 0x80ff7f01, 0x12345678}, 3), func(v []uint64) uint64 {
		b := [8]byte{byte(v[0]), byte(v[0] >> 8), byte(v[0] >> 16), byte(v[0] >> 24), byte(v[1]), byte(v[1] >> 8), byte(v[1] >> 16), byte(v[1] >> 24)}
		var d uint64
		for i := range 4 {
			s := v[2] >> (4 * i) & 15
			x := b[s&7]
			if s >= 8 {
				x = byte(int8(x) >> 7)
			}
			d |= uint64(x) << (8 * i)
		}
		return d
	})
	for table, want := range map[string]func(a, b, c uint64) uint64{
		"0xe8": func(a, b, c uint64) uint64 { return a&b | a&c | b&c },
		"0x96": func(a, b, c uint64) uint64 { return a ^ b ^ c },
		"0xca": func(a, b, c uint64) uint64 { return a&b | ^a&c },
	} {
		check(t, "lop3.b32 D, A, B, C, "+table+";", "b32", []string{"b32", "b32", "b32"}, rows[:500], func(v []uint64) uint64 { return want(v[0], v[1], v[2]) })
	}
	for text, want := range map[string]func(x uint64, n uint) uint64{
		"shf.l.wrap.b32 D, A, B, C;":  func(x uint64, n uint) uint64 { return x << (n & 31) >> 32 },
		"shf.r.wrap.b32 D, A, B, C;":  func(x uint64, n uint) uint64 { return x >> (n & 31) },
		"shf.l.clamp.b32 D, A, B, C;": func(x uint64, n uint) uint64 { return x << min(n, 32) >> 32 },
		"shf.r.clamp.b32 D, A, B, C;": func(x uint64, n uint) uint64 { return x >> min(n, 32) },
	} {
		check(t, text, "b32", []string{"b32", "b32", "u32"}, rows, func(v []uint64) uint64 {
			return want(uint64(uint32(v[1]))<<32|uint64(uint32(v[0])), uint(uint32(v[2])))
		})
	}
}

func TestOtherIntegerInstructions(t *testing.T) {
	one, two, three := product(integerEdges, 1), product(integerEdges, 2), product(integerEdges[:12], 3)
	abs := func(x int32) int32 { return max(x, -x) }
	for _, c := range []struct {
		text, result string
		operands     []string
		rows         [][]uint64
		want         func(v []uint64) uint64
	}{
		{"abs.s32 D, A;", "s32", []string{"s32"}, one, func(v []uint64) uint64 { return uint64(abs(int32(v[0]))) }},
		{"neg.s64 D, A;", "s64", []string{"s64"}, one, func(v []uint64) uint64 { return -v[0] }},
		{"not.b32 D, A;", "b32", []string{"b32"}, one, func(v []uint64) uint64 { return ^v[0] }},
		{"cnot.b32 D, A;", "b32", []string{"b32"}, one, func(v []uint64) uint64 {
			if uint32(v[0]) == 0 {
				return 1
			}
			return 0
		}},
		{"clz.b64 D, A;", "u32", []string{"b64"}, one, func(v []uint64) uint64 { return uint64(bits.LeadingZeros64(v[0])) }},
		{"popc.b32 D, A;", "u32", []string{"b32"}, one, func(v []uint64) uint64 { return uint64(bits.OnesCount32(uint32(v[0]))) }},
		{"brev.b32 D, A;", "b32", []string{"b32"}, one, func(v []uint64) uint64 { return uint64(bits.Reverse32(uint32(v[0]))) }},
		{"brev.b64 D, A;", "b64", []string{"b64"}, one, func(v []uint64) uint64 { return bits.Reverse64(v[0]) }},
		{"bfind.u32 D, A;", "u32", []string{"u32"}, one, func(v []uint64) uint64 { return uint64(uint32(bits.Len32(uint32(v[0])) - 1)) }},
		{"bfind.s32 D, A;", "u32", []string{"s32"}, one, func(v []uint64) uint64 {
			x := int32(v[0])
			if x < 0 {
				x = ^x
			}
			return uint64(uint32(bits.Len32(uint32(x)) - 1))
		}},
		{"bfind.shiftamt.u64 D, A;", "u32", []string{"u64"}, one, func(v []uint64) uint64 {
			if v[0] == 0 {
				return 0xffffffff
			}
			return uint64(bits.LeadingZeros64(v[0]))
		}},
		{"mul.hi.s64 D, A, B;", "s64", []string{"s64", "s64"}, two, func(v []uint64) uint64 {
			p := new(big.Int).Mul(big.NewInt(int64(v[0])), big.NewInt(int64(v[1])))
			return uint64(p.Rsh(p, 64).Int64())
		}},
		{"mad.lo.s32 D, A, B, C;", "s32", []string{"s32", "s32", "s32"}, three, func(v []uint64) uint64 { return v[0]*v[1] + v[2] }},
		{"mad.hi.u32 D, A, B, C;", "u32", []string{"u32", "u32", "u32"}, three, func(v []uint64) uint64 {
			return uint64(uint32(v[0]))*uint64(uint32(v[1]))>>32 + v[2]
		}},
		{"mad.wide.s32 D, A, B, C;", "s64", []string{"s32", "s32", "s64"}, three, func(v []uint64) uint64 { return uint64(int64(int32(v[0]))*int64(int32(v[1]))) + v[2] }},
		{"sad.u32 D, A, B, C;", "u32", []string{"u32", "u32", "u32"}, three, func(v []uint64) uint64 {
			a, b := uint32(v[0]), uint32(v[1])
			return uint64(max(a, b)-min(a, b)) + v[2]
		}},
		{"dp4a.s32.s32 D, A, B, C;", "s32", []string{"s32", "s32", "s32"}, product([]uint64{0, 0x7f80ff01, 0x80808080, 0x01020304}, 3), func(v []uint64) uint64 {
			sum := int32(v[2])
			for i := range 4 {
				sum += int32(int8(v[0]>>(8*i))) * int32(int8(v[1]>>(8*i)))
			}
			return uint64(sum)
		}},
		{"div.u64 D, A, B;", "u64", []string{"u64", "u64"}, two, func(v []uint64) uint64 {
			if v[1] == 0 {
				return ^uint64(0)
			}
			return v[0] / v[1]
		}},
		{"shr.s16 D, A, B;", "s16", []string{"s16", "u32"}, two, func(v []uint64) uint64 { return uint64(int16(v[0]) >> min(uint32(v[1]), 16)) }},
		{"shl.b64 D, A, B;", "b64", []string{"b64", "u32"}, two, func(v []uint64) uint64 { return v[0] << min(uint32(v[1]), 64) }},
	} {
		check(t, c.text, c.result, c.operands, c.rows, c.want)
	}
}

func TestComparisonsAndSelections(t *testing.T) {
	pairs := product(integerEdges, 2)
	truth := func(b bool) uint64 {
		if b {
			return 1
		}
		return 0
	}
	for relation, want := range map[string]func(a, b int32) bool{
		"eq": func(a, b int32) bool { return a == b }, "ne": func(a, b int32) bool { return a != b },
		"lt": func(a, b int32) bool { return a < b }, "le": func(a, b int32) bool { return a <= b },
		"gt": func(a, b int32) bool { return a > b }, "ge": func(a, b int32) bool { return a >= b },
	} {
		check(t, "setp."+relation+".s32 D, A, B;", "pred", []string{"s32", "s32"}, pairs, func(v []uint64) uint64 { return truth(want(int32(v[0]), int32(v[1]))) })
	}
	check(t, "setp.hi.u64 D, A, B;", "pred", []string{"u64", "u64"}, pairs, func(v []uint64) uint64 { return truth(v[0] > v[1]) })
	check(t, "setp.lt.and.u32 D, A, B, !C;", "pred", []string{"u32", "u32", "pred"}, product([]uint64{0, 1, 5}, 3), func(v []uint64) uint64 { return truth(v[0] < v[1] && v[2] == 0) })
	for relation, want := range map[string]func(a, b float32) bool{
		"eq": func(a, b float32) bool { return a == b }, "neu": func(a, b float32) bool { return a != b },
		"ne": func(a, b float32) bool { return a < b || a > b }, "ltu": func(a, b float32) bool { return !(a >= b) },
		"leu": func(a, b float32) bool { return !(a > b) }, "gtu": func(a, b float32) bool { return !(a <= b) },
		"geu": func(a, b float32) bool { return !(a < b) }, "equ": func(a, b float32) bool { return !(a < b || a > b) },
		"num": func(a, b float32) bool { return a == a && b == b }, "nan": func(a, b float32) bool { return a != a || b != b },
		"lt": func(a, b float32) bool { return a < b }, "ge": func(a, b float32) bool { return a >= b },
	} {
		check(t, "setp."+relation+".f32 D, A, B;", "pred", []string{"f32", "f32"}, floatRows(2), func(v []uint64) uint64 { return truth(want(f32(v[0]), f32(v[1]))) })
	}
	check(t, "selp.b32 D, A, B, C;", "b32", []string{"b32", "b32", "pred"}, product([]uint64{0, 7}, 3), func(v []uint64) uint64 {
		if v[2] != 0 {
			return v[0]
		}
		return v[1]
	})
	check(t, "slct.b32.s32 D, A, B, C;", "b32", []string{"b32", "b32", "s32"}, product([]uint64{0, 7, 0xffffffff}, 3), func(v []uint64) uint64 {
		if int32(v[2]) >= 0 {
			return v[0]
		}
		return v[1]
	})
	check(t, "set.ge.u32.s32 D, A, B;", "u32", []string{"s32", "s32"}, pairs, func(v []uint64) uint64 { return -truth(int32(v[0]) >= int32(v[1])) })
	check(t, "mov.b64 D, {A, B};", "b64", []string{"b32", "b32"}, pairs, func(v []uint64) uint64 { return uint64(uint32(v[0])) | v[1]<<32 })
}
