package tensor

// NLL is CrossEntropy of log-probabilities, such as LogSoftmax gives, instead of logits: the mean of
// −logp[target] over the rows that count: logp [..., V] of a float dtype, targets [...] I32, a scalar F32
// (F64 for F64), or with o.PerRow [...]. The options are those of CrossEntropy. It panics as that does.
// (torch.nn.functional.nll_loss.)
func NLL(logp, targets *Tensor, o CrossEntropyOptions) *Tensor {
	ins := []*Tensor{logp, targets}
	s := scopeOf("NLL", ins)
	if logp.view.Rank == 0 || !logp.view.DType.IsFloat() {
		fail("NLL", ins, "needs log-probabilities [..., V] of a float dtype")
	}
	c := newCrossEntropy("NLL", s, logp, targets, logp.Dim(-1), o)
	c.checkTargets("NLL", logp)
	return c.ofLogs(logp.In(s).Reshape(c.n, logp.Dim(-1)).To(c.acc))
}
