package main

import "github.com/hone-ml/hone/internal/gen/arm64"

// neonBFloat16 writes the casts; that of the extension BF16 is one instruction.
func neonBFloat16(f *arm64.File) {
	neonFunc(f, "bf16ToF32NEON", "func(dst []float32, src []uint16)", "widens bfloat16 numbers.", 4,
		[]string{"dst", "src:2"}, func(a *arm64.Func) (func(*arm64.Step), func()) {
			return func(s *arm64.Step) {
				x := s.ReadHalves("src")
				s.SHLL(x, x)
				s.Write("dst", x)
			}, nil
		})

	const doc = "rounds to bfloat16, ties to even; a NaN stays a quiet NaN."
	neonFunc(f, "f32ToBF16NEON", "func(dst []uint16, src []float32)", doc, 4, []string{"dst:2", "src"},
		func(a *arm64.Func) (func(*arm64.Step), func()) {
			one, half, quiet := arm64.Same(a.Bits(1)), arm64.Same(a.Bits(0x7fff)), arm64.Same(a.Bits(0x400040))
			return func(s *arm64.Step) {
				x := s.Read("src")
				number, nan, t := s.Vs(s.Vectors), s.Vs(s.Vectors), s.Vs(s.Vectors)
				s.FCMEQ(number, x, x)
				s.XTN(number, number)
				s.SHRN(nan, x, 16) // cut off, for NaNs, and
				s.ORR(nan, nan, quiet)
				s.USHR(t, x, 16) // rounded, for numbers
				s.AND(t, t, one)
				s.ADD(t, t, half)
				s.ADDHN(x, x, t)
				s.Select(x, nan, number)
				s.WriteHalves("dst", x)
			}, nil
		})

	neonFunc(f, "f32ToBF16NEONBF16", "func(dst []uint16, src []float32)", doc, 4, []string{"dst:2", "src"},
		func(a *arm64.Func) (func(*arm64.Step), func()) {
			return func(s *arm64.Step) {
				x := s.Read("src")
				s.BFCVTN(x, x)
				s.WriteHalves("dst", x)
			}, nil
		})
}
