package optim

// AdamConfig holds the constants of Adam and says how it keeps its state, as AdamWConfig does of AdamW.
type AdamConfig = AdamWConfig

// Adam is Adam (Kingma and Ba, "Adam: A Method for Stochastic Optimization", 2015) with the semantics of
// torch.optim.Adam: weight decay is an L2 penalty, added to the gradient, and so goes through the moments.
// In all else it is as AdamW.
type Adam struct{ *AdamW }

// NewAdam makes the state, moments of zero, for the groups' parameters. It panics where NewAdamW does.
func NewAdam(groups []Group, c AdamConfig) *Adam { return &Adam{newAdamW("Adam", groups, c, true)} }
