package train

import "github.com/hone-ml/hone/tensor"

// The streams that a run splits from its seed's.
const (
	orderStream = iota // split again by epoch: the order of the samples
	stepStream         // split again by step: what the model draws, such as dropout
)

// shuffled is the order of n samples in an epoch: a Fisher–Yates shuffle (Durstenfeld, 1964) driven by
// uniform numbers of 48 bits, each of two draws of 24, from the stream of that epoch. It is the same on
// every machine.
func shuffled(seed uint64, epoch, n int) []int32 {
	s := tensor.CPU().NewScope()
	defer s.Close()
	r := tensor.NewRand(seed).Split(orderStream).Split(uint64(epoch))
	u := tensor.Uniform(s, tensor.F64, r, 0, 1, 2*n).Float64s()
	order := sequential(n)
	for i := range n {
		x := u[2*i] + u[2*i+1]/(1<<24)
		j := i + min(int(x*float64(n-i)), n-i-1)
		order[i], order[j] = order[j], order[i]
	}
	return order
}

// sequential is 0, 1, …, n−1.
func sequential(n int) []int32 {
	order := make([]int32, n)
	for i := range order {
		order[i] = int32(i)
	}
	return order
}
