package train

import (
	"context"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/hone-ml/hone/models"
	"github.com/hone-ml/hone/models/qwen"
	"github.com/hone-ml/hone/optim"
	"github.com/hone-ml/hone/tensor"
)

// A step of the size that matters, see scripts/full-check.sh: it takes up to 14 GiB and half a minute. Each
// case needs a process of its own, whose resident memory it measures.
func TestMemoryOfQwen06BIsPredictedWithinTenPercent(t *testing.T) {
	if os.Getenv("HONE_FULL_CHECK") == "" {
		t.Skip("takes minutes and 14 GiB: HONE_FULL_CHECK=1 runs it")
	}
	for _, tokens := range []int{512, 1024, 2048} {
		for _, recompute := range []tensor.Recompute{tensor.RecomputeNone, tensor.RecomputeSelective, tensor.RecomputeBlock} {
			t.Run(fmt.Sprintf("tokens=%d/%s", tokens, recompute), func(t *testing.T) {
				build := func(dev *tensor.Device) (models.CausalLM, optim.Optimizer, error) {
					m, err := qwen.New(qwen.Sizes["qwen3-0.6b"], dev)
					if err != nil {
						return nil, nil, err
					}
					for _, p := range m.Parameters() {
						p.Fill(0.01)
					}
					m.SetRecompute(recompute)
					return m, adamW(m), nil
				}
				config := Config{MaxSteps: 2, Batch: 1, Accum: 1, MaxLength: tokens, Packing: true, Schedule: "constant", LR: 1e-5, Clip: 1}
				data := sized(tokens/2, tokens/2, tokens)
				dev := tensor.CPU()
				f, err := Predict(context.Background(), dev, build, data, config)
				if err != nil {
					t.Fatal(err)
				}
				if err := f.Fits(); err != nil {
					t.Skip("needs more memory: ", err)
				}
				m, o, err := build(dev)
				if err != nil {
					t.Fatal(err)
				}
				result, err := Run(context.Background(), Options{Model: m, Optimizer: o, Data: data, Config: config})
				if err != nil {
					t.Fatal(err)
				}
				for what, measured := range map[string]int{"in tensors": result.MaxInUse, "resident": residentPeak(t)} {
					e := float64(f.Total())/float64(measured) - 1
					t.Logf("%s predicted (%s), %s %s: %+.1f %%", gibibytes(f.Total()), f.Parts(), gibibytes(measured), what, 100*e)
					if math.Abs(e) > 0.1 {
						t.Errorf("the prediction is %.1f %% off", 100*e)
					}
				}
				t.Logf("%.1f tokens/s", result.TokensPerSecond)
			})
		}
	}
}

// residentPeak is the most memory that this process has had.
func residentPeak(t *testing.T) int {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skip("needs Linux's account of a process: ", err)
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	line, _, _ := strings.Cut(rest, "kB")
	kib, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	return kib << 10
}
