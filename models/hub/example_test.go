package hub_test

import (
	"context"
	"fmt"
	"log"

	"github.com/hone-ml/hone/models/hub"
)

func Example() {
	m, err := hub.ParseModel("Qwen/Qwen3-0.6B@main")
	if err != nil {
		log.Fatal(err)
	}
	o, err := hub.FromEnvironment()
	if err != nil {
		log.Fatal(err)
	}
	dir, ok := hub.Find(m, o) // asks nobody
	if !ok {
		o.Progress = func(p hub.Progress) { fmt.Printf("\r%d of %d bytes", p.Done, p.Total) }
		if dir, err = hub.Download(context.Background(), m, o); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(dir) // for models.Load and tokenizer.Load
}

func ExampleParseModel() {
	for _, name := range []string{"Qwen/Qwen3-0.6B@v1", "org/quants/small.gguf", "gpt2"} {
		m, err := hub.ParseModel(name)
		fmt.Printf("%q %q %q %v\n", m.Repo, m.File, m.Revision, err)
	}
	// Output:
	// "Qwen/Qwen3-0.6B" "" "v1" <nil>
	// "org/quants" "small.gguf" "main" <nil>
	// "" "" "" hub: "gpt2" is not ORG/NAME
}
