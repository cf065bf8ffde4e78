package ptxsim

import (
	"math"
	"math/bits"
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

var floatEdges = []float32{0, float32(math.Copysign(0, -1)), 1, -1, 1.5, -2.25, 3.1415927, 1e-45, -1e-45, 1e-40, 1.1754944e-38, 1e-30, 1e30, -1e30,
	math.MaxFloat32, -math.MaxFloat32, float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN()), 0.1, 16777217, 1 + 1.0/(1<<23)}

func floatRows(n int) [][]uint64 {
	var edges []uint64
	for _, f := range floatEdges {
		edges = append(edges, uint64(math.Float32bits(f)))
	}
	return product(edges, n)
}

func TestFloatArithmeticIsIEEE(t *testing.T) {
	for _, c := range []struct {
		text string
		want func(a, b float32) float32
	}{
		{"add.f32 D, A, B;", func(a, b float32) float32 { return a + b }},
		{"sub.rn.f32 D, A, B;", func(a, b float32) float32 { return a - b }},
		{"mul.f32 D, A, B;", func(a, b float32) float32 { return a * b }},
		{"div.rn.f32 D, A, B;", func(a, b float32) float32 { return a / b }},
	} {
		check(t, c.text, "f32", []string{"f32", "f32"}, floatRows(2), func(v []uint64) uint64 { return bits32(c.want(f32(v[0]), f32(v[1]))) })
	}
}
