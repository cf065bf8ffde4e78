package tokenizer

import (
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

func readText(tb testing.TB, path string) string {
	tb.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	return string(data)
}

func TestNFCActsOnWhatTheReferenceKnowsAndNothingElse(t *testing.T) {
	for r := rune(0); r <= utf8.MaxRune; r++ {
		if !utf8.ValidRune(r) {
			continue
		}
		want := string(r)
		if runeClasses[r]&(nfcUnstable|nfcComposed) != 0 {
			want = norm.NFC.String(want)
		}
		if got := nfc(string(r)); got != want {
			t.Errorf("nfc(U+%04X) = %+q, want %+q", r, got, want)
		}
	}
}

func TestNFCPutsDecomposedTextTogether(t *testing.T) {
	for r := rune(0); r <= utf8.MaxRune; r++ {
		if utf8.ValidRune(r) && runeClasses[r]&nfcComposed != 0 {
			// The mark 0334 has the lowest class: it stands before others, and blocks none of them.
			for _, tail := range []string{"", "\u0334", "x"} {
				decomposed := norm.NFD.String(string(r) + tail)
				if got, want := nfc(decomposed), norm.NFC.String(decomposed); got != want {
					t.Errorf("nfc(%+q) = %+q, want %+q", decomposed, got, want)
				}
			}
		}
	}
}

func TestNFCLeavesLongRunsOfMarksWhole(t *testing.T) {
	// x/text breaks a run up by a U+034F after 30 marks.
	got := nfc("a" + strings.Repeat("\u0301\u0323", 500))
	want := "\u1EA1" + strings.Repeat("\u0323", 499) + strings.Repeat("\u0301", 500)
	if got != want {
		t.Errorf("nfc of a run of 1,000 marks = %.20q… of %d bytes, want %.20q… of %d", got, len(got), want, len(want))
	}
	if nfc(want) != want {
		t.Error("nfc changes what it has made")
	}
}

func TestInvalidUTF8IsReplacedByMaximalPrefixes(t *testing.T) {
	for in, want := range map[string]string{
		"":                     "",
		"a\xffb":               "a\uFFFDb",
		"\xc3":                 "\uFFFD",
		"\xc3(":                "\uFFFD(",
		"\xe2\x82":             "\uFFFD",
		"\xe2\x82\xe2\x82\xac": "\uFFFD€",
		"\xf0\x9f\x98":         "\uFFFD",
		"\xf0\x9f\x98\xff":     "\uFFFD\uFFFD",
		"\xed\xa0\x80":         "\uFFFD\uFFFD\uFFFD", // a surrogate
		"\xc0\xaf":             "\uFFFD\uFFFD",       // overlong
		"\xe0\x80\xaf":         "\uFFFD\uFFFD\uFFFD",
		"\xf0\x80\x80\x80":     "\uFFFD\uFFFD\uFFFD\uFFFD",
		"\xf4\x90\x80\x80":     "\uFFFD\uFFFD\uFFFD\uFFFD", // beyond U+10FFFF
		"\x80\xbf":             "\uFFFD\uFFFD",
		"\uFFFD":               "\uFFFD",
		"中\xe4\xb8":            "中\uFFFD",
	} {
		if got := toValidUTF8(in); got != want {
			t.Errorf("toValidUTF8(%q) = %q, want %q", in, got, want)
		}
	}
}
