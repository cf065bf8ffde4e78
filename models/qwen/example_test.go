package qwen_test

import (
	"context"
	"fmt"
	"log"

	"github.com/hone-ml/hone/models"
	"github.com/hone-ml/hone/models/qwen"
	"github.com/hone-ml/hone/optim"
	"github.com/hone-ml/hone/tensor"
)

// A model too small to be of use learns to count: training steps by hand, then generation.
func ExampleNew() {
	dev := tensor.CPU()
	model, err := qwen.New(qwen.Config{
		VocabSize: 16, HiddenSize: 16, IntermediateSize: 32, NumHiddenLayers: 1, NumAttentionHeads: 2, NumKeyValueHeads: 1,
		HeadDim: 8, MaxPositionEmbeddings: 32, RMSNormEps: 1e-6, RopeTheta: 1e4, TieWordEmbeddings: true,
	}, dev)
	if err != nil {
		log.Fatal(err)
	}
	model.InitFanIn(tensor.NewRand(1))

	opt := optim.NewAdamW(optim.Split(model.Parameters(), 1e-2, 0.01), optim.AdamWConfig{})
	grads := tensor.NewGrads(model.Parameters(), tensor.F32)
	tape := dev.NewTape()
	defer tape.Close()
	for range 100 {
		b := models.Batch{IDs: tensor.FromSlice(tape, []int32{1, 2, 3, 4, 5, 6}, 1, 6)}
		targets := tensor.FromSlice(tape, []int32{2, 3, 4, 5, 6, 7}, 1, 6)
		loss := tensor.LinearCrossEntropy(model.Hidden(b, nil), model.Head(), targets, tensor.CrossEntropyOptions{})
		loss.Backward(grads)
		grads.Clip(1)
		if err := opt.Step(grads); err != nil {
			log.Fatal(err)
		}
		grads.Zero()
		tape.Reset()
	}

	counted, err := models.GenerateAll(context.Background(), model, [][]int32{{1, 2}}, models.Options{MaxTokens: 5})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(counted[0])
	// Output: [3 4 5 6 7]
}
