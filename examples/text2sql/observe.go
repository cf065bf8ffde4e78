package main

import (
	"errors"
	"fmt"
	"os"
	"runtime/pprof"
	"strings"

	"github.com/hone-ml/hone/tensor"
)

// observing is what a command records about its own computing.
type observing struct {
	dev              *tensor.Device
	trace            *tensor.Trace
	file, profile    *os.File
	tracePath, pprof string
	nan              bool
}

// observe starts what -trace, -cpuprofile and -detect-nan ask for. The command's end stops it.
func (c *common) observe(p *program, dev *tensor.Device) (err error) {
	o := &observing{dev: dev, tracePath: c.trace, pprof: c.cpuProfile, nan: c.detectNaN}
	p.observing = o
	if o.nan {
		dev.DetectNaN(true)
	}
	if o.pprof != "" {
		if o.profile, err = os.Create(o.pprof); err != nil {
			return fmt.Errorf("-cpuprofile: %w", err)
		}
		if err := pprof.StartCPUProfile(o.profile); err != nil {
			return fmt.Errorf("-cpuprofile: %w", err)
		}
		dev.LabelProfiles(true)
	}
	if o.tracePath != "" {
		if o.file, err = os.Create(o.tracePath); err != nil {
			return fmt.Errorf("-trace: %w", err)
		}
		o.trace = dev.StartTrace(o.file)
	}
	return nil
}

// stopObserving writes what was recorded, and shows where the time went.
func (p *program) stopObserving() (err error) {
	o := p.observing
	if o == nil {
		return nil
	}
	p.observing = nil
	if o.nan {
		o.dev.DetectNaN(false)
	}
	if o.profile != nil {
		pprof.StopCPUProfile()
		o.dev.LabelProfiles(false)
		if e := o.profile.Close(); e != nil {
			err = errors.Join(err, fmt.Errorf("-cpuprofile: %w", e))
		}
	}
	if o.trace != nil {
		if e := errors.Join(o.trace.Stop(), o.file.Close()); e != nil {
			err = errors.Join(err, fmt.Errorf("-trace: %w", e))
		}
		const most = 20
		rows := strings.SplitAfter(o.trace.String(), "\n")
		fmt.Fprintf(p.stderr, "%s\nThe trace is in %s; chrome://tracing and ui.perfetto.dev show it.\n", strings.Join(rows[:min(len(rows), most+1)], ""), o.tracePath)
	}
	return err
}
