package tokenizer

import (
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// mixedCorpus composes about 10 MB, a third each of English questions, SQL and Chinese, in
// documents of 3,000 characters. The Chinese is words of the vocabulary, common ones more often, in
// phrases that hardly ever come twice, as in real text.
func mixedCorpus(tb testing.TB, tok *Tokenizer) (docs []string, size int) {
	tb.Helper()
	type example struct{ Question, Schema, SQL string }
	rows := readLines[example](tb, sharedFile(tb, "data", "text2sql-sqlite", "train.jsonl"))
	rng := rand.New(rand.NewPCG(1, 2))
	var words []string
	for id := range int32(tok.VocabSize()) {
		word := string(tok.AppendBytes(nil, []int32{id}))
		if strings.IndexFunc(word, func(r rune) bool { return r < 0x4E00 || r > 0x9FFF }) < 0 {
			words = append(words, word)
		}
	}
	var text strings.Builder
	chinese := func(size int) {
		for end := text.Len() + size; text.Len() < end; {
			for range 2 + rng.IntN(6) {
				u := rng.Float64()
				text.WriteString(words[int(u*u*u*float64(len(words)))])
			}
			text.WriteString([]string{"，", "，", "。", "、", "：", "\n"}[rng.IntN(6)])
		}
	}
	third := 1000
	for i := 0; text.Len() < 10_000_000; i++ {
		for start := text.Len(); text.Len() < start+third; {
			text.WriteString(rows[rng.IntN(len(rows))].Question + "\n")
		}
		for start := text.Len(); text.Len() < start+third; {
			r := rows[rng.IntN(len(rows))]
			text.WriteString(r.SQL + "\n" + r.Schema[:min(len(r.Schema), 400)] + "\n")
		}
		chinese(third)
	}
	all := toValidUTF8(text.String())
	for len(all) > 0 {
		end := 0
		for chars := 0; end < len(all) && chars < 3000; chars++ {
			_, width := utf8.DecodeRuneInString(all[end:])
			end += width
		}
		docs = append(docs, all[:end])
		size += end
		all = all[end:]
	}
	return docs, size
}

func BenchmarkEncode(b *testing.B) {
	tok := qwen3(b)
	docs, size := mixedCorpus(b, tok)
	b.SetBytes(int64(size))
	for b.Loop() {
		for _, doc := range docs {
			tok.Encode(doc)
		}
	}
}

func BenchmarkEncodeBatch(b *testing.B) {
	tok := qwen3(b)
	docs, size := mixedCorpus(b, tok)
	b.SetBytes(int64(size))
	for b.Loop() {
		tok.EncodeBatch(docs)
	}
}

// BenchmarkEncodeOneText encodes the whole corpus as one text of 10 MB.
func BenchmarkEncodeOneText(b *testing.B) {
	tok := qwen3(b)
	docs, size := mixedCorpus(b, tok)
	text := strings.Join(docs, "")
	b.SetBytes(int64(size))
	for b.Loop() {
		tok.Encode(text)
	}
}

func BenchmarkDecode(b *testing.B) {
	tok := qwen3(b)
	docs, size := mixedCorpus(b, tok)
	ids := tok.EncodeBatch(docs)
	b.SetBytes(int64(size))
	for b.Loop() {
		for _, doc := range ids {
			tok.Decode(doc)
		}
	}
}

func BenchmarkLoad(b *testing.B) {
	dir := filepath.Dir(sharedFile(b, "data", "qwen3-tokenizer", "tokenizer.json"))
	for b.Loop() {
		if _, err := Load(dir); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkTrain trains a vocabulary of 1,024 on 1 MB of questions and SQL, split into short texts.
func BenchmarkTrain(b *testing.B) {
	type example struct{ Question, SQL string }
	var texts []string
	size := 0
	for _, r := range readLines[example](b, sharedFile(b, "data", "text2sql-sqlite", "train.jsonl")) {
		if size < 1_000_000 {
			texts = append(texts, r.Question, r.SQL)
			size += len(r.Question) + len(r.SQL)
		}
	}
	b.SetBytes(int64(size))
	for b.Loop() {
		_, err := Train(slices.Values(texts), TrainOptions{VocabSize: 1024, Pattern: PatternQwen2Plural})
		if err != nil {
			b.Fatal(err)
		}
	}
}
