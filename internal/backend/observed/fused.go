package observed

import "github.com/hone-ml/hone/internal/backend"

// The optional kernels. The costs are those that the literature counts: an attention's two products over
// the visible pairs forward and five backward, five operations an element of a softmax.

func (b *Backend) Softmax(out, x *backend.View) {
	b.run("Softmax", 5*elements(x), views{out}, views{x}, func() { fused[backend.Softmaxer](b).Softmax(out, x) })
}

func (b *Backend) SoftmaxBackward(dx, dy, y *backend.View) {
	b.run("SoftmaxBackward", 4*elements(y), views{dx}, views{dy, y}, func() { fused[backend.Softmaxer](b).SoftmaxBackward(dx, dy, y) })
}

func (b *Backend) ActivationBackward(op backend.UnaryOp, dx, dy, kept *backend.View) {
	b.run("ActivationBackward", 2*elements(dx), views{dx}, views{dy, kept}, func() { fused[backend.ActivationDeriver](b).ActivationBackward(op, dx, dy, kept) })
}

func (b *Backend) Scan(out, x, y *backend.View, axis int, start float64, reverse bool) {
	b.run("Scan", 2*elements(out), views{out}, views{x, y}, func() { fused[backend.Scanner](b).Scan(out, x, y, axis, start, reverse) })
}

func (b *Backend) Sort(index, x *backend.View, descending bool) {
	b.run("Sort", 0, views{index}, views{x}, func() { fused[backend.Sorter](b).Sort(index, x, descending) })
}

func (b *Backend) MatMulAdd(out, x, y, bias, residual *backend.View) {
	in := present(x, y, bias, residual)
	b.run("MatMulAdd", products(out, x)+float64(len(in)-2)*elements(out), views{out}, in,
		func() { fused[backend.MatMulAdder](b).MatMulAdd(out, x, y, bias, residual) })
}

func (b *Backend) RMSNorm(out, rstd, x, w *backend.View, eps float64) {
	b.run("RMSNorm", 4*elements(x), present(out, rstd), views{x, w}, func() { fused[backend.RMSNormer](b).RMSNorm(out, rstd, x, w, eps) })
}

func (b *Backend) RMSNormBackward(dx, dw, dy, x, w, rstd *backend.View) {
	b.run("RMSNormBackward", 9*elements(x), present(dx, dw), views{dy, x, w, rstd},
		func() { fused[backend.RMSNormer](b).RMSNormBackward(dx, dw, dy, x, w, rstd) })
}

func (b *Backend) LayerNorm(out, mean, rstd, x, w, bias *backend.View, eps float64) {
	b.run("LayerNorm", 7*elements(x), present(out, mean, rstd), views{x, w, bias},
		func() { fused[backend.LayerNormer](b).LayerNorm(out, mean, rstd, x, w, bias, eps) })
}

func (b *Backend) LayerNormBackward(dx, dw, db, dy, x, w, mean, rstd *backend.View) {
	b.run("LayerNormBackward", 14*elements(x), present(dx, dw, db), views{dy, x, w, mean, rstd},
		func() { fused[backend.LayerNormer](b).LayerNormBackward(dx, dw, db, dy, x, w, mean, rstd) })
}

func (b *Backend) RoPE(out, x, cos, sin *backend.View, inverse bool) {
	b.run("RoPE", 3*elements(x), views{out}, views{x, cos, sin}, func() { fused[backend.RoPEr](b).RoPE(out, x, cos, sin, inverse) })
}

func (b *Backend) NormRoPE(out, rstd, x, w, cos, sin *backend.View, eps float64) {
	b.run("NormRoPE", 7*elements(x), present(out, rstd), views{x, w, cos, sin},
		func() { fused[backend.NormRoPEr](b).NormRoPE(out, rstd, x, w, cos, sin, eps) })
}

func (b *Backend) NormRoPEBackward(dx, dw, dy, x, w, rstd, cos, sin *backend.View) {
	b.run("NormRoPEBackward", 12*elements(x), present(dx, dw), views{dy, x, w, rstd, cos, sin},
		func() { fused[backend.NormRoPEr](b).NormRoPEBackward(dx, dw, dy, x, w, rstd, cos, sin) })
}

func (b *Backend) SwiGLU(out, gate, up *backend.View) {
	b.run("SwiGLU", 5*elements(out), views{out}, views{gate, up}, func() { fused[backend.SwiGLUer](b).SwiGLU(out, gate, up) })
}

func (b *Backend) SwiGLUBackward(dgate, dup, dy, gate, up *backend.View) {
	b.run("SwiGLUBackward", 12*elements(dy), present(dgate, dup), views{dy, gate, up},
		func() { fused[backend.SwiGLUer](b).SwiGLUBackward(dgate, dup, dy, gate, up) })
}

func (b *Backend) Attention(out, lse, q, k, v *backend.View, a backend.AttentionArgs) {
	b.run("Attention", 4*pairs(q, a), present(out, lse), views{q, k, v}, func() { fused[backend.Attentioner](b).Attention(out, lse, q, k, v, a) })
}

func (b *Backend) AttentionBackward(dq, dk, dv, dout, out, lse, q, k, v *backend.View, a backend.AttentionArgs) {
	b.run("AttentionBackward", 10*pairs(q, a), present(dq, dk, dv), views{dout, out, lse, q, k, v},
		func() { fused[backend.Attentioner](b).AttentionBackward(dq, dk, dv, dout, out, lse, q, k, v, a) })
}

// pairs is the number of pairs of a query and a key that it sees, times heads and their width.
func pairs(q *backend.View, a backend.AttentionArgs) float64 {
	n := 0.0
	for _, s := range a.Segments {
		queries, keys := float64(s.Q1-s.Q0), float64(s.K1-s.K0)
		if a.Causal {
			// Query i of these sees keys − queries + i + 1 keys; below zero it sees none.
			seen := min(queries, keys)
			n += seen*keys - seen*(seen-1)/2
			continue
		}
		n += queries * keys
	}
	return n * float64(q.Shape[1]*q.Shape[2])
}

func (b *Backend) CrossEntropy(loss, lse, logits, targets *backend.View, a backend.CrossEntropyArgs) {
	b.run("CrossEntropy", 4*elements(logits), views{loss, lse}, views{logits, targets},
		func() { fused[backend.CrossEntropyer](b).CrossEntropy(loss, lse, logits, targets, a) })
}

func (b *Backend) CrossEntropyPart(loss, lse, state, logits, targets *backend.View, a backend.CrossEntropyArgs) {
	b.run("CrossEntropyPart", 4*elements(logits), present(loss, lse, state), views{logits, targets},
		func() { fused[backend.CrossEntropyer](b).CrossEntropyPart(loss, lse, state, logits, targets, a) })
}

func (b *Backend) CrossEntropyBackward(dlogits, logits, lse, targets, scale *backend.View, a backend.CrossEntropyArgs) {
	b.run("CrossEntropyBackward", 4*elements(logits), views{dlogits}, views{logits, lse, targets, scale},
		func() { fused[backend.CrossEntropyer](b).CrossEntropyBackward(dlogits, logits, lse, targets, scale, a) })
}

func (b *Backend) AdamW(s backend.AdamWState, grad, hyper *backend.View, a backend.AdamWArgs) {
	state := present(s.Param, s.Master, s.Remainder, s.M, s.V, s.MScale, s.VScale)
	read := present(grad, s.Master, s.Remainder, s.M, s.V, s.MScale, s.VScale)
	if s.Master == nil {
		read = append(read, s.Param)
	}
	b.run("AdamW", 15*elements(grad), state, read, func() { fused[backend.AdamWer](b).AdamW(s, grad, hyper, a) })
}

func (b *Backend) SGD(s backend.MomentumState, grad, hyper *backend.View, a backend.SGDArgs) {
	state, read := momentum(s, grad)
	b.run("SGD", 6*elements(grad), state, read, func() { fused[backend.SGDer](b).SGD(s, grad, hyper, a) })
}

func (b *Backend) Lion(s backend.MomentumState, grad, hyper *backend.View, a backend.LionArgs) {
	state, read := momentum(s, grad)
	b.run("Lion", 10*elements(grad), state, read, func() { fused[backend.Lioner](b).Lion(s, grad, hyper, a) })
}

func (b *Backend) Adafactor(s backend.AdafactorState, grad, hyper *backend.View, a backend.AdafactorArgs) {
	state, read := momentum(backend.MomentumState{WeightState: s.WeightState}, grad)
	squares := present(s.Row, s.Col, s.V)
	b.run("Adafactor", 17*elements(grad), append(state, squares...), append(read, squares...),
		func() { fused[backend.Adafactorer](b).Adafactor(s, grad, hyper, a) })
}

// momentum is what a step writes and reads.
func momentum(s backend.MomentumState, grad *backend.View) (state, read views) {
	state, read = present(s.Param, s.Master, s.Remainder, s.M), present(grad, s.Master, s.Remainder, s.M)
	if s.Master == nil {
		read = append(read, s.Param)
	}
	return state, read
}

func (b *Backend) Muon(matrices []backend.MuonState, hyper, scratch *backend.View, a backend.MuonArgs) {
	var state, read views
	flops := 0.0
	for _, s := range matrices {
		state = append(state, present(s.Param, s.Master, s.Momentum)...)
		read = append(read, s.Grad, s.Master, s.Momentum)
		rows, cols := float64(s.Master.Shape[0]), float64(s.Master.Shape[1])
		n, long := min(rows, cols), max(rows, cols)
		flops += float64(a.Steps) * (4*n*n*long + 2*n*n*n)
	}
	b.run("Muon", flops, state, read, func() { fused[backend.Muoner](b).Muon(matrices, hyper, scratch, a) })
}

func (b *Backend) SumSquares(out, x *backend.View, chunk int) {
	b.run("SumSquares", 2*elements(x), views{out}, views{x}, func() { fused[backend.SquareSummer](b).SumSquares(out, x, chunk) })
}

func (b *Backend) Quantize(out, x *backend.View) {
	b.run("Quantize", 3*elements(x), views{out}, views{x}, func() { fused[backend.Quantizer](b).Quantize(out, x) })
}

func (b *Backend) Dequantize(out, x *backend.View) {
	b.run("Dequantize", elements(x), views{out}, views{x}, func() { fused[backend.Quantizer](b).Dequantize(out, x) })
}

func (b *Backend) MatMulQuantized(out, x, w *backend.View, accumulate bool) {
	b.run("MatMulQuantized", products(out, x), views{out}, views{x, w},
		func() { fused[backend.QuantizedMatMuler](b).MatMulQuantized(out, x, w, accumulate) })
}

var (
	_ backend.HostMemory        = (*Backend)(nil)
	_ backend.Poisoner          = (*Backend)(nil)
	_ backend.Scanner           = (*Backend)(nil)
	_ backend.Sorter            = (*Backend)(nil)
	_ backend.Softmaxer         = (*Backend)(nil)
	_ backend.ActivationDeriver = (*Backend)(nil)
	_ backend.MatMulAdder       = (*Backend)(nil)
	_ backend.RMSNormer         = (*Backend)(nil)
	_ backend.NormRoPEr         = (*Backend)(nil)
	_ backend.LayerNormer       = (*Backend)(nil)
	_ backend.RoPEr             = (*Backend)(nil)
	_ backend.SwiGLUer          = (*Backend)(nil)
	_ backend.Attentioner       = (*Backend)(nil)
	_ backend.CrossEntropyer    = (*Backend)(nil)
	_ backend.AdamWer           = (*Backend)(nil)
	_ backend.Muoner            = (*Backend)(nil)
	_ backend.SGDer             = (*Backend)(nil)
	_ backend.Lioner            = (*Backend)(nil)
	_ backend.Adafactorer       = (*Backend)(nil)
	_ backend.SquareSummer      = (*Backend)(nil)

	_ backend.Unfolder           = (*Backend)(nil)
	_ backend.DepthwiseConvolver = (*Backend)(nil)
	_ backend.MaxPooler          = (*Backend)(nil)

	_ backend.Quantizer         = (*Backend)(nil)
	_ backend.QuantizedMatMuler = (*Backend)(nil)
)
