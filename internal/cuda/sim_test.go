package cuda

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/ptxsim"
)

func fillWords(b *Backend, p unsafe.Pointer, value uint32, n int) {
	launch(b, b.function("fill", "fill_words_u32"), dim3{(n + 255) / 256, 1, 1}, 256, 0, &fillArgs{p, uint64(value), uint64(n)})
}

func TestKernelsRunOnTheSimulator(t *testing.T) {
	b := openSimulator(t)
	const n = 1000
	p, err := b.Alloc(4 * n)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Free(p, 4*n)
	fillWords(b, p, 0xdeadbeef, n)
	got := make([]byte, 4*n)
	b.CopyOut(got, p)
	if want := bytes.Repeat([]byte{0xef, 0xbe, 0xad, 0xde}, n); !bytes.Equal(got, want) {
		t.Errorf("got %x…", got[:16])
	}
	stats := b.Statistics()["fill_words_u32"]
	if stats.GlobalStoreBytes != 4*n || stats.GlobalLoadBytes != 0 {
		t.Errorf("%d bytes stored, %d loaded, want %d and none", stats.GlobalStoreBytes, stats.GlobalLoadBytes, 4*n)
	}
	if again := b.Statistics(); len(again) != 0 {
		t.Errorf("statistics do not begin anew: %v", again)
	}
}

func TestAFaultOfAKernelIsReportedByTheNextWaitAndWorkGoesOn(t *testing.T) {
	b := openSimulator(t)
	p, err := b.Alloc(400)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Free(p, 400)
	fillWords(b, p, 1, 200) // twice what there is
	err = b.Sync()
	fault, isFault := errors.AsType[*ptxsim.Fault](err)
	if !isFault || fault.Rule != ptxsim.OutOfBounds || fault.Kernel != "fill_words_u32" {
		t.Errorf("Sync reports %v", err)
	}
	fillWords(b, p, 7, 100)
	got := make([]byte, 400)
	b.CopyOut(got, p)
	if got[0] != 7 || got[396] != 7 {
		t.Errorf("after the report: %v", got[:4])
	}
	fillWords(b, p, 1, 200)
	if v, ok := panicOf(func() { b.CopyOut(got, p) }).(*backend.DeviceError); !ok || !strings.Contains(v.Error(), "out of bounds") {
		t.Errorf("CopyOut panics with %v", v)
	}
}

func TestStreamsKeepTheirOwnOrderOnly(t *testing.T) {
	b := openSimulator(t)
	c := b.ctx.(*simContext)
	p, err := b.Alloc(8)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Free(p, 8)
	pinned, err := c.HostAlloc(8)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.HostFree(pinned) }()
	host := unsafe.Slice((*byte)(pinned), 8)
	b.CopyIn(p, []byte("old data"))
	if err := b.Sync(); err != nil {
		t.Fatal(err)
	}
	b.CopyIn(p, []byte("new data"))

	// Without an event the copy does not wait for what another stream was asked for.
	if err := errors.Join(c.CopyOut(pinned, p, 8, b.copies), c.SyncStream(b.copies)); err != nil {
		t.Fatal(err)
	}
	if string(host) != "old data" {
		t.Errorf("without an event: %q", host)
	}
	// With one it does.
	e, err := c.NewEvent()
	if err := errors.Join(err, c.Record(e, b.compute), c.Wait(b.copies, e), c.CopyOut(pinned, p, 8, b.copies), c.SyncStream(b.copies)); err != nil {
		t.Fatal(err)
	}
	if string(host) != "new data" {
		t.Errorf("with an event: %q", host)
	}
	// Pinned memory is read when the copy happens, not when it is asked for.
	copy(host, "too soon")
	if err := c.CopyIn(p, pinned, 8, b.compute); err != nil {
		t.Fatal(err)
	}
	copy(host, "too late")
	got := make([]byte, 8)
	b.CopyOut(got, p)
	if string(got) != "too late" {
		t.Errorf("memory that was used again too early: %q", got)
	}
}

func TestAnyViewIsFilledAndNothingElse(t *testing.T) {
	b := openSimulator(t)
	for _, c := range []struct{ shape, strides []int }{
		{nil, nil}, {[]int{7}, []int{3}}, {[]int{3, 5}, []int{1, 4}}, {[]int{2, 3, 2, 2, 3, 2}, []int{108, 36, 18, 9, 2, 1}}, {[]int{4, 1, 3}, []int{3, 0, 1}},
	} {
		v := backend.View{DType: backend.I32, Rank: len(c.shape)}
		copy(v.Shape[:], c.shape)
		copy(v.Strides[:], c.strides)
		const words = 300
		p, err := b.Alloc(4 * words)
		if err != nil {
			t.Fatal(err)
		}
		v.Ptr = p
		b.CopyIn(p, make([]byte, 4*words))
		b.Fill(&v, 9)
		got := make([]byte, 4*words)
		b.CopyOut(got, p)
		want := make([]byte, 4*words)
		for i := range v.Len() {
			at := 0
			for axis, rest := v.Rank-1, i; axis >= 0; axis-- {
				at += rest % v.Shape[axis] * v.Strides[axis]
				rest /= v.Shape[axis]
			}
			binary.LittleEndian.PutUint32(want[4*at:], 9)
		}
		if !slices.Equal(got, want) {
			t.Errorf("shape %v, strides %v: other elements were set", c.shape, c.strides)
		}
		b.Free(p, 4*words)
	}
}

func TestTheSimulatedCardRunsOutOfMemory(t *testing.T) {
	b, err := openSim(ptxsim.Config{Memory: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Alloc(2 << 20); !hasCode(err, codeOutOfMemory) || !strings.Contains(err.Error(), "PTX simulator has 1 MiB of 1 MiB free, 2 MiB are needed") {
		t.Errorf("got %v", err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}

func TestSharedMemoryThatWasNotAskedForIsRefused(t *testing.T) {
	b := openSimulator(t)
	f := b.function("fill", "fill_words_u32")
	if err := b.ctx.Launch(f.handle, [3]int{1, 1, 1}, 32, 64<<10, b.compute, make([]byte, 24)); err == nil {
		t.Error("64 KiB of shared memory need cuFuncSetAttribute")
	}
}

func TestPoisonedMemoryIsAnErrorToRead(t *testing.T) {
	b := openSimulator(t)
	p, err := b.Alloc(1 << 12)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Free(p, 1<<12)
	scale := func() error {
		v := backend.NewView(p, backend.F32, 1<<10)
		b.Scalar(backend.Mul, &v, &v, 2)
		return b.Sync()
	}
	fillWords(b, p, 0, 1<<10)
	if err := scale(); err != nil {
		t.Fatal(err)
	}
	b.Poison(unsafe.Add(p, 1<<11), 64)
	if fault, ok := errors.AsType[*ptxsim.Fault](scale()); !ok || fault.Rule != ptxsim.Uninitialised {
		t.Errorf("reading it gives %v", fault)
	}
}

func TestScratchOfAnotherCallIsAnErrorToRead(t *testing.T) {
	b := openSimulator(t)
	p, done := b.scratch(256)
	fillWords(b, p, 1, 64)
	done()
	q, done := b.scratch(256)
	defer done()
	v := backend.NewView(q, backend.F32, 64)
	b.Scalar(backend.Mul, &v, &v, 2)
	if fault, ok := errors.AsType[*ptxsim.Fault](b.Sync()); p != q || !ok || fault.Rule != ptxsim.Uninitialised {
		t.Errorf("the same scratch %v, reading it gives %v", p == q, fault)
	}
}
