package gguf

import "strconv"

// FormatError reports a file that breaks a rule of the format, or that holds what this package does not
// read.
type FormatError struct {
	Path   string // the file
	Key    string // the metadata at fault, or ""
	Tensor string // the tensor at fault, or ""
	Reason string // the rule, how it is broken and what to do
}

// Error names the file, the part and the rule in one line.
func (e *FormatError) Error() string {
	s := "gguf: " + e.Path + ": "
	switch {
	case e.Key != "":
		s += "metadata " + quote(e.Key) + ": "
	case e.Tensor != "":
		s += "tensor " + quote(e.Tensor) + ": "
	}
	return s + e.Reason
}

// maxQuoted is how much of a name from a file goes into an error.
const maxQuoted = 120

// quote is s as a Go string literal, cut short if it is long: a hostile name may hold anything.
func quote(s string) string {
	if len(s) <= maxQuoted {
		return strconv.Quote(s)
	}
	return strconv.Quote(s[:maxQuoted]) + "…"
}
