package tensor_test

import (
	"bufio"
	"fmt"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/hone-ml/hone/tensor"
)

func TestUniformDrawsAreTheKnownAnswersOfPhilox(t *testing.T) {
	f, err := os.Open("testdata/philox.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s := tensor.NewTestDevice(0).NewScope()
	defer s.Close()
	checked := 0
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "#") {
			continue
		}
		var counter [4]uint32
		var key [2]uint32
		var want [4]uint32
		if _, err := fmt.Sscanf(lines.Text(), "%x %x %x %x %x %x %x %x %x %x", &counter[0], &counter[1], &counter[2], &counter[3],
			&key[0], &key[1], &want[0], &want[1], &want[2], &want[3]); err != nil {
			t.Fatal(err)
		}
		if counter[2] != 0 || counter[3] != 0 {
			continue // beyond the 64 bits of a Rand's counter
		}
		r := new(tensor.Rand)
		r.SetState(tensor.RandState{Seed: uint64(key[1])<<32 | uint64(key[0]), Counter: uint64(counter[1])<<32 | uint64(counter[0])})
		for i, got := range tensor.ToSlice[float32](tensor.Uniform(s, tensor.F32, r, 0, 1, 4)) {
			if got != float32(want[i]>>8)/(1<<24) {
				t.Errorf("%s: number %d is %v", lines.Text(), i, got)
			}
		}
		checked++
	}
	if checked < 8 {
		t.Errorf("only %d answers were checked", checked)
	}
}

func TestTheStateOfARandIsWhereItGoesOn(t *testing.T) {
	s := tensor.NewTestDevice(0).NewScope()
	defer s.Close()
	r := tensor.NewRand(3)
	tensor.Randn(s, tensor.F32, r, 1, 13)
	state := r.State()
	a := tensor.Randn(s, tensor.F32, r, 1, 50)
	other := tensor.NewRand(99)
	other.SetState(state)
	same(t, "after SetState", tensor.Randn(s, tensor.F32, other, 1, 50), a)
	if r.State() != other.State() || r.State() == state {
		t.Errorf("the states are %v and %v", r.State(), other.State())
	}
}

func TestStreamsDiffer(t *testing.T) {
	s := tensor.NewTestDevice(0).NewScope()
	defer s.Close()
	seen := map[string]string{}
	for seed := range uint64(20) {
		r := tensor.NewRand(seed)
		before := r.State()
		for name, stream := range map[string]*tensor.Rand{"whole": r, "split 0": r.Split(0), "split 1": r.Split(1), "split 0, 1": r.Split(0).Split(1)} {
			name = fmt.Sprint("seed ", seed, " ", name)
			bits := string(tensor.Uniform(s, tensor.F32, stream, 0, 1, 8).Bytes())
			if other, ok := seen[bits]; ok {
				t.Errorf("%s and %s are one stream", name, other)
			}
			seen[bits] = name
		}
		r.SetState(before)
		first := tensor.Uniform(s, tensor.F32, r.Split(7), 0, 1, 8)
		tensor.Uniform(s, tensor.F32, r, 0, 1, 8)
		same(t, "Split does not depend on the place in the stream", tensor.Uniform(s, tensor.F32, r.Split(7), 0, 1, 8), first)
	}
}

func TestADrawIsTheSameHoweverItIsCutAndSpread(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	s := tensor.NewTestDevice(0).NewScope()
	defer s.Close()
	const n = 100_000
	whole := tensor.Randn(s, tensor.F32, tensor.NewRand(1), 1, n)
	for _, procs := range []int{1, 2, 8} {
		runtime.GOMAXPROCS(procs)
		same(t, "GOMAXPROCS", tensor.Randn(s, tensor.F32, tensor.NewRand(1), 1, n), whole)
	}
	r := tensor.NewRand(1)
	var parts []T
	for at := 0; at < n; {
		size := min(4*(1+at%977), n-at)
		parts = append(parts, tensor.Randn(s, tensor.F32, r, 1, size))
		at += size
	}
	same(t, "in pieces of whole blocks of four", tensor.Cat(0, parts...), whole)
	near(t, "in F64", tensor.Randn(s, tensor.F64, tensor.NewRand(1), 1, n).Float64s(), whole.Float64s(), 1e-7)
	inBF16 := tensor.Randn(s, tensor.BF16, tensor.NewRand(1), 1, n)
	same(t, "in BF16", inBF16, whole.To(tensor.BF16))
	view := tensor.Empty(s, tensor.F32, 100, n/100).T()
	view.FillRandn(tensor.NewRand(1), 0, 1)
	same(t, "in a transposed view", view, whole.Reshape(n/100, 100))
}

func TestDrawsHaveTheMomentsOfTheirDistribution(t *testing.T) {
	s := tensor.NewTestDevice(0).NewScope()
	defer s.Close()
	const n = 200_000
	moments := func(x []float64) (mean, variance, kurtosis float64) {
		for _, v := range x {
			mean += v / n
		}
		for _, v := range x {
			d := (v - mean) * (v - mean)
			variance += d / n
			kurtosis += d * d / n
		}
		return mean, variance, kurtosis / variance / variance
	}
	within := func(what string, got, want, tolerance float64) {
		t.Helper()
		if math.Abs(got-want) > tolerance {
			t.Errorf("%s is %v, want %v", what, got, want)
		}
	}
	mean, variance, kurtosis := moments(tensor.Randn(s, tensor.F32, tensor.NewRand(1), 2, n).Float64s())
	within("the normal's mean", mean, 0, 0.02)
	within("its variance", variance, 4, 0.06)
	within("its kurtosis", kurtosis, 3, 0.06)
	x := tensor.Empty(s, tensor.F32, n)
	x.FillRandn(tensor.NewRand(2), 5, 0.5)
	mean, variance, _ = moments(x.Float64s())
	within("the mean of FillRandn", mean, 5, 0.01)
	within("its variance", variance, 0.25, 0.01)
	x.FillUniform(tensor.NewRand(3), -1, 3)
	v := x.Float64s()
	mean, variance, kurtosis = moments(v)
	within("the uniform's mean", mean, 1, 0.02)
	within("its variance", variance, 16.0/12, 0.02)
	within("its kurtosis", kurtosis, 1.8, 0.02)
	if lo, hi := slices.Min(v), slices.Max(v); lo < -1 || hi >= 3 || lo > -0.99 || hi < 2.99 {
		t.Errorf("numbers in [-1, 3) lie in [%v, %v]", lo, hi)
	}
}

func TestDropoutKeepsTheMean(t *testing.T) {
	d := tensor.NewTestDevice(0)
	s := d.NewTape()
	defer s.Close()
	s.UseRand(tensor.NewRand(11))
	w := paramOf(d, slices.Repeat([]float32{3}, 50_000))
	g := tensor.NewGrads(named(w), tensor.F32)
	y := tensor.Dropout(w.In(s), 0.25)
	zeros := 0
	for _, v := range tensor.ToSlice[float32](y) {
		switch v {
		case 0:
			zeros++
		case 4:
		default:
			t.Fatalf("an element is %v, want 0 or 3/(1−0.25)", v)
		}
	}
	if math.Abs(float64(zeros)/50_000-0.25) > 0.01 {
		t.Errorf("%d of 50000 elements are dropped, want a quarter", zeros)
	}
	y.Sum().Backward(g)
	near(t, "gradient", g.Of(w).Float64s(), tensor.ToSlice[float64](tensor.FromBytes(s, tensor.F32, y.Bytes(), 50_000).DivScalar(3)), 1e-6)
	x := tensor.Ones(s, tensor.F32, 3)
	if tensor.Dropout(x, 0) != x {
		t.Error("dropping nothing is not x itself")
	}
	if a, b := tensor.Dropout(w.In(s), 0.5), tensor.Dropout(w.In(s), 0.5); slices.Equal(a.Bytes(), b.Bytes()) {
		t.Error("two masks are equal")
	}
}
