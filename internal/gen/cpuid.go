package main

import (
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// vendorFunction writes the question after the processor's maker.
func vendorFunction(f *file) {
	f.Function("cpuVendor")
	f.Attributes(build.NOSPLIT)
	f.SignatureExpr("func(name *[12]byte)")
	f.Pragma("noescape")
	f.Doc("cpuVendor asks CPUID for the processor's maker.")
	name := f.GP64()
	f.Load(f.Param("name"), name)
	f.XORL(reg.EAX, reg.EAX)
	f.CPUID()
	for i, r := range []reg.Register{reg.EBX, reg.EDX, reg.ECX} {
		f.MOVL(r, operand.Mem{Base: name, Disp: 4 * i})
	}
	f.RET()
}
