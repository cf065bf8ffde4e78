package main

import (
	"context"
	"flag"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"

	"github.com/hone-ml/hone/tensor"
)

var infoCommand = command{
	name: "info", summary: "shows devices, kernel paths, memory and versions", run: runInfo,
}

func runInfo(_ context.Context, p *program, args []string) error {
	var c common
	fs := flag.NewFlagSet("info", flag.ContinueOnError)
	c.register(fs)
	if rest, err := p.parse(fs, args); err != nil || len(rest) > 0 {
		return orUnexpected(err, rest)
	}
	if err := c.check(); err != nil {
		return err
	}
	devices := tensor.Devices()
	if c.device != "auto" {
		dev, err := c.open(p)
		if err != nil {
			return err
		}
		if !slices.Contains(devices, dev) {
			devices = append(devices, dev)
		}
	}
	type device struct {
		Name   string `json:"name"`
		Model  string `json:"model"`
		Path   string `json:"kernel_path"`
		Driver string `json:"driver,omitempty"`
		Memory int    `json:"memory_bytes"`
		Budget int    `json:"memory_budget_bytes"`
	}
	info := struct {
		Version string   `json:"version"`
		Go      string   `json:"go"`
		OS      string   `json:"os"`
		Threads int      `json:"threads"`
		Devices []device `json:"devices"`
		CUDA    string   `json:"cuda"`
	}{version(), runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH, runtime.GOMAXPROCS(0), nil, ""}
	for _, d := range devices {
		info.Devices = append(info.Devices, device{d.Name(), d.Model(), d.KernelPath(), d.Driver(), d.Memory().Total, d.Memory().Limit})
	}
	if _, err := tensor.CUDA(0); err != nil {
		info.CUDA = oneLine(err)
	}
	if c.json {
		return p.printJSON(info)
	}
	fmt.Fprintf(p.stdout, "hone      %s, %s, %s, %d threads\n", info.Version, info.Go, info.OS, info.Threads)
	for _, d := range info.Devices {
		if d.Driver != "" {
			d.Driver = ", " + d.Driver
		}
		fmt.Fprintf(p.stdout, "%-9s %s%s, kernel path %s, %.1f GiB, budget for tensors %.1f GiB\n", d.Name, d.Model, d.Driver, d.Path, float64(d.Memory)/(1<<30), float64(d.Budget)/(1<<30))
	}
	if info.CUDA != "" {
		fmt.Fprintf(p.stdout, "%-9s none: %s\n", "cuda", info.CUDA)
	}
	return nil
}

// version is the module's version or the commit that the program was built from.
func version() string {
	b, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := b.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range b.Settings {
		if s.Key == "vcs.revision" {
			return s.Value[:min(12, len(s.Value))]
		}
	}
	return "devel"
}
