package tensor_test

import (
	"math"
	"testing"

	"github.com/hone-ml/hone/tensor"
)

func TestAdamWStepIsTheFormula(t *testing.T) {
	const beta1, beta2, eps, lr, wd, gradScale = 0.9, 0.95, 1e-8, 0.01, 0.1, 0.5
	for name, device := range map[string]func() *tensor.Device{"fused": func() *tensor.Device { return tensor.NewTestDevice(0) }, "composed": tensor.NewComposedDevice} {
		for _, dt := range []tensor.DType{tensor.F32, tensor.F64} {
			for _, paramType := range []tensor.DType{dt, tensor.BF16} {
				d, r := device(), tensor.NewRand(1)
				const n = 37
				master, m, v := tensor.Randn(d, dt, r, 1, n), tensor.Zeros(d, dt, n), tensor.Zeros(d, dt, n)
				p := master
				if paramType != dt {
					p = tensor.Zeros(d, paramType, n)
				}
				p.SetTrainable(true)
				w, m1, v1 := master.Float64s(), make([]float64, n), make([]float64, n)
				for step := range 3 {
					grad := tensor.Randn(d, dt, r, 1, n)
					c1, c2 := 1/(1-math.Pow(beta1, float64(step+1))), 1/(1-math.Pow(beta2, float64(step+1)))
					hyper := tensor.FromSlice(d, []float32{lr, wd, float32(c1), float32(c2), gradScale})
					tensor.AdamWStep(p, master, m, v, grad, hyper, beta1, beta2, eps)
					for i, g := range grad.Float64s() {
						g *= gradScale
						m1[i] = beta1*m1[i] + (1-beta1)*g
						v1[i] = beta2*v1[i] + (1-beta2)*g*g
						w[i] = w[i]*(1-lr*wd) - lr*m1[i]*c1/(math.Sqrt(v1[i]*c2)+eps)
					}
				}
				near(t, name+" master", master.Float64s(), w, 1e-6)
				near(t, name+" m", m.Float64s(), m1, 1e-6)
				near(t, name+" v", v.Float64s(), v1, 1e-6)
				near(t, name+" param", p.Float64s(), w, map[bool]float64{true: 1e-6, false: 4e-3}[paramType == dt])
			}
		}
	}
	d := tensor.NewTestDevice(0)
	x, y := tensor.Ones(d, tensor.F32, 2), tensor.Ones(d, tensor.F32, 3)
	hyper := tensor.Ones(d, tensor.F32, 5)
	mustSay(t, "another shape", func() { tensor.AdamWStep(x, x, x, y, x, hyper, 0, 0, 0) }, "AdamWStep", "[3]", "one shape")
	mustSay(t, "another hyper", func() { tensor.AdamWStep(x, x, x, x, x, x, 0, 0, 0) }, "hyper F32 [5]")
}
