package kernels

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Limits of what is committed and of what every card since Ampere has.
const (
	largestFile  = 400 << 10
	largestAll   = 5 << 20
	staticShared = 48 << 10 // without asking the driver
)

// opcodes are the instructions that kernels may use: all of them are simulated, and all are in PTX 7.0.
var opcodes = strings.Fields(`
	abs add and atom bar bfe bfi bra brev clz copysign cp cvt cvta div ex2 fma ld ldmatrix lg2 lop3 mad match max
	membar min mma mov mul neg not or popc prmt rcp red rem ret rsqrt selp setp shf shfl shl shr sqrt st sub trap
	vote xor`)

var (
	instruction = regexp.MustCompile(`^\s*(?:@!?%\w+\s+)?([a-z][a-z0-9]*)((?:\.[A-Za-z0-9:]+)*)[\s;]`)
	sharedArray = regexp.MustCompile(`\.shared\s+(?:\.align\s+\d+\s+)?\.(\w+)\s+\S+?\[(\d+)\]`)
	kernelHead  = regexp.MustCompile(`\.visible \.entry (\w+)\(`)
)

// lint says what is wrong with the PTX of a family.
func lint(family, ptx string) (wrong []string) {
	bad := func(line int, format string, args ...any) {
		wrong = append(wrong, fmt.Sprintf("%s.ptx:%d: ", family, line+1)+fmt.Sprintf(format, args...))
	}
	lines := strings.Split(ptx, "\n")
	if !regexp.MustCompile(`^// ` + family + `\.cu by .*clang version \d+\.\d+`).MatchString(lines[0]) {
		bad(0, "the first line does not name %s.cu and the compiler: %q", family, lines[0])
	}
	for _, head := range []string{".version 7.0", ".target sm_80", ".address_size 64"} {
		if !slices.Contains(lines, head) {
			bad(0, "there is no line %q", head)
		}
	}
	shared, module, kernel := 0, 0, ""
	for i, line := range lines {
		line, _, _ = strings.Cut(line, "//")
		if m := kernelHead.FindStringSubmatch(line); m != nil {
			kernel, shared = m[1], module
		}
		if strings.Contains(line, ".local") {
			bad(i, "local memory, which is slow: unroll what indexes an array of registers: %s", strings.TrimSpace(line))
		}
		if m := sharedArray.FindStringSubmatch(line); m != nil {
			width, _ := strconv.Atoi(strings.TrimLeft(m[1], "bufs"))
			count, _ := strconv.Atoi(m[2])
			if shared += width / 8 * count; kernel == "" {
				module = shared
			}
			if shared > staticShared {
				bad(i, "%s has %d bytes of static shared memory, more than %d", kernel, shared, staticShared)
			}
		}
		m := instruction.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		name, modifiers := m[1], strings.Split(strings.TrimPrefix(m[2], "."), ".")
		has := func(what string) bool { return slices.Contains(modifiers, what) }
		switch {
		case !slices.Contains(opcodes, name):
			bad(i, "%s is not among the instructions that kernels may use", name)
		case (name == "atom" || name == "red") && (has("f32") || has("f64") || has("f16") || has("bf16") || has("f16x2") || has("bf16x2")):
			bad(i, "an atomic on floats depends on the order of threads: %s%s", name, m[2])
		case slices.Contains([]string{"add", "sub", "mul"}, name) && (has("bf16") || has("bf16x2")):
			bad(i, "%s%s needs sm_90", name, m[2])
		case slices.Contains([]string{"add", "sub", "mul"}, name) && (has("f32") || has("f64")) && !has("rn"):
			bad(i, "%s%s may be fused with a product by the driver's compiler: its bits are then not the simulator's", name, m[2])
		case has("f32") && has("full"):
			bad(i, "%s%s is a division of 2 ulp, from global fast-math?", name, m[2])
		}
	}
	return wrong
}

func TestPTXRunsOnEveryCardSinceAmpere(t *testing.T) {
	total := 0
	for _, family := range Families() {
		ptx, err := PTX(family)
		if err != nil {
			t.Fatal(err)
		}
		for i, w := range lint(family, ptx) {
			if i == 10 {
				t.Errorf("%s.ptx: and more", family)
				break
			}
			t.Error(w)
		}
		if len(ptx) > largestFile {
			t.Errorf("%s.ptx has %d bytes, more than %d: share code by uniform branches", family, len(ptx), largestFile)
		}
		total += len(ptx)
	}
	if total > largestAll {
		t.Errorf("all PTX together has %d bytes, more than %d", total, largestAll)
	}
	t.Logf("%d families, %d KiB", len(Families()), total>>10)
}

func TestEveryFamilyHasItsSourceAndItsPTX(t *testing.T) {
	sources, err := filepath.Glob("*.cu")
	if err != nil || len(sources) == 0 {
		t.Fatalf("no sources: %v", err)
	}
	for i, s := range sources {
		sources[i] = strings.TrimSuffix(s, ".cu")
	}
	if families := Families(); !slices.Equal(families, sources) {
		t.Errorf("PTX of %v, sources of %v: run go generate", families, sources)
	}
	if _, err := PTX("none"); err == nil {
		t.Error("PTX of a family that does not exist")
	}
}

// TestPTXIsOfTheFlagsInBuild holds the flags that are in the head of each file against those of build.go.
func TestPTXIsOfTheFlagsInBuild(t *testing.T) {
	build, err := os.ReadFile("build.go")
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(build), "var flags = []string{")
	list, _, _ = strings.Cut(list, "}")
	var flags []string
	for _, m := range regexp.MustCompile(`"([^"]+)"`).FindAllStringSubmatch(list, -1) {
		flags = append(flags, m[1])
	}
	for _, family := range Families() {
		ptx, _ := PTX(family)
		if got := strings.TrimPrefix(strings.Split(ptx, "\n")[1], "// "); got != strings.Join(flags, " ") {
			t.Errorf("%s.ptx was made with %s; run go generate", family, got)
		}
	}
}

func TestLintFindsWhatIsWrong(t *testing.T) {
	const good = "// f.cu by Debian clang version 19.1.7\n.version 7.0\n.target sm_80\n.address_size 64\n.visible .entry k(\n)\n{\n"
	if w := lint("f", good+"\tret;\n}\n"); w != nil {
		t.Errorf("a good file: %v", w)
	}
	for _, c := range []struct{ text, want string }{
		{strings.Replace(good, "f.cu", "g.cu", 1), "does not name f.cu"},
		{strings.Replace(good, "7.0", "8.0", 1), `no line ".version 7.0"`},
		{strings.Replace(good, "sm_80", "sm_90a", 1), `no line ".target sm_80"`},
		{good + "\t.local .align 16 .b8 \t__local_depot0[64];\n", "local memory"},
		{good + "\t.shared .align 16 .b8 tile[49153];\n", "49153 bytes of static shared memory"},
		{good + "\t.shared .align 4 .b8 a[40000];\n\t.shared .align 4 .b8 b[10000];\n", "50000 bytes"},
		{good + "\twgmma.fence.sync.aligned;\n", "wgmma is not among"},
		{good + "\t@%p1 red.global.add.f32 \t[%rd1], %f1;\n", "an atomic on floats"},
		{good + "\tadd.bf16 \t%rs1, %rs2, %rs3;\n", "needs sm_90"},
		{good + "\tdiv.full.f32 \t%f1, %f2, %f3;\n", "fast-math"},
		{good + "\tadd.f32 \t%f1, %f2, %f3;\n", "fused with a product"},
	} {
		w := lint("f", c.text)
		if len(w) != 1 || !strings.Contains(w[0], c.want) {
			t.Errorf("%q: got %q, want %q", c.text, w, c.want)
		}
	}
}
