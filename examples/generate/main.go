// Command generate has a language model answer a question, or with -raw continue a text, as the words come.
//
//	go run ./examples/generate -model Qwen/Qwen3-0.6B "Why is the sky blue?"
//	go run ./examples/generate -model SmolLM2-135M-Instruct.Q4_1.gguf -temperature 0.8 "Tell me a story."
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/hone-ml/hone/models"
	_ "github.com/hone-ml/hone/models/all"
	"github.com/hone-ml/hone/models/hub"
	"github.com/hone-ml/hone/tokenizer"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("generate: ")
	name := flag.String("model", "", "a folder, a .gguf file, or `ORG/NAME` on the Hugging Face hub")
	raw := flag.Bool("raw", false, "continue the text as it is, without the model's chat template")
	var o models.Options
	flag.IntVar(&o.MaxTokens, "max-tokens", 256, "most tokens of the answer")
	flag.Float64Var(&o.Temperature, "temperature", 0, "0 takes the most likely token, higher ones differ more")
	flag.Float64Var(&o.TopP, "top-p", 0.95, "sample from the smallest set of tokens with this probability")
	flag.Uint64Var(&o.Seed, "seed", 42, "of sampling")
	flag.Parse()
	if *name == "" || flag.NArg() == 0 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, *name, strings.Join(flag.Args(), " "), *raw, o); err != nil {
		log.Fatal(err)
	}
}

// run writes the answer to out, and how fast it came to standard error.
func run(ctx context.Context, out io.Writer, name, text string, raw bool, o models.Options) error {
	path, err := find(ctx, name)
	if err != nil {
		return err
	}
	model, err := models.Load(path, models.LoadOptions{})
	if err != nil {
		return err
	}
	tok, err := models.LoadTokenizer(path)
	if err != nil {
		return err
	}
	if !raw {
		question := []tokenizer.Message{{Role: tokenizer.RoleUser, Content: text}}
		if text, err = tok.RenderChat(question, tokenizer.ChatOptions{AddGenerationPrompt: true}); err != nil {
			return err
		}
	}
	var first time.Time
	tokens := 0
	for token, err := range models.Generate(ctx, model, tok, text, o) {
		if err != nil {
			return err
		}
		if token.ID >= 0 { // no rest of the text
			if tokens++; tokens == 1 {
				first = time.Now()
			}
		}
		fmt.Fprint(out, token.Text)
	}
	fmt.Fprintln(out)
	if tokens > 1 {
		log.Printf("%d tokens, %.1f a second", tokens, float64(tokens-1)/time.Since(first).Seconds())
	}
	return nil
}

// find is where the model lies: what is no file or folder is fetched from the hub, if it is not there already.
func find(ctx context.Context, name string) (path string, err error) {
	if _, err := os.Stat(name); err == nil {
		return name, nil
	}
	m, err := hub.ParseModel(name)
	if err != nil {
		return "", fmt.Errorf("-model: there is no %s; give a folder, a .gguf file, or a model of the Hugging Face hub as ORG/NAME", name)
	}
	o, err := hub.FromEnvironment()
	if err != nil {
		return "", err
	}
	if path, ok := hub.Find(m, o); ok {
		return path, nil
	}
	log.Printf("fetching %s", m)
	return hub.Download(ctx, m, o)
}
