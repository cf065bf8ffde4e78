package train

import (
	"bytes"
	"fmt"
	"iter"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/hone-ml/hone/optim"
	"github.com/hone-ml/hone/tensor"
)

// A fault makes system calls fail from one moment on, in the whole process and for good.
type fault struct {
	name  string
	errno unix.Errno
	plant func(unix.Errno) error
}

// faults are what disks do. A full one that writes a part first is in full_disk_linux_test.go as well, a real one.
var faults = []fault{
	{"write", unix.ENOSPC, errnoOn(unix.SYS_WRITE, 2, unix.BPF_JGE, 64)}, // the runtime's own writes are shorter
	{"write", unix.EIO, errnoOn(unix.SYS_WRITE, 2, unix.BPF_JGE, 64)},
	{"create", unix.ENOSPC, errnoOn(unix.SYS_OPENAT, 2, unix.BPF_JSET, unix.O_CREAT)},
	{"mkdir", unix.ENOSPC, errnoOn(unix.SYS_MKDIRAT, 0, unix.BPF_JGE, 0)},
	{"fsync", unix.EIO, errnoOn(unix.SYS_FSYNC, 0, unix.BPF_JGE, 0)},
	{"rename", unix.EIO, errnoOn(unix.SYS_RENAMEAT, 0, unix.BPF_JGE, 0)},
	{"short write", unix.EFBIG, func(unix.Errno) error {
		signal.Ignore(unix.SIGXFSZ)
		return unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 20_000, Max: 20_000}) // more than metrics.jsonl, less than the model
	}},
}

// errnoOn has a system call fail where the low half of an argument compares with k, by a seccomp filter
// (seccomp(2), "Return values": SECCOMP_RET_ERRNO).
func errnoOn(call uint32, arg int, compare uint16, k uint32) func(unix.Errno) error {
	return func(errno unix.Errno) error {
		const retErrno, retAllow, modeFilter, threadSync = 0x00050000, 0x7fff0000, 1, 1
		filter := []unix.SockFilter{
			{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}, // seccomp_data.nr
			{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: call, Jf: 3},
			{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: uint32(16 + 8*arg)}, // seccomp_data.args
			{Code: unix.BPF_JMP | compare | unix.BPF_K, K: k, Jf: 1},
			{Code: unix.BPF_RET | unix.BPF_K, K: retErrno | uint32(errno)},
			{Code: unix.BPF_RET | unix.BPF_K, K: retAllow},
		}
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return err
		}
		program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
		if _, _, e := unix.Syscall(unix.SYS_SECCOMP, modeFilter, threadSync, uintptr(unsafe.Pointer(&program))); e != 0 {
			return e
		}
		return nil
	}
}

// The moments of the second save, of step 8, at which a fault begins.
var faultMoments = []string{"before", "between the model and the optimizer", "before the state"}

// stateHook is an optimizer that tells when its state is asked for.
type stateHook struct {
	optim.Optimizer
	asked func()
}

func (s stateHook) State() iter.Seq2[string, *tensor.Tensor] {
	s.asked()
	return s.Optimizer.State()
}

const faultVariable = "HONE_TRAIN_FAULT"

// TestFaultHelper is not a test of its own: it is the process whose system calls fail.
func TestFaultHelper(t *testing.T) {
	which, dir, _ := strings.Cut(os.Getenv(faultVariable), " ")
	if dir == "" {
		t.Skip("runs only as the child of TestFaultsInASaveLeaveTheCheckpointBeforeIntact")
	}
	n, err := strconv.Atoi(which)
	if err != nil {
		t.Fatal(err)
	}
	f, moment := faults[n/len(faultMoments)], n%len(faultMoments)
	step := 0
	plant := func(at int) {
		if at != moment || step != 8 {
			return
		}
		if err := f.plant(f.errno); err != nil {
			fmt.Println("cannot plant:", err)
			os.Exit(3)
		}
		step = -1 // once
	}
	m := tinyModel(t, "float32")
	_, err = Run(t.Context(), Options{Model: m, Optimizer: stateHook{adamW(m), func() { plant(1) }}, Data: tinyData(31), Config: tinyRunConfig(dir),
		OnStep:    func(s Metrics) { step = s.Step; plant(0) },
		SaveExtra: func(string) error { plant(2); return nil }})
	for b := range slices.Chunk(fmt.Appendf(nil, "said: %v\n", err), 32) { // longer writes may fail
		os.Stdout.Write(b)
	}
	os.Exit(0)
}

// stepOfFault is the step of the newest checkpoint after a fault in the save of step 8: that before it, or that
// itself where the rest of it does not make the calls that fail.
func stepOfFault(n int) int {
	late := n%len(faultMoments) > 0 && faults[n/len(faultMoments)].name == "mkdir"
	if late || n%len(faultMoments) == 2 && faults[n/len(faultMoments)].name == "short write" { // trainer.json is short
		return 8
	}
	return 4
}

func TestFaultsInASaveLeaveTheCheckpointBeforeIntact(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	m := tinyModel(t, "float32")
	opt := adamW(m)
	whole := tinyRunConfig(t.TempDir())
	mustRun(t, Options{Model: m, Optimizer: opt, Data: tinyData(31), Config: whole})
	want := tensorsOf(m, opt)
	for n := range len(faults) * len(faultMoments) {
		f, moment := faults[n/len(faultMoments)], faultMoments[n%len(faultMoments)]
		t.Run(fmt.Sprintf("%s fails with %s %s", f.name, unix.ErrnoName(f.errno), moment), func(t *testing.T) {
			dir := t.TempDir()
			cmd := exec.Command(os.Args[0], "-test.run=^TestFaultHelper$")
			cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d %s", faultVariable, n, dir))
			out, err := cmd.CombinedOutput()
			_, said, ok := bytes.Cut(out, []byte("said: "))
			switch {
			case bytes.Contains(out, []byte("cannot plant")):
				t.Skipf("this system does not let faults be planted: %s", out)
			case err != nil || !ok:
				t.Fatalf("the child ended with %v: %s", err, out)
			}
			c := tinyRunConfig(dir)
			newest := mustSteps(t, c)
			text := string(said)
			if !strings.Contains(text, f.errno.Error()) {
				t.Errorf("the error does not say %q: %s", f.errno, text)
			}
			if want := stepOfFault(n); newest != want {
				t.Errorf("the newest checkpoint is of step %d, want %d", newest, want)
			}
			if !strings.Contains(text, filepath.Join(dir, "checkpoints", fmt.Sprintf("step-%06d, is intact", newest))) && !strings.Contains(text, "metrics.jsonl") {
				t.Errorf("the error names neither the checkpoint that is intact nor the metrics: %s", text)
			}
			fresh := tinyModel(t, "float32")
			fresh.Init(tensor.NewRand(3))
			freshOpt := adamW(fresh)
			c.Resume = true
			r := mustRun(t, Options{Model: fresh, Optimizer: freshOpt, Data: tinyData(31), Config: c})
			if r.ResumedFrom != newest {
				t.Errorf("resumed from step %d, not %d", r.ResumedFrom, newest)
			}
			wantSameTensors(t, tensorsOf(fresh, freshOpt), want)
		})
	}
}
