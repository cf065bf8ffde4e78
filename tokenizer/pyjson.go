package tokenizer

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// pythonJSON writes JSON as the tojson of transformers' templates does, which is Python's
// json.dumps with ensure_ascii=False: keys in their order (of equal keys the last value, at the
// place of the first), ", " and ": " between, numbers as Python prints them.
func pythonJSON(raw []byte) (string, error) {
	var b strings.Builder
	err := document(string(raw), func(r *jsonReader) error { return writePython(&b, r) })
	if err != nil {
		return "", fmt.Errorf("malformed JSON: %w", err)
	}
	return b.String(), nil
}

func writePython(b *strings.Builder, r *jsonReader) error {
	switch r.kind() {
	case "an object":
		return writePythonObject(b, r)
	case "an array":
		b.WriteByte('[')
		err := r.array(func(i int) error {
			if i > 0 {
				b.WriteString(", ")
			}
			return writePython(b, r)
		})
		b.WriteByte(']')
		return err
	case "a string":
		s, err := r.string()
		writePythonString(b, s)
		return err
	case "a number":
		text, err := r.number()
		b.WriteString(pythonNumber(text))
		return err
	default: // true, false, null, or an error
		raw, err := r.skip()
		b.WriteString(raw)
		return err
	}
}

func writePythonObject(b *strings.Builder, r *jsonReader) error {
	var keys []string
	values := map[string]string{}
	err := r.object(func(key string) error {
		var value strings.Builder
		if err := writePython(&value, r); err != nil {
			return err
		}
		if _, ok := values[key]; !ok {
			keys = append(keys, key)
		}
		values[key] = value.String()
		return nil
	})
	b.WriteByte('{')
	for i, key := range keys {
		if i > 0 {
			b.WriteString(", ")
		}
		writePythonString(b, key)
		b.WriteString(": ")
		b.WriteString(values[key])
	}
	b.WriteByte('}')
	return err
}

func writePythonString(b *strings.Builder, s string) {
	b.WriteByte('"')
	b.WriteString(escapeJSON(s))
	b.WriteByte('"')
}

// escapeJSON escapes what must be escaped in a JSON string and nothing else, as Python's json and
// Rust's serde_json do.
func escapeJSON(s string) string {
	plain := func(c byte) bool { return c >= ' ' && c != '"' && c != '\\' }
	i := 0
	for i < len(s) && plain(s[i]) {
		i++
	}
	if i == len(s) {
		return s
	}
	out := append(make([]byte, 0, len(s)+8), s[:i]...)
	for ; i < len(s); i++ {
		c := s[i]
		if plain(c) {
			out = append(out, c)
			continue
		}
		if at := strings.IndexByte("\"\\\b\f\n\r\t", c); at >= 0 {
			out = append(out, '\\', `"\bfnrt`[at])
		} else {
			out = fmt.Appendf(out, "\\u%04x", c)
		}
	}
	return string(out)
}

// pythonNumber writes a JSON number as Python does after reading it: integers as they are, others
// as the shortest float64, with an exponent below 1e-4 and from 1e16.
func pythonNumber(text string) string {
	if !strings.ContainsAny(text, ".eE") {
		if text == "-0" {
			return "0"
		}
		return text
	}
	f, _ := strconv.ParseFloat(text, 64) // the text is a number, so the only error is overflow to ±Inf
	switch abs := math.Abs(f); {
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	case abs != 0 && (abs < 1e-4 || abs >= 1e16):
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}
