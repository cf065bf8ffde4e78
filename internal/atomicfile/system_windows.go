package atomicfile

import (
	"errors"
	"math"
	"os"

	"golang.org/x/sys/windows"
)

// openFilesMove says that an open file can be renamed and removed.
const openFilesMove = false

const noFollow = 0

// lock takes the exclusive lock of f, which closing f gives back, and returns
// errBusy if another open file holds it. Between the closing and the rename
// nothing is locked, but a writer that opens the file in that gap makes the
// rename fail.
func lock(f *os.File) error {
	err := windows.LockFileEx(windows.Handle(f.Fd()),
		windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY,
		0, math.MaxUint32, math.MaxUint32, new(windows.Overlapped))
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return errBusy
	}
	return nil
}

// syncDir does nothing: NTFS journals the rename, and directories cannot be
// synced.
func syncDir(string) error { return nil }
