package data_test

import (
	"context"
	"fmt"
	"log"

	"github.com/hone-ml/hone/data"
)

func ExampleLoader() {
	words := data.Slice[string]{"ant", "bee", "cat", "dog", "eel"}
	loader, err := data.New(words, data.Config{Batch: 2, Epochs: 2, Prefetch: 1}, data.Collect[string])
	if err != nil {
		log.Fatal(err)
	}
	for epoch := range 2 {
		for batch, err := range loader.Epoch(context.Background()) {
			if err != nil {
				log.Fatal(err)
			}
			fmt.Println(epoch, batch)
		}
	}
	// Output:
	// 0 [ant bee]
	// 0 [cat dog]
	// 0 [eel]
	// 1 [ant bee]
	// 1 [cat dog]
	// 1 [eel]
}

// A run that was stopped goes on with the batches that it would have had.
func ExampleLoader_Seek() {
	open := func() *data.Loader[string, []string] {
		words := data.Slice[string]{"ant", "bee", "cat", "dog", "eel"}
		loader, err := data.New(words, data.Config{Batch: 2, Shuffle: true, Seed: 7, Epochs: 1}, data.Collect[string])
		if err != nil {
			log.Fatal(err)
		}
		return loader
	}
	first := open()
	for batch := range first.All(context.Background()) {
		fmt.Println(batch)
		break
	}
	saved := first.Cursor()
	fmt.Printf("%+v\n", saved)

	second := open()
	if err := second.Seek(saved); err != nil {
		log.Fatal(err)
	}
	for batch := range second.All(context.Background()) {
		fmt.Println(batch)
	}
	// Output:
	// [ant cat]
	// {Seed:7 Epoch:0 Position:2}
	// [eel bee]
	// [dog]
}

// Sentences of like length share a batch of at most twelve tokens, padding counted.
func ExampleConfig() {
	sentences := data.Slice[[]int32]{{1}, {2, 2, 2, 2, 2, 2}, {3}, {4, 4, 4, 4, 4}, {5, 5}, {6, 6}}
	loader, err := data.New(sentences, data.Config{
		Tokens: 12, Window: 6, Epochs: 1,
		Length: func(i int) int { return len(sentences[i]) },
	}, func(rows [][]int32) (string, error) {
		ids, columns := data.Pad(rows, 0)
		return fmt.Sprintf("%d × %d: %v", len(rows), columns, ids), nil
	})
	if err != nil {
		log.Fatal(err)
	}
	for batch, err := range loader.All(context.Background()) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(batch)
	}
	// Output:
	// 4 × 2: [1 0 3 0 5 5 6 6]
	// 2 × 6: [4 4 4 4 4 0 2 2 2 2 2 2]
}

func ExampleMap() {
	lines := data.Slice[string]{"3", "4"}
	squares := data.Map(lines, func(i int, line string) (int, error) {
		var n int
		_, err := fmt.Sscan(line, &n)
		return n * n, err
	})
	x, err := squares.At(1)
	fmt.Println(squares.Len(), x, err)
	// Output: 2 16 <nil>
}

func ExampleOrder() {
	fmt.Println(data.Order(42, 0, 6))
	fmt.Println(data.Order(42, 1, 6))
	// Output:
	// [4 2 3 5 1 0]
	// [2 1 5 3 4 0]
}

// A schedule wants to know how many steps there will be.
func ExampleLoader_Steps() {
	loader, err := data.New(make(data.Slice[int], 100), data.Config{Batch: 8, Epochs: 3}, data.Collect[int])
	if err != nil {
		log.Fatal(err)
	}
	total := 0
	for epoch := range 3 {
		steps, err := loader.Steps(epoch)
		if err != nil {
			log.Fatal(err)
		}
		total += steps
	}
	fmt.Println(total)
	// Output: 39
}
