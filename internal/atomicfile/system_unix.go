//go:build unix && !aix

package atomicfile

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// openFilesMove says that an open file can be renamed and removed.
const openFilesMove = true

const noFollow = unix.O_NOFOLLOW

// lock takes the exclusive lock of f, which closing f gives back, and returns
// errBusy if another open file holds it. Where the file system knows no locks
// it does nothing.
func lock(f *os.File) error {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return errBusy
	}
	return nil
}

// syncDir makes a rename within dir durable. Some network and FUSE file systems
// cannot sync a directory and say so; there nothing more can be done.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOTSUP) {
		err = nil
	}
	return errors.Join(err, d.Close())
}
