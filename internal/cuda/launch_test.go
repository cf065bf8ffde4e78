package cuda

import (
	"reflect"
	"testing"
	"unsafe"
)

const heads = `
.visible .entry plain(
	.param .u64 plain_param_0,
	.param .f32 plain_param_1,
	.param .u8 plain_param_2,
	.param .f64 plain_param_3,
	.param .align 8 .b8 plain_param_4[88],
	.param .u32 plain_param_5
)
.maxntid 256, 1, 1
{
	ret;
}
.visible .entry none()
{
	ret;
}`

// An aggregate is a struct that is passed by value.
type aggregate struct {
	Data    unsafe.Pointer
	Rank    int32
	Shape   [3]int32
	Strides [8]int64
}

type plainArgs struct {
	P unsafe.Pointer
	F float32
	B uint8
	D float64
	V aggregate
	N int32
}

func TestHeadsOfKernelsGiveOffsetsOfParameters(t *testing.T) {
	all, err := entries(heads)
	if err != nil {
		t.Fatal(err)
	}
	want := []param{{".u64", 0, 8, 8}, {".f32", 8, 4, 4}, {".u8", 12, 1, 1}, {".f64", 16, 8, 8}, {".b8", 24, 88, 8}, {".u32", 112, 4, 4}}
	if got := all["plain"].params; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if n := all["plain"].bytes(); n != 116 {
		t.Errorf("the buffer has %d bytes, want 116", n)
	}
	if none := all["none"]; none == nil || none.bytes() != 0 {
		t.Errorf("a kernel without parameters: %v", none)
	}
	for _, bad := range []string{".visible .entry f(", ".visible .entry f(.param .v2 x)", ".visible .entry f(.param .align x .b8 y[4])", ".visible .entry f(.param .b8 y[0])"} {
		if _, err := entries(bad); err == nil {
			t.Errorf("%q is understood", bad)
		}
	}
}

func TestArgumentsOfAnotherLayoutAreRefused(t *testing.T) {
	all, err := entries(heads)
	if err != nil {
		t.Fatal(err)
	}
	e := all["plain"]
	if err := checkLayout(e, reflect.TypeFor[plainArgs]()); err != nil {
		t.Errorf("the right layout: %v", err)
	}
	for _, bad := range []any{
		0,
		struct{ P unsafe.Pointer }{},
		struct { // a float as an integer
			P unsafe.Pointer
			F int32
			B uint8
			D float64
			V aggregate
			N int32
		}{},
		struct { // an integer as a float
			P unsafe.Pointer
			F float32
			B uint8
			D float64
			V aggregate
			N float32
		}{},
		struct { // another size
			P unsafe.Pointer
			F float32
			B uint8
			D float64
			V aggregate
			N int64
		}{},
		struct { // another order
			F float32
			P unsafe.Pointer
			B uint8
			D float64
			V aggregate
			N int32
		}{},
	} {
		if err := checkLayout(e, reflect.TypeOf(bad)); err == nil {
			t.Errorf("%T passes", bad)
		}
	}
}
