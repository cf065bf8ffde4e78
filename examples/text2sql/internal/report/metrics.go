package report

import (
	"encoding/json"
	"errors"
	"math"
	"slices"
)

// stepLine is a line of metrics.jsonl. Floats are pointers because JSON knows neither NaN nor infinities: null stands
// for both.
type stepLine struct {
	Step            *int     `json:"step"`
	Epoch           *float64 `json:"epoch"`
	Tokens          int64    `json:"tokens"`
	Loss            *float64 `json:"loss"`
	LR              *float64 `json:"lr"`
	GradNorm        *float64 `json:"grad_norm"`
	TokensPerSecond *float64 `json:"tokens_per_second"`
	Seconds         *float64 `json:"seconds"`
}

// evalLine is a line of evaluations.jsonl.
type evalLine struct {
	Step   *int       `json:"step"`
	Score  *float64   `json:"score"`
	Values evalValues `json:"values,omitzero"`
}

type evalValues struct {
	Loss *float64 `json:"loss,omitempty"`
	// ExactMatch is of conversations, whose score is the loss, negated.
	ExactMatch *float64 `json:"exact_match,omitempty"`
}

// MarshalJSON writes the step's line of metrics.jsonl.
func (s Step) MarshalJSON() ([]byte, error) {
	return json.Marshal(stepLine{&s.Step, finite(s.Epoch), s.Tokens, finite(s.Loss), finite(s.LR), finite(s.GradNorm), finite(s.TokensPerSecond), finite(s.Seconds)})
}

// MarshalJSON writes the evaluation's line of evaluations.jsonl.
func (e Eval) MarshalJSON() ([]byte, error) {
	return json.Marshal(evalLine{&e.Step, finite(e.ExecutionAccuracy), evalValues{Loss: finite(e.Loss)}})
}

var errNoStep = errors.New(`no "step": not a line of metrics`)

// ReadMetrics reads metrics.jsonl, a step a line. Unknown keys are ignored. Where a resumed run repeats steps, the
// later ones count. An error names the file and the line.
func ReadMetrics(path string) ([]Step, error) {
	var steps []Step
	err := eachLine(path, func(line []byte) error {
		var in stepLine
		if err := json.Unmarshal(line, &in); err != nil {
			return err
		}
		if in.Step == nil {
			return errNoStep
		}
		s := Step{Step: *in.Step, Epoch: orNaN(in.Epoch), Tokens: in.Tokens, Loss: orNaN(in.Loss), LR: orNaN(in.LR), GradNorm: orNaN(in.GradNorm),
			TokensPerSecond: orNaN(in.TokensPerSecond), Seconds: orNaN(in.Seconds)}
		steps = append(cutFrom(steps, s.Step, func(s Step) int { return s.Step }), s)
		return nil
	})
	return steps, err
}

// ReadEvaluations reads evaluations.jsonl, an evaluation a line, as ReadMetrics reads steps: "score" is the execution
// accuracy, "loss" among the values the loss; "exact_match" there takes the place of the score.
func ReadEvaluations(path string) ([]Eval, error) {
	var evals []Eval
	err := eachLine(path, func(line []byte) error {
		var in evalLine
		if err := json.Unmarshal(line, &in); err != nil {
			return err
		}
		if in.Step == nil {
			return errNoStep
		}
		e := Eval{*in.Step, orNaN(in.Score), orNaN(in.Values.Loss)}
		if in.Values.ExactMatch != nil {
			e.ExecutionAccuracy = *in.Values.ExactMatch
		}
		evals = append(cutFrom(evals, e.Step, func(e Eval) int { return e.Step }), e)
		return nil
	})
	return evals, err
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
