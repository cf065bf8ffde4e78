// Package atomicfile replaces files whole: a reader of the path sees the
// previous content or the new one, never a part, whatever fails in between.
package atomicfile

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// bufferSize holds the small writes of encoders back from the kernel; larger
// writes pass through.
const bufferSize = 256 << 10

// maxLockTries bounds how often a writer starts again because another one
// finished with the temporary file between its being opened and being locked.
const maxLockTries = 100

// errBusy says that another writer, in this process or another, is between its
// first byte and its rename.
var errBusy = errors.New("another writer is replacing this file: wait for it, or choose another path")

// WriteFile replaces the file at path by what write puts into its argument,
// which is buffered and valid only during the call.
//
// The bytes go to path+".tmp" in the same directory, which must exist. The file
// is synced to disk, renamed to path, and then the directory is synced, so that
// after a nil error the new content survives a power cut. On any error (from
// write, a full disk, the rename), and also if write panics, the temporary file
// is removed and path is as it was. The one exception is an error of the last
// step, syncing the directory: the new content is in place, but a power cut may
// still bring the previous one back. A temporary file that a killed process left
// behind is taken over by the next WriteFile to the same path.
//
// A new file gets mode 0666 less the umask; one that replaces a regular file
// keeps its permissions. A symbolic link at path is replaced, its target left
// alone. On Windows the rename fails while another process has path open or
// mapped.
//
// Errors name path and wrap their cause. WriteFile may be called by several
// goroutines and processes at once: on Unix and Windows, which have file locks,
// of several writers to one path at the same time all but one get an error.
func WriteFile(path string, write func(w io.Writer) error) error {
	return system.replace(path, write)
}

// file is what replacing needs of the temporary *os.File.
type file interface {
	io.Writer
	Chmod(mode fs.FileMode) error
	Sync() error
	Close() error
}

// flusher holds small writes back. After stop, which may be called twice, nothing of it touches the file.
type flusher interface {
	io.Writer
	Flush() error
	stop() error
}

// buffered is the flusher for any file.
type buffered struct{ *bufio.Writer }

func newBuffered(f file) flusher { return buffered{bufio.NewWriterSize(f, bufferSize)} }

func (buffered) stop() error { return nil }

// steps are the operations that can fail between the first byte and the last
// sync; tests make each of them fail.
type steps struct {
	create  func(path string) (file, error)
	rename  func(from, to string) error
	remove  func(path string) error
	syncDir func(dir string) error
}

var system = steps{
	create:  createTemp,
	rename:  os.Rename,
	remove:  os.Remove,
	syncDir: syncDir,
}

func (s steps) replace(path string, write func(w io.Writer) error) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("replace %s: %w", path, err)
		}
	}()

	previous, statErr := os.Lstat(path)
	switch {
	case statErr == nil && previous.IsDir():
		return errors.New("it is a directory")
	case statErr == nil && !previous.Mode().IsRegular() && previous.Mode().Type() != fs.ModeSymlink:
		return errors.New("it is neither a regular file nor a symbolic link")
	case statErr != nil && !errors.Is(statErr, fs.ErrNotExist):
		return statErr
	}

	temp := path + ".tmp"
	f, err := s.create(temp)
	if err != nil {
		return err
	}
	filled := false
	defer func() { // also when write panics
		if !filled {
			err = also(err, s.discard(f, temp))
		}
	}()
	if previous != nil && previous.Mode().IsRegular() {
		if err := f.Chmod(previous.Mode().Perm()); err != nil {
			return err
		}
	}
	w := newWriter(f)
	defer func() { // before the file is discarded, also when write fails or panics
		if e := w.stop(); err == nil {
			err = e
		}
	}()
	if err := write(w); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	filled = true
	if err := s.commit(f, temp, path); err != nil {
		return err
	}
	return s.syncDir(filepath.Dir(path))
}

// commit moves the filled temporary file into place. Where an open file can be
// renamed, its lock is held until that is done.
func (s steps) commit(f file, temp, path string) error {
	if !openFilesMove {
		err := f.Close()
		if err == nil {
			err = s.rename(temp, path)
		}
		if err != nil {
			return also(err, s.remove(temp))
		}
		return nil
	}
	if err := s.rename(temp, path); err != nil {
		return also(err, s.discard(f, temp))
	}
	return f.Close()
}

// discard removes the temporary file, under its lock where that is possible.
func (s steps) discard(f file, temp string) error {
	if !openFilesMove {
		return errors.Join(f.Close(), s.remove(temp))
	}
	return errors.Join(s.remove(temp), f.Close())
}

// also returns err, and says so if cleaning up after it failed too.
func also(err, cleanup error) error {
	switch {
	case cleanup == nil:
		return err
	case err == nil:
		return cleanup
	}
	return fmt.Errorf("%w; the temporary file could not be removed: %w", err, cleanup)
}

// createTemp opens the temporary file at path, empty and locked. Only the
// holder of the lock renames or removes it, so a writer can neither truncate
// another's file nor move it into place half written.
func createTemp(path string) (file, error) {
	for range maxLockTries {
		f, err := openTemp(path)
		if err != nil {
			return nil, err
		}
		ours, err := claim(f, path)
		if ours {
			return f, nil
		}
		if err := errors.Join(err, f.Close()); err != nil {
			return nil, err
		}
	}
	return nil, errBusy
}

// claim locks and empties the temporary file f, opened at path. It reports false
// if f has been renamed or removed since: by then f may be the very file that is
// to be replaced, and is not ours to empty.
func claim(f *os.File, path string) (ours bool, err error) {
	if err := lock(f); err != nil {
		return false, err
	}
	if !isAt(f, path) {
		return false, nil
	}
	err = f.Truncate(0)
	return err == nil, err
}

// TryLock takes the exclusive lock of an open file, which closing it gives back, and reports false if another
// open file, of this process or another, holds it. Where the file system knows no locks it reports true.
func TryLock(f *os.File) bool { return lock(f) == nil }

// openTemp opens or creates a regular file at path without emptying it. What
// else stands at path, a symbolic link foremost, is not written through.
func openTemp(path string) (*os.File, error) {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is in the way: it is not a regular file; remove it", path)
	}
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|noFollow, 0o666)
}

// isAt reports whether path itself, not what it links to, is the open file f.
func isAt(f *os.File, path string) bool {
	open, err := f.Stat()
	if err != nil {
		return false
	}
	named, err := os.Lstat(path)
	return err == nil && os.SameFile(open, named)
}
