package gemm

import (
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
)

// best gives the least ns a call
func best(reps int, f func()) float64 {
	f()
	b := 1e18
	for range reps {
		t := time.Now()
		f()
		b = min(b, float64(time.Since(t).Nanoseconds()))
	}
	return b
}

type shape struct {
	name    string
	m, n, k int
	op      string
}

var shapes = []shape{
	{"1024cube", 1024, 1024, 1024, "NN"}, {"1024cube", 1024, 1024, 1024, "NT"}, {"1024cube", 1024, 1024, 1024, "TN"},
	{"demo128fwd", 1200, 128, 128, "NT"}, {"demo384fwd", 1200, 384, 128, "NT"}, {"demo1024fwd", 1200, 1024, 128, "NT"}, {"demo128from384", 1200, 128, 384, "NT"},
	{"demo128dx", 1200, 128, 128, "NN"}, {"demo384dx", 1200, 128, 384, "NN"}, {"demo1024dx", 1200, 128, 1024, "NN"},
	{"demo128dw", 128, 128, 1200, "TN"}, {"demo384dw", 384, 128, 1200, "TN"}, {"demo1024dw", 1024, 128, 1200, "TN"}, {"demo128x384dw", 128, 384, 1200, "TN"},
	{"attn100", 100, 100, 32, "NT"}, {"attnPV", 100, 32, 100, "NN"}, {"attn64", 64, 64, 128, "NT"}, {"attn64", 64, 128, 64, "NN"}, {"attn64", 64, 128, 64, "TN"},
	{"qwenQ", 512, 2048, 1024, "NT"}, {"qwenUp", 512, 3072, 1024, "NT"}, {"qwenDown", 512, 1024, 3072, "NT"}, {"qwenDX", 512, 1024, 3072, "NN"}, {"qwenDW", 3072, 1024, 512, "TN"},
	{"head", 256, 16384, 1024, "NT"}, {"headdx", 256, 1024, 16384, "NN"},
	{"gemv", 1, 3072, 1024, "NT"}, {"gemv4", 4, 3072, 1024, "NT"}, {"gemv8", 8, 3072, 1024, "NT"}, {"gemv16", 16, 3072, 1024, "NT"}, {"gemv", 1, 3072, 1024, "NN"},
}

func TestScratchShapes(t *testing.T) {
	dt := backend.F32
	if os.Getenv("BF") != "" {
		dt = backend.BF16
	}
	for _, s := range shapes {
		if f := os.Getenv("SHAPE"); f != "" && !strings.Contains(s.name+s.op, f) {
			continue
		}
		mk := func(r, c int, tr bool) Operand {
			x := make([]float32, r*c)
			if dt == backend.F32 {
				for i := range x {
					x[i] = float32(i%7) - 3
				}
			}
			o := Operand{unsafe.Pointer(&x[0]), dt, c, 1}
			if tr {
				o.RowStride, o.ColStride = 1, r
			}
			return o
		}
		a, b := mk(s.m, s.k, s.op[0] == 'T'), mk(s.k, s.n, s.op[1] == 'T')
		c := mk(s.m, s.n, false)
		fl := 2 * float64(s.m) * float64(s.n) * float64(s.k)
		reps := int(max(10, min(3000, 6e9/fl)))
		var w Workspace
		s1 := fl / best(reps, func() { MulSerial(&w, c, a, b, s.m, s.n, s.k, false) })
		s2 := fl / best(reps, func() { Mul(c, a, b, s.m, s.n, s.k, false) })
		t.Logf("%-16s %s %5d %5d %5d: serial %4.0f parallel %4.0f GFLOP/s (%d)", s.name, s.op, s.m, s.n, s.k, s1, s2, runtime.GOMAXPROCS(0))
	}
}
