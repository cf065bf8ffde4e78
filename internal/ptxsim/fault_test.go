package ptxsim

import (
	"slices"
	"strings"
	"testing"
)

// broken runs a kernel body whose parameters are the address p of 1024 initialised bytes (64 of which, from 512, are
// not) and returns the launch's error. Shared memory: 512 bytes at s, which is also the address 0.
func broken(t *testing.T, body string, grid, threads int) error {
	t.Helper()
	m := parse(t, header+`.visible .entry k(.param .u64 p, .param .u32 n)
{
	.reg .pred %p<8>;
	.reg .b32 %r<16>;
	.reg .b64 %d<16>;
	.reg .f32 %f<16>;
	.shared .align 16 .b8 s[512];
	ld.param.u64 %d0, [p];
	ld.param.u32 %r7, [n];
	mov.u32 %r0, %tid.x;
	mov.u32 %r1, %ctaid.x;
	mul.lo.u32 %r2, %r0, 4;
	mul.wide.u32 %d1, %r0, 4;
	add.u64 %d2, %d0, %d1;
`+body+"\nret;\n}\n")
	d := device(t, Config{MaxInstructions: 1 << 17})
	p := upload(t, d, make([]byte, 1024))
	if err := d.Poison(p+512, 64); err != nil {
		t.Fatal(err)
	}
	_, err := d.Launch(m.Kernel("k"), [3]int{grid, 1, 1}, [3]int{threads, 1, 1}, 0, arguments(p, 0))
	return err
}

const firstLine = 18 // of the body in broken

func TestEveryRuleIsReported(t *testing.T) {
	for _, c := range []struct {
		name          string
		rule          Rule
		grid, threads int
		line          int // counted from the body's first
		thread        int
		want          string // part of the report
		body          string
	}{
		{"store past the end", OutOfBounds, 1, 288, 1, 256, "0 bytes past the end of the 1024 bytes",
			"st.global.u32 [%d2], %r0;"},
		{"load past the end", OutOfBounds, 1, 32, 2, 0, "4 bytes past the end of the 1024",
			"add.u64 %d2, %d0, 1024;\nld.global.u32 %r3, [%d2+4];"},
		{"null pointer", OutOfBounds, 1, 32, 2, 0, "not an address of this device",
			"mov.u64 %d3, 0;\nld.global.u32 %r3, [%d3];"},
		{"misaligned load", Misaligned, 1, 32, 1, 0, "an access of 4 bytes",
			"ld.global.u32 %r3, [%d2+2];"},
		{"misaligned vector", Misaligned, 1, 32, 1, 1, "an access of 16 bytes",
			"ld.global.v4.u32 {%r3, %r4, %r5, %r6}, [%d2];"},
		{"uninitialised global memory", Uninitialised, 1, 160, 1, 128, "byte 512 of 1024",
			"ld.global.u32 %r3, [%d2];"},
		{"uninitialised shared memory", Uninitialised, 1, 64, 3, 32, "no thread of the block",
			"setp.lt.u32 %p0, %r0, 32;\n@%p0 st.shared.u32 [%r2], %r0;\nld.shared.u32 %r3, [%r2];"},
		{"half of a word is uninitialised", Uninitialised, 1, 1, 2, 0, "shared address 0x2",
			"st.shared.u16 [s], 7;\nld.shared.u32 %r3, [s];"},
		{"shared out of bounds", OutOfBounds, 1, 160, 1, 128, "the block has 512 (512 static, 0 dynamic)",
			"st.shared.u32 [%r2], %r0;"},
		{"parameter out of bounds", OutOfBounds, 1, 32, 1, 0, "parameter buffer of 12",
			"ld.param.u32 %r3, [p+12];"},
		{"two lanes write one word", SharedRace, 1, 32, 1, 1, "thread [0 0 0] of block [0 0 0] wrote it on line 18",
			"st.shared.u32 [s], %r0;"},
		{"write then read without a barrier", SharedRace, 1, 64, 4, 32, "thread [0 0 0] of block [0 0 0] wrote it on line 19",
			"setp.lt.u32 %p0, %r0, 32;\n@%p0 st.shared.u32 [%r2], %r0;\nxor.b32 %r3, %r2, 128;\n@!%p0 ld.shared.u32 %r4, [%r3];"},
		{"read then write without a barrier", SharedRace, 1, 64, 6, 0, "thread [32 0 0] of block [0 0 0] read it on line 21",
			"setp.lt.u32 %p0, %r0, 32;\nst.shared.u32 [%r2], %r0;\nbar.sync 0;\n@!%p0 ld.shared.u32 %r4, [%r2+-128];\nxor.b32 %r3, %r2, 0;\n@%p0 st.shared.u32 [%r3], %r0;"},
		{"lanes of a warp without bar.warp.sync", SharedRace, 1, 32, 3, 0, "no bar.warp.sync or bar.sync",
			"st.shared.u32 [%r2], %r0;\nxor.b32 %r3, %r2, 4;\nld.shared.u32 %r4, [%r3];"},
		{"blocks write the same word", BlockRace, 2, 32, 1, 0, "block [0 0 0] wrote it",
			"st.global.u32 [%d2], %r0;"},
		{"a block reads what another writes", BlockRace, 2, 32, 4, 0, "block [0 0 0] wrote it",
			"setp.eq.u32 %p0, %r1, 0;\n@%p0 bra W;\nbra R;\nR: ld.global.u32 %r3, [%d2];\nret;\nW: st.global.u32 [%d2], %r0;"},
		{"atomic and plain", BlockRace, 2, 32, 1, 0, "changed atomically",
			"red.global.add.u32 [%d0], 1;\nld.global.u32 %r3, [%d0];"},
		{"shuffle in divergent code", DivergentCollective, 1, 32, 3, 0, "names lanes ffff0000, which are on another path",
			"setp.lt.u32 %p0, %r0, 16;\n@!%p0 bra E;\nshfl.sync.bfly.b32 %r3, %r0, 1, 31, -1;\nE:"},
		{"shuffle by a lane that the mask does not name", WrongMembers, 1, 32, 1, 16, "does not name the lane",
			"shfl.sync.bfly.b32 %r3, %r0, 1, 31, 65535;"},
		{"shuffle from a lane outside", WrongMembers, 1, 32, 3, 0, "reads lane 16",
			"setp.lt.u32 %p0, %r0, 16;\n@!%p0 bra E;\nshfl.sync.bfly.b32 %r3, %r0, 16, 31, 65535;\nE:"},
		{"mma by half a warp", DivergentCollective, 1, 32, 3, 0, "all 32 must",
			"setp.lt.u32 %p0, %r0, 16;\n@!%p0 bra E;\nmma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%f0,%f1,%f2,%f3}, {%r3,%r4,%r5,%r6}, {%r3,%r4}, {%f0,%f1,%f2,%f3};\nE:"},
		{"barrier in divergent code", DivergentBarrier, 1, 32, 3, 0, "is on another path",
			"setp.lt.u32 %p0, %r0, 16;\n@!%p0 bra E;\nbar.sync 0;\nE:"},
		{"barrier after lanes have ended", DivergentBarrier, 1, 32, 3, 0, "has ended",
			"setp.lt.u32 %p0, %r0, 16;\n@!%p0 ret;\nbar.sync 0;"},
		{"barrier that a warp never reaches", Deadlock, 1, 64, 3, 0, "warp 0 waits at barrier 0 (line 20); warp 1 has ended",
			"setp.lt.u32 %p0, %r0, 32;\n@!%p0 ret;\nbar.sync 0;"},
		{"two barriers", Deadlock, 1, 64, 3, 0, "warp 1 waits at barrier 1",
			"setp.lt.u32 %p0, %r0, 32;\n@!%p0 bra E;\nbar.sync 0;\nE: bar.sync 1;"},
		{"copy in flight is read", AsyncInFlight, 1, 32, 6, 0, "copies into",
			"mul.wide.u32 %d4, %r0, 0;\nadd.u64 %d4, %d0, %d4;\nmul.lo.u32 %r3, %r0, 16;\ncp.async.cg.shared.global [%r3], [%d4], 16;\ncp.async.commit_group;\nld.shared.u32 %r4, [%r3];\n"},
		{"wait that leaves the group in flight", AsyncInFlight, 1, 1, 4, 0, "has not been waited for",
			"cp.async.cg.shared.global [s], [%d0], 16;\ncp.async.commit_group;\ncp.async.wait_group 1;\nld.shared.u32 %r4, [s];\n"},
		{"copy that no group holds", AsyncInFlight, 1, 1, 3, 0, "has not been waited for",
			"cp.async.cg.shared.global [s], [%d0], 16;\ncp.async.wait_group 0;\nld.shared.u32 %r4, [s];\n"},
		{"copy waited for by its own thread only", SharedRace, 1, 64, 6, 32, "wrote it on line 19",
			"setp.eq.u32 %p0, %r0, 0;\n@%p0 cp.async.cg.shared.global [s], [%d0], 16;\ncp.async.commit_group;\ncp.async.wait_group 0;\nsetp.ge.u32 %p1, %r0, 32;\n@%p1 ld.shared.u32 %r4, [s];\n"},
		{"copy never waited for", AsyncNotWaited, 1, 1, 3, 0, "issued on line 18",
			"cp.async.cg.shared.global [s], [%d0], 16;\ncp.async.commit_group;"},
		{"copy from uninitialised memory", Uninitialised, 1, 1, 1, 0, "byte 512",
			"cp.async.cg.shared.global [s], [%d0+512], 16;"},
		{"endless loop", EndlessLoop, 1, 32, 1, 0, "instructions",
			"L: bra L;"},
		{"endless loop over a barrier", EndlessLoop, 1, 64, 2, 32, "instructions",
			"L: bar.sync 0;\nbra L;"},
		{"trap", Trap, 1, 32, 1, 0, "gave up", "trap;"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := broken(t, c.body, c.grid, c.threads)
			f := fails(t, c.rule, err)
			if f.Line != firstLine+c.line-1 || f.Thread != [3]int{c.thread, 0, 0} || !strings.Contains(f.Error(), c.want) {
				t.Errorf("want line %d, thread %d and %q, got:\n%v", firstLine+c.line-1, c.thread, c.want, f)
			}
			for _, part := range []string{"kernel k", string(c.rule), f.Text} {
				if !strings.Contains(f.Error(), part) {
					t.Errorf("the report lacks %q:\n%v", part, f)
				}
			}
		})
	}
}

func TestRightSynchronisationIsNoFault(t *testing.T) {
	for name, body := range map[string]string{
		"barrier between write and read":  "st.shared.u32 [%r2], %r0;\nbar.sync 0;\nxor.b32 %r3, %r2, 252;\nld.shared.u32 %r4, [%r3];\nbar.sync 0;\nst.shared.u32 [%r3], %r0;",
		"bar.warp.sync within a warp":     "st.shared.u32 [%r2], %r0;\nbar.warp.sync -1;\nxor.b32 %r3, %r2, 4;\nld.shared.u32 %r4, [%r3];\nbar.warp.sync -1;\nst.shared.u32 [%r3], %r0;",
		"all read one word":               "setp.eq.u32 %p0, %r0, 5;\n@%p0 st.shared.u32 [s], %r0;\nbar.sync 0;\nld.shared.u32 %r4, [s];\nbar.sync 0;\n@%p0 st.shared.u32 [s], %r0;",
		"neighbouring bytes":              "st.shared.u8 [%r0], %r0;\nst.shared.u8 [%r0+256], %r0;",
		"shared atomics":                  "setp.eq.u32 %p0, %r0, 0;\n@%p0 st.shared.u32 [s], 0;\nbar.sync 0;\natom.shared.add.u32 %r3, [s], 1;",
		"global atomics of blocks":        "red.global.add.u32 [%d0], 1;\natom.global.max.s32 %r3, [%d0+4], 1;",
		"blocks write neighbouring bytes": "add.u32 %r3, %r0, %r0;\nadd.u32 %r3, %r3, %r1;\ncvt.u64.u32 %d3, %r3;\nadd.u64 %d3, %d0, %d3;\nst.global.u8 [%d3], %r0;",
		"blocks read the same":            "ld.global.u32 %r3, [%d0];",
		"shuffle among the members":       "setp.lt.u32 %p0, %r0, 16;\n@!%p0 bra E;\nshfl.sync.bfly.b32 %r3, %r0, 8, 31, 65535;\nE: shfl.sync.bfly.b32 %r3, %r0, 16, 31, -1;",
		"copy waited for, then a barrier": "setp.eq.u32 %p0, %r0, 0;\n@%p0 cp.async.cg.shared.global [s], [%d0], 16;\ncp.async.commit_group;\ncp.async.wait_group 0;\nbar.sync 0;\nld.shared.u32 %r4, [s];",
		"copy that fills with zeros":      "mul.lo.u32 %r5, %r0, 4;\ncp.async.ca.shared.global [%r5], [%d2], 4, %r7;\ncp.async.wait_all;\nld.shared.u32 %r4, [%r5];\nsetp.ne.u32 %p0, %r4, 0;\n@%p0 trap;",
		"warps on their own barriers":     "setp.lt.u32 %p0, %r0, 32;\n@!%p0 bra E;\nbar.sync 1, 32;\nbra F;\nE: bar.sync 2, 32;\nF: bar.sync 0;",
		"lanes meet again after a loop":   "mov.u32 %r3, 0;\nL: add.u32 %r3, %r3, 1;\nsetp.lt.u32 %p0, %r3, %r0;\n@%p0 bra L;\nshfl.sync.idx.b32 %r4, %r3, 0, 31, -1;\nbar.sync 0;",
	} {
		t.Run(name, func(t *testing.T) {
			if err := broken(t, body, 2, 64); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestUseAfterFreeIsToldFromOutOfBounds(t *testing.T) {
	m := parse(t, header+".visible .entry k(.param .u64 p)\n{\n.reg .b64 %d<2>;\n.reg .b32 %r<2>;\nld.param.u64 %d0, [p];\nld.global.u32 %r0, [%d0+8];\nret;\n}\n")
	d := device(t, Config{})
	p := alloc(t, d, 100)
	if err := d.Free(p); err != nil {
		t.Fatal(err)
	}
	alloc(t, d, 100)
	_, err := d.Launch(m.Kernel("k"), [3]int{1, 1, 1}, [3]int{1, 1, 1}, 0, arguments(p))
	if f := fails(t, UseAfterFree, err); !strings.Contains(f.Detail, "byte 8 of 100 bytes") {
		t.Error(f)
	}
	if err := d.Free(p); err == nil || !strings.Contains(err.Error(), "freed") {
		t.Errorf("a second free: %v", err)
	}
}

func TestConstantsCannotBeWritten(t *testing.T) {
	m := parse(t, header+`.const .align 4 .u32 c[2] = {7, 8};
.visible .entry k()
{
	.reg .b64 %d<2>;
	mov.u64 %d0, c;
	cvta.const.u64 %d0, %d0;
	st.u32 [%d0], 1;
	ret;
}`)
	_, err := device(t, Config{}).Launch(m.Kernel("k"), [3]int{1, 1, 1}, [3]int{1, 1, 1}, 0, nil)
	fails(t, ReadOnly, err)
}

func TestBadLaunchesSayWhy(t *testing.T) {
	m := parse(t, header+".visible .entry k(.param .u64 p)\n.maxntid 64\n{\n.shared .align 4 .b8 s[1024];\nret;\n}\n")
	d := device(t, Config{})
	one := [3]int{1, 1, 1}
	for _, c := range []struct {
		grid, block [3]int
		dynamic     int
		params      []byte
		want        string
	}{
		{[3]int{0, 1, 1}, one, 0, arguments(uint64(0)), "grid [0 1 1]"},
		{[3]int{1, 70000, 1}, one, 0, arguments(uint64(0)), "65535"},
		{one, [3]int{65, 1, 1}, 0, arguments(uint64(0)), "at most 64"},
		{one, [3]int{1, 1, 65}, 0, arguments(uint64(0)), "dimension 2"},
		{one, one, 163 << 10, arguments(uint64(0)), "shared memory"},
		{one, one, 0, arguments(1), "4 bytes, the kernel's parameters 8"},
	} {
		_, err := d.Launch(m.Kernel("k"), c.grid, c.block, c.dynamic, c.params)
		if f := fails(t, BadLaunch, err); !strings.Contains(f.Error(), c.want) {
			t.Errorf("want %q, got %v", c.want, f)
		}
	}
}

func TestHostAccessesAreChecked(t *testing.T) {
	d := device(t, Config{Memory: 4096})
	p := alloc(t, d, 100)
	if err := d.Write(p+96, make([]byte, 8)); err == nil || !strings.Contains(err.Error(), "byte 96 of 100") {
		t.Errorf("write past the end: %v", err)
	}
	if err := d.Read(make([]byte, 4), p-4); err == nil {
		t.Error("a read before the allocation is allowed")
	}
	if _, err := d.Alloc(5000); err == nil || !strings.Contains(err.Error(), "out of memory") {
		t.Errorf("more than there is: %v", err)
	}
	if err := d.Set(p, 9, 50); err != nil {
		t.Fatal(err)
	}
	if err := d.Copy(p+50, p, 50); err != nil {
		t.Fatal(err)
	}
	if b := download(t, d, p, 100); slices.ContainsFunc(b, func(x byte) bool { return x != 9 }) {
		t.Errorf("set and copy left %v", b)
	}
	if d.Used() != 100 {
		t.Errorf("%d bytes are in use", d.Used())
	}
	if err := d.Free(p); err != nil || d.Used() != 0 {
		t.Errorf("after free: %v, %d bytes in use", err, d.Used())
	}
}

func TestBankConflictsAreCounted(t *testing.T) {
	for _, c := range []struct {
		name, body string
		want       int64
	}{
		{"consecutive words", "st.shared.u32 [%r2], %r0;", 0},
		{"two words a bank", "mul.lo.u32 %r3, %r0, 8;\nst.shared.u32 [%r3], %r0;", 1},
		{"four words a bank", "mul.lo.u32 %r3, %r0, 16;\nst.shared.u32 [%r3], %r0;", 3},
		{"consecutive vectors of 16 bytes", "mul.lo.u32 %r3, %r0, 16;\nst.shared.v4.u32 [%r3], {%r0, %r0, %r0, %r0};", 0},
		{"one word for all", "st.shared.u32 [%r2], %r0;\nbar.warp.sync -1;\nld.shared.u32 %r3, [s];", 0},
	} {
		m := parse(t, header+".visible .entry k()\n{\n.reg .b32 %r<8>;\n.shared .align 16 .b8 s[512];\nmov.u32 %r0, %tid.x;\nmul.lo.u32 %r2, %r0, 4;\n"+c.body+"\nret;\n}\n")
		s := mustLaunch(t, device(t, Config{}), m.Kernel("k"), [3]int{1, 1, 1}, [3]int{32, 1, 1}, nil)
		if s.SharedBankConflicts != c.want {
			t.Errorf("%s: %d conflicts, want %d", c.name, s.SharedBankConflicts, c.want)
		}
	}
}

func TestGlobalBytesAreSectors(t *testing.T) {
	for _, c := range []struct {
		name, body string
		want       int64
	}{
		{"coalesced", "mul.wide.u32 %d1, %r0, 4;\nadd.u64 %d1, %d0, %d1;\nld.global.u32 %r3, [%d1];", 128},
		{"stride of 32 bytes", "mul.wide.u32 %d1, %r0, 32;\nadd.u64 %d1, %d0, %d1;\nld.global.u32 %r3, [%d1];", 1024},
		{"one word", "ld.global.u32 %r3, [%d0];", 32},
		{"bytes that straddle a sector", "cvt.u64.u32 %d1, %r0;\nadd.u64 %d1, %d0, %d1;\nld.global.u8 %r3, [%d1+16];", 64},
	} {
		m := parse(t, header+".visible .entry k(.param .u64 p)\n{\n.reg .b32 %r<8>;\n.reg .b64 %d<8>;\nld.param.u64 %d0, [p];\nmov.u32 %r0, %tid.x;\n"+c.body+"\nret;\n}\n")
		d := device(t, Config{})
		s := mustLaunch(t, d, m.Kernel("k"), [3]int{1, 1, 1}, [3]int{32, 1, 1}, arguments(upload(t, d, make([]byte, 1024))))
		if s.GlobalLoadBytes != c.want {
			t.Errorf("%s: %d bytes, want %d", c.name, s.GlobalLoadBytes, c.want)
		}
	}
}
