package backend

import "math"

// Philox is Philox4x32-10 of Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3" (2011):
// ten rounds that turn a counter and a key into four independent 32-bit words. It is the reference
// for every device's Random, which must give the same integers.
//
// Element i of a draw (key, counter) is lane i%4 of the block whose counter is counter + i/4 (a 64-bit
// number in the low two words, the others 0). Uniform takes the word's upper 24 bits u as u·2⁻²⁴;
// Normal pairs lanes 0, 1 and 2, 3 by Box and Muller, see BoxMuller; Bits is the word itself, sign
// extended in I64. Every dtype gets the F32 value, rounded or widened.
func Philox(counter, key uint64) [4]uint32 {
	return philox([4]uint32{uint32(counter), uint32(counter >> 32)}, [2]uint32{uint32(key), uint32(key >> 32)})
}

func philox(c [4]uint32, k [2]uint32) [4]uint32 {
	for range 10 {
		a := 0xD2511F53 * uint64(c[0])
		b := 0xCD9E8D57 * uint64(c[2])
		c = [4]uint32{uint32(b>>32) ^ c[1] ^ k[0], uint32(b), uint32(a>>32) ^ c[3] ^ k[1], uint32(a)}
		k[0] += 0x9E3779B9
		k[1] += 0xBB67AE85
	}
	return c
}

// UnitFloat maps a word to [0, 1) in steps of 2⁻²⁴.
func UnitFloat(word uint32) float32 { return float32(word>>8) * 0x1p-24 }

// BoxMuller turns two words into two standard normals; the first word maps to (0, 1] so that its
// logarithm is finite.
func BoxMuller(a, b uint32) (float32, float32) {
	u := (float64(a>>8) + 1) * 0x1p-24
	sin, cos := math.Sincos(2 * math.Pi * float64(b>>8) * 0x1p-24)
	r := math.Sqrt(-2 * math.Log(u))
	return float32(r * cos), float32(r * sin)
}
