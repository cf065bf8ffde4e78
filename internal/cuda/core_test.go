package cuda

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"testing"
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
)

// numbers is a new tensor of a simulated card, with normal random numbers in it.
func numbers(t testing.TB, b *Backend, dt backend.DType, shape ...int) *backend.View {
	t.Helper()
	v := backend.NewView(nil, dt, shape...)
	bytes := dt.Bytes(v.Len())
	p, err := b.Alloc(bytes)
	if err != nil {
		t.Fatal(err)
	}
	v.Ptr = p
	t.Cleanup(func() { b.Free(p, bytes) })
	rng := rand.New(rand.NewPCG(1, uint64(bytes)))
	raw := make([]byte, bytes)
	for i := range v.Len() {
		bits := bitsOf(dt, rng.NormFloat64())
		copy(raw[i*dt.Size():], unsafe.Slice((*byte)(unsafe.Pointer(&bits)), dt.Size()))
	}
	b.CopyIn(p, raw)
	return &v
}

// positions is an index on a simulated card.
func positions(t testing.TB, b *Backend, n, limit int) *backend.View {
	t.Helper()
	v := numbers(t, b, backend.I32, n)
	rng := rand.New(rand.NewPCG(3, 4))
	index := make([]int32, n)
	for i := range index {
		index[i] = rng.Int32N(int32(limit))
	}
	b.CopyIn(v.Ptr, unsafe.Slice((*byte)(unsafe.Pointer(&index[0])), 4*n))
	return v
}

// distinct is how many values positions of n and limit has.
func distinct(n, limit int) int {
	rng, seen := rand.New(rand.NewPCG(3, 4)), map[int32]bool{}
	for range n {
		seen[rng.Int32N(int32(limit))] = true
	}
	return len(seen)
}

func permuted(v *backend.View, axes ...int) *backend.View {
	w := *v
	for i, axis := range axes {
		w.Shape[i], w.Strides[i] = v.Shape[axis], v.Strides[axis]
	}
	return &w
}

func repeated(v *backend.View, axis, n int) *backend.View {
	w := *v
	w.Shape[axis], w.Strides[axis] = n, 0
	return &w
}

func TestCoreKernelsMoveHardlyMoreThanTheirOperands(t *testing.T) {
	b := openSimulator(t)
	const f32, bf16 = backend.F32, backend.BF16
	// An element that is repeated along a row is read once, one that is repeated by rows in each.
	bytes := func(views ...*backend.View) (sum int) {
		for _, v := range views {
			if last := v.Rank - 1; v.Strides[last] == 0 {
				sum += v.DType.Bytes(v.Len() / v.Shape[last])
			} else {
				sum += v.DType.Bytes(v.Len())
			}
		}
		return sum
	}
	x, y, z := numbers(t, b, f32, 192, 515), numbers(t, b, f32, 192, 515), numbers(t, b, f32, 192, 515)
	h, g := numbers(t, b, bf16, 192, 520), numbers(t, b, bf16, 192, 520)
	wide := numbers(t, b, f32, 192, 520)
	bias, column := repeated(numbers(t, b, f32, 1, 520), 0, 192), repeated(numbers(t, b, f32, 192, 1), 1, 520)
	heads, byHead := numbers(t, b, bf16, 96, 8, 64), numbers(t, b, bf16, 8, 96, 64)
	square, turned := numbers(t, b, f32, 192, 512), numbers(t, b, f32, 512, 192)
	mask := numbers(t, b, backend.Bool, 192, 515)
	table, index, rows := numbers(t, b, bf16, 500, 1024), positions(t, b, 80, 500), numbers(t, b, bf16, 80, 1024)
	gradient := numbers(t, b, f32, 500, 1024)
	tall, sum, sums := numbers(t, b, bf16, 4096, 64), numbers(t, b, bf16, 1, 64), numbers(t, b, bf16, 4096, 1)
	row, one := numbers(t, b, f32, 1, 520), numbers(t, b, f32, 1, 1)
	a := numbers(t, b, f32, 8, 3008)
	constant := repeated(repeated(numbers(t, b, f32, 1, 1), 0, 8), 1, 3008)
	cumulative := numbers(t, b, f32, 8, 3008)
	places := numbers(t, b, backend.I32, 192, 1)
	for _, c := range []struct {
		name  string
		least int
		do    func()
	}{
		{"Fill", bytes(x), func() { b.Fill(x, 1) }},
		{"Arange", bytes(x), func() { b.Arange(x, 0, 1) }},
		{"Random", bytes(x), func() { b.Random(x, backend.Uniform, 1, 2, 0, 1) }},
		{"Random normal", bytes(h), func() { b.Random(h, backend.Normal, 1, 2, 0, 1) }},
		{"Copy", bytes(x, y), func() { b.Copy(x, y) }},
		{"Copy to BF16", bytes(h, wide), func() { b.Copy(h, wide) }},
		{"Copy to F32", bytes(h, wide), func() { b.Copy(wide, h) }},
		{"Copy of heads", bytes(heads, byHead), func() { b.Copy(byHead, permuted(heads, 1, 0, 2)) }},
		{"Copy transposed", bytes(square, turned), func() { b.Copy(turned, permuted(square, 1, 0)) }},
		{"Exp", bytes(x, y), func() { b.Unary(backend.Exp, x, y) }},
		{"SiLU", bytes(h, g), func() { b.Unary(backend.SiLU, h, g) }},
		{"SiLU backward", bytes(h, g, h), func() { b.ActivationBackward(backend.SiLU, h, g, h) }},
		{"Tan", bytes(h, g), func() { b.Unary(backend.Tan, h, g) }},
		{"Add", bytes(x, y, z), func() { b.Binary(backend.Add, x, y, z) }},
		{"Mul in place", bytes(h, h, g), func() { b.Binary(backend.Mul, h, h, g) }},
		{"Add of a row", bytes(wide, wide, bias), func() { b.Binary(backend.Add, wide, wide, bias) }},
		{"Mul of a column", bytes(wide, wide, column), func() { b.Binary(backend.Mul, wide, wide, column) }},
		{"Less", bytes(mask, x, y), func() { b.Binary(backend.Lt, mask, x, y) }},
		{"Scalar", bytes(h, g), func() { b.Scalar(backend.Mul, h, g, 0.5) }},
		{"Where", bytes(x, mask, y, z), func() { b.Fill(mask, 1); b.Statistics(); b.Where(x, mask, y, z) }},
		{"Sum of rows", bytes(tall, sums), func() { b.Reduce(backend.Sum, sums, tall) }},
		{"Sum of columns", bytes(tall, sum), func() { b.Reduce(backend.Sum, sum, tall) }},
		{"Sum of F32 columns", bytes(wide, row), func() { b.Reduce(backend.Sum, row, wide) }},
		{"Max of columns", bytes(wide, row), func() { b.Reduce(backend.ReduceMax, row, wide) }},
		{"Sum of all", bytes(wide, one), func() { b.Reduce(backend.Sum, one, wide) }},
		{"ArgMax", bytes(square, places), func() { b.Reduce(backend.ArgMax, places, square) }},
		{"Gather", bytes(rows, rows, index), func() { b.Gather(rows, table, index) }},
		{"ScatterAdd", bytes(rows, index) + 2*4*1024*distinct(80, 500), func() { b.ScatterAdd(gradient, index, rows) }},
		{"Scan", bytes(cumulative, constant, a), func() { b.Scan(cumulative, constant, a, 1, 0, false) }},
	} {
		b.Statistics()
		c.do()
		moved := 0
		detail := ""
		for name, s := range b.Statistics() {
			moved += int(s.GlobalLoadBytes + s.GlobalStoreBytes)
			detail += fmt.Sprintf(" %s: %d loaded, %d stored, %d conflicts;", name, s.GlobalLoadBytes, s.GlobalStoreBytes, s.SharedBankConflicts)
		}
		if float64(moved) > 1.1*float64(c.least) {
			t.Errorf("%s moves %d bytes, %.2f times the least, %d;%s", c.name, moved, float64(moved)/float64(c.least), c.least, detail)
		}
	}
}

func TestDividingIntegersByZeroPanicsAsGoDoes(t *testing.T) {
	b := openSimulator(t)
	x, y := numbers(t, b, backend.I64, 300), numbers(t, b, backend.I64, 300)
	out := numbers(t, b, backend.I64, 300)
	b.Fill(y, 3)
	for _, op := range []backend.BinaryOp{backend.Div, backend.Remainder, backend.Fmod} {
		b.Binary(op, out, x, y)
		if err := b.Sync(); err != nil {
			t.Errorf("%v by 3: %v", op, err)
		}
		for name, divide := range map[string]func(){
			"a view":   func() { last := y.Slice(0, 299, 300); b.Fill(&last, 0); b.Binary(op, out, x, y) },
			"a number": func() { b.Scalar(op, out, x, 0) },
		} {
			v, _ := panicOf(func() { divide(); _ = b.Sync() }).(runtime.Error)
			if v == nil || v.Error() != "runtime error: integer divide by zero" {
				t.Errorf("%v by %s with a zero: panics with %v", op, name, v)
			}
		}
		b.Fill(y, 3)
	}
}

func TestTheSmallestIntegerDividedByMinusOneWrapsAround(t *testing.T) {
	b := openSimulator(t)
	x := numbers(t, b, backend.I64, 3)
	smallest := []int64{math.MinInt64, math.MinInt64, math.MinInt64}
	raw := unsafe.Slice((*byte)(unsafe.Pointer(&smallest[0])), 24)
	for op, want := range map[backend.BinaryOp]int64{backend.Div: math.MinInt64, backend.Remainder: 0, backend.Fmod: 0} {
		b.CopyIn(x.Ptr, raw)
		b.Scalar(op, x, x, -1)
		got := make([]int64, 3)
		b.CopyOut(unsafe.Slice((*byte)(unsafe.Pointer(&got[0])), 24), x.Ptr)
		if got[1] != want {
			t.Errorf("%v gives %d, want %d", op, got[1], want)
		}
	}
}

func TestFoldsOfMoreThanAKernelCanIndexAreDoneInParts(t *testing.T) {
	b := openSimulator(t)
	x, out := numbers(t, b, backend.BF16, 9, 21, 33), numbers(t, b, backend.F32, 21)
	whole, parts := make([]float32, 21), make([]float32, 21)
	folded := backend.NewView(x.Ptr, backend.BF16, 9, 33)
	folded.Strides[0] = 21 * 33
	kept := backend.NewView(x.Ptr, backend.BF16, 21)
	kept.Strides[0] = 33
	for most, to := range map[int][]float32{maxElements: whole, 100: parts} {
		f := fold{b: b, op: backend.Sum, dtype: backend.BF16, folded: newNest(0, &folded), most: most}
		n := newNest(1, out, &kept)
		f.run(&n)
		b.CopyOut(unsafe.Slice((*byte)(unsafe.Pointer(&to[0])), 4*len(to)), out.Ptr)
	}
	for i := range whole {
		if math.Abs(float64(whole[i]-parts[i])) > 1e-4 || whole[i] == 0 {
			t.Fatalf("sum %d is %v in parts, %v at once", i, parts[i], whole[i])
		}
	}
}

func TestScansOfLargeIntegersWrapAroundInAnyGrouping(t *testing.T) {
	b := openSimulator(t)
	const lanes, length = 3, 700
	rng := rand.New(rand.NewPCG(7, 8))
	x, y, got := make([]int64, lanes*length), make([]int64, lanes*length), make([]int64, lanes*length)
	for i := range x {
		x[i], y[i] = int64(rng.Uint64()|1), int64(rng.Uint64())
	}
	raw := func(v []int64) []byte { return unsafe.Slice((*byte)(unsafe.Pointer(&v[0])), 8*len(v)) }
	dx, dy, out := numbers(t, b, backend.I64, lanes, length), numbers(t, b, backend.I64, lanes, length), numbers(t, b, backend.I64, lanes, length)
	b.CopyIn(dx.Ptr, raw(x))
	b.CopyIn(dy.Ptr, raw(y))
	b.Scan(out, dx, dy, 1, 5, false)
	b.CopyOut(raw(got), out.Ptr)
	for lane := range lanes {
		sum := int64(5)
		for i := lane * length; i < (lane+1)*length; i++ {
			if sum = x[i]*sum + y[i]; got[i] != sum {
				t.Fatalf("element %d of lane %d is %d, want %d", i%length, lane, got[i], sum)
			}
		}
	}
}
