package tokenizer

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/dlclark/regexp2"
)

// oracleText replaces each character by one of the same class that package unicode, which regexp2
// asks, puts into the reference's class too. The long s, which regexp2 does not fold to an s,
// becomes a capital one.
func oracleText(s string) []rune {
	runes := []rune(s)
	for i, r := range runes {
		if r < 0x80 {
			continue
		}
		runes[i] = [...]rune{classOther: '§', classLetter: 'ж', classNumber: '१', classSpace: '\u2003'}[runeClasses[r]&classMask]
		if r == '\u017F' {
			runes[i] = 'S'
		}
	}
	return runes
}

// oracleSplit returns the pieces of s as a regular expression engine with look-ahead finds them.
func oracleSplit(tb testing.TB, re *regexp2.Regexp, s string) []string {
	tb.Helper()
	runes, masked := []rune(s), oracleText(s)
	var pieces []string
	end := 0
	m, err := re.FindRunesMatch(masked)
	for ; m != nil; m, err = re.FindNextMatch(m) {
		if m.Index != end {
			tb.Fatalf("the oracle leaves a gap at %d in %q", end, s)
		}
		end = m.Index + m.Length
		pieces = append(pieces, string(runes[m.Index:end]))
	}
	if err != nil {
		tb.Fatal(err)
	}
	if end != len(runes) {
		tb.Fatalf("the oracle stops at %d of %q", end, s)
	}
	return pieces
}

func splitAll(split splitter, s string) []string {
	var pieces []string
	for i := 0; i < len(s); {
		end := split(s, i)
		pieces = append(pieces, s[i:end])
		i = end
	}
	return pieces
}

func checkSplit(tb testing.TB, s string) {
	tb.Helper()
	for pattern, split := range splitters {
		got, want := splitAll(split, s), oracleSplit(tb, regexp2.MustCompile(pattern, regexp2.None), s)
		if !slices.Equal(got, want) {
			tb.Errorf("%q splits by `%s`\ninto %q\nwant %q", s, pattern, got, want)
		}
	}
}

func TestSplittersMatchTheirPatterns(t *testing.T) {
	for _, s := range []string{
		"", "a", "Hello, world!", "don't DON'T I'll we'VE they're 'd 'LL", "'s", "'", "''s", "x'sx", "' s", "'r", "'l", "'v e",
		" 's", "12 345", " 1", "a1b", "١٢", "½x", "_a", "__a", "\ta", "\na", "\r\na", "  a", "  \n  a", " \n\n ", "\n\n\n", "   ", " !", "  !", "!\n\n", "!\r\n x", " !?\n",
		"a\u00a0b", "a\u3000\u3000b", "\u2028x", "中文，中文", "é'S", "e\u0301", "👍🏽ok", "\u200b\u200bx", "\ufeffx",
		"singers", "singers are", "singers's", "s", " s", "ss", " ss", "sS", "bus1", "bus_", "buss", "the class's", "\ts\ts", "1s", "(s)", "as is", "s\u0301", "éS", "és", "-s-ss",
	} {
		checkSplit(t, s)
	}
}

func TestSplittersMatchTheirPatternsOnRandomText(t *testing.T) {
	alphabet := []rune("aSsrtlevd'' \n\r\t.!_12é中\u00a0\u017f\u0301½\u2028👍")
	rng := rand.New(rand.NewPCG(1, 1))
	for range 4000 {
		var b strings.Builder
		for range rng.IntN(20) {
			b.WriteRune(alphabet[rng.IntN(len(alphabet))])
		}
		checkSplit(t, b.String())
	}
}

func FuzzSplit(f *testing.F) {
	f.Add("don't split 12 singers\r\n  here's  ")
	f.Fuzz(func(t *testing.T, s string) {
		checkSplit(t, toValidUTF8(s))
	})
}

func TestLongSIsAnSInContractions(t *testing.T) {
	// Measured with the reference: case folding makes it one.
	if got := splitAll(splitQwen2, "x'\u017fa"); !slices.Equal(got, []string{"x", "'\u017f", "a"}) {
		t.Errorf("split into %q", got)
	}
}

func TestRuneClassesAreTheReferences(t *testing.T) {
	want := make([]uint8, len(runeClasses))
	type classRange struct {
		lo, hi rune
		class  string
	}
	n := 0
	for _, line := range strings.Split(readText(t, sharedFile(t, "data", "tokenizer-goldens", "unicode_classes_reference.txt")), "\n") {
		var c classRange
		if line == "" || line[0] == '#' {
			continue
		}
		if _, err := fmt.Sscanf(line, "%x %x %s", &c.lo, &c.hi, &c.class); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		n++
		for r := c.lo; r <= c.hi; r++ {
			want[r] = map[string]uint8{"L": classLetter, "N": classNumber, "S": classSpace}[c.class]
		}
	}
	if n == 0 {
		t.Fatal("the file has no ranges")
	}
	for r, class := range runeClasses {
		if class&classMask != want[r] {
			t.Fatalf("U+%04X has class %d, the reference's is %d: run go generate", r, class&classMask, want[r])
		}
	}
}
