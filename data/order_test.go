package data_test

import (
	"slices"
	"testing"

	"github.com/hone-ml/hone/data"
)

func TestShuffleIsAPermutationAndDiffersByEpochAndSeed(t *testing.T) {
	const n = 1000
	var sorted []int32
	for i := range int32(n) {
		sorted = append(sorted, i)
	}
	first := data.Order(42, 0, n)
	if !slices.Equal(first, data.Order(42, 0, n)) {
		t.Error("the same seed and epoch give another order")
	}
	for name, other := range map[string][]int32{"epoch": data.Order(42, 1, n), "seed": data.Order(43, 0, n), "none": sorted} {
		same := 0
		for i := range first {
			if first[i] == other[i] {
				same++
			}
		}
		if same > 10 { // one is expected
			t.Errorf("another %s leaves %d of %d samples in place", name, same, n)
		}
	}
	if !slices.Equal(slices.Sorted(slices.Values(first)), sorted) {
		t.Error("not a permutation")
	}
	// computed from Philox's and SplitMix64's definitions: a resumed run must find the order of the version
	// that began it
	if got := data.Order(42, 3, 8); !slices.Equal(got, []int32{1, 7, 2, 5, 6, 4, 0, 3}) {
		t.Errorf("the order is %v", got)
	}
	if len(data.Order(1, 0, 0)) != 0 || !slices.Equal(data.Order(1, 0, 1), []int32{0}) {
		t.Error("short orders")
	}
}

func TestShuffleIsUniform(t *testing.T) {
	const n, rounds = 5, 20000
	var counts [n][n]int
	for epoch := range rounds {
		for place, sample := range data.Order(9, epoch, n) {
			counts[place][sample]++
		}
	}
	for place, row := range counts {
		for sample, c := range row {
			if c < rounds/n-300 || c > rounds/n+300 { // 5 standard deviations
				t.Errorf("sample %d is %d times at place %d, want about %d", sample, c, place, rounds/n)
			}
		}
	}
}
