// Package data brings samples to a training loop: shuffled, in batches of like length if they are to be
// padded, made ahead by another goroutine, and resumed exactly where a run left off.
//
//	loader, err := data.New(data.Slice[Example](examples), data.Config{Batch: 32, Shuffle: true, Seed: 1, Epochs: 3, Prefetch: 2}, collate)
//	...
//	for batch, err := range loader.All(ctx) {
//		if err != nil {
//			return err
//		}
//		step(batch)
//		save(loader.Cursor())
//	}
//
// # Order
//
// A Cursor is three numbers: the seed, the epoch and how many of its samples have been handed over. They
// determine all that follows, on every machine: the order of an epoch comes from a random stream of its
// own, and a batch from the order alone. So there is no state of a generator to save, and a loader that was
// set to a cursor goes on with the same batches. Batches that were made ahead and not handed over are not
// counted, and are made again.
//
// # Lengths
//
// Where samples of a batch are padded to the longest, the loader can sort: it takes Config.Window samples
// in the order of the epoch, sorts them by Config.Length, cuts batches of at most Config.Batch samples and
// Config.Tokens tokens, and hands these over in random order. A window of 50 to 100 batches saves nearly
// all padding and leaves batches random.
//
// # The bundled trainer
//
// Package train takes the order of epochs from here, by Order, and packs by its own rules: how many samples
// a window of micro-batches takes is known only as they are read, for some are dropped or cut and the others
// fill rows first-fit. That packing counts tokens of samples in hand, where a Loader's batches are chosen by
// index, before anything is read.
package data
