package tokenizer

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// FormatError says what is wrong with a file of a tokenizer, and where.
type FormatError struct {
	File   string // path of the file
	Field  string // the JSON field, as in model.merges[12]; "" for the whole document
	Reason string
}

func (e *FormatError) Error() string {
	if e.Field == "" {
		return fmt.Sprintf("tokenizer: %s: %s", e.File, e.Reason)
	}
	return fmt.Sprintf("tokenizer: %s: field %s: %s", e.File, e.Field, e.Reason)
}

// maxDepth bounds the nesting of a JSON document, and with it the parser's recursion.
const maxDepth = 200

// jsonReader reads one JSON document from front to back. Of encoding/json it lacks the reflection,
// so that a vocabulary of 11 MB takes tens of milliseconds, and it keeps the path for errors, the
// order of keys, and duplicate keys.
type jsonReader struct {
	data  string
	pos   int
	depth int
	path  []pathElem
}

type pathElem struct {
	key   string
	index int // -1 for a key
}

// clone returns a reader that stays where r is now.
func (r *jsonReader) clone() *jsonReader {
	c := *r
	c.path = slices.Clone(r.path)
	return &c
}

// fieldError is an error at a place of the document. Callers make a FormatError of it.
type fieldError struct{ field, reason string }

func (e *fieldError) Error() string { return e.field + ": " + e.reason }

// inFile turns a fieldError into the FormatError of a file.
func inFile(file string, err error) error {
	var fe *fieldError
	if errors.As(err, &fe) {
		return &FormatError{File: file, Field: fe.field, Reason: fe.reason}
	}
	return err
}

// field names the place that the reader is at.
func (r *jsonReader) field() string {
	const longest = 8
	var b strings.Builder
	for i, e := range r.path {
		switch {
		case i == longest:
			b.WriteString("…")
			return b.String()
		case e.index >= 0:
			fmt.Fprintf(&b, "[%d]", e.index)
		case !isPlainKey(e.key):
			fmt.Fprintf(&b, "[%q]", e.key)
		case i > 0:
			b.WriteString("." + e.key)
		default:
			b.WriteString(e.key)
		}
	}
	return b.String()
}

func isPlainKey(key string) bool {
	for _, c := range []byte(key) {
		if c != '_' && (c < '0' || '9' < c) && (c|0x20 < 'a' || 'z' < c|0x20) {
			return false
		}
	}
	return key != "" && len(key) <= 40
}

// errorf makes an error at the place that the reader is at.
func (r *jsonReader) errorf(format string, args ...any) error {
	return &fieldError{r.field(), fmt.Sprintf(format, args...)}
}

// at makes an error at a field below the place that the reader is at.
func (r *jsonReader) at(key, format string, args ...any) error {
	r.path = append(r.path, pathElem{key, -1})
	defer func() { r.path = r.path[:len(r.path)-1] }()
	return r.errorf(format, args...)
}

// syntax makes an error about the JSON itself, with the line.
func (r *jsonReader) syntax(what string) error {
	line := 1 + strings.Count(r.data[:min(r.pos, len(r.data))], "\n")
	if r.pos >= len(r.data) {
		return r.errorf("line %d: the file ends where %s should stand", line, what)
	}
	c, _ := utf8.DecodeRuneInString(r.data[r.pos:])
	return r.errorf("line %d: %q stands where %s should", line, c, what)
}

// space skips white space.
func (r *jsonReader) space() {
	for r.pos < len(r.data) {
		switch r.data[r.pos] {
		case ' ', '\n', '\t', '\r':
			r.pos++
		default:
			return
		}
	}
}

// peek skips white space and returns the next byte, 0 at the end.
func (r *jsonReader) peek() byte {
	r.space()
	if r.pos < len(r.data) {
		return r.data[r.pos]
	}
	return 0
}

// kind names the type of the next value.
func (r *jsonReader) kind() string {
	switch c := r.peek(); c {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case '"':
		return "a string"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	default:
		if c == '-' || '0' <= c && c <= '9' {
			return "a number"
		}
		return ""
	}
}

// expect checks the type of the next value.
func (r *jsonReader) expect(want string) error {
	switch kind := r.kind(); kind {
	case want:
		return nil
	case "":
		return r.syntax(want)
	default:
		return r.errorf("is %s, must be %s", kind, want)
	}
}

// object reads an object. member must read the value of each key.
func (r *jsonReader) object(member func(key string) error) error {
	if err := r.open("an object"); err != nil {
		return err
	}
	for first := true; ; first = false {
		c := r.peek()
		if c == '}' {
			r.pos++
			r.depth--
			return nil
		}
		if !first {
			if c != ',' {
				return r.syntax("a comma or }")
			}
			r.pos++
		}
		if r.peek() != '"' {
			return r.syntax("a key in quotes")
		}
		key, err := r.string()
		if err != nil {
			return err
		}
		if r.peek() != ':' {
			return r.syntax("a colon")
		}
		r.pos++
		r.path = append(r.path, pathElem{key, -1})
		if err := member(key); err != nil {
			return err
		}
		r.path = r.path[:len(r.path)-1]
	}
}

// record reads an object of named fields: no key may come twice, and all of required must come.
func (r *jsonReader) record(required []string, member func(key string) error) error {
	seen := map[string]bool{}
	err := r.object(func(key string) error {
		if seen[key] {
			return r.errorf("is given twice")
		}
		seen[key] = true
		return member(key)
	})
	if err != nil {
		return err
	}
	for _, key := range required {
		if !seen[key] {
			return r.at(key, "is missing")
		}
	}
	return nil
}

// array reads an array. element must read each value.
func (r *jsonReader) array(element func(i int) error) error {
	if err := r.open("an array"); err != nil {
		return err
	}
	for i := 0; ; i++ {
		c := r.peek()
		if c == ']' {
			r.pos++
			r.depth--
			return nil
		}
		if i > 0 {
			if c != ',' {
				return r.syntax("a comma or ]")
			}
			r.pos++
		}
		r.path = append(r.path, pathElem{"", i})
		if err := element(i); err != nil {
			return err
		}
		r.path = r.path[:len(r.path)-1]
	}
}

func (r *jsonReader) open(kind string) error {
	if err := r.expect(kind); err != nil {
		return err
	}
	r.pos++
	if r.depth++; r.depth > maxDepth {
		return r.errorf("is nested deeper than %d levels", maxDepth)
	}
	return nil
}

// string reads a string. The result shares the document's memory unless it holds escapes.
func (r *jsonReader) string() (string, error) {
	if err := r.expect("a string"); err != nil {
		return "", err
	}
	r.pos++
	start := r.pos
	for ; r.pos < len(r.data); r.pos++ {
		switch c := r.data[r.pos]; {
		case c == '"':
			r.pos++
			return r.data[start : r.pos-1], nil
		case c == '\\':
			return r.escaped(start)
		case c < ' ':
			return "", r.syntax("a character of a string or its closing quote")
		}
	}
	return "", r.syntax("the closing quote of a string")
}

// escaped reads on from the first backslash of a string that begins at start.
func (r *jsonReader) escaped(start int) (string, error) {
	out := []byte(r.data[start:r.pos])
	for r.pos < len(r.data) {
		c := r.data[r.pos]
		switch {
		case c == '"':
			r.pos++
			return string(out), nil
		case c < ' ':
			return "", r.syntax("a character of a string or its closing quote")
		case c != '\\':
			out = append(out, c)
			r.pos++
			continue
		}
		r.pos++
		if r.pos == len(r.data) {
			break
		}
		c = r.data[r.pos]
		if c == 'u' {
			unit, ok := r.hex4(r.pos + 1)
			if !ok {
				return "", r.syntax("an escape with four hexadecimal digits")
			}
			r.pos += 5
			u := rune(unit)
			if utf16.IsSurrogate(u) {
				pair := rune(utf8.RuneError)
				if strings.HasPrefix(r.data[r.pos:], `\u`) {
					if low, ok := r.hex4(r.pos + 2); ok {
						pair = utf16.DecodeRune(u, rune(low))
					}
				}
				if pair != utf8.RuneError {
					r.pos += 6
				}
				u = pair // a lone half becomes U+FFFD
			}
			out = utf8.AppendRune(out, u)
			continue
		}
		at := strings.IndexByte(`"\/bfnrt`, c)
		if at < 0 {
			return "", r.syntax("an escape of JSON")
		}
		out = append(out, "\"\\/\b\f\n\r\t"[at])
		r.pos++
	}
	return "", r.syntax("the closing quote of a string")
}

func (r *jsonReader) hex4(at int) (uint64, bool) {
	if at+4 > len(r.data) {
		return 0, false
	}
	u, err := strconv.ParseUint(r.data[at:at+4], 16, 16)
	return u, err == nil && r.data[at] != '+'
}

// id reads a token id: an integer from 0 to maxIDs-1.
func (r *jsonReader) id() (int32, error) {
	if err := r.expect("a number"); err != nil {
		return 0, err
	}
	text, err := r.number()
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil || n >= maxIDs {
		return 0, r.errorf("%s is not an id (an integer from 0 to %d)", text, maxIDs-1)
	}
	return int32(n), nil
}

// number reads a number as it is written.
func (r *jsonReader) number() (string, error) {
	start := r.pos
	digits := func() bool {
		from := r.pos
		for r.pos < len(r.data) && '0' <= r.data[r.pos] && r.data[r.pos] <= '9' {
			r.pos++
		}
		return r.pos > from
	}
	next := func(set string) bool {
		if r.pos < len(r.data) && strings.IndexByte(set, r.data[r.pos]) >= 0 {
			r.pos++
			return true
		}
		return false
	}
	next("-")
	if !next("0") && !digits() {
		return "", r.syntax("a digit")
	}
	if next(".") && !digits() {
		return "", r.syntax("a digit")
	}
	if next("eE") {
		next("+-")
		if !digits() {
			return "", r.syntax("a digit")
		}
	}
	return r.data[start:r.pos], nil
}

func (r *jsonReader) bool() (bool, error) {
	if err := r.expect("a boolean"); err != nil {
		return false, err
	}
	if r.data[r.pos] == 't' {
		return true, r.literal("true")
	}
	return false, r.literal("false")
}

func (r *jsonReader) literal(want string) error {
	if !strings.HasPrefix(r.data[r.pos:], want) {
		return r.syntax(want)
	}
	r.pos += len(want)
	return nil
}

// null reads a null if one stands here.
func (r *jsonReader) null() (bool, error) {
	if r.kind() != "null" {
		return false, nil
	}
	return true, r.literal("null")
}

// skip checks the syntax of a value and returns its text.
func (r *jsonReader) skip() (string, error) {
	r.space()
	start := r.pos
	var err error
	switch r.kind() {
	case "an object":
		err = r.object(func(string) error { _, err := r.skip(); return err })
	case "an array":
		err = r.array(func(int) error { _, err := r.skip(); return err })
	case "a string":
		_, err = r.string()
	case "a number":
		_, err = r.number()
	case "a boolean":
		_, err = r.bool()
	case "null":
		_, err = r.null()
	default:
		err = r.syntax("a value")
	}
	return r.data[start:r.pos], err
}

// end checks that nothing follows the document.
func (r *jsonReader) end() error {
	if r.peek(); r.pos < len(r.data) {
		return r.syntax("the end of the file")
	}
	return nil
}

// document reads one whole document of UTF-8 text with read.
func document(data string, read func(r *jsonReader) error) error {
	if !utf8.ValidString(data) {
		return &fieldError{"", "is not UTF-8"}
	}
	r := &jsonReader{data: data}
	if err := read(r); err != nil {
		return err
	}
	return r.end()
}
