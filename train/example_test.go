package train_test

import (
	"context"
	"fmt"
	"log"

	"github.com/hone-ml/hone/models/qwen"
	"github.com/hone-ml/hone/optim"
	"github.com/hone-ml/hone/tensor"
	"github.com/hone-ml/hone/train"
)

// A model too small to be of use learns two sentences by heart.
func ExampleRun() {
	model, err := qwen.New(qwen.Config{
		VocabSize: 16, HiddenSize: 16, IntermediateSize: 32, NumHiddenLayers: 1, NumAttentionHeads: 2, NumKeyValueHeads: 1,
		HeadDim: 8, MaxPositionEmbeddings: 32, RMSNormEps: 1e-6, RopeTheta: 1e4, TieWordEmbeddings: true,
	}, tensor.CPU())
	if err != nil {
		log.Fatal(err)
	}
	model.Init(tensor.NewRand(1))

	samples := train.Samples{
		{ID: "up", Tokens: []int32{1, 2, 3, 4, 5, 6}, Completion: []train.Span{{Start: 2, End: 6}}},
		{ID: "down", Tokens: []int32{9, 8, 7, 6, 5, 4}, Completion: []train.Span{{Start: 2, End: 6}}},
	}
	config := train.Defaults()
	config.Epochs, config.Accum, config.MaxLength, config.LR = 150, 1, 32, 1e-2

	result, err := train.Run(context.Background(), train.Options{
		Model:     model,
		Optimizer: optim.NewAdamW(optim.Split(model.Parameters(), config.LR, 0.01), optim.AdamWConfig{}),
		Data:      samples,
		Config:    config,
		Log:       func(message string) { fmt.Println(message) },
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("ended by %s after step %d, loss below 0.05: %t\n", result.Stopped, result.Step, result.Last.Loss < 0.05)
	// Output:
	// 2 samples, 12 tokens, at most 150 steps
	// ended by epochs after step 150, loss below 0.05: true
}
