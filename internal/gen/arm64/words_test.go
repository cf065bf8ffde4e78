package arm64

import (
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// The words are those of llvm-mc -triple=aarch64 -mattr=+bf16 -show-encoding. High registers set every
// bit of a field, low ones show that none is set by mistake.
var encodings = []struct {
	write func(f *Func)
	text  string
	word  uint32
}{
	{func(f *Func) { f.FADD(Group{31}, Group{1}, Group{30}) }, "fadd v31.4s, v1.4s, v30.4s", 0x4e3ed43f},
	{func(f *Func) { f.FSUB(Group{2}, Group{29}, Group{3}) }, "fsub v2.4s, v29.4s, v3.4s", 0x4ea3d7a2},
	{func(f *Func) { f.FMUL(Group{28}, Group{4}, Group{27}) }, "fmul v28.4s, v4.4s, v27.4s", 0x6e3bdc9c},
	{func(f *Func) { f.FDIV(Group{5}, Group{26}, Group{6}) }, "fdiv v5.4s, v26.4s, v6.4s", 0x6e26ff45},
	{func(f *Func) { f.FMAX(Group{25}, Group{7}, Group{24}) }, "fmax v25.4s, v7.4s, v24.4s", 0x4e38f4f9},
	{func(f *Func) { f.FMIN(Group{8}, Group{23}, Group{9}) }, "fmin v8.4s, v23.4s, v9.4s", 0x4ea9f6e8},
	{func(f *Func) { f.FADDP(Group{22}, Group{10}, Group{21}) }, "faddp v22.4s, v10.4s, v21.4s", 0x6e35d556},
	{func(f *Func) { f.FCMEQ(Group{11}, Group{20}, Group{12}) }, "fcmeq v11.4s, v20.4s, v12.4s", 0x4e2ce68b},
	{func(f *Func) { f.FMULLane(Group{19}, Group{13}, 18, 0) }, "fmul v19.4s, v13.4s, v18.s[0]", 0x4f9291b3},
	{func(f *Func) { f.FMULLane(Group{14}, Group{17}, 31, 3) }, "fmul v14.4s, v17.4s, v31.s[3]", 0x4fbf9a2e},
	{func(f *Func) { f.FMLALane(Group{15}, Group{16}, 15, 1) }, "fmla v15.4s, v16.4s, v15.s[1]", 0x4faf120f},
	{func(f *Func) { f.FMLALane(Group{31}, Group{0}, 30, 2) }, "fmla v31.4s, v0.4s, v30.s[2]", 0x4f9e181f},
	{func(f *Func) { f.FMLSLane(Group{0}, Group{31}, 16, 3) }, "fmls v0.4s, v31.4s, v16.s[3]", 0x4fb05be0},
	{func(f *Func) { f.FNEG(Group{30}, Group{1}) }, "fneg v30.4s, v1.4s", 0x6ea0f83e},
	{func(f *Func) { f.FSQRT(Group{2}, Group{29}) }, "fsqrt v2.4s, v29.4s", 0x6ea1fba2},
	{func(f *Func) { f.FCVTNS(Group{28}, Group{3}) }, "fcvtns v28.4s, v3.4s", 0x4e21a87c},
	{func(f *Func) { f.SCVTF(Group{4}, Group{27}) }, "scvtf v4.4s, v27.4s", 0x4e21db64},
	{func(f *Func) { f.FMAXV(26, 5) }, "fmaxv s26, v5.4s", 0x6e30f8ba},
	{func(f *Func) { f.FMINV(1, 30) }, "fminv s1, v30.4s", 0x6eb0fbc1},
	{func(f *Func) { f.SSHR(Group{6}, Group{25}, 1) }, "sshr v6.4s, v25.4s, #1", 0x4f3f0726},
	{func(f *Func) { f.SSHR(Group{24}, Group{7}, 32) }, "sshr v24.4s, v7.4s, #32", 0x4f2004f8},
	{func(f *Func) { f.SSHLL(Group{29}, Group{2}) }, "sshll v29.4s, v2.4h, #0", 0x0f10a45d},
	{func(f *Func) { f.SMAX(Group{3}, Group{28}, Group{31}) }, "smax v3.4s, v28.4s, v31.4s", 0x4ebf6783},
	{func(f *Func) { f.SHRN(Group{8}, Group{23}, 16) }, "shrn v8.4h, v23.4s, #16", 0x0f1086e8},
	{func(f *Func) { f.SHRN(Group{22}, Group{9}, 3) }, "shrn v22.4h, v9.4s, #3", 0x0f1d8536},
	{func(f *Func) { f.SHLL(Group{10}, Group{21}) }, "shll v10.4s, v21.4h, #16", 0x2e613aaa},
	{func(f *Func) { f.XTN(Group{20}, Group{11}) }, "xtn v20.4h, v11.4s", 0x0e612974},
	{func(f *Func) { f.ADDHN(Group{12}, Group{19}, Group{13}) }, "addhn v12.4h, v19.4s, v13.4s", 0x0e6d426c},
	{func(f *Func) { f.BFCVTN(Group{18}, Group{14}) }, "bfcvtn v18.4h, v14.4s", 0x0ea169d2},
	{func(f *Func) { f.BFMMLA(31, 15, 17) }, "bfmmla v31.4s, v15.8h, v17.8h", 0x6e51edff},
	{func(f *Func) { f.BFMMLA(0, 30, 29) }, "bfmmla v0.4s, v30.8h, v29.8h", 0x6e5defc0},
}

func TestInstructionsAreEncodedAsLLVMDoes(t *testing.T) {
	for _, e := range encodings {
		f := NewFile("p", "go generate").Func("f", "func()", "does nothing.")
		e.write(f)
		if got, want := f.body.String(), fmt.Sprintf("\tWORD $0x%08X // %s\n", e.word, e.text); got != want {
			t.Errorf("wrote %q, want %q", got, want)
		}
	}
}

func TestTheWordsOfTheTestAreLLVMs(t *testing.T) {
	mc, err := exec.LookPath("llvm-mc")
	if err != nil {
		t.Skip("llvm-mc is not installed")
	}
	var source strings.Builder
	for _, e := range encodings {
		fmt.Fprintln(&source, e.text)
	}
	cmd := exec.Command(mc, "-triple=aarch64", "-mattr=+bf16", "-show-encoding")
	cmd.Stdin = strings.NewReader(source.String())
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`encoding: \[0x(..),0x(..),0x(..),0x(..)\]`).FindAllStringSubmatch(string(out), -1)
	if len(found) != len(encodings) {
		t.Fatalf("%d encodings of %d instructions", len(found), len(encodings))
	}
	for i, e := range encodings {
		b := found[i]
		if got := fmt.Sprintf("%08x", e.word); got != b[4]+b[3]+b[2]+b[1] {
			t.Errorf("%s: %s, llvm-mc has %s", e.text, got, b[4]+b[3]+b[2]+b[1])
		}
	}
}

func TestARowIsDividedIntoTheFewestRegisters(t *testing.T) {
	for bytes, want := range map[int]string{
		2: "[{0 2}]", 4: "[{0 4}]", 12: "[{0 8} {8 4}]", 28: "[{0 16} {16 8} {24 4}]", 48: "[{0 16} {16 16} {32 16}]",
	} {
		if got := fmt.Sprint(Pieces(bytes)); got != want {
			t.Errorf("%d bytes: %s, want %s", bytes, got, want)
		}
	}
}

func TestTooManyRegistersPanic(t *testing.T) {
	f := NewFile("p", "go generate").Func("f", "func()", "does nothing.")
	f.Vs(vectorRegisters)
	f.Scope(func() { f.Rs(len(generalRegisters)) })
	f.Rs(len(generalRegisters)) // the scope has given them back
	for name, take := range map[string]func(){"vector": func() { f.V() }, "general": func() { f.R() }} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("one more %s register than there are", name)
				}
			}()
			take()
		}()
	}
}
