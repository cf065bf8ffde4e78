package backendtest

import (
	"bytes"
	"fmt"
	"math"

	"github.com/hone-ml/hone/internal/backend"
)

func testMemory(s *suite) {
	s.try("Info", func() {
		if info := s.b.Info(); info.Name == "" || info.Path == "" {
			s.errorf("it does not say its name and kernel path: %+v", info)
		}
	})
	for _, n := range []int{0, 1, 63, 64, 4097, 5 << 20} {
		s.try(fmt.Sprintf("%d bytes", n), func() {
			p, err := s.b.Alloc(n)
			if err != nil {
				s.errorf("%v", err)
				return
			}
			defer s.b.Free(p, n)
			if uintptr(p)%64 != 0 {
				s.errorf("the address %p is not a multiple of 64", p)
			}
			data := make([]byte, n)
			for i := range data {
				data[i] = byte(s.rng.Uint32())
			}
			s.b.CopyIn(p, data)
			got := make([]byte, n)
			s.b.CopyOut(got, p)
			if !bytes.Equal(got, data) {
				s.errorf("CopyOut returns other bytes than CopyIn took")
			}
		})
	}
	s.try("more than there is", func() {
		const n = 1 << 52
		if p, err := s.b.Alloc(n); err == nil {
			s.b.Free(p, n)
			s.errorf("Alloc of %d bytes is no error", n)
		}
	})
	s.try("a negative number of bytes", func() {
		if _, err := s.b.Alloc(-1); err == nil {
			s.errorf("Alloc is no error")
		}
	})
}

func testFill(s *suite) {
	values := []float64{0, 1, -2, 3.75, 1e30, math.Inf(-1), math.NaN(), 200}
	for _, dt := range allDTypes {
		for _, v := range values {
			if !dt.IsFloat() && (math.IsNaN(v) || math.Abs(v) > 250) {
				continue
			}
			for _, shape := range [][]int{{}, {0}, {5}, {33, 65}, {2, 3, 4, 5, 1, 2}, {100001}} {
				l := layouts[s.rng.IntN(4)]
				s.try(fmt.Sprintf("%v%v %v with %v", dt, shape, l, v), func() {
					out := s.out(dt, l, shape...)
					s.b.Fill(&out.view, v)
					s.expect("out", out, exact, func() array {
						return newArray(shape...).mapped(func(float64) float64 { return round(dt, v) })
					})
				})
			}
		}
	}
}

func testArange(s *suite) {
	for _, dt := range allDTypes {
		for _, shape := range [][]int{{}, {0}, {7}, {3, 50}, {2, 3, 2, 2}, {20001}} {
			for _, l := range layouts {
				start, step := -3.5, 0.25
				switch {
				case dt == backend.U8:
					start, step = 1, 0
				case !dt.IsFloat():
					start, step = 6, -3
				}
				s.try(fmt.Sprintf("%v%v %v", dt, shape, l), func() {
					out := s.out(dt, l, shape...)
					s.b.Arange(&out.view, start, step)
					s.expect("out", out, exact, func() array {
						want := newArray(shape...)
						for i := range want.data {
							want.data[i] = start + float64(i)*step
						}
						return want.rounded(dt)
					})
				})
			}
		}
	}
}

// convertible are numbers that convert to every dtype, and those that do to all floats.
var convertible = []float64{0, 1, 2, 3.5, 100.75, 127, 250.25, 0.3, 0.999}

func testCopy(s *suite) {
	for _, from := range allDTypes {
		for _, to := range allDTypes {
			n := 1100
			x := newArray(n)
			for i := range x.data {
				x.data[i] = convertible[s.rng.IntN(len(convertible))]
				if to != backend.U8 && from != backend.U8 && i%3 == 0 {
					x.data[i] = -x.data[i]
				}
				if from.IsFloat() && to.IsFloat() {
					x.data[i] *= math.Pow(2, float64(s.rng.IntN(20)-10))
				}
			}
			if from.IsFloat() && to.IsFloat() {
				copy(x.data, special)
			}
			x = x.rounded(from)
			want := func() array {
				return x.mapped(func(v float64) float64 {
					if !to.IsFloat() && to != backend.Bool {
						v = math.Trunc(v)
					}
					if from == backend.F64 && to.IsFloat() && to != backend.F64 {
						v = float64(float32(v)) // half formats are reached by way of F32
					}
					return round(to, v)
				})
			}
			for _, l := range []layout{contiguous, spread} {
				s.try(fmt.Sprintf("%v to %v %v", from, to, l), func() {
					out := s.out(to, l, n)
					s.b.Copy(&out.view, s.in(from, x, contiguous))
					s.expect("out", out, exact, want)
				})
			}
		}
	}
	for _, dt := range allDTypes {
		for _, shape := range elementShapes {
			for _, from := range layouts {
				mask := s.rng.IntN(3)
				x := s.sample(dt, shrink(shape, mask)...)
				to := layouts[s.rng.IntN(4)]
				s.try(fmt.Sprintf("%v%v %v to %v, broadcast %03b", dt, shape, from, to, mask), func() {
					out := s.out(dt, to, shape...)
					s.b.Copy(&out.view, s.broadcast(dt, x, from, shape...))
					s.expect("out", out, exact, func() array {
						want := newArray(shape...)
						each(shape, func(i int, index []int) { want.data[i] = x.at(index...) })
						return want
					})
				})
			}
		}
	}
}

func testRandom(s *suite) {
	streams := []struct{ key, counter uint64 }{{0, 0}, {42, 7}, {math.MaxUint64, 1<<32 - 2}, {1 << 40, math.MaxUint64 - 1}}
	for _, shape := range [][]int{{}, {0}, {3}, {4}, {1025}, {7, 33}, {3, 5, 2}, {30001}} {
		for i, stream := range streams {
			l := layouts[(i+len(shape))%len(layouts)]
			word := func(i int) uint32 { return backend.Philox(stream.counter+uint64(i/4), stream.key)[i%4] }
			indexed := func(f func(i int) float64) func() array {
				return func() array {
					want := newArray(shape...)
					for i := range want.data {
						want.data[i] = f(i)
					}
					return want
				}
			}
			for _, dt := range []backend.DType{backend.I32, backend.I64} {
				s.try(fmt.Sprintf("bits %v%v %v from %v", dt, shape, l, stream), func() {
					out := s.out(dt, l, shape...)
					s.b.Random(&out.view, backend.Bits, stream.key, stream.counter, 0, 0)
					s.expect("out", out, exact, indexed(func(i int) float64 { return float64(int32(word(i))) }))
				})
			}
			for _, dt := range floatDTypes {
				// Two roundings of a number up to hi, and what storing it costs.
				s.try(fmt.Sprintf("uniform %v%v %v from %v", dt, shape, l, stream), func() {
					lo, hi := -0.25, 1.5
					out := s.out(dt, l, shape...)
					s.b.Random(&out.view, backend.Uniform, stream.key, stream.counter, lo, hi)
					s.expect("out", out, tolerance{scale: 0x1p-23}, indexed(func(i int) float64 {
						return lo + float64(backend.UnitFloat(word(i)))*(hi-lo)
					}))
					for _, x := range out.decode(out.download(s)).data {
						if x < lo || x > hi || x == hi && dt.Size() > 2 {
							s.errorf("%v is not in [%v, %v)", x, lo, hi)
							break
						}
					}
				})
				s.try(fmt.Sprintf("normal %v%v %v from %v", dt, shape, l, stream), func() {
					out := s.out(dt, l, shape...)
					s.b.Random(&out.view, backend.Normal, stream.key, stream.counter, 0, 1)
					s.expect("out", out, tolerance{relative: 0x1p-21, scale: 1e-8}, indexed(func(i int) float64 {
						a, b := backend.BoxMuller(word(i&^1), word(i|1))
						if i%2 == 0 {
							return float64(a)
						}
						return float64(b)
					}))
				})
			}
			s.try(fmt.Sprintf("normal with mean and deviation %v%v", shape, stream), func() {
				out := s.out(backend.F32, l, shape...)
				s.b.Random(&out.view, backend.Normal, stream.key, stream.counter, -3, 0.02)
				s.expect("out", out, tolerance{relative: 1e-6}, indexed(func(i int) float64 {
					a, b := backend.BoxMuller(word(i&^1), word(i|1))
					if i%2 == 0 {
						return float64(a)*0.02 - 3
					}
					return float64(b)*0.02 - 3
				}))
			})
		}
	}
}
