//go:build ignore

// Build compiles the .cu files of this folder, or those named, to PTX with the compiler's version in its first
// lines. Options: -out folder.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// flags pin the instruction set and its version: what loads on the oldest driver and card that hone supports.
var flags = []string{"-x", "cuda", "--cuda-device-only", "-nocudainc", "-nocudalib", "--cuda-gpu-arch=sm_80",
	"--cuda-feature=+ptx70", "-O3", "-std=c++17", "-ffp-contract=fast-honor-pragmas", "-Wall", "-Werror", "-S"}

func main() {
	out := flag.String("out", ".", "folder for the .ptx files")
	flag.Parse()
	sources := flag.Args()
	if len(sources) == 0 {
		sources, _ = filepath.Glob("*.cu") // the pattern is well-formed
	}
	if err := build(sources, *out); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func build(sources []string, out string) error {
	said, err := exec.Command("clang-19", "--version").Output()
	if err != nil {
		return fmt.Errorf("clang-19 is needed (apt-get install clang-19): %w", err)
	}
	version := regexp.MustCompile(`clang version \S+`).FindString(string(said))
	for _, source := range sources {
		cmd := exec.Command("clang-19", append(flags, source, "-o", "-")...)
		cmd.Stderr = os.Stderr
		ptx, err := cmd.Output()
		if err != nil {
			return fmt.Errorf("%s: %w", source, err)
		}
		head := fmt.Sprintf("// %s by %s\n// %s\n", source, version, strings.Join(flags, " "))
		name := strings.TrimSuffix(filepath.Base(source), ".cu") + ".ptx"
		if err := os.WriteFile(filepath.Join(out, name), append([]byte(head), bytes.TrimLeft(ptx, "\n")...), 0o644); err != nil {
			return err
		}
	}
	return nil
}
