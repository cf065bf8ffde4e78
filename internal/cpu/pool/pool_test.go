package pool

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// withProcs runs a subtest under each of several values of GOMAXPROCS.
func withProcs(t *testing.T, f func(t *testing.T)) {
	before := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(before)
	for _, procs := range []int{1, 2, 8} {
		runtime.GOMAXPROCS(procs)
		t.Run(fmt.Sprintf("GOMAXPROCS=%d", procs), f)
	}
}

func TestRunCoversTheRangeOnceInChunksOfTheGrain(t *testing.T) {
	withProcs(t, func(t *testing.T) {
		for _, n := range []int{-1, 0, 1, 2, 7, 8, 9, 100, 1000} {
			for _, grain := range []int{-3, 0, 1, 2, 7, 8, 100, 5000} {
				var mu sync.Mutex
				var got [][2]int
				Run(n, grain, func(lo, hi int) {
					mu.Lock()
					defer mu.Unlock()
					got = append(got, [2]int{lo, hi})
				})
				slices.SortFunc(got, func(a, b [2]int) int { return a[0] - b[0] })
				var want [][2]int
				for lo, g := 0, max(grain, 1); lo < n; lo += g {
					want = append(want, [2]int{lo, min(lo+g, n)})
				}
				if !slices.Equal(got, want) {
					t.Fatalf("Run(%d, %d) ran %v, want %v", n, grain, got, want)
				}
			}
		}
	})
}

func TestRunChunksCallsEachOnce(t *testing.T) {
	withProcs(t, func(t *testing.T) {
		for _, n := range []int{-1, 0, 1, 2, 3, 50, 1000} {
			calls := make([]atomic.Int32, max(n, 0))
			RunChunks(n, func(i int) { calls[i].Add(1) })
			for i := range calls {
				if c := calls[i].Load(); c != 1 {
					t.Fatalf("chunk %d of %d was called %d times", i, n, c)
				}
			}
		}
	})
}

func TestSeveralProcessorsTakePart(t *testing.T) {
	before := runtime.GOMAXPROCS(4)
	defer runtime.GOMAXPROCS(before)
	// Every chunk waits until two have begun: it takes two goroutines to get past that.
	for range 20 {
		var begun atomic.Int32
		two := make(chan struct{})
		RunChunks(4, func(int) {
			if begun.Add(1) == 2 {
				close(two)
			}
			select {
			case <-two:
			case <-time.After(10 * time.Second):
				t.Error("no worker came to help")
			}
		})
	}
}

func TestNestedRunsDoNotDeadlock(t *testing.T) {
	withProcs(t, func(t *testing.T) {
		var sum atomic.Int64
		Run(20, 1, func(lo, hi int) {
			Run(30, 4, func(lo, hi int) {
				RunChunks(5, func(int) { sum.Add(int64(hi - lo)) })
			})
		})
		if got := sum.Load(); got != 20*30*5 {
			t.Errorf("%d, want %d", got, 20*30*5)
		}
	})
}

func TestConcurrentCallersEachGetTheirResult(t *testing.T) {
	withProcs(t, func(t *testing.T) {
		var wg sync.WaitGroup
		for caller := range 8 {
			wg.Go(func() {
				r := rand.New(rand.NewPCG(uint64(caller), 1))
				for range 200 {
					n, grain := r.IntN(300), 1+r.IntN(20)
					partial := make([]int, n/grain+1)
					Run(n, grain, func(lo, hi int) {
						for i := lo; i < hi; i++ {
							partial[lo/grain] += i
						}
					})
					sum := 0
					for _, p := range partial {
						sum += p
					}
					if sum != n*(n-1)/2 {
						t.Errorf("caller %d: sum below %d is %d", caller, n, sum)
						return
					}
				}
			})
		}
		wg.Wait()
	})
}

func TestThePanicOfTheLowestChunkReachesTheCaller(t *testing.T) {
	withProcs(t, func(t *testing.T) {
		for range 200 {
			first := errors.New("first")
			func() {
				defer func() {
					if v := recover(); v != first {
						t.Fatalf("recovered %v, want %v", v, first)
					}
				}()
				RunChunks(50, func(i int) {
					if i == 7 {
						panic(first)
					}
					if i > 7 {
						panic(i)
					}
				})
				t.Fatal("no panic")
			}()
		}
		var n atomic.Int32
		RunChunks(100, func(int) { n.Add(1) })
		if n.Load() != 100 {
			t.Errorf("after panics, %d of 100 chunks ran", n.Load())
		}
	})
}

func TestAPanicDropsWhatHasNotBegun(t *testing.T) {
	withProcs(t, func(t *testing.T) {
		var n atomic.Int32
		func() {
			defer func() { _ = recover() }()
			RunChunks(1_000_000, func(i int) {
				if n.Add(1) == 10 {
					panic("enough")
				}
			})
		}()
		if n.Load() > 100_000 {
			t.Errorf("%d chunks ran after a panic", n.Load())
		}
	})
}

func TestWorkersAreReused(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(before)
	runtime.GOMAXPROCS(8)
	RunChunks(64, func(int) {})
	start := runtime.NumGoroutine()
	for i := range 2000 {
		runtime.GOMAXPROCS([]int{2, 4, 8}[i/700])
		RunChunks(64, func(int) {})
		if i%500 == 0 {
			time.Sleep(time.Millisecond) // so that the workers park
		}
	}
	if now := runtime.NumGoroutine(); now > start {
		t.Errorf("%d goroutines have become %d", start, now)
	}
}

func TestRunDoesNotAllocate(t *testing.T) {
	fn := func(lo, hi int) {}
	if n := testing.AllocsPerRun(200, func() { Run(64, 1, fn) }); n != 0 {
		t.Errorf("Run allocates %v times", n)
	}
}

func FuzzRun(f *testing.F) {
	f.Add(uint16(100), uint8(7))
	f.Fuzz(func(t *testing.T, n uint16, grain uint8) {
		var covered atomic.Int64
		Run(int(n), int(grain), func(lo, hi int) {
			if lo < 0 || lo >= hi || hi > int(n) || hi-lo > max(int(grain), 1) {
				t.Errorf("range [%d, %d) of %d by %d", lo, hi, n, grain)
			}
			covered.Add(int64(hi - lo))
		})
		if covered.Load() != int64(n) {
			t.Errorf("%d of %d covered", covered.Load(), n)
		}
	})
}

// sink keeps the spinning loops.
var sink atomic.Uint64

func spin(turns int) {
	x := uint64(turns)
	for range turns {
		x = x*6364136223846793005 + 1
	}
	sink.Store(x)
}

func BenchmarkRun(b *testing.B) {
	b.Run("serial", func(b *testing.B) {
		fn := func(lo, hi int) {}
		for b.Loop() {
			Run(1, 1, fn)
		}
	})
	b.Run("empty/awake", func(b *testing.B) {
		fn := func(lo, hi int) {}
		for b.Loop() {
			Run(2, 1, fn)
		}
	})
	for _, turns := range []int{1_000, 10_000, 100_000} { // about 1, 10 and 100 µs a chunk
		fn := func(lo, hi int) { spin(turns) }
		b.Run(fmt.Sprintf("two×%d/one", turns), func(b *testing.B) {
			for b.Loop() {
				fn(0, 1)
				fn(1, 2)
			}
		})
		b.Run(fmt.Sprintf("two×%d/awake", turns), func(b *testing.B) {
			for b.Loop() {
				Run(2, 1, fn)
			}
		})
		b.Run(fmt.Sprintf("two×%d/parked", turns), func(b *testing.B) {
			var total time.Duration
			for b.Loop() {
				time.Sleep(300 * time.Microsecond)
				start := time.Now()
				Run(2, 1, fn)
				total += time.Since(start)
			}
			b.ReportMetric(float64(total.Nanoseconds())/float64(b.N), "ns/run")
		})
	}
}
