// Package pool spreads loops over persistent worker goroutines.
//
// There is one pool for the process, and one loop owns it at a time. A loop that finds the pool taken,
// because it is nested in another loop or because another goroutine got there first, runs serially in
// its caller. Nobody waits for a worker to become free, so no combination of calls can deadlock.
//
// The caller begins at once and takes chunks like any worker; it waits at the end for those workers
// only that have joined. Workers stay awake, yielding the processor between looks, for a short while
// after the last loop and park then: waking a parked one costs far more than handing work to one that
// is awake, so a training step that issues one loop after another pays for the wake-up once.
//
// Costs, as BenchmarkRun gives them on two Xeon (Sapphire Rapids) processors: a Run of one range 4 ns, an
// empty one that is shared while the worker is awake 0.2 µs, and one that finds the worker parked 3 µs
// more in the caller, while the worker comes 50 to 150 µs late. So a loop should be 10 µs of work at
// least, in ranges of some microseconds: the caller waits for the last one.
package pool

import (
	"context"
	"runtime"
	"runtime/pprof"
	"sync"
	"sync/atomic"
	"time"
)

// linger is how long a worker looks for work before it parks.
const linger = 80 * time.Microsecond

// Run calls fn(lo, hi) for consecutive ranges that cover [0, n), each of grain elements (the last may
// be shorter), possibly at the same time on several processors. The ranges depend on n and grain only,
// never on the number of processors: a reduction that keeps one partial sum a range and folds them in
// order gives the same bits everywhere. A grain below 1 counts as 1.
//
// Run returns when all calls have returned. If some panic, Run panics with the value of the lowest
// range that did; ranges not yet begun are dropped. fn must not call runtime.Goexit. Run may be called
// from any goroutine, and from fn. It does not allocate.
func Run(n, grain int, fn func(lo, hi int)) {
	grain = max(grain, 1)
	if n <= grain {
		if n > 0 {
			fn(0, n)
		}
		return
	}
	chunks := (n-1)/grain + 1
	helpers := shared.acquire(chunks)
	if helpers == 0 {
		for lo := 0; lo < n; lo += grain {
			fn(lo, min(lo+grain, n))
		}
		return
	}
	shared.ranges, shared.n, shared.grain = fn, n, grain
	shared.run(chunks, helpers)
}

// RunChunks calls fn(0) … fn(n-1), possibly at the same time on several processors, and returns when
// all have returned. Everything said of Run holds.
func RunChunks(n int, fn func(chunk int)) {
	helpers := shared.acquire(n)
	if helpers == 0 {
		for i := range n {
			fn(i)
		}
		return
	}
	shared.chunk = fn
	shared.run(n, helpers)
}

var shared = pool{done: make(chan struct{}, 1)}

// The state word of a pool: the loop's number in the upper half, so that a worker which looked at one
// loop cannot join the next by mistake, and below it the places left for workers to join and the
// workers inside.
const (
	inside     = 1       // workers that have joined and not left
	place      = 1 << 14 // places left to join
	fieldMask  = 1<<14 - 1
	waiting    = 1 << 29 // the caller is parked until the last worker leaves
	open       = 1 << 30 // chunks may be left
	loop       = 1 << 32
	maxWorkers = 1 << 12
)

type pool struct {
	owner sync.Mutex // held for the length of a loop; only ever tried, never waited for

	// The loop. Written by the owner before it opens the state, read by workers that joined it.
	ranges   func(lo, hi int)
	chunk    func(chunk int)
	n, grain int
	chunks   int

	workers  []*worker // grows only
	panicMu  sync.Mutex
	panicAt  int // the lowest chunk that panicked, chunks if none
	panicVal any

	_     [64]byte // counters that everyone hammers get cache lines of their own
	next  atomic.Int64
	_     [56]byte
	state atomic.Uint64
	_     [56]byte
	done  chan struct{}

	awake   atomic.Int32 // workers that look for work
	crowded atomic.Bool  // more workers than processors: looking for work would keep others from doing it
}

// labels are the profiler's labels that workers take on; nil for none.
var labels atomic.Pointer[context.Context]

// Label makes the workers take on the profiler's labels of ctx (runtime/pprof) for the loops to come, until
// Unlabel. The caller's own goroutine is its own business.
func Label(ctx context.Context) { labels.Store(&ctx) }

// Unlabel ends what Label began.
func Unlabel() { labels.Store(nil) }

type worker struct {
	labels *context.Context // those it has
	parked atomic.Bool
	wake   chan struct{} // buffered: a token for a worker that said it would park
}

// acquire makes the caller the owner of the pool and gives the number of workers that may help. It is 0,
// and the caller owns nothing, where there is nothing to share or the pool is taken.
func (p *pool) acquire(chunks int) (helpers int) {
	if chunks <= 1 {
		return 0
	}
	procs := runtime.GOMAXPROCS(0)
	if procs == 1 || !p.owner.TryLock() {
		return 0
	}
	p.crowded.Store(procs > runtime.NumCPU())
	helpers = min(procs, chunks, maxWorkers) - 1
	for len(p.workers) < helpers {
		w := &worker{wake: make(chan struct{}, 1)}
		p.workers = append(p.workers, w)
		p.awake.Add(1)
		go w.loop(p)
	}
	return helpers
}

// run works on the loop that the owner has set up, together with the workers, and gives up the pool.
func (p *pool) run(chunks, helpers int) {
	p.chunks, p.panicAt, p.panicVal = chunks, chunks, nil
	p.next.Store(0)
	epoch := p.state.Load()>>32 + 1
	p.state.Store(epoch*loop | open | uint64(helpers)*place)
	p.wakeUp(helpers)

	p.work()
	p.close()

	value, failed := p.panicVal, p.panicAt < chunks
	p.ranges, p.chunk, p.panicVal = nil, nil, nil
	p.owner.Unlock()
	if failed {
		panic(value)
	}
}

// wakeUp unparks as many workers as the awake ones fall short of want.
func (p *pool) wakeUp(want int) {
	missing := want - int(p.awake.Load())
	for _, w := range p.workers {
		if missing <= 0 {
			return
		}
		if w.parked.CompareAndSwap(true, false) {
			p.awake.Add(1)
			w.wake <- struct{}{}
			missing--
		}
	}
}

// work takes chunks until none is left.
func (p *pool) work() {
	for {
		i := int(p.next.Add(1)) - 1
		if i >= p.chunks {
			return
		}
		p.do(i)
	}
}

func (p *pool) do(i int) {
	defer func() {
		if v := recover(); v != nil {
			p.fail(i, v)
		}
	}()
	if p.chunk != nil {
		p.chunk(i)
		return
	}
	lo := i * p.grain
	p.ranges(lo, min(lo+p.grain, p.n))
}

// fail records a panic and drops the chunks not yet begun. Chunks begin in order, so the lowest one
// that panics has always begun, and is the one that is reported, whatever the timing.
func (p *pool) fail(i int, value any) {
	p.panicMu.Lock()
	defer p.panicMu.Unlock()
	if i < p.panicAt {
		p.panicAt, p.panicVal = i, value
	}
	p.next.Store(int64(p.chunks))
}

// close bars the loop to further workers and waits for those inside.
func (p *pool) close() {
	s := p.state.And(^uint64(open)) &^ open
	if s&fieldMask == 0 {
		return
	}
	for start, i := time.Now(), 0; i%16 != 0 || i == 0 || time.Since(start) < linger; i++ {
		if p.state.Load()&fieldMask == 0 {
			return
		}
		runtime.Gosched()
	}
	for {
		s = p.state.Load()
		if s&fieldMask == 0 {
			return
		}
		if p.state.CompareAndSwap(s, s|waiting) {
			<-p.done
			return
		}
	}
}

// loop is the life of a worker.
func (w *worker) loop(p *pool) {
	var last uint64 // the last loop joined: its chunks are all begun
	idleSince := time.Now()
	for i := 1; ; i++ {
		s := p.state.Load()
		if s&open != 0 && s>>32 != last && s/place&fieldMask != 0 {
			if p.state.CompareAndSwap(s, s-place+inside) {
				last = s >> 32
				w.relabel()
				p.work()
				if s := p.state.Add(^uint64(inside - 1)); s&fieldMask == 0 && s&waiting != 0 {
					p.done <- struct{}{}
				}
				idleSince, i = time.Now(), 0
			}
			continue
		}
		if i%16 == 0 && time.Since(idleSince) > linger || p.crowded.Load() {
			w.park(p, s)
			idleSince, i = time.Now(), 0
			continue
		}
		runtime.Gosched()
	}
}

// relabel takes on the labels that are wanted now.
func (w *worker) relabel() {
	want := labels.Load()
	if want == w.labels {
		return
	}
	w.labels = want
	if want == nil {
		pprof.SetGoroutineLabels(context.Background())
	} else {
		pprof.SetGoroutineLabels(*want)
	}
}

// park sleeps until an owner asks for the worker, unless the state has moved on from seen meanwhile.
func (w *worker) park(p *pool, seen uint64) {
	p.awake.Add(-1)
	w.parked.Store(true)
	if p.state.Load()>>32 != seen>>32 && w.parked.CompareAndSwap(true, false) {
		p.awake.Add(1)
		return
	}
	<-w.wake
}
