package data

// A Source is samples that can be asked for by index: a Slice, a memory-mapped file, a folder of images.
type Source[T any] interface {
	// Len is the number of samples. It does not change.
	Len() int
	// At is sample i, 0 ≤ i < Len; asked again, the same. One goroutine at a time calls it, which with
	// Config.Prefetch is not the one that iterates.
	At(i int) (T, error)
}

// Slice is a Source in memory.
type Slice[T any] []T

// Len is the number of samples.
func (s Slice[T]) Len() int { return len(s) }

// At is the i-th sample.
func (s Slice[T]) At(i int) (T, error) { return s[i], nil }

// Map is a Source whose samples are made of another's when they are asked for: decoded, tokenised,
// augmented.
func Map[S, T any](src Source[S], fn func(i int, sample S) (T, error)) Source[T] {
	return mapped[S, T]{src, fn}
}

type mapped[S, T any] struct {
	src Source[S]
	fn  func(i int, sample S) (T, error)
}

func (m mapped[S, T]) Len() int { return m.src.Len() }

func (m mapped[S, T]) At(i int) (T, error) {
	s, err := m.src.At(i)
	if err != nil {
		var none T
		return none, err
	}
	return m.fn(i, s)
}
