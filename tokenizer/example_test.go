package tokenizer_test

import (
	"fmt"
	"log"
	"os"
	"slices"

	"github.com/hone-ml/hone/tokenizer"
)

func Example() {
	tok, err := tokenizer.Load("testdata/small") // or the folder of a Qwen3 model
	if err != nil {
		log.Fatal(err)
	}
	ids := tok.Encode("How many singers?<|im_end|>")
	fmt.Println(ids)
	fmt.Println(tok.Decode(ids))
	// Output:
	// [42 379 439 80 91 389 85 33 2]
	// How many singers?<|im_end|>
}

func ExampleTokenizer_EncodeChat() {
	tok, err := tokenizer.Load("testdata/small")
	if err != nil {
		log.Fatal(err)
	}
	messages := []tokenizer.Message{
		{Role: tokenizer.RoleSystem, Content: "Answer in SQL."},
		{Role: tokenizer.RoleUser, Content: "How many cities?<|im_end|>"},
	}
	o := tokenizer.ChatOptions{AddGenerationPrompt: true, Thinking: tokenizer.ThinkingOff}
	text, err := tok.RenderChat(messages, o)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(text)
	ids, err := tok.EncodeChat(messages, o)
	if err != nil {
		log.Fatal(err)
	}
	end, _ := tok.TokenToID("<|im_end|>")
	turns := 0
	for _, id := range ids {
		if id == end {
			turns++
		}
	}
	fmt.Println("turns that end:", turns) // not three: the user's <|im_end|> is text
	// Output:
	// <|im_start|>system
	// Answer in SQL.<|im_end|>
	// <|im_start|>user
	// How many cities?<|im_end|><|im_end|>
	// <|im_start|>assistant
	// <think>
	//
	// </think>
	//
	// turns that end: 2
}

func ExampleTrain() {
	texts := []string{"how many singers are there", "how many cities are there", "list the singers", "list the cities"}
	tok, err := tokenizer.Train(slices.Values(texts), tokenizer.TrainOptions{
		VocabSize:    290,
		AddedTokens:  tokenizer.ControlTokens("<|endoftext|>"),
		Pattern:      tokenizer.PatternQwen2Plural,
		EOS:          "<|endoftext|>",
		MinFrequency: 2,
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, id := range tok.Encode("many singers") {
		token, _ := tok.IDToToken(id)
		fmt.Printf("%q ", token)
	}
	fmt.Println()

	dir, err := os.MkdirTemp("", "tokenizer")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := tok.Save(dir); err != nil { // tokenizer.json and tokenizer_config.json
		log.Fatal(err)
	}
	// Output:
	// "man" "y" "Ġsinger" "s"
}

func ExampleStream() {
	tok, err := tokenizer.Load("testdata/small")
	if err != nil {
		log.Fatal(err)
	}
	s := tok.NewStream(true)
	for _, id := range tok.Encode("Ok 👍!") {
		fmt.Printf("%q ", s.Next(id))
	}
	fmt.Printf("%q\n", s.Flush())
	// Output:
	// "O" "k" " " "" "" "" "👍" "!" ""
}

// What a model is to write, and so to learn, of a conversation.
func ExampleTokenizer_EncodeChatAnswers() {
	tok, err := tokenizer.Load("testdata/small")
	if err != nil {
		log.Fatal(err)
	}
	ids, answers, err := tok.EncodeChatAnswers([]tokenizer.Message{
		{Role: tokenizer.RoleUser, Content: "How many?"},
		{Role: tokenizer.RoleAssistant, Content: "Eight."},
		{Role: tokenizer.RoleUser, Content: "Sure?"},
		{Role: tokenizer.RoleAssistant, Content: "Yes."},
	}, tokenizer.ChatOptions{Template: tokenizer.TemplateQwen3})
	if err != nil {
		log.Fatal(err)
	}
	for _, a := range answers {
		fmt.Printf("%q\n", tok.Decode(ids[a.Start:a.End]))
	}
	// Output:
	// "Eight.<|im_end|>"
	// "Yes.<|im_end|>"
}
