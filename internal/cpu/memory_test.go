package cpu

import (
	"runtime"
	"testing"
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
)

func TestInfoNamesTheMachine(t *testing.T) {
	info := New().Info()
	if info.Name != "cpu" || info.Model == "" || info.Path == "" {
		t.Errorf("Info() = %+v", info)
	}
	if runtime.GOOS != "linux" {
		return
	}
	if info.Memory < 64<<20 {
		t.Errorf("the machine has %d bytes of memory", info.Memory)
	}
	if free := AvailableMemory(); free == 0 || free > info.Memory {
		t.Errorf("%d of %d bytes are available", free, info.Memory)
	}
}

func TestAllocatedMemoryIsOutsideTheGoHeap(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	const n = 256 << 20
	p, err := New().Alloc(n)
	if err != nil {
		t.Fatal(err)
	}
	defer New().Free(p, n)
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapSys) - int64(before.HeapSys); grown > n/2 {
		t.Errorf("the heap grew by %d bytes", grown)
	}
}

func TestWorkspaceSlicesAreAlignedAndApart(t *testing.T) {
	ws := getWorkspace()
	defer ws.put()
	var slices [][]float32
	for _, n := range []int{1, 100, 16384, 5, 70000, 3, 16368} {
		x := take[float32](ws, n)
		if p := uintptr(unsafe.Pointer(&x[0])); p%64 != 0 {
			t.Errorf("%d elements lie at %#x", n, p)
		}
		fill(x, float32(n))
		slices = append(slices, x)
		mark := ws.mark()
		fill(take[float32](ws, 50000), -1)
		ws.rewind(mark)
	}
	for _, x := range slices {
		for _, v := range x {
			if v != float32(len(x)) {
				t.Fatalf("a slice of %d elements was overwritten", len(x))
			}
		}
	}
}

func TestNestMergesWhatItCan(t *testing.T) {
	x := backend.NewView(nil, backend.F32, 4, 1, 5, 6)
	if n := newNest(&x, &x); n.rank != 1 || n.inner() != 120 || !n.operands[1].dense {
		t.Errorf("a contiguous tensor has %d axes, the last of %d elements", n.rank, n.inner())
	}
	bias := x
	bias.Strides = [backend.MaxRank]int{0, 0, 0, 1}
	if n := newNest(&x, &x, &bias); n.rank != 2 || n.shape[0] != 20 || n.shape[1] != 6 {
		t.Errorf("a bias over rows has the axes %v", n.shape[:n.rank])
	}
	flipped := x
	flipped.Shape, flipped.Strides = [backend.MaxRank]int{6, 5, 4}, [backend.MaxRank]int{1, 6, 30}
	flipped.Rank = 3
	if n := newNest(&flipped, &flipped); n.rank != 1 {
		t.Errorf("a transposed output has %d axes", n.rank)
	}
}

func TestSmallKernelsHardlyAllocate(t *testing.T) {
	data := make([]float32, 64)
	x := backend.NewView(unsafe.Pointer(&data[0]), backend.F32, 8, 8)
	b := New()
	for name, f := range map[string]func(){
		"Binary":  func() { b.Binary(backend.Add, &x, &x, &x) },
		"Softmax": func() { b.Softmax(&x, &x) },
		"Copy":    func() { y := x; b.Copy(&y, &x) },
	} {
		if n := testing.AllocsPerRun(50, f); n > 8 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
}
