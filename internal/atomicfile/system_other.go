//go:build (!unix || aix) && !windows

package atomicfile

import "os"

// openFilesMove says that an open file can be renamed and removed.
const openFilesMove = false

const noFollow = 0

// lock does nothing: these systems offer no advisory lock that every file
// system keeps.
func lock(*os.File) error { return nil }

// syncDir does nothing: directories cannot be synced here.
func syncDir(string) error { return nil }
