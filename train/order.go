package train

// stepStream is the stream that a run splits from its seed's for what the model draws, such as dropout, once
// more by step. Stream 0 is that of the order of the samples, data.Order's.
const stepStream = 1

// sequential is 0, 1, …, n−1.
func sequential(n int) []int32 {
	order := make([]int32, n)
	for i := range order {
		order[i] = int32(i)
	}
	return order
}
