package tokenizer

import (
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"
)

// mergeNaively is BPE by its definition: the pair of lowest rank, the leftmost of equals, until
// none merges.
func mergeNaively(m *bpe, piece string) []int32 {
	var ids []int32
	for i := range len(piece) {
		ids = append(ids, m.byteIDs[piece[i]])
	}
	for {
		at, lowest := -1, uint32(noRank)
		for i := 0; i+1 < len(ids); i++ {
			if rank := m.rank(ids[i], ids[i+1]); rank < lowest {
				at, lowest = i, rank
			}
		}
		if at < 0 {
			return ids
		}
		ids = slices.Replace(ids, at, at+2, m.mergedIDs[lowest])
	}
}

func TestShortAndLongPiecesMergeByTheDefinition(t *testing.T) {
	tok := loadTestdata(t, "small")
	rng := rand.New(rand.NewPCG(3, 4))
	var w longPiece
	for _, alphabet := range []string{"ab", "aaaa", "singers the", "SELECT FROM \n", "\xe4\xb8\xad\xe6\x96\x87", "é"} {
		for n := 1; n <= 150; n++ {
			b := make([]byte, n)
			for i := range b {
				b[i] = alphabet[rng.IntN(len(alphabet))]
			}
			piece := string(b)
			want := mergeNaively(tok.model, piece)
			if n <= shortLen {
				if got := tok.model.appendShort(nil, piece); !slices.Equal(got, want) {
					t.Fatalf("appendShort(%q) = %v, want %v", piece, got, want)
				}
			}
			if got := tok.model.appendLong(nil, piece, &w); !slices.Equal(got, want) {
				t.Fatalf("appendLong(%q) = %v, want %v", piece, got, want)
			}
		}
	}
}

func TestDecodedTextIsTheNormalizedText(t *testing.T) {
	tok := loadTestdata(t, "trained")
	check := func(s string) {
		t.Helper()
		if got := tok.Decode(tok.EncodeOrdinary(s)); got != nfc(toValidUTF8(s)) {
			t.Errorf("%q comes back as %q", s, got)
		}
	}
	rng := rand.New(rand.NewPCG(5, 6))
	for range 2000 {
		var b strings.Builder
		for range rng.IntN(30) {
			switch rng.IntN(4) {
			case 0:
				b.WriteByte(byte(rng.IntN(256)))
			case 1:
				b.WriteRune(rune(rng.IntN(utf8.MaxRune)))
			case 2:
				b.WriteRune(rune(0x300 + rng.IntN(0x70)))
			default:
				b.WriteString([]string{"select ", "<|im_end|>", "\n ", "e", "12"}[rng.IntN(5)])
			}
		}
		check(b.String())
	}
	for r := rune(0); r <= utf8.MaxRune; r += 7 {
		check(string(r))
	}
}

func TestOrdinaryTextHoldsNoAddedTokens(t *testing.T) {
	tok := loadTestdata(t, "small")
	text := "NULL <|im_start|>x<mask><|im_end|> [both] café <think>"
	for _, id := range tok.EncodeOrdinary(text) {
		for _, a := range tok.AddedTokens() {
			if id == a.ID {
				t.Errorf("EncodeOrdinary makes the added token %q", a.Content)
			}
		}
	}
	if got := tok.Encode(text); slices.Equal(got, tok.EncodeOrdinary(text)) {
		t.Error("Encode makes no added tokens")
	}
}

func TestRepetitiveMegabytesTakeLinearTime(t *testing.T) {
	tok := loadTestdata(t, "small")
	rng := rand.New(rand.NewPCG(7, 8))
	var chinese strings.Builder
	for range 350_000 {
		chinese.WriteRune(0x4E00 + rune(rng.IntN(0x5000)))
	}
	for name, text := range map[string]string{
		"a":               strings.Repeat("a", 1<<20),
		"space":           strings.Repeat(" ", 1<<20),
		"newline":         strings.Repeat("\n", 1<<20),
		"space and tab":   strings.Repeat(" \t", 1<<19),
		"punctuation":     strings.Repeat("<", 1<<20),
		"almost a token":  strings.Repeat("<|im_en", 1<<17),
		"combining marks": "a" + strings.Repeat("\u0301\u0323", 1<<18),
		"plural":          strings.Repeat("s", 1<<20),
		"Chinese":         chinese.String(),
		"apostrophes":     strings.Repeat("'", 1<<20),
		"invalid":         strings.Repeat("\xf0\x9f", 1<<19),
		"lstrip":          strings.Repeat(" ", 1<<19) + "<mask>" + strings.Repeat(" ", 1<<19),
	} {
		start := time.Now()
		ids := tok.Encode(text)
		// Quadratic time would be minutes; linear is far below a second, also on a slow machine
		// under the race detector.
		if took := time.Since(start); took > 20*time.Second {
			t.Errorf("%s: 1 MiB takes %v", name, took)
		}
		if name == "lstrip" {
			continue
		}
		if got := tok.Decode(ids); got != nfc(toValidUTF8(text)) {
			t.Errorf("%s: does not come back", name)
		}
	}
}

func TestOneTokenizerServesManyGoroutines(t *testing.T) {
	tok := loadTestdata(t, "small")
	rows := readLines[encodeCase](t, "testdata/encode.jsonl")
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range rows {
				r := rows[(i+g*37)%len(rows)]
				got := tok.Encode(r.Text)
				if !slices.Equal(got, r.IDs) {
					t.Errorf("Encode(%q) = %v, want %v", r.Text, got, r.IDs)
				}
				tok.EncodeOrdinary(r.Text)
				tok.Decode(got)
			}
		})
	}
	wg.Wait()
}

func TestBatchesKeepTheirOrder(t *testing.T) {
	tok := loadTestdata(t, "small")
	var texts []string
	for _, r := range readLines[encodeCase](t, "testdata/encode.jsonl") {
		texts = append(texts, r.Text)
	}
	for _, n := range []int{0, 1, 2, len(texts)} {
		got := tok.EncodeBatch(texts[:n])
		if len(got) != n {
			t.Fatalf("%d texts give %d results", n, len(got))
		}
		for i := range got {
			if want := tok.Encode(texts[i]); !slices.Equal(got[i], want) {
				t.Errorf("text %d of %d: %v, want %v", i, n, got[i], want)
			}
		}
	}
}

func TestAFullWordCacheGivesTheSameIDs(t *testing.T) {
	tok := loadTestdata(t, "small")
	rng := rand.New(rand.NewPCG(9, 10))
	e := &encoder{model: tok.model, split: tok.split}
	words := make([]string, 3*maxCachedWords)
	for i := range words {
		b := make([]byte, 1+rng.IntN(9))
		for j := range b {
			b[j] = byte('a' + rng.IntN(20))
		}
		words[i] = string(b)
	}
	for range 2 {
		for _, w := range words {
			if got, want := e.appendPiece(nil, w), tok.model.appendShort(nil, w); !slices.Equal(got, want) {
				t.Fatalf("%q encodes to %v, without the cache to %v", w, got, want)
			}
		}
	}
	if n := len(e.words.words); n != maxCachedWords {
		t.Errorf("the cache has %d words, want its bound %d", n, maxCachedWords)
	}
}

func TestStreamsEmitWholeCharactersAsSoonAsTheyAreCertain(t *testing.T) {
	tok := loadTestdata(t, "trained")
	ids := func(bytes string) (ids []int32) {
		for i := range len(bytes) {
			ids = append(ids, tok.model.byteIDs[bytes[i]])
		}
		return ids
	}
	for _, c := range []struct {
		bytes string
		want  []string // after each byte, and at the end
	}{
		{"ab", []string{"a", "b", ""}},
		{"é", []string{"", "é", ""}},
		{"中a", []string{"", "", "中", "a", ""}},
		{"😀", []string{"", "", "", "😀", ""}},
		{"\xe4\xb8", []string{"", "", "\uFFFD"}},
		{"\xe4a", []string{"", "\uFFFDa", ""}},
		{"\xff", []string{"\uFFFD", ""}},
		{"\xe4\xb8\xe4\xb8\xad", []string{"", "", "\uFFFD", "", "中", ""}},
		{"\xed\xa0", []string{"", "\uFFFD\uFFFD", ""}},
		{"\xf0\x9f\x98\xc3\xa9", []string{"", "", "", "\uFFFD", "é", ""}},
	} {
		s := tok.NewStream(false)
		var got []string
		for _, id := range ids(c.bytes) {
			got = append(got, s.Next(id))
		}
		got = append(got, s.Flush())
		if !slices.Equal(got, c.want) {
			t.Errorf("%q streams as %q, want %q", c.bytes, got, c.want)
		}
		if again := s.Next(ids("a")[0]); again != "a" {
			t.Errorf("after Flush the stream gives %q for an a", again)
		}
	}
}

func FuzzEncode(f *testing.F) {
	small, plural := loadTestdata(f, "small"), loadTestdata(f, "plural")
	f.Add("SELECT name FROM singers WHERE x = 'é\u0301' <|im_end|>\r\n")
	f.Add("\xf0\x9f\x98 <mask> NULL [both]")
	f.Fuzz(func(t *testing.T, s string) {
		for _, tok := range []*Tokenizer{small, plural} {
			ids := tok.EncodeOrdinary(s)
			want := nfc(toValidUTF8(s))
			if got := tok.Decode(ids); got != want {
				t.Errorf("%q comes back as %q", s, got)
			}
			if got := streamAll(tok, ids, false); got != want {
				t.Errorf("%q streams as %q", s, got)
			}
			for _, id := range tok.Encode(s) {
				if _, ok := tok.IDToToken(id); !ok {
					t.Errorf("Encode(%q) gives the unknown id %d", s, id)
				}
			}
		}
	})
}
