package atomicfile

import (
	"fmt"
	"io"
)

// Exactly runs stream with a writer to w and fails unless it writes exactly n bytes, none of which go beyond
// them. The first error of w is returned, whether stream hands it on or not.
func Exactly(w io.Writer, n int64, stream func(w io.Writer) error) error {
	exact := &exactWriter{w: w, left: n}
	err := stream(exact)
	switch {
	case exact.err != nil:
		return exact.err
	case err != nil:
		return err
	case exact.left > 0:
		return fmt.Errorf("its Stream wrote %d bytes of %d", n-exact.left, n)
	}
	return nil
}

// exactWriter passes on no more than left bytes.
type exactWriter struct {
	w    io.Writer
	left int64
	err  error // the first
}

func (e *exactWriter) Write(p []byte) (int, error) {
	if e.err != nil {
		return 0, e.err
	}
	if int64(len(p)) > e.left {
		e.err = fmt.Errorf("its Stream writes %d bytes where %d are left", len(p), e.left)
		return 0, e.err
	}
	n, err := e.w.Write(p)
	e.left -= int64(n)
	e.err = err
	return n, err
}
