package cuda

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/x448/float16"

	"github.com/hone-ml/hone/internal/backend"
)

// memory is what a backend has besides kernels.
type memory interface {
	Alloc(bytes int) (unsafe.Pointer, error)
	Free(p unsafe.Pointer, bytes int)
	CopyIn(dst unsafe.Pointer, src []byte)
	CopyOut(dst []byte, src unsafe.Pointer)
}

// upload puts numbers on a device, converted to dt, until the test ends.
func upload[T float32 | float64](t testing.TB, b memory, dt backend.DType, x []T, shape ...int) *backend.View {
	t.Helper()
	return uploadBytes(t, b, dt, encode(t, dt, x), shape...)
}

// encode is numbers as dt stores them.
func encode[T float32 | float64](t testing.TB, dt backend.DType, x []T) []byte {
	t.Helper()
	raw := make([]byte, 0, len(x)*dt.Size())
	for _, x := range x {
		v := float64(x)
		switch dt {
		case backend.F32:
			raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(float32(v)))
		case backend.F64:
			raw = binary.LittleEndian.AppendUint64(raw, math.Float64bits(v))
		case backend.BF16:
			bits := math.Float32bits(float32(v))
			if v == v {
				bits += 0x7fff + bits>>16&1
			}
			raw = binary.LittleEndian.AppendUint16(raw, uint16(bits>>16))
		case backend.F16:
			raw = binary.LittleEndian.AppendUint16(raw, float16.Fromfloat32(float32(v)).Bits())
		case backend.I32:
			raw = binary.LittleEndian.AppendUint32(raw, uint32(int32(v)))
		case backend.U8:
			raw = append(raw, byte(v))
		default:
			t.Fatalf("no encoding of %v", dt)
		}
	}
	return raw
}

func uploadBytes(t testing.TB, b memory, dt backend.DType, raw []byte, shape ...int) *backend.View {
	t.Helper()
	p, err := b.Alloc(len(raw))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Free(p, len(raw)) })
	b.CopyIn(p, raw)
	v := backend.NewView(p, dt, shape...)
	return &v
}

// empty is memory for a result, filled with what is no number.
func empty(t testing.TB, b memory, dt backend.DType, shape ...int) *backend.View {
	t.Helper()
	v := backend.NewView(nil, dt, shape...)
	raw := make([]byte, dt.Bytes(v.Len()))
	for i := range raw {
		raw[i] = 0xff
	}
	return uploadBytes(t, b, dt, raw, shape...)
}

func download(t testing.TB, b memory, v *backend.View) []byte {
	t.Helper()
	raw := make([]byte, v.DType.Bytes(v.Len()))
	b.CopyOut(raw, v.Ptr)
	return raw
}

// downloadFloats is a view as numbers.
func downloadFloats(t testing.TB, b memory, v *backend.View) []float64 {
	t.Helper()
	return decode(v.DType, download(t, b, v))
}

// decode is the numbers that dt stores so; of integers, the bytes.
func decode(dt backend.DType, raw []byte) []float64 {
	size := dt.Size()
	if !dt.IsFloat() {
		size = 1
	}
	out := make([]float64, len(raw)/size)
	for i := range out {
		switch dt {
		case backend.F32:
			out[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:])))
		case backend.F64:
			out[i] = math.Float64frombits(binary.LittleEndian.Uint64(raw[8*i:]))
		case backend.BF16:
			out[i] = float64(math.Float32frombits(uint32(binary.LittleEndian.Uint16(raw[2*i:])) << 16))
		case backend.F16:
			out[i] = float64(float16.Frombits(binary.LittleEndian.Uint16(raw[2*i:])).Float32())
		default:
			out[i] = float64(raw[i])
		}
	}
	return out
}

func normals(rng *rand.Rand, scale float64, n int) []float64 {
	x := make([]float64, n)
	for i := range x {
		x[i] = rng.NormFloat64() * scale
	}
	return x
}
