package ptxsim

import (
	"strings"
	"testing"
)

func TestOutOfBoundsSaysHowFar(t *testing.T) {
	m := parse(t, header+`.visible .entry k(.param .u64 p)
{
	.reg .b64 %d<4>;
	.reg .b32 %r<2>;
	ld.param.u64 %d0, [p];
	mov.u32 %r0, %tid.x;
	mul.wide.u32 %d1, %r0, 4;
	add.u64 %d0, %d0, %d1;
	st.global.u32 [%d0], %r0;
	ret;
}`)
	d := device(t, Config{})
	p := alloc(t, d, 400)
	_, err := d.Launch(m.Kernel("k"), [3]int{1, 1, 1}, [3]int{128, 1, 1}, 0, arguments(p))
	f := fails(t, OutOfBounds, err)
	if f.Line != 12 || f.Thread != [3]int{100, 0, 0} || f.Address != p+400 || !strings.Contains(f.Detail, "0 bytes past the end of the 400 bytes") {
		t.Errorf("the report is wrong:\n%v", f)
	}
}
