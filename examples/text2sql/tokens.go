package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"golang.org/x/term"

	"github.com/hone-ml/hone/examples/text2sql/internal/data"
	"github.com/hone-ml/hone/tokenizer"
)

// A spread is how long things are, in tokens.
type spread struct {
	P50 int `json:"p50"`
	P90 int `json:"p90"`
	P99 int `json:"p99"`
	Max int `json:"max"`
}

func spreadOf(lengths []int) spread {
	slices.Sort(lengths)
	at := func(q float64) int { return lengths[min(len(lengths)-1, int(q*float64(len(lengths))))] }
	return spread{at(0.5), at(0.9), at(0.99), lengths[len(lengths)-1]}
}

// A tokenReport is what a data set is in tokens.
type tokenReport struct {
	Prompt    spread `json:"prompt"`
	SQL       spread `json:"sql"` // with its end token
	Total     int    `json:"total"`
	WithLoss  int    `json:"with_loss"`
	TooLong   int    `json:"too_long"` // rows beyond MaxLength, which training leaves out
	MaxLength int    `json:"max_length"`
}

// countTokens makes the samples that training would.
func countTokens(f format, rows []data.Row, maxLength int) (*tokenReport, error) {
	if len(rows) == 0 {
		return nil, nil
	}
	r := &tokenReport{MaxLength: maxLength}
	var prompts, completions []int
	for _, row := range rows {
		s, err := sample(f, row)
		if err != nil {
			return nil, err
		}
		loss := s.Completion[0].End - s.Completion[0].Start
		prompts, completions = append(prompts, len(s.Tokens)-loss), append(completions, loss)
		r.Total += len(s.Tokens)
		r.WithLoss += loss
		r.TooLong += truth(maxLength > 0 && len(s.Tokens) > maxLength)
	}
	r.Prompt, r.SQL = spreadOf(prompts), spreadOf(completions)
	return r, nil
}

func (r *tokenReport) print(w io.Writer) {
	one := func(s spread) string {
		return fmt.Sprintf("p50 %d, p90 %d, p99 %d, longest %d", s.P50, s.P90, s.P99, s.Max)
	}
	fmt.Fprintf(w, "tokens    %d, of which %d carry loss (%.0f %%); %s longer than -max-length %d\n", r.Total, r.WithLoss, 100*float64(r.WithLoss)/float64(r.Total), plural(r.TooLong, "row"), r.MaxLength)
	fmt.Fprintf(w, "  prompt  %s\n  SQL     %s\n", one(r.Prompt), one(r.SQL))
}

// The colours of a preview: tokens without loss dim, those with it green, every other one underlined so that
// their limits show.
const (
	ansiDim   = "\x1b[2m"
	ansiLoss  = "\x1b[1;32m"
	ansiUnder = "\x1b[4m"
	ansiReset = "\x1b[0m"
)

// showTokens prints samples as training sees them, decoded token by token. Without colours the tokens with loss
// stand in ⟦ ⟧, a bar between them.
func showTokens(out io.Writer, t *tokenizer.Tokenizer, f format, rows []data.Row, painted bool) error {
	w := bufio.NewWriter(out)
	for _, row := range rows {
		s, err := sample(f, row)
		if err != nil {
			return err
		}
		c := s.Completion[0]
		fmt.Fprintf(w, "\n%s: %d tokens, the loss is on the last %d\n", row.ID, len(s.Tokens), c.End-c.Start)
		if !painted {
			fmt.Fprint(w, t.Decode(s.Tokens[:c.Start]), "⟦", strings.Join(pieces(t, s.Tokens[c.Start:c.End]), "│"), "⟧\n")
			continue
		}
		for i, piece := range pieces(t, s.Tokens[:c.Start]) {
			paint(w, piece, ansiDim, i%2 == 1)
		}
		for i, piece := range pieces(t, s.Tokens[c.Start:c.End]) {
			paint(w, piece, ansiLoss, i%2 == 1)
		}
		fmt.Fprintln(w)
	}
	return w.Flush()
}

// paint writes a token in a colour, line by line, so that a pager keeps it.
func paint(w io.Writer, piece, color string, under bool) {
	if under {
		color += ansiUnder
	}
	for i, line := range strings.Split(piece, "\n") {
		if i > 0 {
			fmt.Fprint(w, color+"⏎"+ansiReset+"\n")
		}
		if line != "" {
			fmt.Fprint(w, color+line+ansiReset)
		}
	}
}

// pieces are the texts of tokens; those of which it takes several for a character are joined.
func pieces(t *tokenizer.Tokenizer, tokens []int32) (out []string) {
	for from, to := 0, 1; to <= len(tokens); to++ {
		text := t.Decode(tokens[from:to])
		if strings.ContainsRune(text, '\uFFFD') && to < len(tokens) && to-from < 4 {
			continue
		}
		out = append(out, text)
		from = to
	}
	return out
}

// isTerminal reports whether w is one.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
