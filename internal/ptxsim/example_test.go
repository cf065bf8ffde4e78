package ptxsim_test

import (
	"encoding/binary"
	"fmt"
	"regexp"

	"github.com/hone-ml/hone/internal/ptxsim"
)

// twice.ptx: y[i] = 2 * x[i], with a block of 32 threads.
const twice = `.version 7.0
.target sm_80
.address_size 64
.visible .entry twice(.param .u64 y, .param .u64 x)
{
	.reg .b32 %r<3>;
	.reg .b64 %d<4>;
	ld.param.u64 %d0, [y];
	ld.param.u64 %d1, [x];
	mov.u32 %r0, %tid.x;
	mul.wide.u32 %d2, %r0, 4;
	add.u64 %d1, %d1, %d2;
	add.u64 %d0, %d0, %d2;
	ld.global.u32 %r1, [%d1];
	shl.b32 %r2, %r1, 1;
	st.global.u32 [%d0], %r2;
	ret;
}`

func Example() {
	module, err := ptxsim.Parse(twice)
	if err != nil {
		panic(err)
	}
	device := ptxsim.NewDevice(ptxsim.Config{})
	defer device.Close()

	x := make([]byte, 4*32)
	for i := range 32 {
		binary.LittleEndian.PutUint32(x[4*i:], uint32(i))
	}
	px, _ := device.Alloc(len(x))
	py, _ := device.Alloc(len(x))
	device.Write(px, x)

	params := binary.LittleEndian.AppendUint64(nil, py)
	params = binary.LittleEndian.AppendUint64(params, px)
	stats, err := device.Launch(module.Kernel("twice"), [3]int{1, 1, 1}, [3]int{32, 1, 1}, 0, params)
	if err != nil {
		panic(err)
	}
	y := make([]byte, len(x))
	device.Read(y, py)
	fmt.Println("y[21] =", binary.LittleEndian.Uint32(y[4*21:]))
	fmt.Println(stats.WarpInstructions, "instructions of a warp,", stats.GlobalLoadBytes, "bytes loaded")
	// Output:
	// y[21] = 42
	// 10 instructions of a warp, 128 bytes loaded
}

// A launch that breaks a rule returns a report.
func ExampleFault() {
	module, err := ptxsim.Parse(twice)
	if err != nil {
		panic(err)
	}
	device := ptxsim.NewDevice(ptxsim.Config{})
	defer device.Close()
	px, _ := device.Alloc(4 * 32)
	py, _ := device.Alloc(4 * 32)
	device.Write(px, make([]byte, 4*20)) // only 20 of the 32 numbers
	params := binary.LittleEndian.AppendUint64(nil, py)
	params = binary.LittleEndian.AppendUint64(params, px)
	_, err = device.Launch(module.Kernel("twice"), [3]int{1, 1, 1}, [3]int{32, 1, 1}, 0, params)
	fmt.Println(regexp.MustCompile("0x[0-9a-f]+").ReplaceAllString(err.Error(), "0x…"))
	// Output:
	// ptxsim: kernel twice: read of uninitialised memory at global address 0x…
	//   line 14: ld.global.u32 %r1, [%d1];
	//   by thread [20 0 0] of block [0 0 0]
	//   byte 80 of 128 at 0x… has not been written
}
