// Command chars trains a character-level transformer on a task that needs attention: to spell a word backwards.
//
//	go run ./examples/chars hone tensor gradient
package main

import (
	"flag"
	"fmt"
	"log"
	"slices"
	"strings"

	"github.com/hone-ml/hone/nn"
	"github.com/hone-ml/hone/optim"
	"github.com/hone-ml/hone/tensor"
)

const (
	alphabet = ".>abcdefghijklmnopqrstuvwxyz" // "." ends and fills
	longest  = 8                              // letters of a word
	length   = 2 * (longest + 1)              // "word>drow."
	width    = 64
	heads    = 4
)

// A model is a decoder: embeddings of characters and of places, blocks, and a head that is the embedding again.
type model struct {
	Embed  *nn.Embedding `param:"embed"`
	Places *nn.Embedding `param:"places"`
	Blocks nn.Sequential `param:"blocks"`
	Norm   *nn.RMSNorm   `param:"norm"`
}

func newModel(layers int) *model {
	cpu, dt := tensor.CPU(), tensor.F32
	norm := func() *nn.RMSNorm { return nn.NewRMSNorm(cpu, dt, width, 1e-6) }
	m := &model{Embed: nn.NewEmbedding(cpu, dt, len(alphabet), width), Places: nn.NewEmbedding(cpu, dt, length, width), Norm: norm()}
	for range layers {
		attention := nn.NewMultiHeadAttention(cpu, dt, nn.AttentionConfig{Width: width, Heads: heads, Causal: true})
		m.Blocks = append(m.Blocks, nn.Residual{Layer: nn.Sequential{norm(), attention}},
			nn.Residual{Layer: nn.Sequential{norm(), nn.NewMLP(cpu, dt, nn.GELU{}, width, 4*width, width)}})
	}
	r := tensor.NewRand(1)
	nn.Initialize(m, r)
	nn.Normal(0.1)(m.Embed.Weight, r)
	nn.Normal(0.1)(m.Places.Weight, r)
	return m
}

// hidden maps ids [B, T] to vectors [B, T, width].
func (m *model) hidden(ids *tensor.Tensor) *tensor.Tensor {
	places := tensor.Arange(ids.Scope(), tensor.I32, 0, float64(ids.Dim(1)), 1)
	return m.Norm.Forward(m.Blocks.Forward(m.Embed.Forward(ids).Add(m.Places.Forward(places))))
}

// encode writes text into a row of ids, filled up with ends.
func encode(text string) []int32 {
	ids := make([]int32, length)
	for i, c := range []byte(text) {
		ids[i] = int32(strings.IndexByte(alphabet, c))
	}
	return ids
}

func backwards(word string) string {
	b := []byte(word)
	slices.Reverse(b)
	return string(b)
}

// batch makes n words up: ids [n, length-1] and what follows each of them, −100 where it is not asked for.
func batch(s *tensor.Scope, n int) (ids, targets *tensor.Tensor) {
	letters := tensor.ToSlice[float32](tensor.Uniform(s, tensor.F32, s.Rand(), 0, 1, n, longest+1))
	x, y := make([]int32, 0, n*(length-1)), make([]int32, 0, n*(length-1))
	for row := range n {
		u := letters[row*(longest+1):]
		word := ""
		for i := range 2 + int(u[longest]*(longest-1)) {
			word += string(alphabet[2+int(u[i]*26)])
		}
		text := encode(word + ">" + backwards(word))
		x = append(x, text[:length-1]...)
		for i, next := range text[1:] {
			if i < len(word) || i > 2*len(word) {
				next = -100
			}
			y = append(y, next)
		}
	}
	return tensor.FromSlice(s, x, n, length-1), tensor.FromSlice(s, y, n, length-1)
}

// answer is the greedy answer to a word.
func (m *model) answer(word string) string {
	text := word + ">"
	for len(text) < length {
		s := tensor.CPU().NewScope()
		h := m.hidden(tensor.FromSlice(s, encode(text)[:len(text)], 1, len(text)))
		logits := h.Slice(1, len(text)-1, len(text)).MatMul(m.Embed.Weight.In(s).T())
		next := alphabet[tensor.ToSlice[int32](logits.ArgMax())[0]]
		s.Close()
		if next == '.' {
			break
		}
		text += string(next)
	}
	return text[len(word)+1:]
}

func train(m *model, steps int) error {
	opt := optim.NewAdamW(optim.Split(nn.Parameters(m), 3e-3, 0.01), optim.AdamWConfig{})
	schedule := optim.Cosine(20, steps)
	grads := tensor.NewGrads(nn.Parameters(m), tensor.F32)
	tape := tensor.CPU().NewTape()
	defer tape.Close()
	for step := range steps {
		tape.UseRand(tensor.NewRand(uint64(step)))
		ids, targets := batch(tape, 64)
		loss := tensor.LinearCrossEntropy(m.hidden(ids), m.Embed.Weight, targets, tensor.CrossEntropyOptions{})
		loss.Backward(grads)
		grads.Clip(1)
		opt.SetFactor(schedule(step))
		if err := opt.Step(grads); err != nil {
			return err
		}
		if (step+1)%50 == 0 {
			fmt.Printf("step %4d  loss %.3f  hone -> %s\n", step+1, loss.Item(), m.answer("hone"))
		}
		grads.Zero()
		tape.Reset()
	}
	return nil
}

func main() {
	flag.Parse()
	for _, word := range flag.Args() {
		if len(word) > longest || strings.Trim(word, alphabet[2:]) != "" {
			log.Fatalf("%q: want up to %d letters from a to z", word, longest)
		}
	}
	m := newModel(2)
	if err := train(m, 300); err != nil {
		log.Fatal(err)
	}
	for _, word := range append([]string{"go", "tensor"}, flag.Args()...) {
		fmt.Println(word, "->", m.answer(word))
	}
}
