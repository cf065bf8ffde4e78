package cpu

import (
	"bufio"
	"bytes"
	"math"
	"os"
	"path"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// AvailableMemory is how many bytes the process can still take without swapping and without reaching
// the limit of its cgroup; 0 if unknown.
func AvailableMemory() uint64 {
	_, free := cgroupMemory()
	if m := meminfo("MemAvailable"); m > 0 {
		free = min(free, m)
	}
	return known(free)
}

func totalMemory() uint64 {
	limit, _ := cgroupMemory()
	if m := meminfo("MemTotal"); m > 0 {
		limit = min(limit, m)
	}
	return known(limit)
}

func known(n uint64) uint64 {
	if n == math.MaxUint64 {
		return 0
	}
	return n
}

// meminfo is a row of /proc/meminfo in bytes, 0 if it is not there.
func meminfo(key string) uint64 {
	data, _ := os.ReadFile("/proc/meminfo")
	return 1024 * row(data, key+":")
}

// row is the number that follows key at the start of a line, 0 if there is none.
func row(data []byte, key string) uint64 {
	for line := range bytes.Lines(data) {
		if f := strings.Fields(string(line)); len(f) >= 2 && f[0] == key {
			n, _ := strconv.ParseUint(f[1], 10, 64)
			return n
		}
	}
	return 0
}

// cgroupMemory is the lowest limit on the process's memory in the tree of cgroups, and the least that
// any of them leaves. Both are MaxUint64 where nothing limits.
func cgroupMemory() (limit, free uint64) {
	limit, free = math.MaxUint64, math.MaxUint64
	data, _ := os.ReadFile("/proc/self/cgroup")
	for line := range bytes.Lines(data) {
		// hierarchy:controllers:path, with no controllers in version 2
		f := strings.SplitN(strings.TrimSpace(string(line)), ":", 3)
		if len(f) != 3 {
			continue
		}
		root, max, current, inactive := "/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"
		switch f[1] {
		case "":
		case "memory":
			root, max, current, inactive = "/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"
		default:
			continue
		}
		for dir := path.Clean("/" + f[2]); ; dir = path.Dir(dir) {
			if l, ok := readNumber(root + dir + "/" + max); ok {
				limit = min(limit, l)
				used, _ := readNumber(root + dir + "/" + current)
				stat, _ := os.ReadFile(root + dir + "/memory.stat")
				used -= min(used, row(stat, inactive)) // the page cache makes room when asked
				free = min(free, l-min(l, used))
			}
			if dir == "/" {
				break
			}
		}
	}
	return limit, free
}

func readNumber(file string) (uint64, bool) {
	data, err := os.ReadFile(file)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseUint(string(bytes.TrimSpace(data)), 10, 64) // "max" is no number
	return n, err == nil
}

// processorModel is the name that the kernel gives the first processor.
func processorModel() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return architecture
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if key, value, ok := strings.Cut(s.Text(), ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return architecture
}

// adviseLarge asks for huge pages, which make the first touch of a large block several times cheaper.
// The kernel may decline.
func adviseLarge(p unsafe.Pointer, size uintptr) {
	const huge = 2 << 20
	if size >= 2*huge {
		_ = unix.Madvise(unsafe.Slice((*byte)(p), size), unix.MADV_HUGEPAGE)
	}
}
