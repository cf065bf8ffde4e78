package cuda

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
)

// spaced is a tensor of whole numbers on a simulated card in which no axes merge, whose rows begin at multiples of 16
// bytes and, with shift, so many elements behind. The numbers depend on the seed only. all is it with its gaps.
func spaced(t testing.TB, b *Backend, dt backend.DType, shift int, seed uint64, shape ...int) (v, all *backend.View) {
	t.Helper()
	w := backend.NewView(nil, dt, shape...)
	n := 1
	for axis := len(shape) - 1; axis >= 0; axis-- {
		w.Strides[axis] = n
		n = (n*shape[axis]/16 + 1) * 16
	}
	size := dt.Size()
	raw := make([]byte, (shift+n)*size)
	rng := rand.New(rand.NewPCG(seed, 0))
	for i := shift; i < shift+n; i++ {
		bits := bitsOf(dt, float64(rng.IntN(17)-8))
		copy(raw[i*size:], unsafe.Slice((*byte)(unsafe.Pointer(&bits)), size))
	}
	p, err := b.Alloc(len(raw))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Free(p, len(raw)) })
	b.CopyIn(p, raw)
	w.Ptr = unsafe.Add(p, shift*size)
	a := backend.NewView(w.Ptr, dt, n)
	return &w, &a
}

func contents(b *Backend, v *backend.View) []byte {
	raw := make([]byte, v.DType.Bytes(v.Len()))
	b.CopyOut(raw, v.Ptr)
	return raw
}

func TestVectorsGiveWhatElementsGiveInViewsOfManyAxes(t *testing.T) {
	b := openSimulator(t)
	const f32, bf16 = backend.F32, backend.BF16
	index := positions(t, b, 7, 5)
	for _, c := range []struct {
		name      string
		out, x    backend.DType
		shape, to []int // of x, and of out where it is another one
		do        func(out, x, y *backend.View)
	}{
		{name: "Copy", out: f32, x: f32, do: func(out, x, _ *backend.View) { b.Copy(out, x) }},
		{name: "Copy", out: bf16, x: bf16, do: func(out, x, _ *backend.View) { b.Copy(out, x) }},
		{name: "Copy", out: backend.U8, x: backend.U8, do: func(out, x, _ *backend.View) { b.Copy(out, x) }},
		{name: "Copy", out: backend.I64, x: backend.I64, do: func(out, x, _ *backend.View) { b.Copy(out, x) }},
		{name: "Copy to BF16", out: bf16, x: f32, do: func(out, x, _ *backend.View) { b.Copy(out, x) }},
		{name: "Copy to F32", out: f32, x: bf16, do: func(out, x, _ *backend.View) { b.Copy(out, x) }},
		{name: "SiLU", out: f32, x: f32, do: func(out, x, _ *backend.View) { b.Unary(backend.SiLU, out, x) }},
		{name: "Square", out: bf16, x: bf16, do: func(out, x, _ *backend.View) { b.Unary(backend.Square, out, x) }},
		{name: "Sub", out: f32, x: f32, do: func(out, x, y *backend.View) { b.Binary(backend.Sub, out, x, y) }},
		{name: "Mul", out: bf16, x: bf16, do: func(out, x, y *backend.View) { b.Binary(backend.Mul, out, x, y) }},
		{name: "Sub of repeated rows", out: bf16, x: bf16, do: func(out, x, y *backend.View) {
			b.Binary(backend.Sub, out, x, repeated(repeated(y, 1, 3), 3, 3))
		}},
		{name: "Sub of repeated elements", out: f32, x: f32, do: func(out, x, y *backend.View) {
			b.Binary(backend.Sub, out, x, repeated(y, 4, 37))
		}},
		{name: "Max with a number", out: bf16, x: bf16, do: func(out, x, _ *backend.View) { b.Scalar(backend.Max, out, x, 2) }},
		{name: "ReLU backward", out: f32, x: f32, do: func(out, x, y *backend.View) { b.ActivationBackward(backend.ReLU, out, x, y) }},
		{name: "Gather", out: bf16, x: bf16, shape: []int{5, 3, 2, 3, 32}, to: []int{7, 3, 2, 3, 32},
			do: func(out, x, _ *backend.View) { b.Gather(out, x, index) }},
		{name: "ScatterAdd", out: f32, x: bf16, shape: []int{7, 36}, to: []int{5, 36},
			do: func(out, x, _ *backend.View) { b.ScatterAdd(out, index, x) }},
		{name: "Sum of rows", out: f32, x: bf16, shape: []int{3, 2, 2, 64}, to: []int{3, 2, 2, 1},
			do: func(out, x, _ *backend.View) { b.Reduce(backend.Sum, out, x) }},
		{name: "Sum of columns", out: f32, x: f32, shape: []int{3, 5, 2, 37}, to: []int{3, 1, 2, 37},
			do: func(out, x, _ *backend.View) { b.Reduce(backend.Sum, out, x) }},
	} {
		if c.shape == nil {
			c.shape = []int{2, 3, 2, 3, 37}
		}
		if c.to == nil {
			c.to = c.shape
		}
		var got [2][]byte
		for shift := range got {
			out, all := spaced(t, b, c.out, shift, 1, c.to...)
			x, _ := spaced(t, b, c.x, shift, 2, c.shape...)
			y, _ := spaced(t, b, c.x, shift, 3, c.shape...)
			b.Statistics()
			c.do(out, x, y)
			vectors := false
			for kernel := range b.Statistics() {
				vectors = vectors || strings.Contains(kernel, "vectors") || strings.HasPrefix(kernel, "sum_")
			}
			if vectors != (shift == 0) {
				t.Errorf("%s of %v with rows shifted by %d: vectors are %v", c.name, x, shift, vectors)
			}
			got[shift] = contents(b, all)
		}
		if !bytes.Equal(got[0], got[1]) {
			t.Errorf("%s of %v to %v: vectors give other bits than elements", c.name, c.x, c.out)
		}
	}
}

func TestTransposedCopiesOfManyAxesKeepElements(t *testing.T) {
	b := openSimulator(t)
	for _, dt := range []backend.DType{backend.U8, backend.BF16, backend.F32, backend.F64} {
		shape := []int{2, 3, 2, 3, 33, 40}
		x, all := spaced(t, b, dt, 0, 1, shape...)
		out, outAll := spaced(t, b, dt, 0, 2, 3, 2, 3, 2, 40, 33)
		b.Statistics()
		b.Copy(out, permuted(x, 1, 0, 3, 2, 5, 4))
		if _, ok := b.Statistics()["transpose_"+word(dt)]; !ok {
			t.Errorf("%v is not transposed in tiles", dt)
		}
		from, to, size := contents(b, all), contents(b, outAll), dt.Size()
		for i := range x.Len() {
			p, q, rest := 0, 0, i
			for axis := 5; axis >= 0; axis-- {
				at := rest % shape[axis]
				rest /= shape[axis]
				p += at * x.Strides[axis]
				q += at * out.Strides[[6]int{1, 0, 3, 2, 5, 4}[axis]]
			}
			if !bytes.Equal(from[p*size:(p+1)*size], to[q*size:(q+1)*size]) {
				t.Fatalf("%v: element %d is another one", dt, i)
			}
		}
	}
}
