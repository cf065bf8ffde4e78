package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/term"

	"github.com/hone-ml/hone/examples/text2sql/internal/data"
	"github.com/hone-ml/hone/tokenizer"
	"github.com/hone-ml/hone/train"
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
	SQL       spread `json:"sql"` // with its end token; of a conversation, all that carries loss
	Total     int    `json:"total"`
	WithLoss  int    `json:"with_loss"`
	TooLong   int    `json:"too_long"`                 // rows beyond MaxLength, which training leaves out
	LongLines []int  `json:"too_long_lines,omitempty"` // theirs
	MaxLength int    `json:"max_length"`
}

// countTokens makes the samples that training would.
func countTokens(f format, lines []data.Line, maxLength int) (*tokenReport, error) {
	if len(lines) == 0 {
		return nil, nil
	}
	r := &tokenReport{MaxLength: maxLength}
	var prompts, completions []int
	for _, l := range lines {
		s, err := sample(f, l.Row)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", l.Number, err)
		}
		loss := withLoss(s)
		prompts, completions = append(prompts, len(s.Tokens)-loss), append(completions, loss)
		r.Total += len(s.Tokens)
		r.WithLoss += loss
		if maxLength > 0 && len(s.Tokens) > maxLength {
			r.TooLong++
			r.LongLines = append(r.LongLines, l.Number)
		}
	}
	r.Prompt, r.SQL = spreadOf(prompts), spreadOf(completions)
	return r, nil
}

// withLoss is the number of tokens that carry loss.
func withLoss(s train.Sample) (n int) {
	for _, c := range s.Completion {
		n += c.End - c.Start
	}
	return n
}

func (r *tokenReport) print(w io.Writer) {
	one := func(s spread) string {
		return fmt.Sprintf("p50 %d, p90 %d, p99 %d, longest %d", s.P50, s.P90, s.P99, s.Max)
	}
	fmt.Fprintf(w, "tokens    %d, of which %d carry loss (%.0f %%); %s longer than -max-length %d\n", r.Total, r.WithLoss, 100*float64(r.WithLoss)/float64(r.Total), plural(r.TooLong, "row"), r.MaxLength)
	if r.TooLong > 0 {
		var numbers []string
		for _, n := range r.LongLines {
			numbers = append(numbers, strconv.Itoa(n))
		}
		fmt.Fprintf(w, "  longer  lines %s\n", few(numbers))
	}
	fmt.Fprintf(w, "  prompt  %s\n  answer  %s\n", one(r.Prompt), one(r.SQL))
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
		where := fmt.Sprintf("the last %d", withLoss(s))
		if len(s.Completion) > 1 {
			where = fmt.Sprintf("%d, in %d answers", withLoss(s), len(s.Completion))
		}
		fmt.Fprintf(w, "\n%s: %d tokens, the loss is on %s\n", row.ID, len(s.Tokens), where)
		end := 0
		for _, c := range s.Completion {
			prompt, answer := s.Tokens[end:c.Start], s.Tokens[c.Start:c.End]
			end = c.End
			if !painted {
				fmt.Fprint(w, t.Decode(prompt), "⟦", strings.Join(pieces(t, answer), "│"), "⟧")
				continue
			}
			for i, piece := range pieces(t, prompt) {
				paint(w, piece, ansiDim, i%2 == 1)
			}
			for i, piece := range pieces(t, answer) {
				paint(w, piece, ansiLoss, i%2 == 1)
			}
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
