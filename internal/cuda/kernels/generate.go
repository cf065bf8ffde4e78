// Package kernels holds the kernels of the CUDA backend: CUDA C, one family of ops a file, and the PTX that
// clang made of it. The PTX is committed and embedded, so that building hone needs no compiler, and using it
// nothing but NVIDIA's driver, which compiles PTX for the card.
//
//	cd internal/cuda/kernels && go generate     # needs clang-19; no SDK
//
// PTX 7.0 for sm_80 loads on every driver since CUDA 11.0 and on every card since Ampere.
package kernels

import (
	"embed"
	"fmt"
	"io/fs"
	"strings"
)

//go:generate go run build.go

//go:embed *.ptx
var files embed.FS

// PTX is the text of a family: of the kernels in family.cu.
func PTX(family string) (string, error) {
	text, err := files.ReadFile(family + ".ptx")
	if err != nil {
		return "", fmt.Errorf("kernels: there is no family %q of kernels: %w", family, err)
	}
	return string(text), nil
}

// Families lists the families by name.
func Families() []string {
	names, _ := fs.Glob(files, "*.ptx") // the pattern is well-formed
	for i, name := range names {
		names[i] = strings.TrimSuffix(name, ".ptx")
	}
	return names
}
