package tensor

// Rand is a counter-based stream of random numbers (Philox4x32-10): the same on every device, cheap to
// save, and without hidden state. It is for one goroutine at a time.
type Rand struct{ key, counter uint64 }

// NewRand is the stream of a seed, at its start.
func NewRand(seed uint64) *Rand { return &Rand{key: seed} }

// RandState is the whole state of a Rand, as checkpoints save it.
type RandState struct {
	Seed    uint64 `json:"seed"`
	Counter uint64 `json:"counter"`
}

// State is the seed and the place in the stream.
func (r *Rand) State() RandState { return RandState{r.key, r.counter} }

// SetState goes to a place that State gave.
func (r *Rand) SetState(s RandState) { r.key, r.counter = s.Seed, s.Counter }

// Split is a stream of its own, the i-th that derives from r's seed; r does not advance.
func (r *Rand) Split(i uint64) *Rand {
	k := r.key + 0x9E3779B97F4A7C15*(i+1) // SplitMix64 (Steele, Lea and Flood 2014)
	k = (k ^ k>>30) * 0xBF58476D1CE4E5B9
	k = (k ^ k>>27) * 0x94D049BB133111EB
	return &Rand{key: k ^ k>>31}
}

// take reserves n numbers and returns the counter of the first: draws start at whole blocks of four.
func (r *Rand) take(n int) uint64 {
	c := r.counter
	r.counter += uint64(n+3) / 4
	return c
}
