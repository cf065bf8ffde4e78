package tensor

import (
	"math"
	"math/bits"
	"slices"
	"sort"

	"github.com/hone-ml/hone/internal/backend"
)

// Bernoulli draws ones, or trues, with the given probability and zeros otherwise, of any dtype. It panics if
// the probability is not in [0, 1]. Where every element has a probability of its own, a tensor p, write
// Uniform(s, F32, r, 0, 1, p.Shape()...).Lt(p).
func Bernoulli(p Place, dt DType, r *Rand, probability float64, shape ...int) *Tensor {
	if !(probability >= 0 && probability <= 1) || dt.IsQuantized() {
		badShape("Bernoulli", dt, shape, "a probability in [0, 1], not %g, and a dtype of single elements are needed", probability)
	}
	t := alloc(p, dt, shape...)
	s := t.dev.NewScope()
	defer s.Close()
	convert("Bernoulli", t, Uniform(s, F32, r, 0, 1, shape...).LtScalar(probability))
	return t
}

// RandPerm is the numbers from 0 to n − 1 in random order, each order equally likely: I32 [n]. It panics if n is
// negative.
func RandPerm(p Place, r *Rand, n int) *Tensor {
	if n < 0 || n > math.MaxInt32 {
		badShape("RandPerm", I32, []int{n}, "a number that I32 holds, not below 0, is needed")
	}
	words := r.words(n)
	order := make([]int32, n)
	for i := range order { // Fisher and Yates, from the inside out
		j, _ := bits.Mul64(words(), uint64(i+1))
		order[i] = order[j]
		order[j] = int32(i)
	}
	return FromSlice(p, order)
}

// words reserves n random words of 64 bits and gives what returns one after the other.
func (r *Rand) words(n int) func() uint64 {
	key, counter := r.key, r.take(2*n)
	var block [4]uint32
	i := 0
	return func() uint64 {
		if i%2 == 0 {
			block = backend.Philox(counter+uint64(i/2), key)
		}
		w := uint64(block[i%2*2])<<32 | uint64(block[i%2*2+1])
		i++
		return w
	}
}

// Multinomial draws n places from each row of t with probabilities in proportion to the row's elements: t [K] or
// [B, K] of a float dtype gives I32 [n] or [B, n]. Without replacement no place is drawn twice, as if what was
// drawn had probability 0 from then on. The scope's Rand draws. It panics if an element is negative or not
// finite, or a row has nothing left to draw. It waits for the device and draws on the host.
func (t *Tensor) Multinomial(n int, replacement bool) *Tensor {
	s := t.floats("Multinomial")
	if t.view.Rank != 1 && t.view.Rank != 2 || n < 0 {
		fail("Multinomial", []*Tensor{t}, "weights [K] or [B, K] and a number of draws ≥ 0, not %d, are needed", n)
	}
	shape := t.Shape()
	k := shape[len(shape)-1]
	shape[len(shape)-1] = n
	var drawn []int32
	weights := t.Float64s()
	for row := range shapeLen(shape[:len(shape)-1]) {
		w := weights[row*k : (row+1)*k]
		able, total := 0, 0.0
		for i, v := range w {
			if !(v >= 0) || math.IsInf(v, 1) {
				fail("Multinomial", []*Tensor{t}, "the weight %g at %d of row %d is not a number ≥ 0", v, i, row)
			}
			if v > 0 {
				able++
			}
			total += v
		}
		if n > 0 && able == 0 || !replacement && n > able || math.IsInf(total, 1) {
			fail("Multinomial", []*Tensor{t}, "%d draws from row %d, which has %d weights above 0 of sum %g", n, row, able, total)
		}
		if replacement {
			drawn = append(drawn, drawWithReplacement(s.rand, w, total, n)...)
		} else {
			drawn = append(drawn, drawWithoutReplacement(s.rand, w, n)...)
		}
	}
	return FromSlice(s, drawn, shape...)
}

func drawWithReplacement(r *Rand, weights []float64, total float64, n int) []int32 {
	sums, sum, last := make([]float64, len(weights)), 0.0, 0
	for i, w := range weights {
		if sum += w; w > 0 {
			last = i
		}
		sums[i] = sum
	}
	words, drawn := r.words(n), make([]int32, n)
	for i := range drawn {
		at := unit(words()) * total
		drawn[i] = int32(min(sort.Search(len(sums), func(j int) bool { return sums[j] > at }), last))
	}
	return drawn
}

// drawWithoutReplacement takes the places whose exponential times, of the weights' rates, come first. (Efraimidis
// and Spirakis, "Weighted random sampling with a reservoir", 2006.)
func drawWithoutReplacement(r *Rand, weights []float64, n int) []int32 {
	type arrival struct {
		time  float64
		place int32
	}
	words, arrivals := r.words(len(weights)), make([]arrival, 0, len(weights))
	for i, w := range weights {
		if u := unit(words()); w > 0 {
			arrivals = append(arrivals, arrival{-math.Log1p(-u) / w, int32(i)})
		}
	}
	slices.SortStableFunc(arrivals, func(a, b arrival) int {
		switch {
		case a.time < b.time:
			return -1
		case a.time > b.time:
			return 1
		}
		return 0
	})
	drawn := make([]int32, n)
	for i := range drawn {
		drawn[i] = arrivals[i].place
	}
	return drawn
}

// unit maps a word to [0, 1) in steps of 2⁻⁵³.
func unit(word uint64) float64 { return float64(word>>11) * 0x1p-53 }
