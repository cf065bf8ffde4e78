// Package train is the training loop of causal language models: batching, packing, gradient
// accumulation, schedules, metrics, evaluation, checkpoints and exact resume.
//
//	result, err := train.Run(ctx, train.Options{
//		Model:     model,
//		Optimizer: optim.NewAdamW(optim.Split(model.Parameters(), 2e-5, 0.01), optim.AdamWConfig{}),
//		Data:      train.Samples(samples),
//		Config:    config, // train.Defaults(), changed to taste
//	})
//
// # Steps and windows
//
// A step learns from one window: Accum micro-batches, whose gradients are summed in F32 before the
// optimizer moves. A micro-batch is its samples end to end, one row [1, N] of N tokens without any
// padding: each sample attends only to itself and its positions count from 0.
//
// The loss of a window is the mean over its completion targets plus PromptLoss times the mean over its
// prompt targets, two separate means. Both divide by the targets of the whole window, counted before it
// starts, so that cutting a window into other micro-batches changes nothing, ragged last ones included.
// A window ends with its epoch: the last one may be smaller.
//
// # Files
//
// Under Config.OutDir a run keeps:
//
//	metrics.jsonl       a line a step, see Metrics
//	evaluations.jsonl   a line an evaluation: {"step","score","seconds","values"}
//	metrics.csv         the same as metrics.jsonl
//	tensorboard/        both as events: tensorboard --logdir of the directory, or of one above it
//	checkpoints/step-NNNNNN/
//	    config.json model.safetensors …   the model, as models.Save writes it (or what Options.SaveModel does)
//	    optimizer.safetensors             the optimizer's State
//	    trainer.json                      steps, place in the data, counts, the configuration
//
// A checkpoint is written under another name, synced and renamed: what bears its name is complete. A run
// that was interrupted, or killed, and resumed makes the same parameters, moments and metrics, times
// aside, as one that was not, to the bit. Nothing random has state beyond the seed and the step: the order
// of epoch e and what step s draws (dropout) come from streams of their own, Split from the seed's.
package train
