package outside

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hone-ml/hone/models"
	"github.com/hone-ml/hone/optim"
	"github.com/hone-ml/hone/tensor"
	"github.com/hone-ml/hone/tensor/gradcheck"
	"github.com/hone-ml/hone/tokenizer"
	"github.com/hone-ml/hone/train"
)

func TestSquaredReLUHasTheRightGradient(t *testing.T) {
	x := tensor.FromSlice(tensor.CPU(), []float64{-2, -0.5, 0.3, 1, 4, -7}, 2, 3)
	x.SetTrainable(true)
	gradcheck.Check(t, func(x ...*tensor.Tensor) *tensor.Tensor { return SquaredReLU(x[0]) }, x)

	wrong := squaredReLU
	wrong.Backward = func(dy, saved []*tensor.Tensor, _ []bool) []*tensor.Tensor {
		return []*tensor.Tensor{dy[0].Mul(saved[0])} // the 2 is missing
	}
	err := gradcheck.Verify(func(x ...*tensor.Tensor) *tensor.Tensor { return tensor.Custom(wrong, x[0])[0] }, x)
	if m, ok := errors.AsType[*gradcheck.Mismatch](err); !ok || m.Wrong != 3 {
		t.Errorf("a wrong derivative gives %v", err)
	}
}

func newModel(t *testing.T, dtype string) *Model {
	t.Helper()
	m, err := models.BuildConfig(fmt.Appendf(nil, `{"model_type": "primer", "vocab_size": 260, "hidden_size": 32, "num_hidden_layers": 2,
		"num_attention_heads": 4, "max_position_embeddings": 48, "eos_token_id": 0, "dtype": %q}`, dtype), models.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	p := m.(*Model)
	p.Init(tensor.NewRand(1))
	return p
}

func newTokenizer(t *testing.T) *tokenizer.Tokenizer {
	t.Helper()
	tok, err := tokenizer.Train(slices.Values([]string{"one two"}), tokenizer.TrainOptions{
		VocabSize: 258, AddedTokens: tokenizer.ControlTokens("<|end|>"), EOS: "<|end|>"})
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

var answers = map[string]string{"one": " and two", "three": " and four", "fünf": " und sechs"}

// wantAnswers checks that m has learned its answers by heart.
func wantAnswers(t *testing.T, m models.CausalLM, tok *tokenizer.Tokenizer) {
	t.Helper()
	for question, want := range answers {
		var got strings.Builder
		for token, err := range models.Generate(t.Context(), m, tok, question, models.Options{MaxTokens: 40}) {
			if err != nil {
				t.Fatal(err)
			}
			got.WriteString(token.Text)
		}
		if got.String() != want {
			t.Errorf("%q is answered %q, want %q", question, got.String(), want)
		}
	}
}

func TestAModelFromOutsideIsTrainedSavedLoadedAndGenerates(t *testing.T) {
	tok := newTokenizer(t)
	m := newModel(t, "float32")
	var samples train.Samples
	for _, question := range slices.Sorted(func(yield func(string) bool) {
		for q := range answers {
			if !yield(q) {
				return
			}
		}
	}) {
		q := tok.Encode(question)
		ids := append(slices.Clone(q), tok.Encode(answers[question]+"<|end|>")...)
		samples = append(samples, train.Sample{ID: question, Tokens: ids, Completion: []train.Span{{Start: len(q), End: len(ids)}}})
	}
	c := train.Defaults()
	c.Epochs, c.Accum, c.MaxLength, c.LR = 150, 1, 48, 1e-2
	result, err := train.Run(t.Context(), train.Options{
		Model:     m,
		Optimizer: optim.NewAdamW(optim.Split(m.Parameters(), c.LR, 0.01), optim.AdamWConfig{}),
		Data:      samples,
		Config:    c,
	})
	if err != nil {
		t.Fatal(err)
	}
	if result.Last.Loss > 0.05 {
		t.Errorf("the loss is %g after %d steps", result.Last.Loss, result.Step)
	}
	wantAnswers(t, m, tok)

	dir := filepath.Join(t.TempDir(), "model")
	if err := errors.Join(models.Save(dir, m), tok.Save(dir)); err != nil {
		t.Fatal(err)
	}
	loaded, err := models.Load(dir, models.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if tok, err = tokenizer.Load(dir); err != nil {
		t.Fatal(err)
	}
	wantAnswers(t, loaded, tok)
}

func TestAPlainLoopTrainsAModelFromOutside(t *testing.T) {
	m := newModel(t, "bfloat16")
	tape := tensor.CPU().NewTape()
	defer tape.Close()
	grads := tensor.NewGrads(m.Parameters(), tensor.F32)
	opt := optim.NewAdamW(optim.Split(m.Parameters(), 1e-2, 0), optim.AdamWConfig{})
	first, last := 0.0, 0.0
	for step := range 30 {
		b := models.Batch{IDs: tensor.FromSlice(tape, []int32{1, 2, 3, 9, 8, 7}, 1, 6), SeqStarts: []int32{0, 3}}
		targets := tensor.FromSlice(tape, []int32{2, 3, 4, 8, 7, 6}, 1, 6)
		loss := tensor.LinearCrossEntropy(m.Hidden(b, nil), m.Head(), targets, tensor.CrossEntropyOptions{})
		loss.Backward(grads)
		grads.Clip(1)
		if err := opt.Step(grads); err != nil {
			t.Fatal(err)
		}
		if last = loss.Item(); step == 0 {
			first = last
		}
		grads.Zero()
		tape.Reset()
	}
	if !(last < first/10) {
		t.Errorf("the loss went from %g to %g", first, last)
	}
}
