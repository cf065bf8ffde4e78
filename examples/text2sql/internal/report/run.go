// Package report shows what a training run came to: report.html, one self-contained page; loss.png; and the files of
// the run directory (metrics.jsonl, evaluations.jsonl, results.json, predictions.jsonl) from which both can be made again.
//
// It knows nothing of models or databases: it takes plain values, and trusts none of the text in them, for much of it
// was written by a model.
package report

import (
	"time"

	"github.com/hone-ml/hone/examples/text2sql/internal/score"
)

// A Run is everything that a report tells. All of it is optional: what is missing is not shown.
// A Run is not modified by this package, and may be read by several goroutines.
type Run struct {
	About    About
	Usage    Usage
	Splits   []Split   // in the order of the page; the first is the headline
	Steps    []Step    // as trained, in order
	Evals    []Eval    // accuracy during training, in order
	Examples []Example // every judged question of the evaluation after training
}

// An About says what was trained on what, and how to do it again.
type About struct {
	Title   string    `json:"title,omitempty"`
	Summary string    `json:"summary,omitempty"` // a sentence or two under the title; made from the rest when empty
	Method  string    `json:"method,omitempty"`  // such as "trained from scratch" or "full fine-tune"
	Model   Model     `json:"model"`
	Data    Data      `json:"data"`
	Device  string    `json:"device,omitempty"`  // such as "cpu, avx512, 2 threads"
	Command string    `json:"command,omitempty"` // a shell command that reproduces the run
	Seed    uint64    `json:"seed"`
	Version string    `json:"version,omitempty"`
	Started time.Time `json:"started,omitzero"`
	Options []Option  `json:"options,omitempty"`
	Notes   []string  `json:"notes,omitempty"` // a sentence each, such as why the run stopped early
}

// A Model describes the model; zero fields are not shown.
type Model struct {
	Name    string `json:"name,omitempty"` // such as "Qwen3-0.6B"
	Layers  int    `json:"layers,omitempty"`
	Width   int    `json:"width,omitempty"` // the hidden size
	Heads   int    `json:"heads,omitempty"` // of queries
	KVHeads int    `json:"kv_heads,omitempty"`
	Vocab   int    `json:"vocab,omitempty"`
	DType   string `json:"dtype,omitempty"`
}

// Data describes the questions trained on.
type Data struct {
	Description string `json:"description,omitempty"`
	Train       int    `json:"train,omitempty"`     // questions
	Databases   int    `json:"databases,omitempty"` // that they are about
}

// An Option is a setting of the run, as a person would name and write it.
type Option struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Usage is what the run cost.
type Usage struct {
	Parameters      int64   `json:"parameters"`
	Tokens          int64   `json:"tokens"`            // trained on
	TokensPerSecond float64 `json:"tokens_per_second"` // of training, without evaluation
	PeakRSSBytes    int64   `json:"peak_rss_bytes"`
	PeakDeviceBytes int64   `json:"peak_device_bytes"`
	// PredictedBytes is what tensors were to hold at the peak of a step, MeasuredBytes what they held at
	// most while training.
	PredictedBytes int64 `json:"predicted_bytes"`
	MeasuredBytes  int64 `json:"measured_bytes"`
	// Steps is how many were made, ModelStep the one whose parameters the model has: the last, or the best.
	Steps     int `json:"steps"`
	ModelStep int `json:"model_step"`
	// SkippedSteps counts the steps that were not made, Spikes those of them whose gradients were finite but
	// far too large.
	SkippedSteps int     `json:"skipped_steps"`
	Spikes       int     `json:"spikes"`
	Seconds      float64 `json:"seconds"`                    // from start to end
	TrainSeconds float64 `json:"train_seconds,omitempty"`    // of them, training
	EvalSeconds  float64 `json:"evaluate_seconds,omitempty"` // of them, answering and executing
}

// A Split is a set of questions with its scores; a nil score was not measured.
type Split struct {
	Key  string `json:"key"`            // the value of Example.Split; "unseen" for databases not trained on
	Name string `json:"name"`           // such as "held-out questions on seen schemas"
	Note string `json:"note,omitempty"` // a sentence: what makes it hard

	// NoneSeen says that training knew none of its databases, so that its scores are those of an Unseen split, too.
	NoneSeen bool `json:"none_seen,omitempty"`

	Before   *Score `json:"-"` // the model before training
	After    *Score `json:"-"`
	Baseline *Score `json:"-"` // answering with the SQL of the most similar training question
}

// Unseen is the Key of the split whose scores results.json calls before_unseen, after_unseen and baseline_unseen.
const Unseen = "unseen"

// A Score is the outcome of one evaluation, with the keys that the commands eval and score print.
type Score = score.Summary

// A Step is one optimiser step, a line of metrics.jsonl. Values that JSON cannot write (NaN, infinities) become null
// there, and NaN when read.
type Step struct {
	Step            int
	Epoch           float64
	Tokens          int64 // trained on so far
	Loss            float64
	LR              float64
	GradNorm        float64
	TokensPerSecond float64
	Seconds         float64 // since the start of training
}

// An Eval is an evaluation during training, a line of evaluations.jsonl. A value not measured is NaN.
type Eval struct {
	Step              int
	ExecutionAccuracy float64 // or, of conversations, the exact matches
	Loss              float64 // on the validation questions
}

// The verdicts that the page tells apart; any other (such as "error" or "timeout") is a failure of that name.
const (
	Correct = "correct"
	Wrong   = "wrong"
)

// An Example is a judged question, a line of predictions.jsonl.
type Example struct {
	ID     string `json:"id"`
	Split  string `json:"split,omitempty"` // a Split's Key
	DB     string `json:"db_id,omitempty"`
	Family string `json:"family,omitempty"` // the kind of question, such as "group by, having"
	// Difficulty is of the gold query, by Spider's measure: easy, medium, hard, extra hard.
	Difficulty string `json:"difficulty,omitempty"`
	Schema     string `json:"schema,omitempty"` // as it stood in the prompt
	Question   string `json:"question"`
	Gold       string `json:"gold"`
	Predicted  string `json:"predicted"`
	Before     string `json:"predicted_before,omitempty"` // by the model before training
	Verdict    string `json:"verdict"`
	Error      string `json:"error"` // what the database said

	GoldRows      *Rows `json:"gold_rows,omitempty"`      // what the gold query returns
	PredictedRows *Rows `json:"predicted_rows,omitempty"` // and what the predicted one does
}

// Rows are the first of the rows that a query returned.
type Rows struct {
	Columns []string    `json:"columns"`
	First   [][]*string `json:"first"` // as texts; nil is NULL
	Total   int         `json:"total"`
}
