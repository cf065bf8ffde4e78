// Command gen writes the CPU's assembly kernels, with their Go declarations, from the descriptions in
// this package. From this folder,
//
//	go run . -out ../cpu
//
// rewrites every generated file below internal/cpu. The output depends on nothing but the sources here
// and the pinned version of avo, so that running it on a clean checkout must leave no difference;
// go test checks that the committed files are those that it would write.
//
// This is a module of its own: the library depends neither on it nor on avo.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/pass"
	"github.com/mmcloughlin/avo/printer"

	"github.com/hone-ml/hone/internal/gen/arm64"
)

// A unit is one assembly file and its declarations.
type unit struct {
	pkg, name string // "gemm", "micro_avx2": gemm/micro_avx2_amd64.s and gemm/micro_avx2_amd64.go
	emit      func(*file)
}

func units() []unit {
	us := []unit{{"simd", "cpuid", vendorFunction}}
	for _, x := range []isa{avx2, avx512} {
		us = append(us,
			unit{"simd", "arith_" + x.suffix(), x.arithmetic},
			unit{"simd", "reduce_" + x.suffix(), x.reductions},
			unit{"simd", "exp_" + x.suffix(), x.exponentials},
			unit{"simd", "compare_" + x.suffix(), x.comparisons},
			unit{"simd", "unary_" + x.suffix(), x.unaries},
			unit{"simd", "norm_" + x.suffix(), x.norms},
			unit{"simd", "rope_" + x.suffix(), x.ropes},
			unit{"simd", "adamw_" + x.suffix(), x.adamW},
			unit{"simd", "masters_" + x.suffix(), x.masters},
			unit{"simd", "bf16_" + x.suffix(), x.casts},
			unit{"gemm", "micro_" + x.suffix(), x.microKernels},
			unit{"gemm", "pack_" + x.suffix(), x.packKernels},
			unit{"gemm", "thin_" + x.suffix(), x.thinKernels},
		)
	}
	return append(us,
		unit{"simd", "attention_avx512", avx512.attention},
		unit{"simd", "exp_avx512bf16", avx512bf16.exponentials},
		unit{"simd", "norm_avx512bf16", avx512bf16.norms},
		unit{"simd", "rope_avx512bf16", avx512bf16.ropes},
		unit{"gemm", "amx", tileGrid},
		unit{"gemm", "bf16", bfloat16Products},
	)
}

func main() {
	flags := flag.NewFlagSet("gen", flag.ExitOnError) // avo has put flags of its own into the global set
	out := flags.String("out", "../cpu", "the `folder` of the CPU backend")
	flags.Parse(os.Args[1:])
	files, err := generate()
	if err == nil {
		for name, text := range files {
			if err = os.WriteFile(filepath.Join(*out, name), text, 0o644); err != nil {
				break
			}
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

// generate gives the text of every file, by its path below the CPU backend's folder.
func generate() (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, u := range units() {
		c := build.NewContext()
		c.ConstraintExpr("!purego")
		u.emit(&file{c, map[string]operand.Mem{}})
		f, err := c.Result()
		if err != nil {
			return nil, fmt.Errorf("%s/%s: %w", u.pkg, u.name, err)
		}
		if err := pass.Compile.Execute(f); err != nil {
			return nil, fmt.Errorf("%s/%s: %w", u.pkg, u.name, err)
		}
		cfg := printer.Config{Argv: []string{"go", "run", ".", "-out", "../cpu"}, Name: "avo", Pkg: u.pkg}
		base := filepath.Join(u.pkg, u.name+"_amd64")
		asm, err := printer.NewGoAsm(cfg).Print(f)
		if err != nil {
			return nil, err
		}
		stubs, err := printer.NewStubs(cfg).Print(f)
		if err != nil {
			return nil, err
		}
		files[base+".s"] = append(bytes.TrimRight(asm, "\n"), '\n')
		files[base+".go"] = append(bytes.TrimRight(stubs, "\n"), '\n')
	}
	for _, u := range neonUnits() {
		f := arm64.NewFile(u.pkg, "go run . -out ../cpu")
		u.emit(f)
		base := filepath.Join(u.pkg, u.name+"_arm64")
		files[base+".s"], files[base+".go"] = f.Asm(), f.Stubs()
	}
	return files, nil
}
