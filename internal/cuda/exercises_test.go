package cuda

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/hone-ml/hone/internal/backend"
	"github.com/hone-ml/hone/internal/cpu"
	"github.com/hone-ml/hone/internal/cuda/kernels"
)

// An exercise runs the ops behind a kernel in all the ways that tell its instructions apart: odd shapes, edges of tiles and
// of vectors, magnitudes of which each matters. The mutation gate breaks kernels under exercises, so they are small.
type exercise func(r *rig)

// exercises are by family: what to run for a kernel.
var exercises = map[string]func(kernel string) exercise{
	"rmsnorm": normExercise, "layernorm": normExercise, "rowsums": normExercise, "rope": ropeExercise, "swiglu": swigluExercise,
	"softmax": softmaxExercise, "crossentropy": crossEntropyExercise, "sumsquares": sumSquaresExercise,
	"fill": fillExercise, "random": randomExercise, "copy": copyExercise, "unary": unaryExercise, "unary_vectors": unaryExercise,
	"activation": activationExercise, "binary": binaryExercise, "gather": gatherExercise, "scatter": scatterExercise,
	"reduce": reduceExercise, "scan": scanExercise, "sort": sortExercise,
	"gemm": tiledExercise, "gemm_f16": tiledExercise, "gemm_f32": tiledExercise, "gemm_other": otherProductExercise,
	"thin": thinExercise, "thin_across": thinExercise,
	"attention": attentionExercise, "attention_backward": attentionExercise, "attention_few": attentionExercise, "attention_other": anyAttentionExercise,
	"adamw": optimizerExercise, "momentum": optimizerExercise, "quantized": quantizedExercise,
}

// operations are what a rig may ask of a backend.
type operations interface {
	backend.Backend
	backend.ActivationDeriver
	backend.AdamWer
	backend.Attentioner
	backend.CrossEntropyer
	backend.LayerNormer
	backend.Lioner
	backend.MatMulAdder
	backend.NormRoPEr
	backend.QuantizedMatMuler
	backend.Quantizer
	backend.RMSNormer
	backend.RoPEr
	backend.Scanner
	backend.SGDer
	backend.Softmaxer
	backend.Sorter
	backend.SquareSummer
	backend.SwiGLUer
}

// A rig runs exercises on inputs that are always the same ones, and keeps what comes out.
type rig struct {
	t       testing.TB
	b       operations
	rng     *rand.Rand
	free    []func()
	open    []output // of ops that are not settled yet
	results []result // of those that are
	check   func(i int, r result) error
}

// An output is memory that an op wrote, with what lies before it.
type output struct {
	base  unsafe.Pointer
	bytes int
	dtype backend.DType
}

// A result is an output as numbers.
type result struct {
	values []float64
	dtype  backend.DType
}

// What is before inputs and outputs, and in these before they are written, is numbers like others, so that nobody takes them
// for zero. Behind them there is nothing: the simulator reports who goes there.
const pattern = 0x40

// put uploads bytes that begin so many elements from where vectors may.
func (r *rig) put(dt backend.DType, raw []byte, offset int, shape ...int) *backend.View {
	before := offset * dt.Size()
	raw = slices.Concat(bytes.Repeat([]byte{pattern}, before), raw)
	p, err := r.b.Alloc(len(raw))
	if err != nil {
		r.t.Fatal(err)
	}
	r.free = append(r.free, func() { r.b.Free(p, len(raw)) })
	r.b.CopyIn(p, raw)
	v := backend.NewView(unsafe.Add(p, before), dt, shape...)
	return &v
}

// in draws an input.
func (r *rig) in(dt backend.DType, offset int, shape ...int) *backend.View {
	v := backend.NewView(nil, dt, shape...)
	return r.put(dt, encode(r.t, dt, normals(r.rng, 1, v.Len())), offset, shape...)
}

func (r *rig) positive(dt backend.DType, offset int, shape ...int) *backend.View {
	v := backend.NewView(nil, dt, shape...)
	x := normals(r.rng, 1, v.Len())
	for i := range x {
		x[i] = math.Abs(x[i]) + 0.1
	}
	return r.put(dt, encode(r.t, dt, x), offset, shape...)
}

// out is memory for a result, which is kept.
func (r *rig) out(dt backend.DType, offset int, shape ...int) *backend.View {
	v := backend.NewView(nil, dt, shape...)
	return r.keep(r.put(dt, bytes.Repeat([]byte{pattern}, dt.Bytes(v.Len())), offset, shape...), offset)
}

func (r *rig) keep(v *backend.View, offset int) *backend.View {
	before := offset * v.DType.Size()
	r.open = append(r.open, output{unsafe.Add(v.Ptr, -before), before + v.DType.Bytes(v.Len()), v.DType})
	return v
}

// settle waits for the ops so far, checks what they wrote and gives the memory back: an exercise calls it between one
// shape and the next, so that a broken kernel is noticed early.
func (r *rig) settle() {
	if err := r.b.Sync(); err != nil {
		panic(err)
	}
	for _, o := range r.open {
		raw := make([]byte, o.bytes)
		r.b.CopyOut(raw, o.base)
		r.results = append(r.results, result{decode(o.dtype, raw), o.dtype})
		if last := len(r.results) - 1; r.check != nil {
			if err := r.check(last, r.results[last]); err != nil {
				panic(err)
			}
		}
	}
	r.release()
}

func (r *rig) release() {
	for _, f := range slices.Backward(r.free) {
		f()
	}
	r.free, r.open = nil, nil
}

// run is what an exercise leaves in memory, or what stopped it: a panic, or the error of check.
func (r *rig) run(e exercise) (out []result, err error) {
	r.rng, r.results = rand.New(rand.NewPCG(21, 22)), nil
	defer func() {
		if err != nil {
			_ = r.b.Sync() // what is told first says more
		}
		r.release()
	}()
	defer func() {
		switch v := recover().(type) {
		case nil:
		case error:
			err = v
		default:
			err = fmt.Errorf("panic: %v", v)
		}
	}()
	if b, ok := r.b.(*Backend); ok {
		for class, pieces := range b.spare.free { // what an earlier run left there must not help
			for _, p := range pieces {
				if err := b.ctx.Set(p, 0xff, 1<<class, b.compute); err != nil {
					return nil, err
				}
			}
		}
	}
	e(r)
	r.settle()
	return r.results, nil
}

// elementwise are the families whose numbers each depend on a few others: beside large ones small ones keep their digits.
var elementwise = []string{"unary", "unary_vectors", "activation", "binary", "fill", "random", "copy", "gather"}

// differs says where results of a family differ by more than precision explains, slack times as much as rounding does, or,
// without slack, at all.
func differs(family string, got, want result, slack float64) error {
	largest := 0.0
	for _, w := range want.values {
		if !math.IsInf(w, 0) && !math.IsNaN(w) {
			largest = math.Max(largest, math.Abs(w))
		}
	}
	if slices.Contains(elementwise, family) {
		largest = min(largest, 1)
	}
	relative, absolute := 1e-5, 1e-6*largest
	switch want.dtype {
	case backend.F64:
		relative, absolute = 1e-12, 1e-13*largest
	case backend.BF16:
		relative, absolute = 1.0/128, 1e-4*largest
		if strings.HasPrefix(family, "attention") { // of which the weights are rounded, too
			absolute = 1e-3 * largest
		}
	case backend.F16:
		relative, absolute = 1.0/512, 1e-4*largest
	}
	if !want.dtype.IsFloat() {
		slack = 0
	}
	for j, w := range want.values {
		g := got.values[j]
		if math.IsNaN(g) != math.IsNaN(w) || math.Abs(g-w) > slack*(relative*math.Abs(w)+absolute) || math.IsInf(g, 0) && g != w {
			return fmt.Errorf("element %d of %v is %v, want %v", j, want.dtype, g, w)
		}
	}
	return nil
}

// What exercises leave in memory is what the CPU leaves there.
func TestExercisesAgreeWithTheCPU(t *testing.T) {
	if testing.Short() {
		t.Skip("the exercises are for whole runs")
	}
	t.Parallel()
	exercisesAgree(t, openSimulator(t))
}

func TestExercisesAgreeWithTheCPUOnTheCard(t *testing.T) { exercisesAgree(t, openCard(t)) }

func exercisesAgree(t *testing.T, b *Backend) {
	for _, family := range kernels.Families() {
		if exercises[family] == nil {
			t.Errorf("there is no exercise for %s", family)
			continue
		}
		for _, kernel := range kernelsOf(t, family) {
			e := exercises[family](kernel)
			want, err := (&rig{t: t, b: cpu.New()}).run(e)
			if err != nil {
				t.Fatalf("%s, on the CPU: %v", kernel, err)
			}
			r := &rig{t: t, b: b, check: func(i int, r result) error {
				if err := differs(family, r, want[i], 8); err != nil {
					return fmt.Errorf("result %d: %w", i, err)
				}
				return nil
			}}
			got, err := r.run(e)
			if err == nil && len(got) != len(want) {
				err = errors.New("other results")
			}
			if err != nil {
				t.Errorf("%s: %v", kernel, err)
			}
			if launched := b.Statistics(); launched != nil && launched[kernel].WarpInstructions == 0 {
				t.Errorf("the exercise of %s does not run it", kernel)
			}
		}
	}
}

// kernelsOf lists the kernels of a family.
func kernelsOf(t *testing.T, family string) (names []string) {
	ptx, err := kernels.PTX(family)
	if err != nil {
		t.Fatal(err)
	}
	all, err := entries(ptx)
	if err != nil {
		t.Fatal(err)
	}
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
