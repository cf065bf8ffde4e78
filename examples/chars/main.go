// Command chars trains a character-level transformer on a task that needs attention: to spell a word backwards.
//
//	go run ./examples/chars hone tensor gradient
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
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
	Blocks []*block      `param:"blocks"`
	Norm   *nn.RMSNorm   `param:"norm"`
}

type block struct {
	Norm1 *nn.RMSNorm `param:"norm1"`
	QKV   *nn.Linear  `param:"qkv"`
	Out   *nn.Linear  `param:"out"`
	Norm2 *nn.RMSNorm `param:"norm2"`
	Up    *nn.Linear  `param:"up"`
	Down  *nn.Linear  `param:"down"`
}

func newModel(layers int) *model {
	cpu := tensor.CPU()
	linear := func(in, out int) *nn.Linear { return nn.NewLinear(cpu, tensor.F32, in, out, false) }
	norm := func() *nn.RMSNorm { return nn.NewRMSNorm(cpu, tensor.F32, width, 1e-6) }
	m := &model{nn.NewEmbedding(cpu, tensor.F32, len(alphabet), width), nn.NewEmbedding(cpu, tensor.F32, length, width), nil, norm()}
	for range layers {
		m.Blocks = append(m.Blocks, &block{norm(), linear(width, 3*width), linear(width, width), norm(), linear(width, 4*width), linear(4*width, width)})
	}
	r := tensor.NewRand(1)
	for _, p := range nn.Parameters(m) {
		if p.Rank() == 1 {
			p.Fill(1)
		} else {
			nn.Normal(0.08)(p, r)
		}
	}
	return m
}

// hidden maps ids [B, T] to vectors [B, T, width].
func (m *model) hidden(ids *tensor.Tensor) *tensor.Tensor {
	places := tensor.Arange(ids.Scope(), tensor.I32, 0, float64(ids.Dim(1)), 1)
	x := m.Embed.Forward(ids).Add(m.Places.Forward(places))
	for _, b := range m.Blocks {
		x = b.forward(x)
	}
	return m.Norm.Forward(x)
}

func (b *block) forward(x *tensor.Tensor) *tensor.Tensor {
	n, t := x.Dim(0), x.Dim(1)
	qkv := b.QKV.Forward(b.Norm1.Forward(x)).Reshape(n, t, 3, heads, width/heads)
	part := func(i int) *tensor.Tensor { return qkv.Slice(2, i, i+1).Squeeze(2) }
	mixed := tensor.Attention(part(0), part(1), part(2), tensor.AttentionOptions{Causal: true})
	x = x.Add(b.Out.Forward(mixed.Reshape(n, t, width)))
	return x.Add(b.Down.Forward(b.Up.Forward(b.Norm2.Forward(x)).SiLU()))
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
	for i, j := 0, len(b)-1; i < j; i, j = i+1, j-1 {
		b[i], b[j] = b[j], b[i]
	}
	return string(b)
}

// batch makes n words up: ids [n, length-1] and what follows each of them, −100 where it is not asked for.
func batch(s *tensor.Scope, n int) (ids, targets *tensor.Tensor) {
	letters := tensor.ToSlice[float32](tensor.Uniform(s, tensor.F32, s.Rand(), 0, 1, n, longest+1))
	x, y := make([]int32, 0, n*(length-1)), make([]int32, 0, n*(length-1))
	for row := range n {
		u := letters[row*(longest+1):]
		word := make([]byte, 2+int(u[longest]*(longest-1)))
		for i := range word {
			word[i] = alphabet[2+int(u[i]*26)]
		}
		text := encode(string(word) + ">" + backwards(string(word)))
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
		if (step+1)%100 == 0 {
			fmt.Printf("step %4d  loss %.3f  hone -> %s\n", step+1, loss.Item(), m.answer("hone"))
		}
		grads.Zero()
		tape.Reset()
	}
	return nil
}

func main() {
	steps := flag.Int("steps", 800, "training steps")
	flag.Parse()
	for _, word := range flag.Args() {
		if len(word) > longest || strings.Trim(word, alphabet[2:]) != "" {
			fmt.Fprintf(os.Stderr, "chars: %q: want up to %d letters from a to z\n", word, longest)
			os.Exit(2)
		}
	}
	m := newModel(2)
	if err := train(m, *steps); err != nil {
		log.Fatal(err)
	}
	for _, word := range append([]string{"go", "tensor"}, flag.Args()...) {
		fmt.Println(word, "->", m.answer(word))
	}
}
