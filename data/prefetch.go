package data

import "iter"

// ahead iterates over seq on another goroutine, at most n elements ahead of the consumer. When the consumer
// stops, it calls cancel, which tells seq, and waits until the goroutine has ended: nothing runs on then.
func ahead[E any](seq iter.Seq[E], n int, cancel func()) iter.Seq[E] {
	return func(yield func(E) bool) {
		ready := make(chan E, n-1) // one more waits to be sent
		stop, ended := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(ended)
			defer close(ready)
			for e := range seq {
				select {
				case ready <- e:
				case <-stop:
					return
				}
			}
		}()
		defer func() {
			cancel()
			close(stop)
			<-ended
		}()
		for e := range ready {
			if !yield(e) {
				return
			}
		}
	}
}
