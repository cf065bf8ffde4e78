package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/hone-ml/hone/examples/text2sql/internal/data"
	"github.com/hone-ml/hone/tokenizer"
)

func TestTheQuestionStandsInTheModelsOwnTemplate(t *testing.T) {
	tok, err := tokenizer.Load(sharedData(t, "qwen3-tokenizer"))
	if err != nil {
		t.Fatal(err)
	}
	f, err := formatOf(tok, tokenizer.TemplateAuto)
	if err != nil {
		t.Fatal(err)
	}
	s, err := sample(f, data.Row{ID: "x", Schema: "CREATE TABLE a (b);\n", Question: "How many?", SQL: "SELECT count(*) FROM a", Dialect: "postgres"})
	if err != nil {
		t.Fatal(err)
	}
	span := s.Completion[0]
	prompt := "<|im_start|>user\nWrite one PostgreSQL query that answers the question.\n\nSchema:\nCREATE TABLE a (b);\n\nQuestion: How many?<|im_end|>\n" +
		"<|im_start|>assistant\n<think>\n\n</think>\n\n"
	if got := tok.Decode(s.Tokens[:span.Start]); got != prompt {
		t.Errorf("prompt\n%s\nwant\n%s", got, prompt)
	}
	if got, want := tok.Decode(s.Tokens[span.Start:span.End]), "SELECT count(*) FROM a<|im_end|>"; got != want || span.End != len(s.Tokens) {
		t.Errorf("completion %q, want %q at the end", got, want)
	}
}

func TestTextOfARowNeverBecomesControlTokens(t *testing.T) {
	tok, err := testTokenizer(400)
	if err != nil {
		t.Fatal(err)
	}
	f, err := formatOf(tok, tokenizer.TemplateAuto)
	if err != nil {
		t.Fatal(err)
	}
	end, _ := tok.TokenToID("<|im_end|>")
	count := func(row data.Row) (n int) {
		s, err := sample(f, row)
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range s.Tokens {
			if id == end {
				n++
			}
		}
		return n
	}
	row := trainRows[0]
	want := count(row)
	row.Question, row.SQL, row.Schema = row.Question+"<|im_end|>", row.SQL+" -- <|im_end|>", row.Schema+"-- <|im_end|>"
	if got := count(row); got != want {
		t.Errorf("%d end tokens with their text in a row, %d without", got, want)
	}
}

func TestCompactFormIsALineATable(t *testing.T) {
	for ddl, want := range map[string]string{
		shopSchema: " customer: id name city\n purchase: id customer_id amount\n",
		"CREATE TABLE \"two words\" (\"a b\" int, c text, PRIMARY KEY (c));": " two words: a b c\n",
		" band: id name\n":                           " band: id name\n",
		"ATTACH 'x.sqlite' AS y; CREATE TABLE a (b)": " a: b\n",
	} {
		if got, err := compactSchema(ddl); err != nil || got != want {
			t.Errorf("compactSchema(%q) = %q, %v, want %q", ddl, got, err, want)
		}
	}
	if _, err := compactSchema("CREATE TABLE (("); err == nil || !strings.Contains(err.Error(), "schema does not run") {
		t.Errorf("error %v, want one about the schema", err)
	}
}

func TestCompactFormIsTakenForATokenizerOfTheDemo(t *testing.T) {
	tok, err := tokenizer.Train(slices.Values([]string{" a: b\n How many? SELECT count(*) FROM a"}), tokenizer.TrainOptions{
		VocabSize: 300, EOS: tokenEnd, AddedTokens: tokenizer.ControlTokens(tokenEnd, tokenQuestion, tokenAnswer)})
	if err != nil {
		t.Fatal(err)
	}
	f, err := formatOf(tok, tokenizer.TemplateAuto)
	if err != nil {
		t.Fatal(err)
	}
	s, err := sample(f, data.Row{Schema: "CREATE TABLE a (b)", Question: "How many?", SQL: "SELECT 1"})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := tok.Decode(s.Tokens), " a: b\n<|question|> How many?<|answer|> SELECT 1<|end|>"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	none, err := tokenizer.Train(slices.Values([]string{"a b"}), tokenizer.TrainOptions{VocabSize: 257})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := formatOf(none, tokenizer.TemplateAuto); err == nil || !strings.Contains(err.Error(), "<|im_end|>") {
		t.Errorf("a tokenizer without control tokens: error %v", err)
	}
}

func TestAnotherChatTemplateIsUsedWhenAskedFor(t *testing.T) {
	tok, err := tokenizer.Train(slices.Values([]string{"a b"}), tokenizer.TrainOptions{VocabSize: 300,
		AddedTokens: tokenizer.ControlTokens(tokenEnd, tokenQuestion, tokenAnswer, "<|im_start|>", "<|im_end|>")})
	if err != nil {
		t.Fatal(err)
	}
	f, err := (&chatTemplate{"smollm2"}).formatOf(tok)
	if err != nil {
		t.Fatal(err)
	}
	s, err := sample(f, data.Row{Schema: "x", Question: "How many?", SQL: "SELECT 1", Dialect: "sqlite"})
	if err != nil {
		t.Fatal(err)
	}
	if text := tok.Decode(s.Tokens); !strings.HasPrefix(text, "<|im_start|>system\nYou are a helpful AI assistant named SmolLM") || !strings.HasSuffix(text, "SELECT 1<|im_end|>") {
		t.Errorf("asked as %q", text)
	}
	if _, err := (&chatTemplate{"llama3"}).formatOf(tok); err == nil || !strings.Contains(err.Error(), "<|eot_id|>, which is not a token") {
		t.Errorf("a template of other tokens: error %v", err)
	}
}
