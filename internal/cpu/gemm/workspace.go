package gemm

import (
	"runtime"
	"sync"
	"unsafe"
)

// Workspace is the scratch memory of products. It grows as needed and is never shrunk, so keep one for
// products of like size. The zero value is ready. It serves one goroutine at a time.
type Workspace struct {
	a, b   buffer // packed blocks of the operands
	stage  buffer // a block of an operand of another dtype, converted
	result buffer // a block of a result of another dtype, before it is converted
	sums   buffer // a tile of a result, before it is converted
	old    buffer // a row of the old result, converted, when it is added to

	// The jobs of a product are kept here so that it need not allocate them.
	block   block
	tiling  tiledProduct
	storing storing
	thin    thinProduct
	mirror  mirroring
}

// idle are the workspaces that nobody uses. They are kept for good, unlike those of a sync.Pool:
// touching new memory costs more than most products.
var idle struct {
	sync.Mutex
	list []*Workspace
}

// GetWorkspace takes an idle workspace, or makes one.
func GetWorkspace() *Workspace {
	idle.Lock()
	defer idle.Unlock()
	n := len(idle.list)
	if n == 0 {
		return new(Workspace)
	}
	w := idle.list[n-1]
	idle.list = idle.list[:n-1]
	return w
}

// Put gives the workspace back for others to use.
func (w *Workspace) Put() {
	idle.Lock()
	defer idle.Unlock()
	if len(idle.list) < 2*runtime.NumCPU()+2 {
		idle.list = append(idle.list, w)
	}
}

// A buffer is memory that begins at a cache line.
type buffer struct{ bytes []byte }

const (
	cacheLine = 64
	// slack is how far the copies into a buffer may write beyond what was asked for: one vector.
	slack = 64
)

// grow gives n bytes with undefined contents; memory that it gave before is no longer valid.
func (b *buffer) grow(n int) unsafe.Pointer {
	n += cacheLine + slack
	if len(b.bytes) < n {
		b.bytes = make([]byte, n)
	}
	p := unsafe.Pointer(unsafe.SliceData(b.bytes))
	return unsafe.Add(p, -uintptr(p)&(cacheLine-1))
}
