package cpu_test

import (
	"testing"

	"github.com/hone-ml/hone/internal/backend/backendtest"
	"github.com/hone-ml/hone/internal/cpu"
	"github.com/hone-ml/hone/internal/cpu/simd"
)

func TestConformance(t *testing.T) {
	simd.ForEachPath(func(path string) {
		t.Run(path, func(t *testing.T) {
			if paths := simd.Paths(); testing.Short() && path != paths[len(paths)-1] {
				t.Skip("-short runs the fastest path only")
			}
			backendtest.Run(t, cpu.New())
		})
	})
}
