package npy

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/hone-ml/hone/tensor"
)

const (
	magic = "\x93NUMPY"

	// maxHeader bounds a header: one of the tensors here needs some hundred bytes.
	maxHeader = 1 << 16

	// maxElements bounds what a header may ask for, long before memory ends.
	maxElements = 1 << 44
)

// A header is what stands before an array.
type header struct {
	descr   string // the dtype, as in "<f4"
	fortran bool   // the first axis changes fastest
	shape   []int
}

// readHeader reads up to the first element.
func readHeader(r io.Reader) (header, error) {
	var fixed [len(magic) + 2]byte
	if _, err := io.ReadFull(r, fixed[:]); err != nil {
		return header{}, truncated(err, "the file ends before its header")
	}
	if string(fixed[:len(magic)]) != magic {
		return header{}, &FormatError{"not a .npy file: it does not begin with \\x93NUMPY"}
	}
	size := 2
	switch major := fixed[len(magic)]; major {
	case 1:
	case 2, 3:
		size = 4
	default:
		return header{}, &FormatError{fmt.Sprintf("format version %d.%d is unknown; 1.0 to 3.0 are read", major, fixed[len(magic)+1])}
	}
	var length [4]byte
	if _, err := io.ReadFull(r, length[:size]); err != nil {
		return header{}, truncated(err, "the file ends before its header")
	}
	n := int(length[0]) | int(length[1])<<8 | int(length[2])<<16 | int(length[3])<<24
	if n > maxHeader {
		return header{}, &FormatError{fmt.Sprintf("a header of %d bytes is too long; at most %d are read", n, maxHeader)}
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(r, text); err != nil {
		return header{}, truncated(err, "the file ends within its header")
	}
	p := &parser{rest: string(text)}
	h := p.dictionary()
	if p.err != nil {
		return header{}, &FormatError{fmt.Sprintf("the header %q: %v", clip(string(text)), p.err)}
	}
	return h, nil
}

// truncated makes the end of a file a FormatError, and leaves other errors of reading as they are.
func truncated(err error, reason string) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return &FormatError{reason}
	}
	return err
}

func clip(s string) string {
	if len(s) > 200 {
		return s[:200] + "…"
	}
	return s
}

// A parser reads the header's literal of a Python dictionary. The first error stays, and everything after it does
// nothing.
type parser struct {
	rest string
	err  error
}

func (p *parser) fail(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf(format, args...)
	}
}

// next skips space and reports whether token comes next, which it takes.
func (p *parser) next(token string) bool {
	p.rest = strings.TrimLeft(p.rest, " \t\r\n")
	if p.err != nil || !strings.HasPrefix(p.rest, token) {
		return false
	}
	p.rest = p.rest[len(token):]
	return true
}

func (p *parser) want(token string) {
	if !p.next(token) {
		p.fail("expected %q before %q", token, clip(p.rest))
	}
}

// dictionary is {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }, its keys in any order.
func (p *parser) dictionary() (h header) {
	seen := map[string]bool{}
	p.want("{")
	for p.err == nil && !p.next("}") {
		key := p.text()
		p.want(":")
		if seen[key] {
			p.fail("%q is there twice", key)
		}
		seen[key] = true
		switch key {
		case "descr":
			if p.rest = strings.TrimLeft(p.rest, " "); strings.HasPrefix(p.rest, "[") {
				p.fail("arrays of records are not read")
			}
			h.descr = p.text()
		case "fortran_order":
			if h.fortran = p.next("True"); !h.fortran {
				p.want("False")
			}
		case "shape":
			h.shape = p.tuple()
		default:
			p.fail("%q is not a key of a header", key)
		}
		if !p.next(",") {
			p.want("}")
			break
		}
	}
	if p.next(""); p.rest != "" {
		p.fail("more follows: %q", clip(p.rest))
	}
	for _, key := range []string{"descr", "fortran_order", "shape"} {
		if !seen[key] {
			p.fail("%q is missing", key)
		}
	}
	return h
}

// text is a string literal without escapes.
func (p *parser) text() string {
	for _, quote := range []string{"'", `"`} {
		if p.next(quote) {
			s, rest, closed := strings.Cut(p.rest, quote)
			if !closed || strings.Contains(s, `\`) {
				p.fail("a string that does not end, or with a backslash")
			}
			p.rest = rest
			return s
		}
	}
	p.fail("expected a string before %q", clip(p.rest))
	return ""
}

// tuple is a shape: (), (3,) or (2, 3).
func (p *parser) tuple() []int {
	shape, n := []int{}, 1
	p.want("(")
	for p.err == nil && !p.next(")") {
		digits := p.rest
		if end := strings.IndexFunc(digits, func(r rune) bool { return r < '0' || r > '9' }); end >= 0 {
			digits = digits[:end]
		}
		p.rest = p.rest[len(digits):]
		p.next("L") // of Python 2
		d, err := strconv.Atoi(digits)
		switch {
		case err != nil:
			p.fail("%q is not a length", clip(digits))
		case d > maxElements || d > 0 && n > maxElements/d:
			p.fail("more than %d elements", maxElements)
		case len(shape) == tensor.MaxRank:
			p.fail("more than %d axes", tensor.MaxRank)
		default:
			shape, n = append(shape, d), n*max(d, 1)
		}
		comma := p.next(",")
		if !comma && len(shape) == 1 {
			p.fail("a tuple of one needs a comma")
		}
		if !comma {
			p.want(")")
			break
		}
	}
	return shape
}

// writeHeader writes the header that numpy.save writes.
func writeHeader(w io.Writer, descr string, shape []int) error {
	lengths := make([]string, len(shape))
	for i, d := range shape {
		lengths[i] = strconv.Itoa(d)
	}
	tuple := strings.Join(lengths, ", ")
	if len(shape) == 1 {
		tuple += ","
	}
	text := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", descr, tuple)
	if len(shape) > 0 { // numpy leaves room for the first axis to grow
		text += strings.Repeat(" ", 21-len(lengths[0]))
	}
	const before, align = len(magic) + 4, 64
	text += strings.Repeat(" ", align-(before+len(text)+1)%align) + "\n"
	_, err := w.Write(append([]byte{magic[0], 'N', 'U', 'M', 'P', 'Y', 1, 0, byte(len(text)), byte(len(text) >> 8)}, text...))
	return err
}
