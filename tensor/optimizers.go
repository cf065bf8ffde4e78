package tensor

import (
	"slices"
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/cpu"
)

// A weightState is the three tensors of an optimizer's state that hold the weights; see AdamWState.
type weightState struct{ param, master, remainder *Tensor }

// check panics if the tensors are no weights, all being what to report, and gives the weights' dtype. alone says that
// a BF16 parameter may have nothing beside it.
func (s weightState) check(op string, all []*Tensor, alone bool) DType {
	switch {
	case s.remainder != nil:
		s.remainder.alive(op)
		if !s.remainder.view.Contiguous() || s.master != nil || s.param.view.DType != BF16 || s.remainder.view.DType != U8 || !s.remainder.hasShape(append(s.param.Shape(), 2)...) {
			fail(op, all, "a remainder is U8 [..., 2] beside a BF16 parameter, without a master")
		}
		return F32
	case s.master == nil && s.param.view.DType == BF16 && alone:
		return F32
	case s.master == nil:
		fail(op, all, "needs a master or a remainder")
	case s.master.view.DType != F32 && s.master.view.DType != F64:
		fail(op, all, "needs F32 or F64 weights")
	}
	return s.master.view.DType
}

// views are the weights as kernels take them, each tensor's view being what view gives.
func (s weightState) views(view func(*Tensor) *backend.View) backend.WeightState {
	w := backend.WeightState{Param: view(s.param), Master: view(s.master), Remainder: view(s.remainder)}
	if s.param == s.master {
		w.Param = nil
	}
	return w
}

// viewOf is the view of a tensor that may be nil.
func viewOf(t *Tensor) *backend.View {
	if t == nil {
		return nil
	}
	return &t.view
}

// present are the tensors that are not nil, each once.
func present(tensors ...*Tensor) (ts []*Tensor) {
	for _, t := range tensors {
		if t != nil && !slices.Contains(ts, t) {
			ts = append(ts, t)
		}
	}
	return ts
}

// changed tells of tensors that a step writes to.
func changed(ts []*Tensor) {
	for _, t := range ts {
		t.mem.version++
	}
}

// checkStep panics if a tensor of a step has been freed, or if those of weights, moments and the gradient
// are not contiguous and of one shape. hyper is F32 [n].
func checkStep(op string, all []*Tensor, hyper *Tensor, n int) {
	for _, t := range append(all, hyper) {
		t.alive(op)
	}
	for _, t := range all {
		if !t.view.Contiguous() || !sameDims(t, all[0]) {
			fail(op, all, "needs contiguous tensors of one shape")
		}
	}
	if !hyper.hasShape(n) || hyper.view.DType != F32 {
		fail(op, append(all, hyper), "needs hyper F32 [%d]", n)
	}
}

// checkGrad panics if a gradient does not go with weights of dtype weights.
func checkGrad(op string, all []*Tensor, grad *Tensor, weights DType) {
	if g := grad.view.DType; g != weights && (g != BF16 || weights != F32) {
		fail(op, all, "needs gradients of the weights' dtype, or of BF16 beside F32")
	}
}

// onHost calls a kernel of the CPU on copies in host memory, for devices without it: remainders and packed
// moments are no numbers that core kernels know. What the kernel changes is copied back.
func onHost(changes []*Tensor, kernel func(b *cpu.Backend, view func(*Tensor) *backend.View)) {
	copies := map[*Tensor][]byte{}
	kernel(cpu.New(), func(t *Tensor) *backend.View {
		if t == nil {
			return nil
		}
		if copies[t] == nil {
			copies[t] = t.Bytes()
		}
		v := t.view
		v.Ptr = unsafe.Pointer(unsafe.SliceData(copies[t]))
		return &v
	})
	for _, t := range changes {
		t.dev.backend.CopyIn(t.view.Ptr, copies[t])
	}
}
