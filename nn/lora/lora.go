// Package lora trains small adapters of a model whose own parameters stay as they are (Hu et al., "LoRA:
// Low-Rank Adaptation of Large Language Models", 2021): beside the weight W [out, in] of a linear layer, which is
// frozen and may be quantised, stands the product of two thin matrices, B·A. Names, first values and files are
// those of Hugging Face's PEFT (peft/tuners/lora/layer.py).
//
//	a, err := lora.Attach(model, lora.Config{Rank: 16, Alpha: 32, Targets: []string{"q_proj", "v_proj"}}, tensor.NewRand(42))
//	…                       // train: only A and B are trainable
//	err = a.Save("adapter") // what peft.PeftModel.from_pretrained reads
//
// An adapter is put into fields of type nn.Layer: those are the layers that can have one. The router and each expert of
// a mixture of experts are among them, under names of their own; PEFT reads such files only with versions of transformers
// that keep experts apart (before 5).
package lora

import (
	"fmt"
	"math"
	"slices"

	"github.com/hone-ml/hone/nn"
	"github.com/hone-ml/hone/tensor"
)

// AllLinear is the target that stands for every linear layer that can have an adapter. A language model's head is
// none.
const AllLinear = "all-linear"

// Config says what adapters are like. Rank, Alpha and Targets are needed.
type Config struct {
	Rank    int     // rows of A and columns of B, 1 or more
	Alpha   float64 // B·A counts Alpha/Rank times
	Dropout float64 // of the adapter's input in training, in [0, 1)
	// RankStabilised divides Alpha by √Rank rather than by Rank. (Kalajdzievski, "A Rank Stabilization Scaling
	// Factor for Fine-Tuning with LoRA", 2023; PEFT's use_rslora.)
	RankStabilised bool
	// Targets are the layers' names or the ends of them, of whole words between dots: "q_proj",
	// "0.mlp.up_proj"; or AllLinear alone.
	Targets []string

	// Base and Task are for the readers of the files: the model that the adapter is of, as a path or ORG/NAME, and
	// PEFT's kind of it, such as "CAUSAL_LM". Revision is the branch, tag or commit of a Base on the hub, "" for its main.
	Base, Revision, Task string
}

// Scale is the factor of B·A.
func (c *Config) Scale() float64 {
	if c.RankStabilised {
		return c.Alpha / math.Sqrt(float64(c.Rank))
	}
	return c.Alpha / float64(c.Rank)
}

func (c *Config) check() error {
	switch {
	case c.Rank < 1:
		return fmt.Errorf("lora: the rank is %d, want 1 or more", c.Rank)
	case !(c.Alpha > 0) || math.IsInf(c.Alpha, 0):
		return fmt.Errorf("lora: alpha is %g, want more than 0", c.Alpha)
	case !(c.Dropout >= 0 && c.Dropout < 1):
		return fmt.Errorf("lora: the dropout is %g, want at least 0 and less than 1", c.Dropout)
	case len(c.Targets) == 0:
		return fmt.Errorf("lora: no targets: name layers, such as q_proj, or %s", AllLinear)
	case len(c.Targets) > 1 && slices.Contains(c.Targets, AllLinear):
		return fmt.Errorf("lora: the target %s stands alone, not among %v", AllLinear, c.Targets)
	}
	return nil
}

// Linear is a linear layer with an adapter: Base(x) + scale·B·A·dropout(x). The parameters of Base keep their names
// and should be frozen; A and B are F32, or F64 beside an F64 weight, and are computed with in the dtype of x, to
// which their gradients are rounded once a use (PEFT computes in F32, and keeps x a second time for it).
type Linear struct {
	Base    *nn.Linear     `param:""`
	A       *tensor.Tensor `param:"lora_A.weight"` // [rank, in]
	B       *tensor.Tensor `param:"lora_B.weight"` // [out, rank]
	Scale   float64
	Dropout nn.Dropout
}

// NewLinear puts an adapter on a layer, without effect at first: A is drawn uniformly with bound 1/√in, as PEFT
// does (kaiming_uniform_ with a = √5), and B is 0.
func NewLinear(base *nn.Linear, c Config, r *tensor.Rand) *Linear {
	w := base.Weight
	dt := tensor.F32
	if w.DType() == tensor.F64 {
		dt = tensor.F64
	}
	l := &Linear{Base: base, Scale: c.Scale(), Dropout: nn.Dropout{P: c.Dropout}}
	l.A = tensor.Empty(w.Device(), dt, c.Rank, w.Dim(1))
	l.B = tensor.Zeros(w.Device(), dt, w.Dim(0), c.Rank)
	nn.TorchLinear()(l.A, r)
	l.A.SetTrainable(true)
	l.B.SetTrainable(true)
	return l
}

// Forward maps [..., in] to [..., out].
func (l *Linear) Forward(x *tensor.Tensor) *tensor.Tensor {
	s := x.Scope()
	low := tensor.Linear(l.Dropout.Forward(x), l.A.In(s).To(x.DType()), nil).MulScalar(l.Scale)
	return tensor.LinearAdd(l.Base.Forward(x), low, l.B.In(s).To(x.DType()), nil)
}
