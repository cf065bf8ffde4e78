package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"runtime"
	"strconv"
	"strings"

	"github.com/hone-ml/hone/examples/text2sql/internal/progress"
	"github.com/hone-ml/hone/models"
	"github.com/hone-ml/hone/tensor"
	"github.com/hone-ml/hone/tokenizer"
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

	cpuProfile string
}

func (c *common) register(fs *flag.FlagSet) {
	fs.StringVar(&c.device, "device", "auto", "`DEVICE` to compute on: cpu, cuda or cuda:N (an NVIDIA GPU), cuda-sim (a simulated one, for tests), or auto: a GPU if there is one")
	fs.StringVar(&c.dtype, "dtype", "", "`DTYPE` of the parameters: bf16 or f32 (default: the model's own)")
	fs.Uint64Var(&c.seed, "seed", 42, "seed of all randomness")
	fs.StringVar(&c.memory, "memory", "", "limit of memory for tensors, a `SIZE` such as 20GiB (default: 90 % of what is free)")
	fs.BoolVar(&c.json, "json", false, "print one JSON object on standard output; progress goes to standard error")
	fs.StringVar(&c.trace, "trace", "", "write what every kernel did to `FILE`, a Chrome trace, and show where the time went (for a few steps: it grows by 300 bytes a kernel)")
	fs.BoolVar(&c.detectNaN, "detect-nan", false, "stop at the first NaN and name the op that made it (slow)")
	fs.StringVar(&c.cpuProfile, "cpuprofile", "", "write a CPU profile to `FILE`, labelled by op, for go tool pprof")
}

// check finds wrong usage.
func (c *common) check() error {
	if c.dtype != "" {
		if err := oneOf("dtype", c.dtype, "bf16", "f32"); err != nil {
			return err
		}
	}
	if c.memory != "" {
		if _, err := parseSize(c.memory); err != nil {
			return usageError{err}
		}
	}
	if number, ok := strings.CutPrefix(c.device, "cuda:"); ok {
		if _, err := strconv.ParseUint(number, 10, 16); err == nil {
			return nil
		}
	}
	return oneOf("device", c.device, "auto", "cpu", "cuda", "cuda:N", "cuda-sim")
}

// open checks the flags, returns the device, and starts to observe it if that was asked for.
func (c *common) open(p *program) (*tensor.Device, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	dev, err := c.find(p)
	if err != nil {
		return nil, err
	}
	if c.memory != "" {
		n, err := parseSize(c.memory)
		if err != nil {
			return nil, usageError{err}
		}
		dev.SetMemoryLimit(n)
	}
	return dev, c.observe(p, dev)
}

// find is the device of -device. With auto it is the first GPU, or else the CPU.
func (c *common) find(p *program) (*tensor.Device, error) {
	if c.device != "auto" {
		dev, err := tensor.OpenDevice(c.device)
		if err != nil {
			return nil, fmt.Errorf("-device %s: %w", c.device, err)
		}
		return dev, nil
	}
	dev, err := tensor.CUDA(0)
	if err != nil {
		fmt.Fprintln(p.stderr, "no GPU, so on the CPU; text2sql info says why")
		return tensor.CPU(), nil
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

// gibibytes is a number of bytes for people.
func gibibytes(n int) string {
	if n < 100<<20 {
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.2f GiB", float64(n)/(1<<30))
}

// printJSON prints v as one object.
func (p *program) printJSON(v any) error {
	e := json.NewEncoder(p.stdout)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// newLine is the progress line on standard error.
func (p *program) newLine() *progress.Line { return progress.New(p.stderr, progress.Options{}) }

// checkVocabulary says whether every token has a row in the model's embedding.
func checkVocabulary(dir string, t *tokenizer.Tokenizer, m models.CausalLM) error {
	if n, vocab := t.VocabSize(), m.Head().Dim(0); n > vocab {
		return fmt.Errorf("%s: the tokenizer has %d tokens, the model's vocabulary only %d: they are not of the same model", dir, n, vocab)
	}
	return nil
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

// plural is "1 row", "2 rows".
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
