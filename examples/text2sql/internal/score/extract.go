package score

import (
	"errors"
	"regexp"
	"slices"
	"strings"
)

// Why a model's output holds no query that could be run.
var (
	// ErrNoQuery means that the output has no SELECT, WITH or VALUES statement,
	// or that another kind of statement comes first.
	ErrNoQuery = errors.New("the output holds no query")
	// ErrManyStatements means that the output has a second statement, so that
	// which of them is the answer would be a guess.
	ErrManyStatements = errors.New("the output holds more than one statement")
)

// ExtractSQL finds the one query in a model's output. It drops reasoning in
// <think>…</think> (all of the output when the reasoning never ends), takes
// what stands in a Markdown fence if anything does, and leaves out prose
// before and after the statement: before its SELECT, WITH … AS ( or VALUES (,
// and after its semicolon, an empty line that no SQL follows, or a control
// token such as <|im_end|>. Strings, quoted names and comments are not
// mistaken for any of these.
//
// The error is [ErrNoQuery] or [ErrManyStatements].
func ExtractSQL(output string) (string, error) {
	text := stripReasoning(output)
	blocks := fences(text)
	if len(blocks) == 0 {
		return statement(text)
	}
	found, problem := "", ErrNoQuery
	for _, block := range blocks {
		sql, err := statement(block)
		switch {
		case err == nil && found != "":
			return "", ErrManyStatements
		case err == nil:
			found, problem = sql, nil
		case errors.Is(err, ErrManyStatements):
			return "", err
		}
	}
	return found, problem
}

// stripReasoning drops everything up to the last </think>, whose beginning may
// have been in the prompt, and everything after a <think> that never ends.
func stripReasoning(text string) string {
	if i := strings.LastIndex(text, "</think>"); i >= 0 {
		text = text[i+len("</think>"):]
	}
	before, _, _ := strings.Cut(text, "<think>")
	return before
}

// fences returns what stands between ``` marks, without the language's name.
// The last fence may be open.
func fences(text string) []string {
	parts := strings.Split(text, "```")
	var blocks []string
	for i := 1; i < len(parts); i += 2 {
		blocks = append(blocks, fenceLanguage.ReplaceAllString(parts[i], ""))
	}
	return blocks
}

var (
	fenceLanguage = regexp.MustCompile(`^[A-Za-z]*[ \t]*\r?\n|^(?i:sql|sqlite|postgres|postgresql)\s`)

	// queryStart finds what a query can begin with. WITH and VALUES are common
	// words, so that what follows them counts too.
	queryStart = regexp.MustCompile(`(?i)\b(?:select\b` +
		`|with\s+(?:recursive\s+)?[\w"` + "`" + `\[\]]+\s*(?:\([^()]*\)\s*)?as\s*(?:(?:not\s+)?materialized\s*)?\(` +
		`|values\s*\()`)

	// otherStart finds statements that are no queries, at the beginning of a
	// line: with a second word where the first is a common one, in capitals
	// where there is none.
	otherStart = regexp.MustCompile(`(?m)^[ \t]*(?:(?i:insert\s+(?:or\s+\w+\s+)?into|replace\s+into|update\s+\S+\s+set|delete\s+from|` +
		`drop\s+(?:table|view|index|trigger|schema|database)|alter\s+(?:table|schema|database|role)|` +
		`create\s+(?:\w+\s+){0,3}?(?:table|view|index|trigger|schema|database|function|role)|` +
		`truncate\s+table|attach\s+(?:database|')|detach\s+database|pragma\s+\w+|begin\s+transaction)\b|` +
		`(?:ATTACH|DETACH|PRAGMA|VACUUM|REINDEX|ANALYZE|EXPLAIN|BEGIN|COMMIT|ROLLBACK|SAVEPOINT|TRUNCATE|GRANT|REVOKE|COPY|DO|CALL|SET)\b)`)
)

// statement finds the one query in a text without reasoning and fences.
func statement(text string) (string, error) {
	begin := firstQuery(text)
	if other := otherStart.FindStringIndex(text); begin < 0 || other != nil && other[0] <= begin {
		return "", ErrNoQuery
	}
	for {
		end, restart := scanStatement(text, begin)
		if restart > 0 {
			if startsLine(text, begin) && !strings.HasPrefix(text[begin:], "Select") {
				return "", ErrManyStatements
			}
			begin = restart // what came before was prose that says select
			continue
		}
		if anotherStatement(text[end:]) {
			return "", ErrManyStatements
		}
		return strings.TrimSpace(text[begin:end]), nil
	}
}

// firstQuery returns where the first query outside of comments begins, or -1.
func firstQuery(text string) int {
	for from := 0; ; {
		at := queryStart.FindStringIndex(text[from:])
		if at == nil {
			return -1
		}
		begin := from + at[0]
		line := strings.LastIndexByte(text[:begin], '\n') + 1
		switch opened := strings.LastIndex(text[:begin], "/*"); {
		case strings.Contains(text[line:begin], "--"):
			from = begin + until(text[begin:], "\n", 0)
		case opened >= 0 && !strings.Contains(text[opened:begin], "*/"):
			from = begin + until(text[begin:], "*/", 0)
		default:
			return begin
		}
	}
}

// scanStatement returns where the query that begins at begin ends. restart is
// positive when, instead, a query begins anew there on a line of its own.
func scanStatement(text string, begin int) (end, restart int) {
	inCode := begin > 0 && text[begin-1] == '`' && strings.Contains(text[begin:], "`")
	depth, previous := 0, token{start: begin, end: begin}
	last := begin // the end of the last token that was SQL
	for t, ok := next(text, begin); ok; t, ok = next(text, t.end) {
		piece := text[t.start:t.end]
		switch {
		case t.kind == symbol && piece == ";",
			strings.HasPrefix(text[t.start:], "<|"),
			inCode && piece[0] == '`',
			depth == 0 && emptyLine.MatchString(text[previous.end:t.start]) && !continues(t, piece):
			return last, 0
		case t.kind == comment:
			previous.end = t.end
			continue
		case t.kind == symbol && piece == "(":
			depth++
		case t.kind == symbol && piece == ")":
			depth--
		case t.kind == word && depth == 0 && t.start > begin && startsQuery(text, t.start) &&
			startsLine(text, t.start) && !joins(text[previous.start:previous.end]):
			return 0, t.start
		}
		previous, last = t, t.end
	}
	return last, 0
}

var emptyLine = regexp.MustCompile(`\n[ \t\r]*\n`)

// continues reports whether a token after an empty line belongs to the
// statement above it rather than to prose.
func continues(t token, piece string) bool {
	if t.kind != word {
		return t.kind == comment || t.kind == symbol && piece != "*" && piece != "-" && piece != "#"
	}
	return slices.Contains(clauses, strings.ToLower(piece))
}

// clauses are the words that can begin a line inside a query.
var clauses = strings.Fields(`from where group having order limit offset fetch union intersect except join
	inner left right full cross natural on using and or select as window case when then else end in not between like is values`)

// joins reports whether a query may follow the token without a new statement
// beginning: after UNION, EXCEPT, INTERSECT, ALL, and a WITH's last parenthesis.
func joins(piece string) bool {
	return slices.Contains([]string{"union", "all", "except", "intersect", ")"}, strings.ToLower(piece))
}

func startsQuery(text string, pos int) bool {
	at := queryStart.FindStringIndex(text[pos:])
	return at != nil && at[0] == 0
}

// startsLine reports whether only blanks stand before pos on its line.
func startsLine(text string, pos int) bool {
	line := text[strings.LastIndexByte(text[:pos], '\n')+1 : pos]
	return strings.TrimSpace(line) == ""
}

// anotherStatement reports whether the text after a statement begins with one
// more, past semicolons and comments.
func anotherStatement(rest string) bool {
	for t, ok := next(rest, 0); ok; t, ok = next(rest, t.end) {
		if t.kind == comment || t.kind == symbol && rest[t.start:t.end] == ";" {
			continue
		}
		from := rest[t.start:]
		other := otherStart.FindStringIndex(from)
		return startsQuery(from, 0) || other != nil && other[0] == 0
	}
	return false
}
