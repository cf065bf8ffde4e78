package data

import (
	"bytes"
	"encoding/json"
	"fmt"
	"iter"
	"strings"
)

// A record is what a file has in the place of a row, or why it has none.
type record struct {
	fields object
	nth    int // on its line, 0 standing for 1
	err    error
}

// records are those of a file, with the numbers of their lines from 1.
type records = iter.Seq2[int, record]

// object is a record's fields, not yet parsed.
type object map[string]json.RawMessage

// has reports whether a field is there and is not null.
func (o object) has(field string) bool {
	raw, ok := o[field]
	return ok && string(raw) != "null"
}

// text reads a field that must be a string with something in it.
func (o object) text(field string, into *string) error {
	if err := o.maybeEmpty(field, into); err != nil {
		return err
	}
	if strings.TrimSpace(*into) == "" {
		return fmt.Errorf("field %q is empty", field)
	}
	return nil
}

// maybeEmpty reads a field that must be a string.
func (o object) maybeEmpty(field string, into *string) error {
	raw, ok := o[field]
	if !ok {
		return fmt.Errorf("field %q is missing", field)
	}
	if raw[0] != '"' {
		return fmt.Errorf("field %q is %s, not a string", field, kind(raw))
	}
	return json.Unmarshal(raw, into)
}

// optional reads a field that may be missing or null, or must be a string.
func (o object) optional(field string, into *string) error {
	if !o.has(field) {
		return nil
	}
	return o.maybeEmpty(field, into)
}

// name reads a field that may be missing or null, or must be a string or a
// whole number.
func (o object) name(field string, into *string) error {
	raw := o[field]
	if len(raw) > 0 && strings.Trim(string(raw), "-0123456789") == "" {
		*into = string(raw)
		return nil
	}
	return o.optional(field, into)
}

// texts reads a field that may be missing or null, or must be an array of
// strings with something in them.
func (o object) texts(field string, into *[]string) error {
	if !o.has(field) {
		return nil
	}
	if err := json.Unmarshal(o[field], into); err != nil {
		return fmt.Errorf("field %q is not an array of strings", field)
	}
	for _, text := range *into {
		if strings.TrimSpace(text) == "" {
			return fmt.Errorf("field %q holds an empty string", field)
		}
	}
	return nil
}

// encode writes a value as JSON that leaves <, > and & readable.
func encode(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSpace(b.Bytes()), nil
}

func kind(raw json.RawMessage) string {
	switch raw[0] {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	case '"':
		return "a string"
	}
	return "a number"
}
