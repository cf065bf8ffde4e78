package data

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"unicode/utf8"
)

// maxLine is the longest line in bytes that a JSON Lines file may hold.
const maxLine = 16 << 20

// jsonLines reads one JSON object a line.
func jsonLines(r io.Reader) records {
	return func(yield func(int, record) bool) {
		for number, l := range lines(r) {
			rec := record{err: l.err}
			if l.err == nil {
				rec.fields, rec.err = parseObject(l.text)
			}
			if !yield(number, rec) {
				return
			}
		}
	}
}

// jsonRecords reads a JSON array of objects, or JSON Lines if the file does not
// begin with a bracket.
func jsonRecords(r io.Reader) records {
	return func(yield func(int, record) bool) {
		text, err := io.ReadAll(r)
		if err != nil {
			yield(1, record{err: err})
			return
		}
		if begin := bytes.TrimSpace(bytes.TrimPrefix(text, bom)); len(begin) == 0 || begin[0] != '[' {
			jsonLines(bytes.NewReader(text))(yield)
			return
		}
		text = bytes.TrimPrefix(text, bom)
		lineAt, counted := 1, 0
		line := func(offset int) int { // of growing offsets
			lineAt += bytes.Count(text[counted:offset], []byte("\n"))
			counted = offset
			return lineAt
		}
		d := json.NewDecoder(bytes.NewReader(text))
		if _, err := d.Token(); err != nil { // the bracket
			yield(1, record{err: err})
			return
		}
		previous, nth := 0, 0
		for d.More() {
			var raw json.RawMessage
			if err := d.Decode(&raw); err != nil {
				yield(line(int(d.InputOffset())), record{err: fmt.Errorf("not JSON: %w", ended(err))})
				return
			}
			number := line(int(d.InputOffset()) - len(raw))
			if nth++; number != previous {
				previous, nth = number, 1
			}
			fields, err := parseObject(raw)
			if !yield(number, record{fields: fields, nth: nth, err: err}) {
				return
			}
		}
		if _, err := d.Token(); err != nil {
			yield(line(len(text)), record{err: fmt.Errorf("the array does not end: %w", ended(err))})
		}
	}
}

// ended is err, where the text ended too soon in other words than "EOF".
func ended(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the file ends in the middle")
	}
	return err
}

// A line is the text of a line, or why there is none.
type line struct {
	text []byte
	err  error
}

// lines yields the lines of r that are not blank, with their numbers from 1.
// The text is valid until the next one.
func lines(r io.Reader) iter.Seq2[int, line] {
	return func(yield func(int, line) bool) {
		in := bufio.NewReaderSize(r, 64<<10)
		var text []byte
		for number := 1; ; number++ {
			text = text[:0]
			var err error
			for more := true; more; {
				var part []byte
				part, err = in.ReadSlice('\n')
				text = append(text, part...)
				if len(text) > maxLine {
					yield(number, line{err: fmt.Errorf("the line is longer than %d MiB", maxLine>>20)})
					return
				}
				more = errors.Is(err, bufio.ErrBufferFull)
			}
			if err != nil && err != io.EOF {
				yield(number, line{err: err})
				return
			}
			if number == 1 {
				text = bytes.TrimPrefix(text, bom)
			}
			if trimmed := bytes.TrimSpace(text); len(trimmed) > 0 && !yield(number, line{text: trimmed}) {
				return
			}
			if err == io.EOF {
				return
			}
		}
	}
}

var (
	bom      = []byte("\ufeff")
	errUTF16 = errors.New("the file is in UTF-16; save it as UTF-8")
)

func isUTF16(text []byte) bool {
	return bytes.HasPrefix(text, []byte("\xff\xfe")) || bytes.HasPrefix(text, []byte("\xfe\xff"))
}

// parseObject parses one JSON object.
func parseObject(text []byte) (object, error) {
	switch {
	case isUTF16(text):
		return nil, errUTF16
	case !utf8.Valid(text):
		return nil, errors.New("the line is not valid UTF-8")
	}
	var o object
	if err := json.Unmarshal(text, &o); err != nil || o == nil {
		return nil, notAnObject(text, err)
	}
	return o, nil
}

// notAnObject says what stands where one JSON object should.
func notAnObject(text []byte, err error) error {
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &syntax):
		return fmt.Errorf("not a JSON object: %v at byte %d", syntax, syntax.Offset)
	case text[0] == '[':
		return errors.New("not a JSON object but an array: write one object a line (JSON Lines), or name the file .json")
	}
	return fmt.Errorf("not a JSON object: %.40q", text)
}
