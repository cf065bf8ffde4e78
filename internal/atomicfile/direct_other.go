//go:build !linux

package atomicfile

func newWriter(f file) flusher { return newBuffered(f) }
