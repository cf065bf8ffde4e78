package simd

import (
	"fmt"
	"testing"
)

// BenchmarkSoftmaxStep reports the time an element, with rows in the first-level cache.
func BenchmarkSoftmaxStep(b *testing.B) {
	for _, n := range []int{64, 256, 512} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			x, p := make([]float32, n), make([]uint16, n)
			for i := range x {
				x[i] = float32(i%7) - 3
			}
			for b.Loop() {
				SoftmaxStep(p, x, 0.1, 5)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/element")
		})
	}
}

// BenchmarkSoftmaxGrad reports the time an element.
func BenchmarkSoftmaxGrad(b *testing.B) {
	const panels = 4
	s, dp := make([]float32, GradRows*32*panels), make([]float32, GradRows*32*panels)
	p, ds, rows := make([]uint16, panels*1024), make([]uint16, panels*1024), make([]uint16, GradRows*32*panels)
	var lse, delta [GradRows]float32
	for b.Loop() {
		SoftmaxGrad(p, ds, 1024, rows, 32*panels, s, dp, 32*panels, panels, 1, &lse, &delta)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(s)), "ns/element")
}
