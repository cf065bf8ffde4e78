package cuda

import (
	"fmt"
	"strconv"
	"strings"
)

// An entry is a kernel as the head of its PTX declares it.
type entry struct {
	name   string
	params []param
}

// A param is one parameter of a kernel in the packed parameter buffer.
type param struct {
	kind                string // ".u64", ".f32", …; ".b8" is an array of bytes: a struct by value
	offset, size, align int    // bytes
}

var paramSizes = map[string]int{".b8": 1, ".u8": 1, ".s8": 1, ".b16": 2, ".u16": 2, ".s16": 2, ".f16": 2,
	".b32": 4, ".u32": 4, ".s32": 4, ".f32": 4, ".b64": 8, ".u64": 8, ".s64": 8, ".f64": 8}

// entries reads the heads of the kernels of a PTX text: names and parameters, and nothing of the code.
func entries(ptx string) (map[string]*entry, error) {
	const head = ".visible .entry "
	found := map[string]*entry{}
	for {
		at := strings.Index(ptx, head)
		if at < 0 {
			return found, nil
		}
		ptx = ptx[at+len(head):]
		open, end := strings.IndexByte(ptx, '('), strings.IndexByte(ptx, ')')
		if open < 0 || end < open {
			return nil, fmt.Errorf("cuda: the head of a kernel has no list of parameters: %.40q", ptx)
		}
		e := &entry{name: strings.TrimSpace(ptx[:open])}
		offset := 0
		for line := range strings.SplitSeq(ptx[open+1:end], ",") {
			if line = strings.TrimSpace(line); line == "" {
				continue
			}
			p, err := parseParam(line)
			if err != nil {
				return nil, fmt.Errorf("cuda: kernel %s: %w", e.name, err)
			}
			p.offset = (offset + p.align - 1) / p.align * p.align
			offset = p.offset + p.size
			e.params = append(e.params, p)
		}
		found[e.name] = e
		ptx = ptx[end:]
	}
}

// parseParam reads ".param .u64 name" or ".param .align 8 .b8 name[112]".
func parseParam(s string) (param, error) {
	p := param{}
	words := strings.Fields(s)
	bad := fmt.Errorf("parameter %q is not understood", s)
	if len(words) < 3 || words[0] != ".param" {
		return p, bad
	}
	words = words[1:]
	if words[0] == ".align" {
		n, err := strconv.Atoi(words[1])
		if err != nil || n < 1 || len(words) < 4 {
			return p, bad
		}
		p.align, words = n, words[2:]
	}
	p.kind, p.size = words[0], paramSizes[words[0]]
	if p.size == 0 {
		return p, bad
	}
	p.align = max(p.align, p.size)
	if _, count, array := strings.Cut(words[1], "["); array {
		n, err := strconv.Atoi(strings.TrimSuffix(count, "]"))
		if err != nil || n < 1 {
			return p, bad
		}
		p.size *= n
	}
	return p, nil
}

// bytes is the length of the packed parameter buffer.
func (e *entry) bytes() int {
	if len(e.params) == 0 {
		return 0
	}
	last := e.params[len(e.params)-1]
	return last.offset + last.size
}
