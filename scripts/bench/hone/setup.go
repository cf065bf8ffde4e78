package main

import (
	"os"
	"strconv"
	"strings"

	"github.com/hone-ml/hone/models/qwen"
	"github.com/hone-ml/hone/optim"
	"github.com/hone-ml/hone/tensor"
)

// setRecompute chooses what backward computes again.
func setRecompute(m *qwen.Model, mode string) error {
	r, err := tensor.ParseRecompute(mode)
	if err != nil {
		return err
	}
	m.SetRecompute(r)
	return nil
}

// newAdamW is the optimizer as examples/text2sql makes it.
func newAdamW(m *qwen.Model, moments string) (*optim.AdamW, error) {
	kept, err := optim.ParseMoments(moments)
	if err != nil {
		return nil, err
	}
	return optim.NewAdamW(optim.Split(m.Parameters(), 1e-5, 0.01), optim.AdamWConfig{Moments: kept}), nil
}

// peakRSS is the largest resident set of the process in bytes, 0 if the system does not tell.
func peakRSS() int {
	status, _ := os.ReadFile("/proc/self/status")
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	line, _, _ := strings.Cut(rest, "kB")
	kib, _ := strconv.Atoi(strings.TrimSpace(line))
	return kib << 10
}
