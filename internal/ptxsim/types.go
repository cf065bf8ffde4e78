package ptxsim

import "fmt"

// A typ is a fundamental type of PTX (ISA 5.2.1): its kind and its size in bits.
// Kinds: 's' and 'u' integers, 'b' untyped bits, 'f' IEEE floats, 'h' bfloat16, 'p' predicates.
type typ struct {
	kind byte
	bits uint8
}

var types = map[string]typ{
	"s8": {'s', 8}, "s16": {'s', 16}, "s32": {'s', 32}, "s64": {'s', 64},
	"u8": {'u', 8}, "u16": {'u', 16}, "u32": {'u', 32}, "u64": {'u', 64},
	"b8": {'b', 8}, "b16": {'b', 16}, "b32": {'b', 32}, "b64": {'b', 64}, "b128": {'b', 128},
	"f16": {'f', 16}, "f32": {'f', 32}, "f64": {'f', 64},
	"bf16": {'h', 16}, "pred": {'p', 1},
}

func (t typ) bytes() int       { return int(t.bits) / 8 }
func (t typ) signed() bool     { return t.kind == 's' }
func (t typ) integer() bool    { return t.kind == 's' || t.kind == 'u' || t.kind == 'b' }
func (t typ) is(s string) bool { return types[s] == t }

func (t typ) String() string {
	switch t.kind {
	case 'h':
		return "bf16"
	case 'p':
		return "pred"
	}
	return fmt.Sprintf("%c%d", t.kind, t.bits)
}

// lanes holds one register of a warp: a value for each of the 32 threads. A register narrower than 64 bits uses the
// low bits; what lies above them is arbitrary, so every instruction truncates what it reads to its own type.
type lanes = [32]uint64

const fullWarp = 0xffffffff
