package tokenizer

// Byte-level BPE writes each byte as one printable character, so that a vocabulary is readable
// JSON: the printable bytes of Latin-1 stand for themselves, the other 68 are U+0100 and up in
// order (bytes_to_unicode of GPT-2's encoder.py).
var byteToRune, runeToByte = byteAlphabet()

// notAByte marks the runes of runeToByte that stand for no byte.
const notAByte = -1

func byteAlphabet() (toRune [256]rune, toByte [0x144]int16) {
	for i := range toByte {
		toByte[i] = notAByte
	}
	next := rune(0x100)
	for b := range toRune {
		r := rune(b)
		if r < '!' || '~' < r && r < 0xA1 || r == 0xAD {
			r = next
			next++
		}
		toRune[b] = r
		toByte[r] = int16(b)
	}
	return toRune, toByte
}

// appendTokenBytes appends the bytes that a token of a vocabulary file stands for. A token with a
// character outside the alphabet, as added tokens may have, stands for itself; so it is in the
// reference.
func appendTokenBytes(dst []byte, token string) []byte {
	if whole, ok := appendAlphabet(dst, token); ok {
		return whole
	}
	return append(dst, token...)
}

// appendAlphabet appends the bytes that a token of characters of the alphabet stands for; ok is false if it has
// another.
func appendAlphabet(dst []byte, token string) (text []byte, ok bool) {
	for _, r := range token {
		if int(r) >= len(runeToByte) || runeToByte[r] == notAByte {
			return dst, false
		}
		dst = append(dst, byte(runeToByte[r]))
	}
	return dst, true
}
