package report

import (
	"encoding/json"
	"errors"
	"math"
	"slices"
)

// stepLine is a line of metrics.jsonl, of either kind. Floats are pointers because JSON knows neither NaN nor
// infinities: null stands for both.
type stepLine struct {
	Step              *int     `json:"step"`
	Epoch             *float64 `json:"epoch,omitempty"`
	Tokens            *int64   `json:"tokens,omitempty"`
	Loss              *float64 `json:"loss,omitempty"`
	LR                *float64 `json:"lr,omitempty"`
	GradNorm          *float64 `json:"grad_norm,omitempty"`
	TokensPerSecond   *float64 `json:"tokens_per_second,omitempty"`
	Seconds           *float64 `json:"seconds,omitempty"`
	ExecutionAccuracy *float64 `json:"execution_accuracy,omitempty"`
	EvalLoss          *float64 `json:"eval_loss,omitempty"`
}

// MarshalJSON writes the step's line of metrics.jsonl.
func (s Step) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Step            int      `json:"step"`
		Epoch           *float64 `json:"epoch"`
		Tokens          int64    `json:"tokens"`
		Loss            *float64 `json:"loss"`
		LR              *float64 `json:"lr"`
		GradNorm        *float64 `json:"grad_norm"`
		TokensPerSecond *float64 `json:"tokens_per_second"`
		Seconds         *float64 `json:"seconds"`
	}{s.Step, finite(s.Epoch), s.Tokens, finite(s.Loss), finite(s.LR), finite(s.GradNorm), finite(s.TokensPerSecond), finite(s.Seconds)})
}

// MarshalJSON writes the evaluation's line of metrics.jsonl.
func (e Eval) MarshalJSON() ([]byte, error) {
	return json.Marshal(stepLine{Step: &e.Step, ExecutionAccuracy: finite(e.ExecutionAccuracy), EvalLoss: finite(e.Loss)})
}

// ReadMetrics reads metrics.jsonl: steps, and evaluations, which are the lines with "execution_accuracy" or
// "eval_loss". Unknown keys are ignored. Where a resumed run repeats steps, the later ones count. An error names the
// file and the line.
func ReadMetrics(path string) ([]Step, []Eval, error) {
	var steps []Step
	var evals []Eval
	err := eachLine(path, func(line []byte) error {
		var in stepLine
		if err := json.Unmarshal(line, &in); err != nil {
			return err
		}
		if in.Step == nil {
			return errors.New(`no "step": not a line of metrics`)
		}
		if in.ExecutionAccuracy != nil || in.EvalLoss != nil {
			e := Eval{*in.Step, orNaN(in.ExecutionAccuracy), orNaN(in.EvalLoss)}
			evals = append(cutFrom(evals, e.Step, func(e Eval) int { return e.Step }), e)
			return nil
		}
		s := Step{Step: *in.Step, Epoch: orNaN(in.Epoch), Loss: orNaN(in.Loss), LR: orNaN(in.LR), GradNorm: orNaN(in.GradNorm),
			TokensPerSecond: orNaN(in.TokensPerSecond), Seconds: orNaN(in.Seconds)}
		if in.Tokens != nil {
			s.Tokens = *in.Tokens
		}
		// An evaluation after a step stands behind it, so that one of a later step is of the part that was lost.
		evals = cutFrom(evals, s.Step+1, func(e Eval) int { return e.Step })
		steps = append(cutFrom(steps, s.Step, func(s Step) int { return s.Step }), s)
		return nil
	})
	return steps, evals, err
}

// cutFrom drops the points of a run that was resumed before them.
func cutFrom[T any](points []T, step int, stepOf func(T) int) []T {
	if len(points) == 0 || stepOf(points[len(points)-1]) < step {
		return points
	}
	i, _ := slices.BinarySearchFunc(points, step, func(p T, step int) int { return stepOf(p) - step })
	return points[:i]
}

func finite(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}

func orNaN(v *float64) float64 {
	if v == nil {
		return math.NaN()
	}
	return *v
}
