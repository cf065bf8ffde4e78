package data

import "github.com/hone-ml/hone/tensor"

// orderStream is the stream that a seed's generator splits off for orders, once more by epoch and, for the
// order of batches, by window. What else a program draws from the same seed should split by other numbers.
const orderStream = 0

// Order is the order of n samples in an epoch: a permutation of 0 … n−1, the same for the same seed and
// epoch on every machine.
func Order(seed uint64, epoch, n int) []int32 {
	order := make([]int32, n)
	for i := range order {
		order[i] = int32(i)
	}
	shuffle(epochRand(seed, epoch), order)
	return order
}

func epochRand(seed uint64, epoch int) *tensor.Rand {
	return tensor.NewRand(seed).Split(orderStream).Split(uint64(epoch))
}

// shuffle is a Fisher–Yates shuffle (Durstenfeld, 1964) driven by uniform numbers of 48 bits, each of two
// draws of 24.
func shuffle[E any](r *tensor.Rand, x []E) {
	s := tensor.CPU().NewScope()
	defer s.Close()
	n := len(x)
	u := tensor.Uniform(s, tensor.F64, r, 0, 1, 2*n).Float64s()
	for i := range n {
		v := u[2*i] + u[2*i+1]/(1<<24)
		j := i + min(int(v*float64(n-i)), n-i-1)
		x[i], x[j] = x[j], x[i]
	}
}
