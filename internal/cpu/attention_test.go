package cpu_test

import (
	"bytes"
	"math"
	"runtime"
	"testing"
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/cpu"
	"github.com/hone-ml/hone/internal/cpu/simd"
)

// An attentionProblem is a backward and what it needs and gives.
type attentionProblem struct {
	q, k, v, out, lse, dout, dq, dk, dv *backend.View
	args                                backend.AttentionArgs
}

// newAttentionProblem is a causal problem of packed segments of the given lengths with random inputs.
func newAttentionProblem(t testing.TB, dt backend.DType, heads, kvHeads, dim int, lengths ...int) *attentionProblem {
	p := &attentionProblem{args: backend.AttentionArgs{Causal: true, Scale: 1 / math.Sqrt(float64(dim))}}
	total := 0
	for _, n := range lengths {
		p.args.Segments = append(p.args.Segments, backend.Segment{
			Q0: int32(total), Q1: int32(total + n), K0: int32(total), K1: int32(total + n),
		})
		total += n
	}
	tensor := func(dt backend.DType, shape ...int) *backend.View {
		v := backend.NewView(nil, dt, shape...)
		size := v.Len() * dt.Size()
		memory, err := cpu.New().Alloc(size)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { cpu.New().Free(memory, size) })
		v.Ptr = memory
		return &v
	}
	for i, x := range []**backend.View{&p.q, &p.out, &p.dout, &p.dq, &p.k, &p.v, &p.dk, &p.dv} {
		h := heads
		if i >= 4 {
			h = kvHeads
		}
		*x = tensor(dt, total, h, dim)
		cpu.New().Random(*x, backend.Normal, uint64(i+1), 0, 0, 1)
	}
	p.lse = tensor(dt.Accumulator(), heads, total)
	return p
}

func (p *attentionProblem) run() {
	cpu.New().Attention(p.out, p.lse, p.q, p.k, p.v, p.args)
	cpu.New().AttentionBackward(p.dq, p.dk, p.dv, p.dout, p.out, p.lse, p.q, p.k, p.v, p.args)
}

// bits are the results' memory.
func (p *attentionProblem) bits() (all []byte) {
	for _, v := range []*backend.View{p.out, p.lse, p.dq, p.dk, p.dv} {
		all = append(all, unsafe.Slice((*byte)(v.Ptr), v.Len()*v.DType.Size())...)
	}
	return all
}

func TestAttentionGivesTheSameBitsOnAnyNumberOfProcessors(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	simd.ForEachPath(func(path string) {
		if testing.Short() && path != simd.Paths()[len(simd.Paths())-1] {
			return
		}
		for _, dt := range []backend.DType{backend.F32, backend.BF16} {
			p := newAttentionProblem(t, dt, 4, 2, 32, 600, 31, 70)
			var want []byte
			for _, procs := range []int{1, 2, 8} {
				runtime.GOMAXPROCS(procs)
				p.run()
				got := p.bits()
				if want == nil {
					want = got
				}
				if !bytes.Equal(got, want) {
					t.Errorf("%s, %v: %d processors give other bits than one", path, dt, procs)
				}
			}
		}
	})
}

func TestAttentionOfOneSegmentDoesNotSeeItsNeighbours(t *testing.T) {
	for _, dt := range []backend.DType{backend.F32, backend.BF16} {
		p := newAttentionProblem(t, dt, 4, 2, 32, 100, 300)
		p.run()
		want := p.bits()
		for _, x := range []*backend.View{p.q, p.k, p.v, p.dout} {
			row := x.Slice(0, 0, 1)
			cpu.New().Fill(&row, math.NaN())
		}
		p.run()
		got := p.bits()
		at := 0
		for _, v := range []*backend.View{p.out, p.lse, p.dq, p.dk, p.dv} {
			size := v.Len() * v.DType.Size()
			g, w := got[at:at+size], want[at:at+size]
			at += size
			if v == p.lse { // [H, Nq]: the rows of the second segment are the end of each head's
				const queries = 400
				for head := range 4 {
					lo, hi := (head*queries+100)*4, (head+1)*queries*4
					if !bytes.Equal(g[lo:hi], w[lo:hi]) {
						t.Errorf("%v: NaN in the first segment changes the second's log-sum-exps", dt)
					}
				}
				continue
			}
			if half := size / 4; !bytes.Equal(g[half:], w[half:]) {
				t.Errorf("%v: NaN in the first segment reaches the second", dt)
			}
		}
	}
}

// float is element i of a contiguous tensor of F32 or BF16.
func float(v *backend.View, i int) float64 {
	if v.DType == backend.BF16 {
		return float64(math.Float32frombits(uint32(unsafe.Slice((*uint16)(v.Ptr), v.Len())[i]) << 16))
	}
	return float64(unsafe.Slice((*float32)(v.Ptr), v.Len())[i])
}

// With scores of ±10⁴ a query takes the value of one key, and its gradients are differences of like numbers:
// what can be asked of them is that they are numbers.
func TestHugeScoresGiveWeightedMeansAndFiniteGradients(t *testing.T) {
	for _, dt := range []backend.DType{backend.F32, backend.BF16} {
		p := newAttentionProblem(t, dt, 4, 2, 64, 300, 45)
		cpu.New().Random(p.q, backend.Normal, 1, 0, 0, 100)
		cpu.New().Random(p.k, backend.Normal, 2, 0, 0, 100)
		p.run()
		largest := 0.0
		for i := range p.v.Len() {
			largest = max(largest, math.Abs(float(p.v, i)))
		}
		for i := range p.out.Len() {
			if x := math.Abs(float(p.out, i)); !(x <= 1.01*largest) {
				t.Fatalf("%v: element %d of the result is %v; values reach %v", dt, i, x, largest)
			}
		}
		for _, g := range []*backend.View{p.dq, p.dk, p.dv} {
			for i := range g.Len() {
				if x := float(g, i); math.IsNaN(x) || math.IsInf(x, 0) {
					t.Fatalf("%v: element %d of a gradient is %v", dt, i, x)
				}
			}
		}
	}
}

// A key of −Inf has no weight, so that it gets no gradient; those of queries that meet it are 0·Inf.
func TestKeysOfMinusInfinityLeaveGradientsFinite(t *testing.T) {
	for _, dt := range []backend.DType{backend.F32, backend.BF16} {
		p := newAttentionProblem(t, dt, 2, 1, 64, 45)
		for i := 0; i < p.q.Len(); i += 64 {
			set(p.q, i, 1)
		}
		set(p.k, 3*64, math.Inf(-1))
		p.run()
		for _, g := range []*backend.View{p.dk, p.dv} {
			for i := range g.Len() {
				if x := float(g, i); math.IsNaN(x) || math.IsInf(x, 0) || i/64 == 3 && x != 0 {
					t.Fatalf("%v: element %d of the gradient of key %d is %v", dt, i%64, i/64, x)
				}
			}
		}
	}
}

func set(v *backend.View, i int, x float64) {
	if v.DType == backend.BF16 {
		unsafe.Slice((*uint16)(v.Ptr), v.Len())[i] = uint16(math.Float32bits(float32(x)) >> 16)
	} else {
		unsafe.Slice((*float32)(v.Ptr), v.Len())[i] = float32(x)
	}
}
