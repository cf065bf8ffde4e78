package qwen

import (
	"fmt"
	"slices"

	"github.com/hone-ml/hone/models"
	"github.com/hone-ml/hone/nn"
	"github.com/hone-ml/hone/tensor"
)

// Experts are the fields that the config.json of a qwen3_moe has beside those of Config.
type Experts struct {
	NumExperts          int  `json:"num_experts"`
	NumExpertsPerTok    int  `json:"num_experts_per_tok"`
	MoEIntermediateSize int  `json:"moe_intermediate_size"` // of each expert
	NormTopKProb        bool `json:"norm_topk_prob"`        // the chosen experts' weights sum to 1

	// Every DecoderSparseStep-th layer has experts, but for those in MLPOnlyLayers.
	DecoderSparseStep int   `json:"decoder_sparse_step"`
	MLPOnlyLayers     []int `json:"mlp_only_layers"`

	// With OutputRouterLogits training adds RouterAuxLossCoef times the loss of unevenly used experts.
	OutputRouterLogits bool    `json:"output_router_logits"`
	RouterAuxLossCoef  float64 `json:"router_aux_loss_coef"`
}

// defaultExperts are those of transformers' Qwen3MoeConfig.
func defaultExperts() *Experts {
	return &Experts{NumExperts: 128, NumExpertsPerTok: 8, MoEIntermediateSize: 768, DecoderSparseStep: 1, RouterAuxLossCoef: 0.001}
}

func (e *Experts) check() error {
	const most = 1 << 20 // rows of all experts of a layer together
	for _, f := range []struct {
		name       string
		value, max int
	}{
		{"num_experts", e.NumExperts, most}, {"moe_intermediate_size", e.MoEIntermediateSize, most},
		{"num_experts_per_tok", e.NumExpertsPerTok, e.NumExperts}, {"decoder_sparse_step", e.DecoderSparseStep, most},
	} {
		if f.value <= 0 || f.value > f.max {
			return fmt.Errorf("%s is %d, want 1 to %d", f.name, f.value, f.max)
		}
	}
	if e.NumExperts*e.MoEIntermediateSize > most {
		return fmt.Errorf("num_experts %d times moe_intermediate_size %d is %d, want at most %d", e.NumExperts, e.MoEIntermediateSize, e.NumExperts*e.MoEIntermediateSize, most)
	}
	if !(e.RouterAuxLossCoef >= 0) {
		return fmt.Errorf("router_aux_loss_coef %g is negative", e.RouterAuxLossCoef)
	}
	return nil
}

// sparse says whether a layer has experts. A nil e has none.
func (e *Experts) sparse(layer int) bool {
	return e != nil && (layer+1)%e.DecoderSparseStep == 0 && !slices.Contains(e.MLPOnlyLayers, layer)
}

// MoE is a mixture of experts in the place of an MLP: each token goes through the TopK experts that the router
// finds most likely, and their results are summed with its probabilities. (Shazeer et al., "Outrageously Large
// Neural Networks", 2017; as transformers' modeling_qwen3_moe.py computes it.)
type MoE struct {
	Router  nn.Layer `param:"gate"`    // H → E
	Experts []*MLP   `param:"experts"` // each H → H

	TopK      int
	Normalize bool // the TopK probabilities sum to 1
}

func newMoE(p tensor.Place, dt tensor.DType, hidden int, e *Experts) *MoE {
	m := &MoE{Router: nn.NewLinear(p, dt, hidden, e.NumExperts, false), TopK: e.NumExpertsPerTok, Normalize: e.NormTopKProb}
	for range e.NumExperts {
		m.Experts = append(m.Experts, nn.NewGatedMLP(p, dt, hidden, e.MoEIntermediateSize))
	}
	return m
}

// Forward maps x [..., H] to [..., H].
func (m *MoE) Forward(x *tensor.Tensor) *tensor.Tensor {
	y, _ := m.route(x)
	return y
}

// route is Forward, and the router's logits [N, E] of x's N rows. Rows are sorted by expert, so that each expert
// multiplies all of its rows at once; which go where is read by the host.
func (m *MoE) route(x *tensor.Tensor) (y, logits *tensor.Tensor) {
	s, rows := x.Scope(), x.Reshape(-1, x.Dim(-1))
	n := rows.Dim(0)
	logits = m.Router.Forward(rows)
	weights, chosen := logits.To(tensor.F32).Softmax().TopK(m.TopK, -1) // [N, K]
	if m.Normalize {
		weights = weights.Div(weights.SumKeep(-1))
	}
	g := groupByExpert(tensor.ToSlice[int32](chosen), len(m.Experts), m.TopK)
	sorted := rows.Gather(tensor.FromSlice(s, g.rows)) // [N·K, H]
	var results []*tensor.Tensor
	for e, expert := range m.Experts {
		if lo, hi := g.ends[e], g.ends[e+1]; lo < hi {
			results = append(results, expert.Forward(sorted.Slice(0, lo, hi)))
		}
	}
	y = tensor.Cat(0, results...).Gather(tensor.FromSlice(s, g.places)).Reshape(n, m.TopK, -1)
	y = y.Mul(weights.To(y.DType()).Unsqueeze(-1)).Sum(1)
	return y.Reshape(x.Shape()...), logits
}

// groups are the pairs of row and expert, N·K of them, in the order of the experts and then of the rows.
type groups struct {
	rows   []int32 // of each pair in that order
	places []int32 // in that order, of each pair in the order of rows
	ends   []int   // the pairs of expert e are ends[e] to ends[e+1]
}

// groupByExpert sorts what the router chose: the experts of row r are chosen[r·k : r·k+k].
func groupByExpert(chosen []int32, experts, k int) groups {
	g := groups{rows: make([]int32, len(chosen)), places: make([]int32, len(chosen)), ends: make([]int, experts+1)}
	for _, e := range chosen {
		g.ends[e+1]++
	}
	for e := range experts {
		g.ends[e+1] += g.ends[e]
	}
	next := slices.Clone(g.ends)
	for i, e := range chosen {
		g.places[i] = int32(next[e])
		g.rows[next[e]] = int32(i / k)
		next[e]++
	}
	return g
}

// balance is the loss of unevenly used experts, a scalar of F32 that is TopK where all are used alike: the number of
// experts times the sum, over the experts, of the share of tokens that went to each and of its mean
// probability, over the tokens of all layers, whose router logits are [N, E] each. (Fedus et al., "Switch
// Transformers", 2021, equations 4 to 6.)
func balance(logits []*tensor.Tensor, topK int) *tensor.Tensor {
	all := tensor.Cat(0, logits...).To(tensor.F32).Softmax() // [L·N, E]
	experts := all.Dim(1)
	_, chosen := all.Detach().TopK(topK, -1)
	share := make([]float32, experts)
	for _, e := range tensor.ToSlice[int32](chosen) {
		share[e] += 1 / float32(all.Dim(0))
	}
	return all.Mean(0).Mul(tensor.FromSlice(all.Scope(), share, experts)).Sum().MulScalar(float64(experts))
}

// HasAuxLoss says whether the model has experts and its configuration output_router_logits.
func (m *Model) HasAuxLoss() bool {
	e := m.Config.Experts
	return e != nil && e.OutputRouterLogits && slices.ContainsFunc(m.Layers, func(l *Layer) bool { _, ok := l.MLP.(*MoE); return ok })
}

// HiddenAux is Hidden without a cache, and the loss of unevenly used experts times router_aux_loss_coef. The model
// HasAuxLoss.
func (m *Model) HiddenAux(b models.Batch) (hidden, loss *tensor.Tensor) {
	hidden, routers := m.hidden(b, nil)
	e := m.Config.Experts
	return hidden, balance(routers, e.NumExpertsPerTok).MulScalar(e.RouterAuxLossCoef)
}
