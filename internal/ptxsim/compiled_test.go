package ptxsim

import (
	"encoding/binary"
	"math"
	"math/rand"
	"os"
	"testing"
)

func reference(t testing.TB) *Module {
	t.Helper()
	source, err := os.ReadFile("testdata/reference.ptx")
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, string(source))
}

func floats(b []byte) []float32 {
	f := make([]float32, len(b)/4)
	for i := range f {
		f[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return f
}

func floatBytes(f []float32) []byte {
	var b []byte
	for _, x := range f {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
	}
	return b
}

func mustLaunch(t testing.TB, d *Device, k *Kernel, grid, block [3]int, params []byte) Stats {
	t.Helper()
	s, err := d.Launch(k, grid, block, 0, params)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestRowMaxEqualsGo(t *testing.T) {
	k := reference(t).Kernel("row_max")
	for _, n := range []int{1, 31, 128, 129, 1000} {
		d := device(t, Config{})
		r := rand.New(rand.NewSource(1))
		const rows = 5
		x := make([]float32, rows*n)
		for i := range x {
			x[i] = float32(r.NormFloat64()) - 3
		}
		out := alloc(t, d, 4*rows)
		s := mustLaunch(t, d, k, [3]int{rows, 1, 1}, [3]int{128, 1, 1}, arguments(out, upload(t, d, floatBytes(x)), n))
		for i, got := range floats(download(t, d, out, 4*rows)) {
			want := float32(math.Inf(-1))
			for _, v := range x[i*n : (i+1)*n] {
				want = max(want, v)
			}
			if got != want {
				t.Errorf("n=%d row %d: %v, want %v", n, i, got, want)
			}
		}
		if s.Barriers != rows || s.GlobalStoreBytes != 32*rows {
			t.Errorf("n=%d: %+v", n, s)
		}
	}
}

func TestHistogramByAtomicsEqualsGo(t *testing.T) {
	k := reference(t).Kernel("histogram")
	d := device(t, Config{Workers: 4})
	r := rand.New(rand.NewSource(2))
	x := make([]byte, 5000)
	var want [256]uint32
	for i := range x {
		x[i] = byte(r.Intn(20) * 5)
		want[x[i]]++
	}
	bins := upload(t, d, make([]byte, 1024))
	mustLaunch(t, d, k, [3]int{4, 1, 1}, [3]int{96, 1, 1}, arguments(bins, upload(t, d, x), len(x)))
	b := download(t, d, bins, 1024)
	for i := range want {
		if got := binary.LittleEndian.Uint32(b[4*i:]); got != want[i] {
			t.Errorf("bin %d: %d, want %d", i, got, want[i])
		}
	}
}

func TestDivergentPathsEqualGo(t *testing.T) {
	k := reference(t).Kernel("divergent")
	d := device(t, Config{})
	const n = 203
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(i%11) - 4.5
	}
	out := alloc(t, d, 4*n)
	s := mustLaunch(t, d, k, [3]int{2, 1, 1}, [3]int{128, 1, 1}, arguments(out, upload(t, d, floatBytes(x)), n))
	coefficients := []float32{1, 0.5, 0.25, 2, -1, 3, 0.125, -4}
	for i, got := range floats(download(t, d, out, 4*n)) {
		v := x[i]
		switch i % 7 {
		case 0:
			v *= coefficients[i&7]
		case 1:
			v += coefficients[i>>1&7]
		case 2:
			for range i % 13 {
				v = fma32(v, 0.5, 1)
			}
		case 3:
			v /= 3
		case 4:
			if v > 0 {
				v = -v
			} else {
				v--
			}
		case 5:
			v = float32(math.Sqrt(math.Abs(float64(v))))
		default:
			v = 0
		}
		if got != v {
			t.Errorf("element %d: %v, want %v", i, got, v)
		}
	}
	if s.DivergentBranches == 0 {
		t.Error("no branch diverged")
	}
}

// tileGEMM runs tile_gemm on random bfloat16 and returns the greatest error.
func tileGEMM(t testing.TB, d *Device, k *Kernel, m, n, depth int) (float64, Stats, error) {
	r := rand.New(rand.NewSource(3))
	random := func(count int) ([]byte, []float64) {
		b, f := make([]byte, 2*count), make([]float64, count)
		for i := range f {
			u := bfloatFromFloat32(uint64(math.Float32bits(float32(r.NormFloat64()))), roundNearest)
			binary.LittleEndian.PutUint16(b[2*i:], uint16(u))
			f[i], _ = bfloatPair(u)
		}
		return b, f
	}
	ab, a := random(m * depth)
	bb, b := random(n * depth)
	c := alloc(t, d, 4*m*n)
	s, err := d.Launch(k, [3]int{n / 8, m / 16, 1}, [3]int{32, 1, 1}, 0, arguments(c, upload(t, d, ab), upload(t, d, bb), n, depth))
	if err != nil {
		return 0, s, err
	}
	worst := 0.0
	for i, got := range floats(download(t, d, c, 4*m*n)) {
		want := 0.0
		for q := range depth {
			want += a[i/n*depth+q] * b[i%n*depth+q]
		}
		if e := math.Abs(float64(got) - want); !(e <= worst) {
			worst = e
		}
	}
	return worst, s, nil
}

func TestTensorCoreProductEqualsGo(t *testing.T) {
	k := reference(t).Kernel("tile_gemm")
	for _, shape := range [][3]int{{16, 8, 16}, {32, 24, 48}, {16, 16, 160}} {
		e, s, err := tileGEMM(t, device(t, Config{}), k, shape[0], shape[1], shape[2])
		if err != nil {
			t.Fatal(err)
		}
		if e > 1e-4 {
			t.Errorf("%v: error %g", shape, e)
		}
		if want := int64(shape[0] / 16 * shape[1] / 8 * shape[2] / 16); s.Mma != want {
			t.Errorf("%v: %d mma, want %d", shape, s.Mma, want)
		}
	}
}

func TestResultsCountsAndFaultsAreThoseOfOneWorker(t *testing.T) {
	m := reference(t)
	run := func(workers int) (Stats, string) {
		d := device(t, Config{Workers: workers})
		_, s, err := tileGEMM(t, d, m.Kernel("tile_gemm"), 64, 64, 64)
		if err != nil {
			t.Fatal(err)
		}
		// row_max with rows that overlap: every block but the first writes what another has read.
		x := alloc(t, d, 4*1000)
		if err := d.Set(x, 0, 4000); err != nil {
			t.Fatal(err)
		}
		_, err = d.Launch(m.Kernel("row_max"), [3]int{50, 1, 1}, [3]int{128, 1, 1}, 0, arguments(x, x+16, 20))
		f := fails(t, BlockRace, err)
		f.Address -= x
		f.Detail = ""
		return s, f.Error()
	}
	stats, fault := run(1)
	for range 5 {
		if s, f := run(4); s != stats || f != fault {
			t.Fatalf("four workers:\n%+v\n%s\none:\n%+v\n%s", s, f, stats, fault)
		}
	}
}

func BenchmarkTileGEMM(b *testing.B) {
	k := reference(b).Kernel("tile_gemm")
	d := device(b, Config{Workers: 1})
	var n int64
	for b.Loop() {
		_, s, err := tileGEMM(b, d, k, 64, 64, 256)
		if err != nil {
			b.Fatal(err)
		}
		n += s.WarpInstructions
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds()/1e6, "Mwarp-instr/s")
}

func BenchmarkRowMax(b *testing.B) {
	k := reference(b).Kernel("row_max")
	d := device(b, Config{Workers: 1})
	out, x := alloc(b, d, 4*64), upload(b, d, make([]byte, 4*64*4096))
	var n int64
	for b.Loop() {
		n += mustLaunch(b, d, k, [3]int{64, 1, 1}, [3]int{128, 1, 1}, arguments(out, x, 4096)).WarpInstructions
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds()/1e6, "Mwarp-instr/s")
}
