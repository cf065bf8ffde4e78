package tensor

import (
	"math"

	"github.com/hone-ml/hone/internal/backend"
)

// ClipValue brings every element of the gradients into [−limit, limit], as torch.nn.utils.clip_grad_value_
// does. It panics if the limit is not positive.
func (g *Grads) ClipValue(limit float64) {
	if !(limit > 0) {
		fail("Grads.ClipValue", []*Tensor{g.flat}, "the limit is %g, want it positive", limit)
	}
	// What is still to be multiplied by the factor is clipped to limit/|factor|.
	if limit /= math.Abs(g.factor); math.IsInf(limit, 0) {
		return
	}
	b := g.flat.dev.backend
	b.Scalar(backend.Min, &g.flat.view, &g.flat.view, limit)
	b.Scalar(backend.Max, &g.flat.view, &g.flat.view, -limit)
	g.flat.mem.version++
}
