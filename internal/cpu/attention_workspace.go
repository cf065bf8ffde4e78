package cpu

import (
	"runtime"
	"sync"

	"github.com/hone-ml/hone/internal/cpu/gemm"
)

// An attentionWorkspace is the scratch memory of tasks of attention, and of the calls that make them.
type attentionWorkspace struct {
	workspace
	gemm     gemm.Workspace
	k, kt, v gemm.Packed // a tile of k, of kᵀ, and of v or vᵀ

	// In bfloat16: rows of q and of dout, and either transposed; probabilities and dS by rows.
	rows, douts, turned, probs, dsRows gemm.Left
	// A tile of kᵀ, of k, and of v or vᵀ; P and dS.
	ktPairs, kPairs, vPairs, probPairs, dsPairs gemm.Right
}

// idleAttention are the workspaces that nobody uses. They are kept for good: touching new memory costs
// more than a short sequence.
var idleAttention struct {
	sync.Mutex
	list []*attentionWorkspace
}

func getAttentionWorkspace() *attentionWorkspace {
	idleAttention.Lock()
	defer idleAttention.Unlock()
	n := len(idleAttention.list)
	if n == 0 {
		return new(attentionWorkspace)
	}
	w := idleAttention.list[n-1]
	idleAttention.list = idleAttention.list[:n-1]
	w.reset()
	return w
}

func (w *attentionWorkspace) put() {
	idleAttention.Lock()
	defer idleAttention.Unlock()
	if len(idleAttention.list) < 2*runtime.NumCPU()+2 {
		idleAttention.list = append(idleAttention.list, w)
	}
}
