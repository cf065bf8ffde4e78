package tensor

import "github.com/hone-ml/hone/internal/backend"

// MuonHyper is the length of the vector of numbers that change from step to step; see MuonStep.
const MuonHyper = backend.MuonHyper

// MuonConstants are the constants of Muon.
type MuonConstants = backend.MuonArgs

// MuonState is a matrix and what Muon keeps of it: long-lived, contiguous tensors [R, C].
type MuonState struct {
	// Param is the parameter, Master its F32 weights: Param itself, or what Param receives rounded.
	Param, Master *Tensor
	// Momentum and Grad are F32 or BF16.
	Momentum, Grad *Tensor
}

// MuonStep updates matrices of one shape in place by one step of Muon (Jordan et al., 2024), if the device has
// a kernel for it; else it changes nothing and returns false. It is what optim.Muon is made of:
//
//	m ← μ·m + g;  w ← w·(1 − lr·wd) − lr·√max(1, R/C)·orthogonal(g + μ·m)
//
// where g is Grad times the gradient scale, and orthogonal is c.Steps Newton–Schulz iterations. hyper is F32
// [MuonHyper]: lr, wd, gradient scale.
func MuonStep(matrices []MuonState, hyper *Tensor, c MuonConstants) bool {
	if len(matrices) == 0 {
		return true
	}
	first := matrices[0].Param
	if !hyper.hasShape(MuonHyper) || hyper.view.DType != F32 {
		fail("MuonStep", []*Tensor{first, hyper}, "needs hyper F32 [%d]", MuonHyper)
	}
	views := make([]backend.MuonState, len(matrices))
	for i := range matrices {
		s := &matrices[i]
		s.check(first)
		views[i] = backend.MuonState{Master: &s.Master.view, Momentum: &s.Momentum.view, Grad: &s.Grad.view}
		if s.Param != s.Master {
			views[i].Param = &s.Param.view
		}
	}
	fused, ok := backend.Fused[backend.Muoner](first.dev.backend)
	if !ok {
		return false
	}
	for i := range matrices {
		s := &matrices[i]
		s.Param.mem.version++
		s.Momentum.mem.version++
		if s.Master != s.Param {
			s.Master.mem.version++
		}
	}
	scope := first.dev.NewScope()
	defer scope.Close()
	scratch := alloc(scope, F32, backend.MuonScratch(first.Dim(0), first.Dim(1)))
	fused.Muon(views, &hyper.view, &scratch.view, c)
	return true
}

func (s *MuonState) check(first *Tensor) {
	all := []*Tensor{s.Param, s.Master, s.Momentum, s.Grad}
	for _, t := range all {
		t.alive("MuonStep")
		if t.view.Rank != 2 || !sameDims(t, first) || !t.view.Contiguous() {
			fail("MuonStep", all, "needs contiguous matrices of one shape")
		}
	}
	for _, t := range all[2:] {
		if dt := t.view.DType; dt != F32 && dt != BF16 {
			fail("MuonStep", all, "needs momentum and gradients of F32 or BF16")
		}
	}
	if s.Master.view.DType != F32 {
		fail("MuonStep", all, "needs F32 masters")
	}
}
