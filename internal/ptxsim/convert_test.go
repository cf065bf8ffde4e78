package ptxsim

import (
	"math"
	"math/big"
	"testing"

	"github.com/x448/float16"
)

func TestFloatsBecomeIntegersByRoundingAndClamping(t *testing.T) {
	rows := append(floatRows(1), randomFloats(1, 2000)...)
	for _, f := range []float32{0.5, 1.5, 2.5, -0.5, -1.5, 255.5, 256, -129, 2147483648, -2147483904, 4294967296, 9.223372e18, 1.8446744e19} {
		rows = append(rows, []uint64{bits32(f)})
	}
	modes := map[string]func(float64) float64{"rni": math.RoundToEven, "rzi": math.Trunc, "rmi": math.Floor, "rpi": math.Ceil}
	for mode, round := range modes {
		for to, limits := range map[string][2]string{
			"s32": {"-2147483648", "2147483647"}, "u32": {"0", "4294967295"}, "s16": {"-32768", "32767"}, "u16": {"0", "65535"},
			"s64": {"-9223372036854775808", "9223372036854775807"}, "u64": {"0", "18446744073709551615"},
		} {
			low, _ := new(big.Int).SetString(limits[0], 10)
			high, _ := new(big.Int).SetString(limits[1], 10)
			check(t, "cvt."+mode+"."+to+".f32 D, A;", to, []string{"f32"}, rows, func(v []uint64) uint64 {
				x := round(float64(f32(v[0])))
				switch {
				case x != x:
					return 0
				case math.IsInf(x, 1):
					return high.Uint64()
				case math.IsInf(x, -1):
					return uint64(low.Int64())
				}
				i, _ := new(big.Float).SetFloat64(x).Int(nil)
				if i.Cmp(low) < 0 {
					i = low
				}
				if i.Cmp(high) > 0 {
					i = high
				}
				if i.Sign() < 0 {
					return uint64(i.Int64())
				}
				return i.Uint64()
			})
		}
		check(t, "cvt."+mode+".f32.f32 D, A;", "f32", []string{"f32"}, rows, func(v []uint64) uint64 { return bits32(float32(round(float64(f32(v[0]))))) })
	}
}

func TestIntegersBecomeFloatsRoundedOnce(t *testing.T) {
	rows := append(product(integerEdges, 1), [][]uint64{{0x1000001}, {0x1000003}, {0x8000008000000001}, {0xffffff8000000001}, {0x20000000000001}, {1<<40 + 1}}...)
	for mode, m := range map[string]big.RoundingMode{"rn": big.ToNearestEven, "rz": big.ToZero, "rm": big.ToNegativeInf, "rp": big.ToPositiveInf} {
		single := func(x *big.Int) uint64 {
			f, _ := new(big.Float).SetPrec(24).SetMode(m).SetInt(x).Float32()
			return bits32(f)
		}
		double := func(x *big.Int) uint64 {
			f, _ := new(big.Float).SetPrec(53).SetMode(m).SetInt(x).Float64()
			return bits64(f)
		}
		check(t, "cvt."+mode+".f32.s32 D, A;", "f32", []string{"s32"}, rows, func(v []uint64) uint64 { return single(big.NewInt(int64(int32(v[0])))) })
		check(t, "cvt."+mode+".f32.u64 D, A;", "f32", []string{"u64"}, rows, func(v []uint64) uint64 { return single(new(big.Int).SetUint64(v[0])) })
		check(t, "cvt."+mode+".f32.s64 D, A;", "f32", []string{"s64"}, rows, func(v []uint64) uint64 { return single(big.NewInt(int64(v[0]))) })
		check(t, "cvt."+mode+".f64.s64 D, A;", "f64", []string{"s64"}, rows, func(v []uint64) uint64 { return double(big.NewInt(int64(v[0]))) })
	}
}

func TestIntegersAreExtendedAndCut(t *testing.T) {
	rows := product(integerEdges, 1)
	check(t, "cvt.s64.s32 D, A;", "u64", []string{"s32"}, rows, func(v []uint64) uint64 { return uint64(int64(int32(v[0]))) })
	check(t, "cvt.u64.u32 D, A;", "u64", []string{"u32"}, rows, func(v []uint64) uint64 { return uint64(uint32(v[0])) })
	check(t, "cvt.u64.u16 D, A;", "u64", []string{"u16"}, rows, func(v []uint64) uint64 { return uint64(uint16(v[0])) })
	check(t, "cvt.s64.s8 D, A;", "u64", []string{"s16"}, rows, func(v []uint64) uint64 { return uint64(int64(int8(v[0]))) })
	check(t, "cvt.u32.u64 D, A;", "u32", []string{"u64"}, rows, func(v []uint64) uint64 { return v[0] })
	check(t, "cvt.s32.s8 D, A;", "s32", []string{"s32"}, rows, func(v []uint64) uint64 { return uint64(int8(v[0])) })
	check(t, "cvt.sat.u8.s32 D, A;", "u32", []string{"s32"}, rows, func(v []uint64) uint64 { return uint64(max(0, min(int32(v[0]), 255))) })
	check(t, "cvt.sat.s16.s32 D, A;", "s16", []string{"s32"}, rows, func(v []uint64) uint64 { return uint64(max(-32768, min(int32(v[0]), 32767))) })
}

func TestHalvesRoundAsIEEE(t *testing.T) {
	rows := append(floatRows(1), randomFloats(1, 5000)...)
	for i := range 4000 { // the range of halves, subnormals included, and ties
		rows = append(rows, []uint64{uint64(0x33000000 + i*0x3fff5)}, []uint64{uint64(0x38000000 + i<<12)})
	}
	check(t, "cvt.rn.f16.f32 D, A;", "b16", []string{"f32"}, rows, func(v []uint64) uint64 {
		if x := f32(v[0]); x != x {
			return 0x7fff
		}
		return uint64(float16.Fromfloat32(f32(v[0])).Bits())
	})
	var halves [][]uint64
	for h := range uint64(1 << 16) {
		halves = append(halves, []uint64{h})
	}
	check(t, "cvt.f32.f16 D, A;", "f32", []string{"b16"}, halves, func(v []uint64) uint64 { return bits32(float16.Frombits(uint16(v[0])).Float32()) })
	check(t, "cvt.rn.bf16.f32 D, A;", "b16", []string{"f32"}, rows, func(v []uint64) uint64 {
		if x := f32(v[0]); x == x {
			return bfloatByNeighbours(x)
		}
		return 0x7fff
	})
	check(t, "cvt.rn.bf16x2.f32 D, A, B;", "b32", []string{"f32", "f32"}, floatRows(2), func(v []uint64) uint64 {
		one := func(b uint64) uint64 {
			if x := f32(b); x == x {
				return bfloatByNeighbours(x)
			}
			return 0x7fff
		}
		return one(v[0])<<16 | one(v[1])
	})
}

// bfloatByNeighbours picks the nearer of the two bfloat16 around x, or the even one.
func bfloatByNeighbours(x float32) uint64 {
	low := math.Float32bits(x) >> 16
	if math.IsInf(float64(x), 0) {
		return uint64(low)
	}
	value := func(h uint32) float64 {
		if h&0x7fff == 0x7f80 { // one step above the greatest finite
			return math.Copysign(0x1p128, float64(x))
		}
		return float64(math.Float32frombits(h << 16))
	}
	below, above := math.Abs(float64(x)-value(low)), math.Abs(value(low+1)-float64(x))
	if above < below || above == below && low&1 == 1 {
		low++
	}
	return uint64(low)
}
