package cuda

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
)

func openFake(t *testing.T, d *fakeDriver) *Backend {
	t.Helper()
	b, err := newBackend(d, 0, "cuda:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if d.opened.used != 0 || len(d.opened.blocks) != 0 || !d.opened.closed {
			t.Errorf("after Close the driver still holds %d bytes in %d blocks", d.opened.used, len(d.opened.blocks))
		}
	})
	return b
}

func TestCopiesOfAnySizeArriveWhole(t *testing.T) {
	b := openFake(t, newFake())
	rng := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{0, 1, 63, 65, downloadPiece, uploadPiece + 1, 3*uploadPiece - 5, uploadRing + 12345} {
		p, err := b.Alloc(n)
		if err != nil {
			t.Fatal(err)
		}
		want := make([]byte, n)
		for i := range want {
			want[i] = byte(rng.Uint32())
		}
		sent := bytes.Clone(want)
		b.CopyIn(p, sent)
		clear(sent)
		got := make([]byte, n)
		b.CopyOut(got, p)
		if !bytes.Equal(got, want) {
			t.Errorf("%d bytes come back as others", n)
		}
		b.Free(p, n)
	}
	if b.InUse() != 0 {
		t.Errorf("%d bytes in use after all was freed", b.InUse())
	}
}

func TestUploadsNeverShareTheRing(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	u := &uploads{}
	ctx, _ := newFake().Open(0)
	for range 10000 {
		n := 1 + rng.IntN(uploadPiece)
		begin, err := u.take(ctx, n)
		if err != nil {
			t.Fatal(err)
		}
		if begin < 0 || begin+n > uploadRing {
			t.Fatalf("[%d, %d) is not in the ring", begin, begin+n)
		}
		for _, p := range u.queue {
			if begin < p.end && p.begin < begin+n {
				t.Fatalf("[%d, %d) overlaps [%d, %d), which is under way", begin, begin+n, p.begin, p.end)
			}
		}
		u.queue = append(u.queue, piece{begin, begin + n, 0})
	}
}

func TestScratchIsReusedWhenItIsDoneWith(t *testing.T) {
	b := openFake(t, newFake())
	p, doneP := b.scratch(1000)
	q, doneQ := b.scratch(1000)
	if p == q {
		t.Error("two calls share scratch that is in use")
	}
	doneP()
	r, doneR := b.scratch(600)
	if r != p {
		t.Error("scratch that is done with is not used again")
	}
	doneQ()
	doneR()
}

func TestScratchThatDoesNotFitIsAnError(t *testing.T) {
	b := openFake(t, newFake())
	defer func() {
		e, ok := recover().(*backend.DeviceError)
		if !ok || !hasCode(e, codeOutOfMemory) {
			t.Errorf("got %v", e)
		}
	}()
	b.scratch(1 << 40)
}

// report writes what a kernel writes that met a fault.
func report(record unsafe.Pointer, position uint32, value int64) {
	words := unsafe.Slice((*uint64)(record), 2)
	words[0] = min(words[0], uint64(position)<<32|uint64(value)>>32)
	words[1] = min(words[1], uint64(position)<<32|uint64(value)&0xffffffff)
}

func panicOf(f func()) (value any) {
	defer func() { value = recover() }()
	f()
	return nil
}

func TestFaultsAreRaisedOnceByTheNextWait(t *testing.T) {
	b := openFake(t, newFake())
	var none [8]byte
	p, err := b.Alloc(8)
	if err != nil {
		t.Fatal(err)
	}
	for i, wait := range []func(){func() { _ = b.Sync() }, func() { b.CopyOut(none[:], p) }} {
		first, second := b.indexFault(10), b.indexFault(20)
		report(second, 1, 33)
		report(first, 7, 1<<40)
		report(first, 5, -3)
		report(first, 6, 2)
		got, ok := panicOf(wait).(*backend.IndexError)
		if want := (backend.IndexError{Position: 5, Index: -3, Limit: 10}); !ok || *got != want {
			t.Errorf("wait %d: got %+v, want %+v", i, got, want)
		}
		if again := panicOf(wait); again != nil {
			t.Errorf("wait %d raises it again: %v", i, again)
		}
	}
	report(b.divideFault(), 3, 0)
	if err, ok := panicOf(func() { _ = b.Sync() }).(runtime.Error); !ok || !strings.Contains(err.Error(), "divide by zero") {
		t.Errorf("a division by zero raises %v", err)
	}
}

func TestARecordOfALateKernelIsSeen(t *testing.T) {
	b := openFake(t, newFake())
	late := b.indexFault(10)
	b.indexFault(11)
	if err := b.Sync(); err != nil {
		t.Fatal(err)
	}
	report(late, 0, 12)
	for range maxFaults { // as many as there are: every record is looked at before it means something else
		if v := panicOf(func() { b.indexFault(13) }); v != nil {
			if e, ok := v.(*backend.IndexError); !ok || e.Limit != 10 || e.Index != 12 {
				t.Errorf("got %v", v)
			}
			return
		}
	}
	t.Error("the fault is lost")
}

type fillArgs struct {
	Out      unsafe.Pointer
	Value, N uint64
}

func TestAFailedLaunchIsReportedOnceAndStopsWhatFollows(t *testing.T) {
	d := newFake()
	b := openFake(t, d)
	cause := &DriverError{Call: "cuLaunchKernel", Code: 1, Name: "CUDA_ERROR_INVALID_VALUE"}
	fails := true
	d.kernel = func(string, []byte) error {
		if fails {
			return cause
		}
		return nil
	}
	f := b.function("fill", "fill_words_u32")
	for range 3 {
		launch(b, f, dim3{1, 1, 1}, 256, 0, &fillArgs{})
	}
	if d.opened.launches != 1 {
		t.Errorf("%d launches were issued after the first one failed", d.opened.launches-1)
	}
	err := b.Sync()
	var launched *backend.DeviceError
	if !errors.As(err, &launched) || launched.Kernel != "fill/fill_words_u32" || !errors.Is(err, cause) {
		t.Errorf("Sync reports %v", err)
	}
	fails = false
	launch(b, f, dim3{1, 1, 1}, 256, 0, &fillArgs{})
	if err := b.Sync(); err != nil || d.opened.launches != 2 {
		t.Errorf("after the report: %v, %d launches", err, d.opened.launches)
	}
	launch(b, f, dim3{0, 1, 1}, 256, 0, &fillArgs{})
	if d.opened.launches != 2 {
		t.Error("an empty grid is launched")
	}
}

func TestArgumentsReachTheKernelPacked(t *testing.T) {
	d := newFake()
	b := openFake(t, d)
	var got []byte
	d.kernel = func(_ string, params []byte) error { got = bytes.Clone(params); return nil }
	launch(b, b.function("fill", "fill_words_u32"), dim3{1, 1, 1}, 256, 0, &fillArgs{nil, 0x0102030405060708, 9})
	want := binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(make([]byte, 8), 0x0102030405060708), 9)
	if !bytes.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
	if d.opened.loaded != 1 {
		t.Errorf("the module was loaded %d times", d.opened.loaded)
	}
	v, _ := panicOf(func() { b.function("fill", "nothing") }).(*backend.DeviceError)
	if v == nil || !strings.Contains(v.Error(), "fill/nothing: fill.ptx has no such kernel") {
		t.Errorf("a kernel that does not exist: %v", v)
	}
	v, _ = panicOf(func() { b.function("nothing", "at_all") }).(*backend.DeviceError)
	if v == nil || !strings.Contains(v.Error(), "no family") {
		t.Errorf("a family that does not exist: %v", v)
	}
	v, _ = panicOf(func() { launch(b, b.function("fill", "fill_words_u32"), dim3{1, 1, 1}, 1, 0, &struct{ A int32 }{}) }).(*backend.DeviceError)
	if v == nil || !strings.Contains(v.Error(), "1 fields, the kernel 3 parameters") {
		t.Errorf("arguments of another kernel: %v", v)
	}
}

func TestOnlyMuchSharedMemoryIsAskedFor(t *testing.T) {
	d := newFake()
	b := openFake(t, d)
	f := b.function("fill", "fill_words_u32")
	for _, shared := range []int{0, 48 << 10, 64 << 10, 50 << 10} {
		launch(b, f, dim3{1, 1, 1}, 32, shared, &fillArgs{})
	}
	if n := d.opened.dynamic[f.handle]; n != 64<<10 {
		t.Errorf("the driver was told of %d bytes, want %d", n, 64<<10)
	}
}

func TestMemoryThatThereIsNotSaysWhoHasIt(t *testing.T) {
	d := newFake()
	d.memory = 64 << 20
	b := openFake(t, d)
	if _, err := b.Alloc(100 << 20); !hasCode(err, codeOutOfMemory) || !strings.Contains(err.Error(), "of 64 MiB free, 100 MiB are needed") {
		t.Errorf("got %v", err)
	}
	if _, err := b.Alloc(-1); err == nil {
		t.Error("a negative number of bytes is no error")
	}
	if v := panicOf(func() { b.Free(unsafe.Pointer(b), 1) }); v == nil {
		t.Error("Free of what Alloc did not give is no panic")
	}
}

func TestOldCardsAreRefused(t *testing.T) {
	d := newFake()
	d.props.Capability = 75
	if _, err := newBackend(d, 0, "cuda:0"); err == nil || !strings.Contains(err.Error(), "Fake has compute capability 7.5; hone's kernels need 8.0") {
		t.Errorf("got %v", err)
	}
}
