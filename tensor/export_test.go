package tensor

import (
	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/cpu"
)

// NewTestDevice is a CPU with books of its own: a budget in bytes (0: none), poisoned freed memory.
func NewTestDevice(budget int) *Device {
	d := newDevice(cpu.New())
	d.budget = budget
	d.Poison(true)
	return d
}

// coreOnly hides the fused kernels of a backend.
type coreOnly struct{ backend.Backend }

// NewComposedDevice is a CPU without fused kernels, on which the composed twins run.
func NewComposedDevice() *Device {
	d := newDevice(coreOnly{cpu.New()})
	d.Poison(true)
	return d
}

// WithLogitChunks runs fn with other bounds on the logits that LinearCrossEntropy keeps and has at one time.
func WithLogitChunks(keep, chunk int, fn func()) {
	k, c := keepLogits, partLogits
	keepLogits, partLogits = keep, chunk
	defer func() { keepLogits, partLogits = k, c }()
	fn()
}

// Address is where t's first element lies.
func Address(t *Tensor) uintptr { return uintptr(t.view.Ptr) }

// WithPatches runs fn with another bound on the patches of a convolution that exist at one time.
func WithPatches(n int, fn func()) {
	before := partPatches
	partPatches = n
	defer func() { partPatches = before }()
	fn()
}
