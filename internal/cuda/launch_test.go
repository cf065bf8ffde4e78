package cuda

import (
	"reflect"
	"strings"
	"testing"
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/cuda/kernels"
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

type plainArgs struct {
	P unsafe.Pointer
	F float32
	B uint8
	D float64
	V deviceView
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
			V deviceView
			N int32
		}{},
		struct { // an integer as a float
			P unsafe.Pointer
			F float32
			B uint8
			D float64
			V deviceView
			N float32
		}{},
		struct { // another size
			P unsafe.Pointer
			F float32
			B uint8
			D float64
			V deviceView
			N int64
		}{},
		struct { // another order
			F float32
			P unsafe.Pointer
			B uint8
			D float64
			V deviceView
			N int32
		}{},
	} {
		if err := checkLayout(e, reflect.TypeOf(bad)); err == nil {
			t.Errorf("%T passes", bad)
		}
	}
}

func TestDeviceViewIsTheStructOfTheDevice(t *testing.T) {
	ptx, err := kernels.PTX("fill")
	if err != nil {
		t.Fatal(err)
	}
	all, err := entries(ptx)
	if err != nil {
		t.Fatal(err)
	}
	p := all["fill_view_u32"].params[0]
	if size := int(unsafe.Sizeof(deviceView{})); p.size != size || p.align != 8 {
		t.Errorf("the kernel takes %d bytes aligned to %d, deviceView has %d", p.size, p.align, size)
	}
	v := backend.NewView(nil, backend.BF16, 2, 3, 4)
	v.Strides[1] = 7
	d := viewOf(&v)
	if d.Rank != 3 || d.DType != int32(backend.BF16) || d.Shape != [6]uint32{4, 3, 2, 1, 1, 1} || d.Strides != [6]int64{1, 7, 12, 0, 0, 0} {
		t.Errorf("got %+v", d)
	}
}

func TestLargeViewsAreCutIntoParts(t *testing.T) {
	v := backend.NewView(nil, backend.U8, 1, 5, 1<<30)
	w := v
	w.Strides[1] = 3 << 30
	elements, next := 0, uintptr(0)
	eachPart(maxElements, []*backend.View{&v, &w}, func(parts []*backend.View) {
		if parts[0].Len() > maxElements || parts[1].Len() != parts[0].Len() {
			t.Errorf("parts %v and %v", parts[0], parts[1])
		}
		if uintptr(parts[0].Ptr) != next || uintptr(parts[1].Ptr) != 3*next {
			t.Errorf("parts at %p and %p, want %#x", parts[0].Ptr, parts[1].Ptr, next)
		}
		elements += parts[0].Len()
		next += uintptr(parts[0].Len())
	})
	if elements != v.Len() {
		t.Errorf("%d elements in parts, want %d", elements, v.Len())
	}
	defer func() {
		if said, _ := recover().(string); !strings.Contains(said, "cannot index") {
			t.Errorf("viewOf of a large view: %v", said)
		}
	}()
	viewOf(&v)
}
