package mutate_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand"
	"os"
	"strings"
	"testing"

	"github.com/hone-ml/hone/internal/ptxsim"
	"github.com/hone-ml/hone/internal/ptxsim/mutate"
)

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile("../testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func pack(values ...any) []byte {
	var b []byte
	for _, v := range values {
		switch v := v.(type) {
		case uint64:
			b = binary.LittleEndian.AppendUint64(b, v)
		case int:
			b = binary.LittleEndian.AppendUint32(b, uint32(v))
		}
	}
	return b
}

// rowMax checks row_max on odd sizes, with magnitudes at which every reduction step decides a row.
func rowMax(m *ptxsim.Module) error {
	k := m.Kernel("row_max")
	for _, n := range []int{1, 2, 33, 128, 131, 400} {
		const rows = 70
		d := ptxsim.NewDevice(ptxsim.Config{Workers: 1, MaxInstructions: 1 << 18})
		defer d.Close()
		r := rand.New(rand.NewSource(int64(n)))
		x, want := make([]byte, 4*rows*n), make([]float32, rows)
		for i := range rows {
			want[i] = float32(math.Inf(-1))
			peak := r.Intn(n)
			for j := range n {
				v := -1e30 * float32(r.Float64()+1)
				if j == peak {
					v = 1e30 * float32(r.Float64())
				}
				want[i] = max(want[i], v)
				binary.LittleEndian.PutUint32(x[4*(i*n+j):], math.Float32bits(v))
			}
		}
		out, err := d.Alloc(4 * rows)
		if err != nil {
			return err
		}
		in, err := d.Alloc(len(x))
		if err != nil {
			return err
		}
		if err := d.Write(in, x); err != nil {
			return err
		}
		if _, err := d.Launch(k, [3]int{rows, 1, 1}, [3]int{128, 1, 1}, 0, pack(out, in, n)); err != nil {
			return err
		}
		got := make([]byte, 4*rows)
		if err := d.Read(got, out); err != nil {
			return err
		}
		for i, w := range want {
			if g := math.Float32frombits(binary.LittleEndian.Uint32(got[4*i:])); g != w {
				return fmt.Errorf("n=%d row %d: %v, want %v", n, i, g, w)
			}
		}
	}
	return nil
}

// tileGEMM checks tile_gemm with one and several steps of its pipeline.
func tileGEMM(m *ptxsim.Module) error {
	k := m.Kernel("tile_gemm")
	for _, depth := range []int{16, 32, 80} {
		const rows, cols = 32, 16
		d := ptxsim.NewDevice(ptxsim.Config{Workers: 1, MaxInstructions: 1 << 18})
		defer d.Close()
		r := rand.New(rand.NewSource(int64(depth)))
		random := func(n int) (uint64, []float64) {
			b, f := make([]byte, 2*n), make([]float64, n)
			for i := range f {
				f[i] = float64(r.Intn(17) - 8)
				binary.LittleEndian.PutUint16(b[2*i:], uint16(math.Float32bits(float32(f[i]))>>16))
			}
			p, err := d.Alloc(len(b))
			if err == nil {
				err = d.Write(p, b)
			}
			if err != nil {
				panic(err)
			}
			return p, f
		}
		pa, a := random(rows * depth)
		pb, b := random(cols * depth)
		out, err := d.Alloc(4 * rows * cols)
		if err != nil {
			return err
		}
		if _, err := d.Launch(k, [3]int{cols / 8, rows / 16, 1}, [3]int{32, 1, 1}, 0, pack(out, pa, pb, cols, depth)); err != nil {
			return err
		}
		got := make([]byte, 4*rows*cols)
		if err := d.Read(got, out); err != nil {
			return err
		}
		for i := range rows * cols {
			want := 0.0
			for q := range depth {
				want += a[i/cols*depth+q] * b[i%cols*depth+q]
			}
			if g := math.Float32frombits(binary.LittleEndian.Uint32(got[4*i:])); float64(g) != want {
				return fmt.Errorf("k=%d element %d: %v, want %v", depth, i, g, want)
			}
		}
	}
	return nil
}

func TestEveryMutantIsCaughtOrArguedEquivalent(t *testing.T) {
	source := read(t, "reference.ptx")
	equivalents, err := mutate.ParseEquivalents(read(t, "equivalent.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for kernel, check := range map[string]func(*ptxsim.Module) error{"row_max": rowMax, "tile_gemm": tileGEMM} {
		var mutants []mutate.Mutant
		for _, m := range mutate.Enumerate(source) {
			if m.Kernel == kernel {
				mutants = append(mutants, m)
			}
		}
		report, err := mutate.Run(source, mutants, equivalents, 2, func(source string) error {
			m, err := ptxsim.Parse(source)
			if err != nil {
				return err
			}
			return check(m)
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s\n%s", kernel, report)
		if err := report.Err(); err != nil {
			t.Errorf("%s: %v", kernel, err)
		}
	}
}

func TestMutantsParseAndKeepLineNumbers(t *testing.T) {
	source := read(t, "reference.ptx")
	kinds := map[mutate.Kind]bool{}
	for _, m := range mutate.Enumerate(source) {
		kinds[m.Kind] = true
		changed := m.Apply(source)
		if strings.Count(changed, "\n") != strings.Count(source, "\n") || changed == source {
			t.Fatalf("%s: lines differ, or nothing does", m.ID())
		}
		if _, err := ptxsim.Parse(changed); err != nil {
			t.Errorf("%s: %v", m.ID(), err)
		}
	}
	for _, k := range mutate.Kinds {
		if !kinds[k] {
			t.Errorf("the reference kernels have no mutant of kind %s", k)
		}
	}
}

func TestSampleIsDeterministicAndCoversEveryKind(t *testing.T) {
	all := mutate.Enumerate(read(t, "reference.ptx"))
	a, b := mutate.Sample(all, 1), mutate.Sample(all, 1)
	if len(a) != len(b) || len(a) >= len(all) {
		t.Fatalf("%d and %d of %d", len(a), len(b), len(all))
	}
	groups := map[string]bool{}
	for i := range a {
		if a[i] != b[i] {
			t.Errorf("%v and %v", a[i], b[i])
		}
		groups[a[i].Kernel+string(a[i].Kind)] = true
	}
	for _, m := range all {
		if !groups[m.Kernel+string(m.Kind)] {
			t.Errorf("no %s of %s", m.Kind, m.Kernel)
		}
	}
}

func TestRunTellsTheOutcomesApart(t *testing.T) {
	source := ".version 7.0\n.visible .entry k()\n{\n\tmax.f32 \t%f0, %f1, %f2;\n\tadd.f32 \t%f0, %f1, %f2;\n\tbar.sync \t0;\n\tst.shared.f32 \t[%r0], %f0;\n}\n"
	list := mutate.Enumerate(source)
	if len(list) != 4 {
		t.Fatalf("mutants: %v", list)
	}
	arguments := []mutate.Argument{{ID: list[1].ID(), Text: "argued"}, {ID: list[2].ID(), Text: "wrongly argued"}}
	report, err := mutate.Run(source, list, arguments, 1, func(s string) error {
		if strings.Contains(s, "min.f32") || !strings.Contains(s, "bar.sync") {
			return fmt.Errorf("noticed\nin detail")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []mutate.Outcome{mutate.Caught, mutate.Equivalent, mutate.Refuted, mutate.Survived} {
		if report[i].Outcome != want {
			t.Errorf("%s: %s, want %s", report[i].ID(), report[i].Outcome, want)
		}
	}
	if err := report.Err(); err == nil || !strings.Contains(err.Error(), "1 of 4 mutants survived, 1 arguments are refuted") {
		t.Errorf("the error is %v", err)
	}
	if _, err := mutate.Run(source, nil, nil, 1, func(string) error { return fmt.Errorf("no") }); err == nil {
		t.Error("a check that fails on the original is accepted")
	}
	for _, bad := range []string{"  an argument first", "k | drop-store | x", "k | drop-store | x | 1"} {
		if _, err := mutate.ParseEquivalents(bad); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}
