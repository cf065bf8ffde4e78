package main

import "github.com/hone-ml/hone/internal/gen/arm64"

// neonBFloat16 writes the casts; to round is one instruction of the extension BF16.
func neonBFloat16(f *arm64.File) {
	cast := func(s *arm64.Step) { s.Write("dst", s.Read("src")) }
	neonLoop{"bf16ToF32", "func(dst []float32, src []uint16)", "widens bfloat16 numbers.", []string{"dst", "src"}, 4}.emit(f, neonF32,
		func(*arm64.Func) (func(*arm64.Step), func()) { return cast, nil })

	const doc = "rounds to bfloat16, ties to even; a NaN stays a quiet NaN."
	round := neonLoop{"f32ToBF16", "func(dst []uint16, src []float32)", doc, []string{"dst", "src"}, 4}
	round.emit(f, neonF32, func(a *arm64.Func) (func(*arm64.Step), func()) {
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
			s.WriteRaw("dst", x)
		}, nil
	})
	round.name = "roundF32To"
	round.emit(f, neonBF16, func(*arm64.Func) (func(*arm64.Step), func()) { return cast, nil })
}
