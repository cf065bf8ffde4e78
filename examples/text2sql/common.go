package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"runtime"
	"strconv"
	"strings"

	"github.com/hone-ml/hone/examples/text2sql/internal/progress"
	"github.com/hone-ml/hone/examples/text2sql/internal/sqlexec"
	"github.com/hone-ml/hone/tensor"
)

// common are the flags that every command has.
type common struct {
	device    string
	dtype     string
	seed      uint64
	memory    string
	json      bool
	trace     string
	detectNaN bool
}

func (c *common) register(fs *flag.FlagSet) {
	fs.StringVar(&c.device, "device", "auto", "`DEVICE` to compute on: auto or cpu (CUDA is not built yet)")
	fs.StringVar(&c.dtype, "dtype", "", "`DTYPE` of the parameters: bf16 or f32 (default: the model's own)")
	fs.Uint64Var(&c.seed, "seed", 42, "seed of all randomness")
	fs.StringVar(&c.memory, "memory", "", "limit of memory for tensors, such as 20GiB (default: 90 % of what is free)")
	fs.BoolVar(&c.json, "json", false, "print one JSON object on standard output; progress goes to standard error")
	fs.StringVar(&c.trace, "trace", "", "write a Chrome trace to `FILE` (not built yet)")
	fs.BoolVar(&c.detectNaN, "detect-nan", false, "stop at the first NaN (not built yet)")
}

// open checks the flags and returns the device.
func (c *common) open() (*tensor.Device, error) {
	if c.trace != "" || c.detectNaN {
		return nil, fmt.Errorf("-trace and -detect-nan are not built yet")
	}
	if c.dtype != "" {
		if err := oneOf("dtype", c.dtype, "bf16", "f32"); err != nil {
			return nil, err
		}
	}
	dev := tensor.CPU()
	switch {
	case c.device == "auto" || c.device == "cpu":
	case c.device == "cuda-sim":
		return nil, fmt.Errorf("-device cuda-sim is not built yet; use -device cpu")
	case strings.HasPrefix(c.device, "cuda:"):
		i, err := strconv.Atoi(c.device[len("cuda:"):])
		if err != nil {
			return nil, usagef("-device is %q, want auto, cpu, cuda:N or cuda-sim", c.device)
		}
		if dev, err = tensor.CUDA(i); err != nil {
			return nil, err
		}
	default:
		return nil, usagef("-device is %q, want auto, cpu, cuda:N or cuda-sim", c.device)
	}
	if c.memory != "" {
		n, err := parseSize(c.memory)
		if err != nil {
			return nil, usageError{err}
		}
		dev.SetMemoryLimit(n)
	}
	return dev, nil
}

// dtypeFlag is the dtype of -dtype, nil if it was not given.
func (c *common) dtypeFlag() *tensor.DType {
	switch c.dtype {
	case "bf16":
		return new(tensor.BF16)
	case "f32":
		return new(tensor.F32)
	}
	return nil
}

// parseSize reads a number of bytes with an optional unit: 1500000, 800MB, 20GiB, 20G.
func parseSize(s string) (int, error) {
	digits := strings.TrimRight(s, "kKmMgGtTiIbB")
	n, err := strconv.ParseFloat(digits, 64)
	unit := strings.ToLower(s[len(digits):])
	base := 1024.0
	if len(unit) == 2 && unit[1] == 'b' {
		base = 1000
	}
	power, known := map[string]float64{"": 0, "b": 0, "k": 1, "m": 2, "g": 3, "t": 4}[strings.TrimSuffix(strings.TrimSuffix(unit, "b"), "i")]
	if err != nil || !known || !(n > 0) || n*math.Pow(base, power) > 1<<60 {
		return 0, fmt.Errorf("-memory is %q, want a size such as 20GiB or 800MB", s)
	}
	return int(n * math.Pow(base, power)), nil
}

// printJSON prints v as one object.
func (p *program) printJSON(v any) error {
	e := json.NewEncoder(p.stdout)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// newLine is the progress line on standard error.
func (p *program) newLine() *progress.Line { return progress.New(p.stderr, progress.Options{}) }

// openDatabases opens the folder of -db-dir; -dsn waits for its issue.
func openDatabases(dir, dsn string) (sqlexec.Executor, error) {
	switch {
	case dsn != "":
		return nil, fmt.Errorf("-dsn: PostgreSQL is not built yet; use -db-dir with SQLite files")
	case dir == "":
		return nil, usagef("-db-dir is missing: the folder that holds <db_id>.sqlite")
	}
	return sqlexec.OpenSQLite(dir, sqlexec.Limits{})
}

// required checks that string flags were given.
func required(name string, fs *flag.FlagSet, flags ...string) error {
	for _, f := range flags {
		if fs.Lookup(f).Value.String() == "" {
			return usagef("%s: -%s is missing; text2sql %s -h explains", name, f, name)
		}
	}
	return nil
}

// describeDevice is device, kernel path and threads.
func describeDevice(d *tensor.Device) string {
	return fmt.Sprintf("%s, %s, %s, %d threads", d.Name(), d.Model(), d.KernelPath(), runtime.GOMAXPROCS(0))
}

// peakRSS is the largest resident set of the process in bytes, 0 if the system does not tell.
func peakRSS() int64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kib << 10
		}
	}
	return 0
}

// plural is "1 row", "2 rows".
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
