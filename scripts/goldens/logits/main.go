// Command logits writes what a model computes for a prompt, for the scripts beside it that hold other programs against it:
//
//	go run ./scripts/goldens/logits -model DIR -prompt "SELECT" -out logits.safetensors
//	python scripts/goldens/check_saved.py DIR --against logits.safetensors
//
// The file holds "ids" [T] and "logits" [T, V], computed in F32, and in its metadata the prompt. DIR may be a .gguf file, or an adapter, whose base -base names.
// A model without a tokenizer takes -ids 1,2,3 in the place of a prompt.
package main

import (
	"encoding/binary"
	"flag"
	"fmt"
	"log"
	"math"
	"strconv"
	"strings"

	"github.com/hone-ml/hone/models"
	_ "github.com/hone-ml/hone/models/all"
	"github.com/hone-ml/hone/nn/lora"
	"github.com/hone-ml/hone/tensor"
	"github.com/hone-ml/hone/tensor/safetensors"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("logits: ")
	dir := flag.String("model", "", "model directory, .gguf file or adapter")
	base := flag.String("base", "", "model that an adapter is of")
	prompt := flag.String("prompt", "The capital of France is Paris. SELECT count(*) FROM singer WHERE age > 56;", "text")
	list := flag.String("ids", "", "token ids, separated by commas, in the place of a prompt")
	out := flag.String("out", "logits.safetensors", "file to write")
	flag.Parse()
	if err := write(*dir, *base, *prompt, *list, *out); err != nil {
		log.Fatal(err)
	}
}

func write(dir, base, prompt, list, out string) error {
	from := dir
	if lora.Exists(dir) {
		from = base
	}
	f32 := tensor.F32
	m, err := models.Load(from, models.LoadOptions{DType: &f32})
	if err != nil {
		return err
	}
	if from != dir {
		if _, err := lora.Load(m, dir); err != nil {
			return err
		}
	}
	metadata := safetensors.FormatPT()
	var ids []int32
	if list != "" {
		ids, err = parseIDs(list, m.Head().Dim(0))
	} else {
		ids, err = encode(from, prompt)
		metadata["prompt"] = prompt
	}
	if err != nil {
		return err
	}
	var logits []float32
	err = tensor.Try(func() {
		s := m.Head().Device().NewScope()
		defer s.Close()
		h := m.Hidden(models.Batch{IDs: tensor.FromSlice(s, ids, 1, len(ids))}, nil)
		logits = tensor.ToSlice[float32](tensor.Linear(h, m.Head(), nil))
	})
	if err != nil {
		return err
	}
	var idBytes, logitBytes []byte
	for _, id := range ids {
		idBytes = binary.LittleEndian.AppendUint32(idBytes, uint32(id))
	}
	for _, x := range logits {
		logitBytes = binary.LittleEndian.AppendUint32(logitBytes, math.Float32bits(x))
	}
	return safetensors.Write(out, []safetensors.Tensor{
		{Name: "ids", DType: safetensors.I32, Shape: []int{len(ids)}, Data: idBytes},
		{Name: "logits", DType: safetensors.F32, Shape: []int{len(ids), m.Head().Dim(0)}, Data: logitBytes},
	}, metadata)
}

func encode(dir, prompt string) ([]int32, error) {
	tok, err := models.LoadTokenizer(dir)
	if err != nil {
		return nil, fmt.Errorf("%w (-ids does without a tokenizer)", err)
	}
	return tok.EncodePrompt(prompt), nil
}

func parseIDs(list string, vocab int) (ids []int32, err error) {
	for field := range strings.SplitSeq(list, ",") {
		id, err := strconv.Atoi(strings.TrimSpace(field))
		if err != nil || id < 0 || id >= vocab {
			return nil, fmt.Errorf("-ids: %q is not a token of a vocabulary of %d", field, vocab)
		}
		ids = append(ids, int32(id))
	}
	return ids, nil
}
