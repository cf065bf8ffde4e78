package ptxsim

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
)

// A block is a cooperative thread array while it runs. Workers reuse them.
type block struct {
	device   *Device
	launch   *launch
	kernel   *Kernel
	consts   []lanes
	id       [3]int
	linear   uint32
	shape    [3]int
	threads  int
	warps    []*warp
	shared   sharedMemory
	params   []byte
	met      []*allocation // what each memory instruction accessed last
	barriers [16]barrierState
	stamp    uint32 // counts barriers: what happened before one has a smaller stamp
	stats    Stats
}

func (b *block) thread(i int) [3]int {
	return [3]int{i % b.shape[0], i / b.shape[0] % b.shape[1], i / (b.shape[0] * b.shape[1])}
}

// A launch is one grid.
type launch struct {
	kernel        *Kernel
	grid, block   [3]int
	dynamicShared int
	params        []byte
	consts        []lanes
	generation    uint64
	blocks        int
	journal       journal
}

// Launch runs a kernel over a grid and returns what it did. params is the packed parameter buffer (Kernel.Params
// gives its layout). Blocks run on Config.Workers goroutines; results, counts and reports do not depend on how many
// as long as the kernel obeys the rules, and if it breaks one, the launch is undone and done again block by block, so
// that the *Fault is the one that a single worker would have met first.
func (d *Device) Launch(k *Kernel, grid, blockDim [3]int, dynamicShared int, params []byte) (Stats, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	l := &launch{kernel: k, grid: grid, block: blockDim, dynamicShared: dynamicShared, params: params}
	if err := d.check(l); err != nil {
		return Stats{}, err
	}
	var err error
	if l.consts, err = d.load(k); err != nil {
		return Stats{}, err
	}
	workers := min(d.workers, l.blocks)
	d.generation++
	l.generation = d.generation
	l.journal.on = workers > 1
	stats, fault := d.runBlocks(l, workers)
	if fault != nil && workers > 1 {
		l.journal.undo()
		d.generation++
		l.generation = d.generation
		l.journal = journal{}
		if _, again := d.runBlocks(l, 1); again != nil {
			fault = again
		}
	}
	if fault != nil {
		return Stats{}, fault
	}
	return stats, nil
}

// check refuses a launch that the driver would refuse.
func (d *Device) check(l *launch) error {
	k := l.kernel
	bad := func(format string, args ...any) error {
		return &Fault{Rule: BadLaunch, Kernel: k.Name, Detail: fmt.Sprintf(format, args...)}
	}
	l.blocks = 1
	for i, limit := range [3]int{1<<31 - 1, 65535, 65535} {
		if l.grid[i] < 1 || l.grid[i] > limit {
			return bad("grid %v: dimension %d must be 1 to %d", l.grid, i, limit)
		}
		l.blocks *= l.grid[i]
	}
	threads := 1
	for i, limit := range [3]int{1024, 1024, 64} {
		if l.block[i] < 1 || l.block[i] > limit {
			return bad("block %v: dimension %d must be 1 to %d", l.block, i, limit)
		}
		threads *= l.block[i]
	}
	limit := 1024
	if k.MaxThreads > 0 {
		limit = k.MaxThreads
	}
	if threads > limit {
		return bad("block %v has %d threads; at most %d", l.block, threads, limit)
	}
	if l.blocks >= 1<<31 {
		return bad("grid %v has too many blocks", l.grid)
	}
	if s := k.dynamicBase + l.dynamicShared; l.dynamicShared < 0 || s > d.maxShared {
		return bad("%d bytes of static and %d of dynamic shared memory; at most %d", k.StaticShared, l.dynamicShared, d.maxShared)
	}
	if len(l.params) != k.ParamBytes {
		return bad("the parameter buffer has %d bytes, the kernel's parameters %d", len(l.params), k.ParamBytes)
	}
	return nil
}

// runBlocks hands out blocks in order, or backwards. After a fault no block behind it begins, those before it end: so the
// first fault wins.
func (d *Device) runBlocks(l *launch, workers int) (Stats, *Fault) {
	var (
		next   atomic.Int64
		failed atomic.Int64
		mu     sync.Mutex
		total  Stats
		first  *Fault
		wait   sync.WaitGroup
	)
	failed.Store(int64(l.blocks))
	work := func() {
		b := d.newBlock(l)
		for {
			i := next.Add(1) - 1
			if i >= failed.Load() {
				break
			}
			linear := int(i)
			if d.backwards {
				linear = l.blocks - 1 - linear
			}
			if f := b.run(linear); f != nil {
				mu.Lock()
				if i < failed.Load() {
					failed.Store(i)
					first = f
				}
				mu.Unlock()
				break
			}
		}
		mu.Lock()
		total.Add(b.stats)
		mu.Unlock()
		d.scratch.Put(b)
	}
	if workers == 1 {
		work()
		return total, first
	}
	for range workers {
		wait.Go(work)
	}
	wait.Wait()
	return total, first
}

func (d *Device) newBlock(l *launch) *block {
	b, _ := d.scratch.Get().(*block)
	if b == nil {
		b = &block{device: d}
	}
	k := l.kernel
	b.launch, b.kernel, b.consts, b.shape, b.params = l, k, l.consts, l.block, l.params
	b.stats = Stats{}
	b.threads = l.block[0] * l.block[1] * l.block[2]
	n := (b.threads + 31) / 32
	for len(b.warps) < n {
		b.warps = append(b.warps, &warp{})
	}
	b.warps = b.warps[:n]
	if cap(b.met) < k.memories {
		b.met = make([]*allocation, k.memories)
	}
	b.met = b.met[:k.memories]
	clear(b.met)
	for i, w := range b.warps {
		w.block, w.consts, w.first, w.index = b, l.consts, 32*i, i
		w.all = uint32(1<<min(32, b.threads-32*i) - 1)
		if cap(w.regs) < k.regs {
			w.regs = make([]lanes, k.regs)
		}
		w.regs = w.regs[:k.regs]
		if cap(w.preds) < k.preds {
			w.preds = make([]uint32, k.preds)
		}
		w.preds = w.preds[:k.preds]
		if cap(w.local) < 32*k.Local {
			w.local = make([]byte, 32*k.Local)
		}
		w.local = w.local[:32*k.Local]
	}
	b.shared.resize(k.dynamicBase+l.dynamicShared, k.StaticShared, l.dynamicShared)
	return b
}

// undefined fills registers that no instruction has written: NaN as a float, far outside everything as an address.
const undefined = 0x7ff7_a5a5_ffc0_a5a5

func (b *block) start(linear int) {
	l := b.launch
	b.linear = uint32(linear)
	b.id = [3]int{linear % l.grid[0], linear / l.grid[0] % l.grid[1], linear / (l.grid[0] * l.grid[1])}
	b.stamp = 1
	b.barriers = [16]barrierState{}
	b.shared.reset()
	for _, w := range b.warps {
		w.stack = append(w.stack[:0], group{0, -1, w.all})
		w.exited, w.state, w.instruction = 0, running, 0
		w.order = [32]uint32{}
		w.order[w.index] = 1
		w.async.reset()
		for i := range w.regs {
			r := &w.regs[i]
			for l := range r {
				r[l] = undefined
			}
		}
		for i := range w.preds {
			w.preds[i] = 0x5a5a5a5a
		}
		for i := range w.local {
			w.local[i] = 0xff
		}
		for _, s := range b.kernel.specials {
			b.setSpecial(w, s)
		}
	}
}

// run runs one block; warps take turns in their order, or backwards.
func (b *block) run(linear int) (fault *Fault) {
	defer func() {
		if r := recover(); r != nil {
			f, ok := r.(*Fault)
			if !ok {
				panic(r)
			}
			fault = f
		}
	}()
	b.start(linear)
	for {
		done, progress := true, false
		for i, w := range b.warps {
			if b.device.backwards {
				w = b.warps[len(b.warps)-1-i]
			}
			if w.state == running {
				w.run()
				progress = true
			}
			done = done && w.state == finished
		}
		if done {
			return nil
		}
		if !progress {
			b.deadlock()
		}
	}
}

// deadlock reports warps that wait for threads that will never come.
func (b *block) deadlock() {
	var first *warp
	var list []string
	for _, w := range b.warps {
		switch w.state {
		case waiting:
			if first == nil {
				first = w
			}
			list = append(list, fmt.Sprintf("warp %d waits at barrier %d (line %d)", w.index, w.barrier, w.arrivedAt.line))
		case finished:
			list = append(list, fmt.Sprintf("warp %d has ended", w.index))
		}
	}
	if len(list) > 8 {
		list = append(list[:8], "…")
	}
	first.fault(first.arrivedAt, 0, Deadlock, "", 0, "%s", strings.Join(list, "; "))
}

var specialRegisters = map[string]func(b *block, w *warp, lane int) int{
	"%laneid":            func(_ *block, _ *warp, l int) int { return l },
	"%warpid":            func(_ *block, w *warp, _ int) int { return w.index },
	"%nwarpid":           func(b *block, _ *warp, _ int) int { return len(b.warps) },
	"%smid":              func(*block, *warp, int) int { return 0 },
	"%nsmid":             func(*block, *warp, int) int { return 1 },
	"%gridid":            func(*block, *warp, int) int { return 0 },
	"%tid.x":             func(b *block, w *warp, l int) int { return b.thread(w.first + l)[0] },
	"%tid.y":             func(b *block, w *warp, l int) int { return b.thread(w.first + l)[1] },
	"%tid.z":             func(b *block, w *warp, l int) int { return b.thread(w.first + l)[2] },
	"%ntid.x":            func(b *block, _ *warp, _ int) int { return b.shape[0] },
	"%ntid.y":            func(b *block, _ *warp, _ int) int { return b.shape[1] },
	"%ntid.z":            func(b *block, _ *warp, _ int) int { return b.shape[2] },
	"%ctaid.x":           func(b *block, _ *warp, _ int) int { return b.id[0] },
	"%ctaid.y":           func(b *block, _ *warp, _ int) int { return b.id[1] },
	"%ctaid.z":           func(b *block, _ *warp, _ int) int { return b.id[2] },
	"%nctaid.x":          func(b *block, _ *warp, _ int) int { return b.launch.grid[0] },
	"%nctaid.y":          func(b *block, _ *warp, _ int) int { return b.launch.grid[1] },
	"%nctaid.z":          func(b *block, _ *warp, _ int) int { return b.launch.grid[2] },
	"%lanemask_eq":       func(_ *block, _ *warp, l int) int { return 1 << l },
	"%lanemask_lt":       func(_ *block, _ *warp, l int) int { return 1<<l - 1 },
	"%lanemask_le":       func(_ *block, _ *warp, l int) int { return 2<<l - 1 },
	"%lanemask_gt":       func(_ *block, _ *warp, l int) int { return fullWarp &^ (2<<l - 1) },
	"%lanemask_ge":       func(_ *block, _ *warp, l int) int { return fullWarp &^ (1<<l - 1) },
	"%dynamic_smem_size": func(b *block, _ *warp, _ int) int { return b.launch.dynamicShared },
	"%total_smem_size":   func(b *block, _ *warp, _ int) int { return b.kernel.dynamicBase + b.launch.dynamicShared },
}

func isSpecial(name string) bool { return specialRegisters[name] != nil }

func (b *block) setSpecial(w *warp, s special) {
	f := specialRegisters[s.name]
	for l := range w.regs[s.slot] {
		w.regs[s.slot][l] = uint64(f(b, w, l))
	}
}

func defaultWorkers(n int) int {
	if n > 0 {
		return n
	}
	return runtime.GOMAXPROCS(0)
}
