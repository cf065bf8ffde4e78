package tensor_test

import (
	"fmt"
	"runtime"
	"sync"
	"testing"

	"github.com/hone-ml/hone/tensor"
)

func TestTheBitsDoNotDependOnGOMAXPROCS(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, dt := range []tensor.DType{tensor.F32, tensor.BF16} {
		var first T
		for _, procs := range []int{1, 2, 8} {
			runtime.GOMAXPROCS(procs)
			d := tensor.NewTestDevice(0)
			m := newModel(d, dt, 2, 300, 96, 6, 2, 16, 200)
			m.wrap = tensor.Checkpoint
			m.layers[1].dropout = 0.1
			g := tensor.NewGrads(named(m.params()...), tensor.F32)
			s := d.NewTape()
			loss := m.loss(s, 4, 60, 0, 0)
			loss.Backward(g)
			if norm := g.Norm(); norm != norm || norm == 0 {
				t.Fatalf("the norm is %v", norm)
			}
			if first == nil {
				first = g.Flat()
			}
			same(t, fmt.Sprint(dt, " with GOMAXPROCS ", procs), g.Flat(), first)
			s.Close()
		}
	}
}

func TestGoroutinesWithScopesOfTheirOwnShareADevice(t *testing.T) {
	d := tensor.NewTestDevice(0)
	m := tinyModel(d, tensor.F32)
	m.wrap = tensor.Checkpoint
	const workers, steps = 3, 4
	run := func(worker int, g *tensor.Grads) {
		s := d.NewTape()
		defer s.Close()
		for i := range steps {
			m.loss(s, 2, 9, worker*steps+i, 0).Backward(g)
			kept := s.Keep(tensor.Ones(s, tensor.F32, 100))
			kept.Fill(float64(worker))
			if got := kept.Index(0).Item(); got != float64(worker) {
				t.Errorf("worker %d reads %v", worker, got)
			}
			s.Reset()
			d.Memory()
			runtime.GC()
		}
	}
	var serial, parallel [workers]*tensor.Grads
	var wg sync.WaitGroup
	for i := range workers {
		serial[i] = tensor.NewGrads(named(m.params()...), tensor.F32)
		parallel[i] = tensor.NewGrads(named(m.params()...), tensor.F32)
		run(i, serial[i])
	}
	for i := range workers {
		wg.Go(func() { run(i, parallel[i]) })
	}
	wg.Wait()
	for i := range workers {
		same(t, fmt.Sprint("worker ", i), parallel[i].Flat(), serial[i].Flat())
	}
	tensor.SumGrads(parallel[0], parallel[1:]...)
	tensor.SumGrads(serial[0], serial[1:]...)
	same(t, "the sum", parallel[0].Flat(), serial[0].Flat())
}
