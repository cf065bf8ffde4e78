//go:build linux && (amd64 || arm64) && !nocuda

package cuda

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"github.com/ebitengine/purego"
)

// fakeLibrary is testdata/fakecuda.c, compiled.
var fakeLibrary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "hone-fakecuda")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "libcuda.so.1")
	for _, compiler := range []string{"gcc", "clang-19", "clang"} {
		if _, err = exec.LookPath(compiler); err == nil {
			out, err := exec.Command(compiler, "-shared", "-fPIC", "-o", path, "testdata/fakecuda.c").CombinedOutput()
			if err != nil {
				return "", fmt.Errorf("%w: %s", err, out)
			}
			return path, nil
		}
	}
	return "", nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, _ := fakeLibrary(); path != "" {
		_ = os.RemoveAll(filepath.Dir(path)) // a folder for temporary files
	}
	os.Exit(code)
}

// A fakeC is the fake library behind the real bindings.
type fakeC struct {
	t      *testing.T
	path   string
	handle uintptr
}

func loadFake(t *testing.T) *fakeC {
	t.Helper()
	path, err := fakeLibrary()
	if err != nil {
		t.Fatal(err)
	}
	if path == "" {
		t.Skip("this machine lacks a C compiler (gcc or clang), which makes a stand-in for the driver's library")
	}
	h, err := loadLibrary(path)
	if err != nil {
		t.Fatal(err)
	}
	f := &fakeC{t, path, h}
	f.set("fake_reset")
	return f
}

func (f *fakeC) set(name string, args ...uintptr) uintptr {
	f.t.Helper()
	fn, err := findSymbol(f.handle, name)
	if err != nil {
		f.t.Fatal(err)
	}
	r, _, _ := purego.SyscallN(fn, args...)
	return r
}

// fail makes the call fail with a code when it was called so often before.
func (f *fakeC) fail(call string, code, after int) {
	name := append([]byte(call), 0)
	fn, _ := findSymbol(f.handle, "fake_fail")
	purego.SyscallN(fn, uintptr(unsafe.Pointer(&name[0])), uintptr(code), uintptr(after))
}

// log is what was called since the library was reset, a line a call.
func (f *fakeC) log() []string {
	at := f.set("fake_log")
	p := *(*unsafe.Pointer)(unsafe.Pointer(&at))
	return strings.Split(strings.TrimSpace(cString(unsafe.Slice((*byte)(p), 1<<16))), "\n")
}

func (f *fakeC) open() *library {
	f.t.Helper()
	l, err := openLibrary(f.path)
	if err != nil {
		f.t.Fatal(err)
	}
	return l
}

func TestEveryCallReachesTheDriverWithItsArguments(t *testing.T) {
	f := loadFake(t)
	l := f.open()
	props, err := l.Properties(1)
	if want := (Properties{"Fake GPU 1", 86, 1 << 30, 28, 101376}); err != nil || props != want {
		t.Errorf("properties %+v, %v, want %+v", props, err, want)
	}
	c, err := l.Open(1)
	if err != nil {
		t.Fatal(err)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}
	compute, err := c.NewStream()
	must(err)
	event, err := c.NewEvent()
	must(err)
	p, err := c.MemAlloc(1000)
	must(err)
	q, err := c.MemAlloc(24)
	must(err)
	free, total, err := c.MemInfo()
	must(err)
	if free != 1<<30-1024 || total != 1<<30 {
		t.Errorf("%d bytes of %d are free", free, total)
	}
	host, err := c.HostAlloc(1000)
	must(err)
	pinned := unsafe.Slice((*byte)(host), 1000)
	for i := range pinned {
		pinned[i] = byte(i)
	}
	must(c.CopyIn(p, host, 1000, compute))
	must(c.Set(p, 0xab, 3, compute))
	must(c.Copy(q, p, 24, compute))
	clear(pinned)
	must(c.CopyOut(host, q, 24, compute))
	if want := []byte{0xab, 0xab, 0xab, 3, 4, 5}; !bytes.Equal(pinned[:6], want) || pinned[23] != 23 || pinned[24] != 0 {
		t.Errorf("copied %v", pinned[:25])
	}
	m, err := c.LoadModule(".visible .entry k()")
	must(err)
	fn, err := c.Function(m, "k")
	must(err)
	must(c.SetDynamicShared(fn, 99<<10))
	must(c.Launch(fn, [3]int{7, 8, 9}, 256, 99<<10, compute, []byte{1, 2, 3, 4, 5, 6, 7, 8, 0xf0}))
	must(c.Record(event, compute))
	must(c.Wait(compute, event))
	must(c.SyncEvent(event))
	must(c.SyncStream(compute))
	must(c.HostFree(host))
	must(c.MemFree(p))
	must(c.MemFree(q))
	must(c.Close())
	want := []string{
		"cuInit 0", "cuDriverGetVersion",
		"cuDeviceGet 1", "cuDeviceGetName 256 41", "cuDeviceTotalMem 41",
		"cuDeviceGetAttribute 75 41", "cuDeviceGetAttribute 76 41", "cuDeviceGetAttribute 16 41", "cuDeviceGetAttribute 97 41",
		"cuDeviceGet 1", "cuDevicePrimaryCtxRetain 41",
		"cuStreamCreate 1", "cuEventCreate 2", "cuMemAlloc 1000", "cuMemAlloc 24", "cuMemGetInfo", "cuMemHostAlloc 1000 0",
		"cuMemcpyHtoDAsync 1000 0x50", "cuMemsetD8Async 171 3 0x50", "cuMemcpyDtoDAsync 24 0x50", "cuMemcpyDtoHAsync 24 0x50",
		"cuModuleLoadDataEx 4 options 3 4 5 6, logs of 16384 and 16384, entry 1", "cuModuleGetFunction 0x30 k", "cuFuncSetAttribute 0x40 8 101376",
		"cuLaunchKernel 0x40 grid 7 8 9 block 256 1 1 shared 101376 stream 0x50 params (nil) extra 1 0 0102030405060708f0",
		"cuEventRecord 0x60 0x50", "cuStreamWaitEvent 0x50 0x60 0", "cuEventSynchronize 0x60", "cuStreamSynchronize 0x50",
		"cuMemFreeHost", "cuMemFree", "cuMemFree", "cuEventDestroy 0x60", "cuStreamDestroy 0x50", "cuDevicePrimaryCtxRelease 41",
	}
	got := f.log()
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || strings.ReplaceAll(got[i], "0x51", "0x50") != want[i] {
			t.Fatalf("call %d is not as it should be:\n%s\nwant\n%s", i, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

func TestGoroutinesOnAnyThreadHaveTheContext(t *testing.T) {
	c, err := loadFake(t).open().Open(0)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for range 50 {
				if _, _, err := c.MemInfo(); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestABackendWorksOverTheDriversLibrary(t *testing.T) {
	f := loadFake(t)
	b, err := open(f.open(), 0)
	if err != nil {
		t.Fatal(err)
	}
	p, err := b.Alloc(3 * downloadPiece)
	if err != nil {
		t.Fatal(err)
	}
	data := bytes.Repeat([]byte("hone "), 3*downloadPiece/5)
	b.CopyIn(p, data)
	got := make([]byte, len(data))
	b.CopyOut(got, p)
	if !bytes.Equal(got, data) {
		t.Error("CopyOut gives other bytes than CopyIn took")
	}
	launch(b, b.function("fill", "fill_words_u32"), dim3{1, 1, 1}, 256, 0, &fillArgs{p, 1, 2})
	if err := b.Sync(); err != nil {
		t.Error(err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}

func TestWhatKeepsACardFromWorkIsSaid(t *testing.T) {
	begin := func(l *library, err error) error {
		if err != nil {
			return err
		}
		b, err := open(l, 0)
		if err != nil {
			return err
		}
		p, err := b.Alloc(512 << 20)
		if err != nil {
			return err
		}
		b.CopyIn(p, []byte("data"))
		b.function("fill", "fill_words_u32")
		return b.Sync()
	}
	for _, c := range []struct {
		name string
		do   func(f *fakeC)
		want string
	}{
		{"it has an old driver", func(f *fakeC) { f.set("fake_version", 10020) }, "the driver is for CUDA 10.2, hone needs 11.0 or newer: update the driver"},
		{"no card is there", func(f *fakeC) { f.set("fake_count", 0) }, "finds no card that this process may use (is CUDA_VISIBLE_DEVICES set?)"},
		{"cuInit finds no card", func(f *fakeC) { f.fail("cuInit", 100, 0) }, "the driver does not start: cuInit: CUDA_ERROR_NO_DEVICE (no card is there that this process may use"},
		{"library and module differ", func(f *fakeC) { f.fail("cuInit", 803, 0) }, "restart the machine"},
		{"another has the card", func(f *fakeC) { f.fail("cuDevicePrimaryCtxRetain", 46, 0) }, "another program has the card for itself"},
		{"the card is full", func(f *fakeC) { f.fail("cuDevicePrimaryCtxRetain", 2, 0) }, "out of memory (nvidia-smi tells which programs hold the card's memory)"},
		{"the card is small", func(f *fakeC) { f.set("fake_memory", 256<<20) }, "Fake GPU 0 has 256 MiB of 256 MiB free, 512 MiB are needed"},
		{"a kernel was wrong", func(f *fakeC) { f.fail("cuStreamSynchronize", 700, 0) }, "CUDA_ERROR_ILLEGAL_ADDRESS (the card's context is lost"},
		{"the driver refuses the kernels", func(f *fakeC) { f.fail("cuModuleLoadDataEx", 222, 0) }, "the driver is too old for the kernels"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := loadFake(t)
			c.do(f)
			var err error
			if v := panicOf(func() { err = begin(openLibrary(f.path)) }); v != nil {
				err = v.(error)
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got  %v\nwant …%s…", err, c.want)
			} else if strings.Contains(err.Error(), "\n") {
				t.Errorf("more than one line: %v", err)
			}
		})
	}
}

func TestACompilersLogIsInTheError(t *testing.T) {
	c, err := loadFake(t).open().Open(0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.LoadModule("no kernel"); err == nil || !strings.Contains(err.Error(), "the compiler says:\nptxas fatal: nothing to compile") {
		t.Errorf("got %v", err)
	}
}

func TestALibraryThatIsNoDriverIsRefused(t *testing.T) {
	if _, err := openLibrary("libhone-none.so.1"); err == nil || !strings.Contains(err.Error(), "NVIDIA's driver is not there") || !strings.Contains(err.Error(), "-device cpu") {
		t.Errorf("a library that does not exist: %v", err)
	}
	if _, err := openLibrary("libc.so.6"); err == nil || !strings.Contains(err.Error(), "libc.so.6 lacks cuInit: the driver is too old") {
		t.Errorf("a library that is none: %v", err)
	}
}

func TestCardsAreListed(t *testing.T) {
	f := loadFake(t)
	list, err := cards(f.open())
	if err != nil || len(list) != 2 || list[1].Name != "Fake GPU 1" || list[0].Driver != "12.4" {
		t.Errorf("got %+v, %v", list, err)
	}
	if _, err := open(f.open(), 2); err == nil || !strings.Contains(err.Error(), "there is no card 2; cards have the numbers 0 to 1") {
		t.Errorf("a card that is not there: %v", err)
	}
}

func BenchmarkLaunch(b *testing.B) {
	path, err := fakeLibrary()
	if err != nil || path == "" {
		b.Skip("no C compiler")
	}
	l, err := openLibrary(path)
	if err != nil {
		b.Fatal(err)
	}
	c, err := l.Open(0)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	params := make([]byte, 64)
	for b.Loop() {
		if err := c.Launch(0x40, [3]int{1, 1, 1}, 256, 0, 0x50, params); err != nil {
			b.Fatal(err)
		}
	}
}
