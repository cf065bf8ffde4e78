package tensor_test

import (
	"math"
	"slices"
	"testing"

	"github.com/hone-ml/hone/tensor"
)

var adamWConstants = tensor.AdamWConstants{Beta1: 0.9, Beta2: 0.95, Eps: 1e-8}

// adamWHyper is the numbers of a step, counted from 1.
func adamWHyper(d *tensor.Device, step int, gradScale float32) *tensor.Tensor {
	c := func(beta float64) float32 { return float32(1 / (1 - math.Pow(beta, float64(step)))) }
	return tensor.FromSlice(d, []float32{0.01, 0.1, c(adamWConstants.Beta1), c(adamWConstants.Beta2), gradScale, float32(step)})
}

// adamWDevices run the kernel, and what stands in for it.
var adamWDevices = map[string]func() *tensor.Device{"fused": func() *tensor.Device { return tensor.NewTestDevice(0) }, "composed": tensor.NewComposedDevice}

func TestAdamWStepIsTheFormula(t *testing.T) {
	const lr, wd, gradScale = 0.01, 0.1, 0.5
	beta1, beta2, eps := adamWConstants.Beta1, adamWConstants.Beta2, adamWConstants.Eps
	for name, device := range adamWDevices {
		for _, dt := range []tensor.DType{tensor.F32, tensor.F64} {
			for _, paramType := range []tensor.DType{dt, tensor.BF16, tensor.F16} {
				d, r := device(), tensor.NewRand(1)
				const n = 37
				s := tensor.AdamWState{Master: tensor.Randn(d, dt, r, 1, n), M: tensor.Zeros(d, dt, n), V: tensor.Zeros(d, dt, n)}
				s.Param = s.Master
				if paramType != dt {
					s.Param = tensor.Zeros(d, paramType, n)
				}
				s.Param.SetTrainable(true)
				w, m1, v1 := s.Master.Float64s(), make([]float64, n), make([]float64, n)
				for step := range 3 {
					grad := tensor.Randn(d, dt, r, 1, n)
					c1, c2 := 1/(1-math.Pow(beta1, float64(step+1))), 1/(1-math.Pow(beta2, float64(step+1)))
					tensor.AdamWStep(s, grad, adamWHyper(d, step+1, gradScale), adamWConstants)
					for i, g := range grad.Float64s() {
						g *= gradScale
						m1[i] = beta1*m1[i] + (1-beta1)*g
						v1[i] = beta2*v1[i] + (1-beta2)*g*g
						w[i] = w[i]*(1-lr*wd) - lr*m1[i]*c1/(math.Sqrt(v1[i]*c2)+eps)
					}
				}
				near(t, name+" master", s.Master.Float64s(), w, 1e-6)
				near(t, name+" m", s.M.Float64s(), m1, 1e-6)
				near(t, name+" v", s.V.Float64s(), v1, 1e-6)
				near(t, name+" param", s.Param.Float64s(), w, map[bool]float64{true: 1e-6, false: 4e-3}[paramType == dt])
			}
		}
	}
}

// remaindered is the state of a BF16 parameter with a remainder.
func remaindered(d *tensor.Device, n int) tensor.AdamWState {
	s := tensor.AdamWState{Param: tensor.Randn(d, tensor.BF16, tensor.NewRand(3), 1, n), Remainder: tensor.Zeros(d, tensor.U8, n, 2),
		M: tensor.Zeros(d, tensor.F32, n), V: tensor.Zeros(d, tensor.F32, n)}
	s.Param.SetTrainable(true)
	return s
}

// joined is the F32 weights of a parameter and its remainder.
func joined(s tensor.AdamWState) []float32 {
	w := make([]float32, s.Param.Len())
	rest := tensor.ToSlice[uint8](s.Remainder)
	for i, p := range tensor.ToSlice[tensor.BFloat16](s.Param) {
		r := int16(uint16(rest[2*i]) | uint16(rest[2*i+1])<<8)
		w[i] = math.Float32frombits(uint32(int32(uint32(p)<<16) + int32(r)))
	}
	return w
}

func TestRemaindersGiveTheWeightsOfMastersToTheBitOnEveryDevice(t *testing.T) {
	const n = 1003
	for name, device := range adamWDevices {
		for _, gradType := range []tensor.DType{tensor.F32, tensor.BF16} {
			d := device()
			s := remaindered(d, n)
			exact := tensor.NewTestDevice(0)
			e := tensor.AdamWState{Master: tensor.FromSlice(exact, joined(s)), M: tensor.Zeros(exact, tensor.F32, n), V: tensor.Zeros(exact, tensor.F32, n)}
			e.Param = e.Master
			for step := range 20 {
				grad := tensor.Randn(d, gradType, tensor.NewRand(uint64(step)), 1, n)
				tensor.AdamWStep(s, grad, adamWHyper(d, step+1, 0.5), adamWConstants)
				tensor.AdamWStep(e, tensor.Randn(exact, gradType, tensor.NewRand(uint64(step)), 1, n), adamWHyper(exact, step+1, 0.5), adamWConstants)
			}
			if !slices.Equal(joined(s), tensor.ToSlice[float32](e.Master)) || !slices.Equal(s.M.Bytes(), e.M.Bytes()) || !slices.Equal(s.V.Bytes(), e.V.Bytes()) {
				t.Errorf("%s, %s gradients: not what the master gives", name, gradType)
			}
		}
	}
}

func TestPackedMomentsAreTheSameBitsOnEveryDevice(t *testing.T) {
	const n = 1003
	for _, dt := range []tensor.DType{tensor.BF16, tensor.U8} {
		var first []byte
		for name, device := range adamWDevices {
			d := device()
			s := remaindered(d, n)
			s.M, s.V = tensor.Zeros(d, dt, n), tensor.Zeros(d, dt, n)
			if dt == tensor.U8 {
				s.MScale, s.VScale = tensor.Zeros(d, tensor.F32, tensor.AdamWBlocks(s.Param)), tensor.Zeros(d, tensor.F32, tensor.AdamWBlocks(s.Param))
			}
			for step := range 5 {
				tensor.AdamWStep(s, tensor.Randn(d, tensor.F32, tensor.NewRand(uint64(step)), 1, n), adamWHyper(d, step+1, 0.5), adamWConstants)
			}
			all := slices.Concat(s.Param.Bytes(), s.Remainder.Bytes(), s.M.Bytes(), s.V.Bytes())
			if first == nil {
				first = all
			} else if !slices.Equal(all, first) {
				t.Errorf("%s: %s moments differ", dt, name)
			}
		}
	}
}

func TestMisuseOfAdamWStepPanicsAndSaysWhat(t *testing.T) {
	d := tensor.NewTestDevice(0)
	x, y := tensor.Ones(d, tensor.F32, 2), tensor.Ones(d, tensor.F32, 3)
	hyper := tensor.Ones(d, tensor.F32, tensor.AdamWHyper)
	codes := tensor.Zeros(d, tensor.U8, 2)
	bf16, rest, double := tensor.Ones(d, tensor.BF16, 2), tensor.Zeros(d, tensor.U8, 2, 2), tensor.Ones(d, tensor.F64, 2)
	plain := tensor.AdamWState{Param: x, Master: x, M: x, V: x}
	for what, c := range map[string]struct {
		change func(s *tensor.AdamWState)
		grad   *tensor.Tensor
		hyper  *tensor.Tensor
		want   string
	}{
		"another shape":            {func(s *tensor.AdamWState) { s.V = y }, x, hyper, "one shape"},
		"another hyper":            {func(*tensor.AdamWState) {}, x, x, "hyper F32 [6]"},
		"no weights":               {func(s *tensor.AdamWState) { s.Master = nil }, x, hyper, "a master or a remainder"},
		"both":                     {func(s *tensor.AdamWState) { s.Param, s.Remainder = bf16, rest }, x, hyper, "without a master"},
		"a remainder of F32":       {func(s *tensor.AdamWState) { s.Master, s.Remainder = nil, rest }, x, hyper, "beside a BF16 parameter"},
		"a remainder of one byte":  {func(s *tensor.AdamWState) { s.Param, s.Master, s.Remainder = bf16, nil, tensor.Zeros(d, tensor.U8, 2) }, x, hyper, "U8 [..., 2]"},
		"moments of another dtype": {func(s *tensor.AdamWState) { s.M = double }, x, hyper, "two moments of the weights' dtype"},
		"codes without scales":     {func(s *tensor.AdamWState) { s.M, s.V = codes, codes }, x, hyper, "scales F32 [1]"},
		"too many scales":          {func(s *tensor.AdamWState) { s.M, s.V, s.MScale, s.VScale = codes, codes, y, y }, x, hyper, "scales F32 [1]"},
		"scales without codes":     {func(s *tensor.AdamWState) { s.MScale = tensor.Ones(d, tensor.F32, 1) }, x, hyper, "none beside others"},
		"gradients of F64":         {func(*tensor.AdamWState) {}, double, hyper, "gradients of the weights' dtype"},
		"integers":                 {func(s *tensor.AdamWState) { s.Master = tensor.Zeros(d, tensor.I32, 2) }, x, hyper, "F32 or F64 weights"},
	} {
		s := plain
		c.change(&s)
		mustSay(t, what, func() { tensor.AdamWStep(s, c.grad, c.hyper, adamWConstants) }, "AdamWStep", c.want)
	}
}
