package atomicfile

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestAStreamWritesExactlyWhatItAnnounced(t *testing.T) {
	broken := errors.New("broken")
	for _, c := range []struct {
		name   string
		stream func(w io.Writer) error
		want   string // in the error
		passed string
	}{
		{"exactly", func(w io.Writer) error { _, err := io.WriteString(w, "abcd"); return err }, "", "abcd"},
		{"too little", func(w io.Writer) error { _, err := io.WriteString(w, "abc"); return err }, "wrote 3 bytes of 4", "abc"},
		{"too much", func(w io.Writer) error { io.WriteString(w, "ab"); io.WriteString(w, "cde"); return nil }, "writes 3 bytes where 2 are left", "ab"},
		{"its own error", func(io.Writer) error { return broken }, "broken", ""},
	} {
		var b bytes.Buffer
		err := Exactly(&b, 4, c.stream)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) || b.String() != c.passed {
			t.Errorf("%s: %v, and %q passed", c.name, err, b.String())
		}
	}
}
