package cpu_test

import (
	"testing"

	"github.com/hone-ml/hone/internal/backend/backendtest"
	"github.com/hone-ml/hone/internal/cpu"
	"github.com/hone-ml/hone/internal/cpu/simd"
)

func TestConformance(t *testing.T) {
	simd.ForEachPath(func(path string) {
		t.Run(path, func(t *testing.T) { backendtest.Run(t, cpu.New()) })
	})
}
