package cuda

import (
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
)

// quadLaunch is the blocks of 256 threads that go over n elements, four of them a thread at a time.
func quadLaunch(n int) dim3 { return dim3{min(ceilDiv(n, 4*256), 4096), 1, 1} }

// SGD does one step of stochastic gradient descent.
func (b *Backend) SGD(s backend.MomentumState, grad, hyper *backend.View, a backend.SGDArgs) {
	n := grad.Len()
	if n == 0 {
		return
	}
	launch(b, b.function("momentum", "sgd"), quadLaunch(n), 256, 0, &struct {
		Weights      weights
		Moment, Grad floats
		Hyper        unsafe.Pointer
		Momentum     float32
		Nesterov     uint32
		N            int64
		Aligned      uint32
	}{weightsOf(s.WeightState), floatsOf(s.M), floatsOf(grad), hyper.Ptr, float32(a.Momentum), flag(a.Nesterov), int64(n),
		flag(aligned16(s.Param, s.Master, s.Remainder, s.M, grad))})
}

// Lion does one step of Lion.
func (b *Backend) Lion(s backend.MomentumState, grad, hyper *backend.View, a backend.LionArgs) {
	n := grad.Len()
	if n == 0 {
		return
	}
	launch(b, b.function("momentum", "lion"), quadLaunch(n), 256, 0, &struct {
		Weights        weights
		Moment, Grad   floats
		Hyper          unsafe.Pointer
		Beta1, Beta2   float32
		Fresh1, Fresh2 float64
		N              int64
		Aligned        uint32
	}{weightsOf(s.WeightState), floatsOf(s.M), floatsOf(grad), hyper.Ptr, float32(a.Beta1), float32(a.Beta2), 1 - a.Beta1, 1 - a.Beta2, int64(n),
		flag(aligned16(s.Param, s.Master, s.Remainder, s.M, grad))})
}
