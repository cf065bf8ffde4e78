//go:build linux && (amd64 || arm64) && !nocuda

package cuda

import (
	"runtime"

	"github.com/ebitengine/purego"
)

const libraryName = "libcuda.so.1"

func loadLibrary(name string) (uintptr, error) {
	runtime.LockOSThread() // on which dlerror keeps why dlopen failed
	defer runtime.UnlockOSThread()
	return purego.Dlopen(name, purego.RTLD_NOW|purego.RTLD_GLOBAL)
}

func findSymbol(library uintptr, name string) (uintptr, error) { return purego.Dlsym(library, name) }
