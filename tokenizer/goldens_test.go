package tokenizer

import (
	"encoding/hex"
	"slices"
	"testing"
)

type encodeCase struct {
	ID   int
	Cat  string
	Text string
	IDs  []int32
}

func TestQwen3EncodesTheReferencesTexts(t *testing.T) {
	tok := qwen3(t)
	rows := goldens[encodeCase](t, "encode_public.jsonl")
	texts := make([]string, len(rows))
	for i, r := range rows {
		texts[i] = r.Text
		if got := tok.Encode(r.Text); !slices.Equal(got, r.IDs) {
			t.Errorf("case %d (%s): Encode(%q)\n got %v\nwant %v", r.ID, r.Cat, r.Text, got, r.IDs)
		}
	}
	for i, got := range tok.EncodeBatch(texts) {
		if !slices.Equal(got, rows[i].IDs) {
			t.Errorf("case %d: EncodeBatch differs from the reference", rows[i].ID)
		}
	}
}

func TestQwen3DecodesTheReferencesIDs(t *testing.T) {
	tok := qwen3(t)
	type row struct {
		IDs             []int32
		Text            string
		TextSkipSpecial string `json:"text_skip_special"`
	}
	for i, r := range goldens[row](t, "decode_public.jsonl") {
		if got := tok.Decode(r.IDs); got != r.Text {
			t.Errorf("case %d: Decode(%v)\n got %q\nwant %q", i, r.IDs, got, r.Text)
		}
		if got := tok.DecodeSkipSpecial(r.IDs); got != r.TextSkipSpecial {
			t.Errorf("case %d: DecodeSkipSpecial(%v)\n got %q\nwant %q", i, r.IDs, got, r.TextSkipSpecial)
		}
		for _, skip := range []bool{false, true} {
			want := r.Text
			if skip {
				want = r.TextSkipSpecial
			}
			if got := streamAll(tok, r.IDs, skip); got != want {
				t.Errorf("case %d: streamed %v (skip %t)\n got %q\nwant %q", i, r.IDs, skip, got, want)
			}
		}
	}
}

func streamAll(tok *Tokenizer, ids []int32, skipSpecial bool) string {
	s := tok.NewStream(skipSpecial)
	text := ""
	for _, id := range ids {
		text += s.Next(id)
	}
	return text + s.Flush()
}

func TestQwen3EncodesInvalidUTF8AsWHATWGReplacesIt(t *testing.T) {
	tok := qwen3(t)
	type row struct {
		Hex  string
		Text string  `json:"text_whatwg"`
		IDs  []int32 `json:"ids_whatwg"`
	}
	for _, r := range goldens[row](t, "invalid_utf8.jsonl") {
		raw, err := hex.DecodeString(r.Hex)
		if err != nil {
			t.Fatal(err)
		}
		if got := toValidUTF8(string(raw)); got != r.Text {
			t.Errorf("toValidUTF8(%s) = %q, want %q", r.Hex, got, r.Text)
		}
		if got := tok.Encode(string(raw)); !slices.Equal(got, r.IDs) {
			t.Errorf("Encode(%s) = %v, want %v", r.Hex, got, r.IDs)
		}
	}
}
