package models_test

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"log"
	"os"
	"slices"

	"github.com/hone-ml/hone/models"
	"github.com/hone-ml/hone/models/qwen"
	"github.com/hone-ml/hone/nn"
	"github.com/hone-ml/hone/optim"
	"github.com/hone-ml/hone/tensor"
	"github.com/hone-ml/hone/tokenizer"
)

// Bigram guesses the next token from the last one alone.
type Bigram struct {
	Vocab int `json:"vocab_size"`

	Embed *nn.Embedding `json:"-" param:"embed"`
	Out   *nn.Linear    `json:"-" param:"lm_head"`
}

func (m *Bigram) Hidden(b models.Batch, _ *models.Cache) *tensor.Tensor {
	return m.Embed.Forward(b.IDs)
}
func (m *Bigram) Head() *tensor.Tensor                          { return m.Out.Weight }
func (m *Bigram) Parameters() iter.Seq2[string, *tensor.Tensor] { return nn.Parameters(m) }

func newBigram(config []byte, p tensor.Place) (models.CausalLM, error) {
	m := &Bigram{}
	if err := json.Unmarshal(config, m); err != nil {
		return nil, models.ConfigError(err)
	}
	if m.Vocab < 1 || m.Vocab > 1<<20 {
		return nil, fmt.Errorf("vocab_size is %d, want 1 to %d", m.Vocab, 1<<20)
	}
	m.Embed = nn.NewEmbedding(p, tensor.F32, m.Vocab, 8)
	m.Out = nn.NewLinear(p, tensor.F32, 8, m.Vocab, false)
	return m, nil
}

// An architecture registers itself when its package is imported.
func init() { models.Register("bigram", newBigram) }

// Bigram above is an architecture with its registration, whole: Load, Build and BuildConfig then know its
// model_type.
func ExampleRegister() {
	m, err := models.BuildConfig([]byte(`{"model_type": "bigram", "vocab_size": 10}`), models.LoadOptions{})
	if err != nil {
		log.Fatal(err)
	}
	for name, p := range m.Parameters() {
		fmt.Println(name, p.Shape())
	}
	_, err = models.BuildConfig([]byte(`{"model_type": "bigram", "vocab_size": "ten"}`), models.LoadOptions{})
	fmt.Println(err)
	// Output:
	// embed.weight [10 8]
	// lm_head.weight [10 8]
	// field vocab_size is string, want int
}

// A model and its tokenizer are loaded from a directory, as it comes from the Hugging Face hub, and continue
// a prompt token by token.
func ExampleGenerate() {
	dir, err := counts()
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	model, err := models.Load(dir, models.LoadOptions{})
	if err != nil {
		log.Fatal(err)
	}
	tok, err := tokenizer.Load(dir)
	if err != nil {
		log.Fatal(err)
	}
	for token, err := range models.Generate(context.Background(), model, tok, "one two", models.Options{MaxTokens: 20}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Print(token.Text)
	}
	// Output: three four five
}

func ExampleGenerateTexts() {
	dir, err := counts()
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	model, err := models.Load(dir, models.LoadOptions{})
	if err != nil {
		log.Fatal(err)
	}
	tok, err := tokenizer.Load(dir)
	if err != nil {
		log.Fatal(err)
	}
	texts, err := models.GenerateTexts(context.Background(), model, tok, []string{"one", "one two three"}, models.Options{StopStrings: []string{" five"}})
	if err != nil {
		log.Fatal(err)
	}
	for _, x := range texts {
		fmt.Println(x.Prompt, x.Text, x.Stopped)
	}
	// Output:
	// 0  two three four true
	// 1  four true
}

// counts makes the directory of a model that has learned to count to five.
func counts() (dir string, err error) {
	tok, err := tokenizer.Train(slices.Values([]string{"one two three four five"}), tokenizer.TrainOptions{
		VocabSize: 280, AddedTokens: tokenizer.ControlTokens("<|end|>"), EOS: "<|end|>"})
	if err != nil {
		return "", err
	}
	end, _ := tok.EOS()
	m, err := qwen.New(qwen.Config{
		VocabSize: tok.VocabSize(), HiddenSize: 32, IntermediateSize: 64, NumHiddenLayers: 1, NumAttentionHeads: 2, NumKeyValueHeads: 1,
		HeadDim: 16, MaxPositionEmbeddings: 32, RMSNormEps: 1e-6, RopeTheta: 1e4, TieWordEmbeddings: true, EOSTokenID: []int32{end},
	}, tensor.CPU())
	if err != nil {
		return "", err
	}
	m.InitFanIn(tensor.NewRand(1))
	opt := optim.NewAdamW(optim.Split(m.Parameters(), 1e-2, 0), optim.AdamWConfig{})
	grads := tensor.NewGrads(m.Parameters(), tensor.F32)
	tape := tensor.CPU().NewTape()
	defer tape.Close()
	ids := tok.Encode("one two three four five<|end|>")
	for range 60 {
		b := models.Batch{IDs: tensor.FromSlice(tape, ids[:len(ids)-1], 1, len(ids)-1)}
		targets := tensor.FromSlice(tape, ids[1:], 1, len(ids)-1)
		tensor.LinearCrossEntropy(m.Hidden(b, nil), m.Head(), targets, tensor.CrossEntropyOptions{}).Backward(grads)
		if err := opt.Step(grads); err != nil {
			return "", err
		}
		grads.Zero()
		tape.Reset()
	}
	if dir, err = os.MkdirTemp("", "counts"); err != nil {
		return "", err
	}
	if err := models.Save(dir, m); err != nil {
		return "", err
	}
	return dir, tok.Save(dir)
}
