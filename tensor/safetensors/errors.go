package safetensors

import "strconv"

// FormatError reports a file that breaks a rule of the format.
type FormatError struct {
	Path   string // the file
	Tensor string // the tensor, or "" where the fault is the whole file's
	Reason string // the rule, and how it is broken
}

// Error names the file, the tensor and the rule in one line.
func (e *FormatError) Error() string {
	if e.Tensor == "" {
		return "safetensors: " + e.Path + ": " + e.Reason
	}
	return "safetensors: " + e.Path + ": tensor " + quote(e.Tensor) + ": " + e.Reason
}

// maxQuoted is how much of a name from a file goes into an error.
const maxQuoted = 120

// quote returns s as a Go string literal, cut short if it is long: a hostile
// name may take up most of a header and hold anything.
func quote(s string) string {
	if len(s) <= maxQuoted {
		return strconv.Quote(s)
	}
	return strconv.Quote(s[:maxQuoted]) + "…"
}
