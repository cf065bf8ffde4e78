package tensor_test

import (
	"math"
	"slices"
	"testing"

	"github.com/hone-ml/hone/tensor"
)

func TestBernoulliHitsItsProbability(t *testing.T) {
	s := tensor.NewTestDevice(0).NewScope()
	defer s.Close()
	const n = 100000
	for _, p := range []float64{0, 0.1, 0.5, 1} {
		for _, dt := range []tensor.DType{tensor.Bool, tensor.F32, tensor.BF16, tensor.I64} {
			x := tensor.Bernoulli(s, dt, tensor.NewRand(7), p, n)
			hits := 0.0
			for _, v := range x.Float64s() {
				if v != 0 && v != 1 {
					t.Fatalf("%v: drew %v", dt, v)
				}
				hits += v
			}
			if got := hits / n; math.Abs(got-p) > 4*math.Sqrt(p*(1-p)/n) {
				t.Errorf("%v: a share of %v, want %v", dt, got, p)
			}
		}
	}
}

func TestRandPermIsEachOrderEquallyOften(t *testing.T) {
	s := tensor.NewTestDevice(0).NewScope()
	defer s.Close()
	r := tensor.NewRand(1)
	counts := map[[4]int32]int{}
	const draws = 24000
	for range draws {
		x := tensor.ToSlice[int32](tensor.RandPerm(s, r, 4))
		counts[[4]int32(x)]++
		s.Reset()
	}
	if len(counts) != 24 {
		t.Fatalf("%d different orders of 4, want 24", len(counts))
	}
	for order, n := range counts {
		if math.Abs(float64(n)-draws/24) > 5*math.Sqrt(draws/24) {
			t.Errorf("%v came %d times, want about %d", order, n, draws/24)
		}
	}
	x := tensor.ToSlice[int32](tensor.RandPerm(s, r, 10000))
	slices.Sort(x)
	for i, v := range x {
		if v != int32(i) {
			t.Fatalf("%d is missing", i)
		}
	}
	if n := tensor.RandPerm(s, r, 0).Len(); n != 0 {
		t.Errorf("%d numbers below 0", n)
	}
}

func TestMultinomialDrawsInProportion(t *testing.T) {
	s := tensor.NewTestDevice(0).NewScope()
	defer s.Close()
	weights := []float64{1, 0, 3, 6, 0}
	const n = 20000
	drawn := tensor.FromSlice(s, append(slices.Clone(weights), 0, 2, 0, 0, 0), 2, 5).Multinomial(n, true)
	if drawn.DType() != tensor.I32 || drawn.Dim(0) != 2 || drawn.Dim(1) != n {
		t.Fatalf("drew %s%v", drawn.DType(), drawn.Shape())
	}
	x := tensor.ToSlice[int32](drawn)
	counts := make([]float64, 5)
	for _, v := range x[:n] {
		counts[v]++
	}
	for i, w := range weights {
		if p := w / 10; math.Abs(counts[i]/n-p) > 4*math.Sqrt(p*(1-p)/n) {
			t.Errorf("place %d came with a share of %v, want %v", i, counts[i]/n, p)
		}
	}
	for _, v := range x[n:] {
		if v != 1 {
			t.Fatalf("drew %d, which has no weight", v)
		}
	}
}

// Without replacement the second draw is from what the first one left.
func TestMultinomialWithoutReplacementDrawsNothingTwice(t *testing.T) {
	s := tensor.NewTestDevice(0).NewScope()
	defer s.Close()
	const rows = 20000
	x := tensor.ToSlice[int32](tensor.FromSlice(s, []float32{1, 0, 3, 6}, 1, 4).Expand(rows, 4).Multinomial(3, false))
	pairs := map[[2]int32]float64{}
	for r := range rows {
		row := x[3*r : 3*r+3]
		pairs[[2]int32{row[0], row[1]}]++
		if row[0] == row[1] || row[0] == row[2] || row[1] == row[2] || slices.Contains(row, 1) {
			t.Fatalf("row %d is %v", r, row)
		}
	}
	w := map[int32]float64{0: 0.1, 2: 0.3, 3: 0.6}
	for a, pa := range w {
		for b, pb := range w {
			if a == b {
				continue
			}
			p := pa * pb / (1 - pa)
			if got := pairs[[2]int32{a, b}] / rows; math.Abs(got-p) > 4*math.Sqrt(p*(1-p)/rows) {
				t.Errorf("%d and then %d has a share of %v, want %v", a, b, got, p)
			}
		}
	}
}

func TestSamplesComeFromTheStateOfTheStream(t *testing.T) {
	d := tensor.NewTestDevice(0)
	draw := func(r *tensor.Rand) []T {
		s := d.NewScope()
		s.UseRand(r)
		w := tensor.FromSlice(s, []float32{1, 2, 3, 4})
		return []T{w.Multinomial(9, true), w.Multinomial(3, false), tensor.RandPerm(s, r, 9), tensor.Bernoulli(s, tensor.Bool, r, 0.5, 9)}
	}
	r := tensor.NewRand(5)
	draw(r)
	state := r.State()
	a := draw(r)
	after := r.State()
	again := tensor.NewRand(0)
	again.SetState(state)
	for i, x := range draw(again) {
		same(t, "a draw from the same state", x, a[i])
	}
	if again.State() != after {
		t.Error("the streams part")
	}
	for i, x := range draw(again) {
		if tensor.Equal(x, a[i]) {
			t.Errorf("draw %d repeats itself: %v", i, x)
		}
	}
}
