package safetensors

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// scanner reads JSON (RFC 8259) value by value. Unlike encoding/json it leaves
// duplicate keys to be seen by the caller, refuses unpaired surrogates, says
// where an error is, and allocates nothing but the strings it returns. The data
// must be valid UTF-8.
type scanner struct {
	data []byte
	pos  int
	base int // where data begins in its file, for errors
}

// errorf returns an error that ends with the position in the file.
func (s *scanner) errorf(format string, args ...any) error {
	return fmt.Errorf("%s (byte %d of the file)", fmt.Sprintf(format, args...), s.base+s.pos)
}

// next skips white space and returns the byte after it without consuming it, or
// 0 at the end.
func (s *scanner) next() byte {
	for ; s.pos < len(s.data); s.pos++ {
		switch c := s.data[s.pos]; c {
		case ' ', '\t', '\n', '\r':
		default:
			return c
		}
	}
	return 0
}

// found says what kind of value comes next, for errors.
func (s *scanner) found() string {
	c := s.next()
	switch {
	case s.pos == len(s.data):
		return "the end"
	case c == '{':
		return "an object"
	case c == '[':
		return "an array"
	case c == '"':
		return "a string"
	case c == '-' || '0' <= c && c <= '9':
		return "a number"
	case c == 't' || c == 'f':
		return "a boolean"
	case c == 'n':
		return "null"
	}
	r, _ := utf8.DecodeRune(s.data[s.pos:])
	return strconv.QuoteRune(r)
}

// expect consumes white space and c.
func (s *scanner) expect(c byte) error {
	if s.next() != c {
		return s.errorf("want %q, found %s", c, s.found())
	}
	s.pos++
	return nil
}

// object reads an object and calls member for each of its members, with the
// scanner before the value, which member must consume.
func (s *scanner) object(member func(key string) error) error {
	if s.next() != '{' {
		return s.errorf("want an object, found %s", s.found())
	}
	s.pos++
	if s.next() == '}' {
		s.pos++
		return nil
	}
	for {
		key, err := s.string()
		if err != nil {
			return err
		}
		if err := s.expect(':'); err != nil {
			return err
		}
		if err := member(key); err != nil {
			return err
		}
		if s.next() == '}' {
			s.pos++
			return nil
		}
		if err := s.expect(','); err != nil {
			return err
		}
	}
}

// array reads an array and calls element for each of its elements, with the
// scanner before the element, which element must consume.
func (s *scanner) array(element func() error) error {
	if s.next() != '[' {
		return s.errorf("want an array, found %s", s.found())
	}
	s.pos++
	if s.next() == ']' {
		s.pos++
		return nil
	}
	for {
		if err := element(); err != nil {
			return err
		}
		if s.next() == ']' {
			s.pos++
			return nil
		}
		if err := s.expect(','); err != nil {
			return err
		}
	}
}

// string reads a string.
func (s *scanner) string() (string, error) {
	if s.next() != '"' {
		return "", s.errorf("want a string, found %s", s.found())
	}
	s.pos++
	start := s.pos
	var decoded []byte // what precedes start, once there was an escape
	for s.pos < len(s.data) {
		switch c := s.data[s.pos]; {
		case c == '"':
			text := s.data[start:s.pos]
			s.pos++
			if decoded == nil {
				return string(text), nil
			}
			return string(append(decoded, text...)), nil
		case c < ' ':
			return "", s.errorf("control character %#02x in a string", c)
		case c == '\\':
			decoded = append(decoded, s.data[start:s.pos]...)
			r, err := s.escape()
			if err != nil {
				return "", err
			}
			decoded = utf8.AppendRune(decoded, r)
			start = s.pos
		default:
			s.pos++
		}
	}
	return "", s.errorf("a string has no end")
}

// escape reads an escape sequence, a surrogate pair as one.
func (s *scanner) escape() (rune, error) {
	if s.pos+1 == len(s.data) {
		return 0, s.errorf("a string has no end")
	}
	c := s.data[s.pos+1]
	switch c {
	case '"', '\\', '/':
	case 'b':
		c = '\b'
	case 'f':
		c = '\f'
	case 'n':
		c = '\n'
	case 'r':
		c = '\r'
	case 't':
		c = '\t'
	case 'u':
		return s.unicodeEscape()
	default:
		return 0, s.errorf("unknown escape sequence in a string")
	}
	s.pos += 2
	return rune(c), nil
}

func (s *scanner) unicodeEscape() (rune, error) {
	r, ok := s.hexEscape(s.pos)
	if !ok {
		return 0, s.errorf("unknown escape sequence in a string")
	}
	if !utf16.IsSurrogate(r) {
		s.pos += 6
		return r, nil
	}
	low, _ := s.hexEscape(s.pos + 6)
	if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
		return 0, s.errorf("unpaired surrogate in a string")
	}
	s.pos += 12
	return r, nil
}

// hexEscape decodes the \uXXXX at data[at:], if there is one.
func (s *scanner) hexEscape(at int) (r rune, ok bool) {
	if at+6 > len(s.data) || s.data[at] != '\\' || s.data[at+1] != 'u' {
		return 0, false
	}
	for _, c := range s.data[at+2 : at+6] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// natural reads an integer that is not negative and fits an int.
func (s *scanner) natural() (int, error) {
	if c := s.next(); c == '-' {
		return 0, s.errorf("a negative number where one from 0 is wanted")
	} else if c < '0' || c > '9' {
		return 0, s.errorf("want an integer, found %s", s.found())
	}
	start, n := s.pos, 0
	for ; s.pos < len(s.data); s.pos++ {
		c := s.data[s.pos]
		if c == '.' || c == 'e' || c == 'E' {
			return 0, s.errorf("a number that is not a plain integer")
		}
		if c < '0' || c > '9' {
			break
		}
		digit := int(c - '0')
		if n > (math.MaxInt-digit)/10 {
			return 0, s.errorf("an integer overflows %d bits", strconv.IntSize)
		}
		n = 10*n + digit
	}
	if s.pos-start > 1 && s.data[start] == '0' {
		return 0, s.errorf("an integer begins with 0")
	}
	return n, nil
}

// maxDepth bounds the recursion of skip.
const maxDepth = 100

// skip reads a value of any kind, and requires the keys of each object in it to
// be distinct.
func (s *scanner) skip(depth int) error {
	if depth > maxDepth {
		return s.errorf("values are nested more than %d deep", maxDepth)
	}
	switch c := s.next(); {
	case c == '{':
		seen := map[string]bool{}
		return s.object(func(key string) error {
			if seen[key] {
				return s.errorf("the key %s occurs twice", quote(key))
			}
			seen[key] = true
			return s.skip(depth + 1)
		})
	case c == '[':
		return s.array(func() error { return s.skip(depth + 1) })
	case c == '"':
		_, err := s.string()
		return err
	case c == '-' || '0' <= c && c <= '9':
		return s.skipNumber()
	}
	for _, word := range []string{"true", "false", "null"} {
		if rest := s.data[s.pos:]; len(rest) >= len(word) && string(rest[:len(word)]) == word {
			s.pos += len(word)
			return nil
		}
	}
	return s.errorf("want a value, found %s", s.found())
}

// skipNumber reads -? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?
func (s *scanner) skipNumber() error {
	accept := func(set string) bool {
		if s.pos == len(s.data) || strings.IndexByte(set, s.data[s.pos]) < 0 {
			return false
		}
		s.pos++
		return true
	}
	digits := func() bool {
		start := s.pos
		for accept("0123456789") {
		}
		return s.pos > start
	}
	accept("-")
	ok := accept("0") || digits()
	if accept(".") {
		ok = digits() && ok
	}
	if accept("eE") {
		accept("+-")
		ok = digits() && ok
	}
	if !ok {
		return s.errorf("a malformed number")
	}
	return nil
}

// end requires that nothing but padding follows.
func (s *scanner) end(padding string) error {
	for ; s.pos < len(s.data); s.pos++ {
		if strings.IndexByte(padding, s.data[s.pos]) < 0 {
			r, _ := utf8.DecodeRune(s.data[s.pos:])
			return s.errorf("%q follows the JSON object, where only padding may", r)
		}
	}
	return nil
}

// checkUTF8 returns an error that says where data is not UTF-8.
func checkUTF8(data []byte, base int) error {
	if utf8.Valid(data) {
		return nil
	}
	at := 0
	for {
		r, n := utf8.DecodeRune(data[at:])
		if r == utf8.RuneError && n <= 1 {
			return fmt.Errorf("not UTF-8 (byte %d of the file)", base+at)
		}
		at += n
	}
}
