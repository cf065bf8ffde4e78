package backendtest_test

import (
	"runtime"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/backend/backendtest"
	"github.com/hone-ml/hone/internal/cpu"
)

// mutant is the CPU with one thing wrong: damage is called after a kernel, named by key, with its
// output, and replace may stand in for one.
type mutant struct {
	*cpu.Backend
	key    string
	damage func(out *backend.View)
}

func (m mutant) after(key string, out *backend.View) {
	if key == m.key && out != nil {
		m.damage(out)
	}
}

// lastElement is the address of the element with the highest indices.
func lastElement(v *backend.View) unsafe.Pointer {
	offset := 0
	for axis, d := range v.Dims() {
		offset += (d - 1) * v.Strides[axis]
	}
	return unsafe.Add(v.Ptr, offset*v.DType.Size())
}

// nudge adds a thousandth to the last element, if the output is one of many in F32.
func nudge(v *backend.View) {
	if v.DType == backend.F32 && v.Len() > 100 {
		*(*float32)(lastElement(v)) += 1e-3
	}
}

// bump adds one to the last element of an output of integers, or to the bits of a bfloat16, or flips a bool.
func bump(v *backend.View) {
	if v.Len() == 0 {
		return
	}
	switch p := lastElement(v); v.DType {
	case backend.I32:
		*(*int32)(p)++
	case backend.BF16:
		*(*uint16)(p)++
	case backend.U8:
		*(*uint8)(p)++
	case backend.Bool:
		*(*uint8)(p) ^= 1
	}
}

// replace puts another code for the last of many.
func replace(v *backend.View) {
	if v.Len() > 100 {
		*(*uint8)(lastElement(v)) ^= 0x18
	}
}

// overrun writes one element behind the last.
func overrun(v *backend.View) {
	if v.Len() > 0 {
		clear(unsafe.Slice((*byte)(unsafe.Add(lastElement(v), v.DType.Size())), v.DType.Size()))
	}
}

// scheduled makes the last bit of the result depend on the number of processors.
func scheduled(v *backend.View) {
	if v.DType == backend.F32 && v.Len() > 100 && runtime.GOMAXPROCS(0) == 2 {
		*(*uint32)(lastElement(v)) ^= 1
	}
}

func (m mutant) Fill(out *backend.View, v float64) { m.Backend.Fill(out, v); m.after("Fill", out) }
func (m mutant) Arange(out *backend.View, start, step float64) {
	m.Backend.Arange(out, start, step)
	m.after("Arange", out)
}
func (m mutant) Random(out *backend.View, d backend.Dist, key, counter uint64, lo, hi float64) {
	m.Backend.Random(out, d, key, counter, lo, hi)
	m.after("Random", out)
}
func (m mutant) Copy(out, x *backend.View) { m.Backend.Copy(out, x); m.after("Copy", out) }
func (m mutant) Unary(op backend.UnaryOp, out, x *backend.View) {
	m.Backend.Unary(op, out, x)
	m.after("Unary", out)
}
func (m mutant) Binary(op backend.BinaryOp, out, x, y *backend.View) {
	m.Backend.Binary(op, out, x, y)
	m.after("Binary", out)
}
func (m mutant) Scalar(op backend.BinaryOp, out, x *backend.View, s float64) {
	m.Backend.Scalar(op, out, x, s)
	m.after("Scalar", out)
}
func (m mutant) Where(out, cond, x, y *backend.View) {
	m.Backend.Where(out, cond, x, y)
	m.after("Where", out)
}
func (m mutant) Reduce(op backend.ReduceOp, out, x *backend.View) {
	m.Backend.Reduce(op, out, x)
	m.after("Reduce", out)
}
func (m mutant) MatMul(out, x, y *backend.View, accumulate bool) {
	m.Backend.MatMul(out, x, y, accumulate && m.key != "overwrites")
	m.after("MatMul", out)
}
func (m mutant) MatMulAdd(out, x, y, bias, residual *backend.View) {
	switch m.key {
	case "no bias":
		bias = nil
	case "no residual":
		residual = nil
	case "first bias": // its first element for every column
		if bias != nil {
			first := *bias
			first.Strides[0] = 0
			bias = &first
		}
	}
	m.Backend.MatMulAdd(out, x, y, bias, residual)
	m.after("MatMulAdd", out)
}
func (m mutant) Gather(out, x, index *backend.View) {
	m.Backend.Gather(out, x, index)
	m.after("Gather", out)
}
func (m mutant) ScatterAdd(out, index, x *backend.View) {
	m.Backend.ScatterAdd(out, index, x)
	m.after("ScatterAdd", out)
}
func (m mutant) Scan(out, a, b *backend.View, axis int, start float64, reverse bool) {
	if m.key == "no start" {
		start = 0
	}
	m.Backend.Scan(out, a, b, axis, start, reverse && m.key != "from the front")
	m.after("Scan", out)
}
func (m mutant) Sort(index, x *backend.View, descending bool) {
	if m.key == "unstable" && descending { // the ascending order, backwards
		whole := *index
		m.Backend.Sort(&whole, x, false)
		if last := index.Rank - 1; last >= 0 && index.Shape[last] == x.Shape[last] {
			for i := range index.Len() / max(index.Shape[last], 1) {
				n := index.Shape[last]
				slices.Reverse(unsafe.Slice((*int32)(index.Ptr), index.Len())[i*n : i*n+n])
			}
			return
		}
	}
	m.Backend.Sort(index, x, descending)
	m.after("Sort", index)
}
func (m mutant) Softmax(out, x *backend.View) { m.Backend.Softmax(out, x); m.after("Softmax", out) }
func (m mutant) SoftmaxBackward(dx, dy, y *backend.View) {
	m.Backend.SoftmaxBackward(dx, dy, y)
	m.after("SoftmaxBackward", dx)
}
func (m mutant) RMSNorm(out, rstd, x, w *backend.View, eps float64) {
	m.Backend.RMSNorm(out, rstd, x, w, eps)
	m.after("RMSNorm", out)
}
func (m mutant) RMSNormBackward(dx, dw, dy, x, w, rstd *backend.View) {
	if m.key == "overwrites" && dw != nil {
		m.Fill(dw, 0)
	}
	m.Backend.RMSNormBackward(dx, dw, dy, x, w, rstd)
	m.after("RMSNormBackward dx", dx)
	m.after("RMSNormBackward dw", dw)
}
func (m mutant) RoPE(out, x, cos, sin *backend.View, inverse bool) {
	m.Backend.RoPE(out, x, cos, sin, inverse && m.key != "forward only")
	m.after("RoPE", out)
}
func (m mutant) LayerNorm(out, mean, rstd, x, w, b *backend.View, eps float64) {
	m.Backend.LayerNorm(out, mean, rstd, x, w, b, eps)
	m.after("LayerNorm out", out)
	m.after("LayerNorm mean", mean)
	m.after("LayerNorm rstd", rstd)
}
func (m mutant) LayerNormBackward(dx, dw, db, dy, x, w, mean, rstd *backend.View) {
	if m.key == "overwrites" && db != nil {
		m.Fill(db, 0)
	}
	m.Backend.LayerNormBackward(dx, dw, db, dy, x, w, mean, rstd)
	m.after("LayerNormBackward dx", dx)
	m.after("LayerNormBackward dw", dw)
	m.after("LayerNormBackward db", db)
}
func (m mutant) NormRoPE(out, rstd, x, w, cos, sin *backend.View, eps float64) {
	m.Backend.NormRoPE(out, rstd, x, w, cos, sin, eps)
	m.after("NormRoPE out", out)
	m.after("NormRoPE rstd", rstd)
}
func (m mutant) NormRoPEBackward(dx, dw, dy, x, w, rstd, cos, sin *backend.View) {
	if m.key == "overwrites" && dw != nil {
		m.Fill(dw, 0)
	}
	m.Backend.NormRoPEBackward(dx, dw, dy, x, w, rstd, cos, sin)
	m.after("NormRoPEBackward dx", dx)
	m.after("NormRoPEBackward dw", dw)
}
func (m mutant) SwiGLU(out, gate, up *backend.View) {
	m.Backend.SwiGLU(out, gate, up)
	m.after("SwiGLU", out)
}
func (m mutant) SwiGLUBackward(dgate, dup, dy, gate, up *backend.View) {
	m.Backend.SwiGLUBackward(dgate, dup, dy, gate, up)
	m.after("SwiGLUBackward dgate", dgate)
	m.after("SwiGLUBackward dup", dup)
}

// broken is the arguments of attention, misunderstood.
func (m mutant) broken(q, k *backend.View, a backend.AttentionArgs) backend.AttentionArgs {
	switch m.key {
	case "no mask":
		a.Causal = false
	case "no scale":
		a.Scale = 1
	case "top left": // the mask aligned as if keys began with the queries
		a.Segments = slices.Clone(a.Segments)
		for i := range a.Segments {
			if s := &a.Segments[i]; a.Causal && s.K1-s.K0 > s.Q1-s.Q0 {
				s.K1 = s.K0 + s.Q1 - s.Q0
			}
		}
	case "no segments":
		if len(a.Segments) > 1 {
			a.Segments = []backend.Segment{{Q1: int32(q.Shape[0]), K1: int32(k.Shape[0])}}
		}
	}
	return a
}
func (m mutant) Attention(out, lse, q, k, v *backend.View, a backend.AttentionArgs) {
	m.Backend.Attention(out, lse, q, k, v, m.broken(q, k, a))
	m.after("Attention", out)
	m.after("Attention lse", lse)
}
func (m mutant) AttentionBackward(dq, dk, dv, dout, out, lse, q, k, v *backend.View, a backend.AttentionArgs) {
	m.Backend.AttentionBackward(dq, dk, dv, dout, out, lse, q, k, v, a)
	m.after("AttentionBackward dq", dq)
	m.after("AttentionBackward dk", dk)
	m.after("AttentionBackward dv", dv)
}
func (m mutant) CrossEntropy(loss, lse, logits, targets *backend.View, a backend.CrossEntropyArgs) {
	if m.key == "no smoothing" {
		a.Smoothing = 0
	}
	m.Backend.CrossEntropy(loss, lse, logits, targets, a)
	m.after("CrossEntropy loss", loss)
	m.after("CrossEntropy lse", lse)
}
func (m mutant) CrossEntropyPart(loss, lse, state, logits, targets *backend.View, a backend.CrossEntropyArgs) {
	if m.key == "parts forgotten" && a.First > 0 {
		m.Backend.Fill(state, 0)
	}
	m.Backend.CrossEntropyPart(loss, lse, state, logits, targets, a)
	if loss != nil {
		m.after("CrossEntropyPart loss", loss)
	}
}
func (m mutant) CrossEntropyBackward(dlogits, logits, lse, targets, scale *backend.View, a backend.CrossEntropyArgs) {
	if m.key == "float32 only" && dlogits.DType != logits.DType {
		return
	}
	if m.key == "no part but the first" && a.First > 0 {
		return
	}
	m.Backend.CrossEntropyBackward(dlogits, logits, lse, targets, scale, a)
	m.after("CrossEntropyBackward", dlogits)
}
func (m mutant) AdamW(state backend.AdamWState, grad, hyper *backend.View, a backend.AdamWArgs) {
	m.Backend.AdamW(state, grad, hyper, a)
	for name, v := range map[string]*backend.View{"param": state.Param, "master": state.Master, "remainder": state.Remainder, "m": state.M, "v": state.V, "mScale": state.MScale, "vScale": state.VScale, "grad": grad} {
		if v != nil {
			m.after("AdamW "+name, v)
			if v.DType == backend.U8 && state.Remainder == nil {
				m.after("AdamW codes of "+name, v)
			}
		}
	}
}
func (m mutant) Muon(matrices []backend.MuonState, hyper, scratch *backend.View, a backend.MuonArgs) {
	m.Backend.Muon(matrices, hyper, scratch, a)
	for _, s := range matrices {
		m.after("Muon master", s.Master)
		m.after("Muon momentum", s.Momentum)
		m.after("Muon grad", s.Grad)
		if s.Param != nil {
			m.after("Muon param", s.Param)
		}
	}
}
func (m mutant) SGD(state backend.MomentumState, grad, hyper *backend.View, a backend.SGDArgs) {
	m.Backend.SGD(state, grad, hyper, a)
	m.afterMomentum("SGD", state, grad)
}
func (m mutant) Lion(state backend.MomentumState, grad, hyper *backend.View, a backend.LionArgs) {
	m.Backend.Lion(state, grad, hyper, a)
	m.afterMomentum("Lion", state, grad)
}
func (m mutant) Adafactor(state backend.AdafactorState, grad, hyper *backend.View, a backend.AdafactorArgs) {
	m.Backend.Adafactor(state, grad, hyper, a)
	m.afterMomentum("Adafactor", backend.MomentumState{WeightState: state.WeightState}, grad)
	for name, v := range map[string]*backend.View{"row": state.Row, "col": state.Col, "v": state.V} {
		if v != nil {
			m.after("Adafactor "+name, v)
		}
	}
}
func (m mutant) afterMomentum(kernel string, s backend.MomentumState, grad *backend.View) {
	for name, v := range map[string]*backend.View{"param": s.Param, "master": s.Master, "remainder": s.Remainder, "m": s.M, "grad": grad} {
		if v != nil {
			m.after(kernel+" "+name, v)
		}
	}
}
func (m mutant) SumSquares(out, x *backend.View, chunk int) {
	m.Backend.SumSquares(out, x, chunk)
	m.after("SumSquares", out)
}
func (m mutant) Quantize(out, x *backend.View) {
	m.Backend.Quantize(out, x)
	if n := out.DType.Bytes(out.Len()); m.key == "Quantize" && n > 0 {
		bytes := unsafe.Slice((*byte)(out.Ptr), n)
		bytes[n-1]++
	}
}
func (m mutant) Dequantize(out, x *backend.View) {
	m.Backend.Dequantize(out, x)
	m.after("Dequantize", out)
}
func (m mutant) MatMulQuantized(out, x, w *backend.View, accumulate bool) {
	m.Backend.MatMulQuantized(out, x, w, accumulate && m.key != "overwrites")
	m.after("MatMulQuantized", out)
}

func TestSuiteCatchesEveryMutant(t *testing.T) {
	tests := []struct {
		name, key string // what is wrong, and in which kernel; the case is the key's first word unless given
		damage    func(out *backend.View)
		in        string
	}{
		{"a thousandth too much", "Fill", nudge, ""},
		{"a thousandth too much", "Arange", nudge, ""},
		{"a thousandth too much", "Random", nudge, ""},
		{"a thousandth too much", "Copy", nudge, ""},
		{"a thousandth too much", "Unary", nudge, ""},
		{"a thousandth too much", "Binary", nudge, ""},
		{"a thousandth too much", "Scalar", nudge, ""},
		{"a thousandth too much", "Where", nudge, ""},
		{"a thousandth too much", "Reduce", nudge, ""},
		{"a thousandth too much", "MatMul", nudge, ""},
		{"a thousandth too much", "MatMulAdd", nudge, ""},
		{"rounded another way", "MatMulAdd", bump, ""},
		{"the bias dropped", "no bias", nil, "MatMulAdd"},
		{"the residual dropped", "no residual", nil, "MatMulAdd"},
		{"a bias of one element", "first bias", nil, "MatMulAdd"},
		{"a write behind the output", "MatMulAdd", overrun, ""},
		{"bits that depend on the processors", "MatMulAdd", scheduled, ""},
		{"a thousandth too much", "Gather", nudge, ""},
		{"a thousandth too much", "ScatterAdd", nudge, ""},
		{"a thousandth too much", "Scan", nudge, ""},
		{"a write behind the output", "Scan", overrun, ""},
		{"bits that depend on the processors", "Scan", scheduled, ""},
		{"begun with 0", "no start", nil, "Scan"},
		{"reverse ignored", "from the front", nil, "Scan"},
		{"another place", "Sort", bump, ""},
		{"equals turned around", "unstable", nil, "Sort"},
		{"a thousandth too much", "Softmax", nudge, ""},
		{"a thousandth too much", "SoftmaxBackward", nudge, "Softmax"},
		{"a thousandth too much", "RMSNorm", nudge, ""},
		{"a thousandth too much", "RMSNormBackward dx", nudge, "RMSNorm"},
		{"a thousandth too much", "RMSNormBackward dw", nudge, "RMSNorm"},
		{"a thousandth too much", "RoPE", nudge, ""},
		{"a thousandth too much", "SwiGLU", nudge, ""},
		{"a thousandth too much", "SwiGLUBackward dgate", nudge, "SwiGLU"},
		{"a thousandth too much", "SwiGLUBackward dup", nudge, "SwiGLU"},
		{"a thousandth too much", "Attention", nudge, ""},
		{"a thousandth too much", "Attention lse", nudge, "Attention"},
		{"a thousandth too much", "AttentionBackward dq", nudge, "Attention"},
		{"a thousandth too much", "AttentionBackward dk", nudge, "Attention"},
		{"a thousandth too much", "AttentionBackward dv", nudge, "Attention"},
		{"a thousandth too much", "CrossEntropy loss", nudge, "CrossEntropy"},
		{"a thousandth too much", "CrossEntropy lse", nudge, "CrossEntropy"},
		{"a thousandth too much", "CrossEntropyBackward", nudge, "CrossEntropy"},
		{"a thousandth too much", "AdamW master", nudge, "AdamW"},
		{"a thousandth too much", "AdamW m", nudge, "AdamW"},
		{"a thousandth too much", "AdamW v", nudge, "AdamW"},
		{"rounded another way", "AdamW param", bump, "AdamW"},
		{"another remainder", "AdamW remainder", bump, "AdamW"},
		{"a code far off", "AdamW codes of m", replace, "AdamW"},
		{"a code far off", "AdamW codes of v", replace, "AdamW"},
		{"a thousandth too much", "AdamW mScale", nudge, "AdamW"},
		{"a thousandth too much", "AdamW vScale", nudge, "AdamW"},
		{"a changed input", "AdamW grad", nudge, "AdamW"},
		{"a thousandth too much", "Muon master", nudge, "Muon"},
		{"a thousandth too much", "Muon momentum", nudge, "Muon"},
		{"rounded another way", "Muon param", bump, "Muon"},
		{"a changed input", "Muon grad", nudge, "Muon"},
		{"a thousandth too much", "SGD master", nudge, "SGD"},
		{"a thousandth too much", "SGD m", nudge, "SGD"},
		{"rounded another way", "SGD param", bump, "SGD"},
		{"another remainder", "SGD remainder", bump, "SGD"},
		{"a changed input", "SGD grad", nudge, "SGD"},
		{"a thousandth too much", "Lion master", nudge, "Lion"},
		{"a thousandth too much", "Lion m", nudge, "Lion"},
		{"rounded another way", "Lion param", bump, "Lion"},
		{"another remainder", "Lion remainder", bump, "Lion"},
		{"a changed input", "Lion grad", nudge, "Lion"},
		{"a thousandth too much", "Adafactor master", nudge, "Adafactor"},
		{"a thousandth too much", "Adafactor row", nudge, "Adafactor"},
		{"a thousandth too much", "Adafactor col", nudge, "Adafactor"},
		{"a thousandth too much", "Adafactor v", nudge, "Adafactor"},
		{"rounded another way", "Adafactor param", bump, "Adafactor"},
		{"another remainder", "Adafactor remainder", bump, "Adafactor"},
		{"a changed input", "Adafactor grad", nudge, "Adafactor"},
		{"a thousandth too much", "SumSquares", nudge, ""},
		{"another step", "Quantize", nil, ""},
		{"a thousandth too much", "Dequantize", nudge, "Quantize"},
		{"a thousandth too much", "MatMulQuantized", nudge, ""},
		{"a write behind the output", "MatMulQuantized", overrun, ""},
		{"accumulate ignored", "overwrites", nil, "MatMulQuantized"},
		{"bits that depend on the processors", "MatMulQuantized", scheduled, ""},
		{"another number", "Random", bump, ""},
		{"another index", "Reduce", bump, ""},
		{"a flipped comparison", "Binary", bump, ""},
		{"a flipped comparison", "Scalar", bump, ""},
		{"a write behind the output", "Copy", overrun, ""},
		{"a write behind the output", "MatMul", overrun, ""},
		{"a write behind the output", "Attention", overrun, ""},
		{"bits that depend on the processors", "MatMul", scheduled, ""},
		{"bits that depend on the processors", "Reduce", scheduled, ""},
		{"bits that depend on the processors", "AttentionBackward dq", scheduled, "Attention"},
		{"accumulate ignored", "overwrites", nil, "MatMul"},
		{"dw overwritten", "overwrites", nil, "RMSNorm"},
		{"inverse ignored", "forward only", nil, "RoPE"},
		{"a thousandth too much", "LayerNorm out", nudge, "LayerNorm"},
		{"a thousandth too much", "LayerNorm mean", nudge, "LayerNorm"},
		{"a thousandth too much", "LayerNorm rstd", nudge, "LayerNorm"},
		{"a thousandth too much", "LayerNormBackward dx", nudge, "LayerNorm"},
		{"a thousandth too much", "LayerNormBackward dw", nudge, "LayerNorm"},
		{"a thousandth too much", "LayerNormBackward db", nudge, "LayerNorm"},
		{"db overwritten", "overwrites", nil, "LayerNorm"},
		{"a thousandth too much", "NormRoPE out", nudge, "NormRoPE"},
		{"a thousandth too much", "NormRoPE rstd", nudge, "NormRoPE"},
		{"a thousandth too much", "NormRoPEBackward dx", nudge, "NormRoPE"},
		{"a thousandth too much", "NormRoPEBackward dw", nudge, "NormRoPE"},
		{"dw overwritten", "overwrites", nil, "NormRoPE"},
		{"the causal mask dropped", "no mask", nil, "Attention"},
		{"the scale dropped", "no scale", nil, "Attention"},
		{"the mask aligned top left", "top left", nil, "Attention"},
		{"segments ignored", "no segments", nil, "Attention"},
		{"smoothing ignored", "no smoothing", nil, "CrossEntropy"},
		{"a thousandth too much", "CrossEntropyPart loss", nudge, "CrossEntropy"},
		{"earlier parts of a row forgotten", "parts forgotten", nil, "CrossEntropy"},
		{"gradients of later parts left out", "no part but the first", nil, "CrossEntropy"},
		{"gradients in BF16 left out", "float32 only", nil, "CrossEntropy"},
	}
	for _, test := range tests {
		t.Run(test.name+" in "+test.key, func(t *testing.T) {
			name := test.in
			if name == "" {
				name, _, _ = strings.Cut(test.key, " ")
			}
			failures := backendtest.Failures(mutant{cpu.New(), test.key, test.damage}, name)
			if len(failures) == 0 {
				t.Errorf("the case %s found nothing wrong", name)
			} else {
				t.Log(failures[0])
			}
		})
	}
}

// bare hides the optional kernels of a backend.
type bare struct{ backend.Backend }

func TestOptionalKernelsAreTestedWhereTheyExist(t *testing.T) {
	for _, name := range []string{"Softmax", "RMSNorm", "LayerNorm", "RoPE", "NormRoPE", "SwiGLU", "Attention", "CrossEntropy", "AdamW", "Muon", "SGD", "Lion", "Adafactor", "SumSquares", "Quantize", "MatMulQuantized", "MatMulAdd"} {
		if backendtest.Supported(bare{cpu.New()}, name) {
			t.Errorf("%s would be tested on a backend without it", name)
		}
		if !backendtest.Supported(cpu.New(), name) {
			t.Errorf("%s would be skipped on a backend that has it", name)
		}
	}
}
