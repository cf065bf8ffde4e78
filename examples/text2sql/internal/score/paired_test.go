package score

import (
	"math"
	"testing"
)

func TestMcNemarIsTheExactBinomialTest(t *testing.T) {
	// min(1, 2*sum(math.comb(b+c, k) for k in range(min(b, c)+1)) / 2**(b+c)) in Python
	for _, c := range []struct {
		b, c int
		want float64
	}{{0, 0, 1}, {3, 3, 1}, {0, 5, 0.0625}, {5, 0, 0.0625}, {1, 9, 0.021484375}, {10, 25, 0.01667384780012071}, {40, 60, 0.05688793364098078}} {
		if got := McNemar(c.b, c.c); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("McNemar(%d, %d) = %v, want %v", c.b, c.c, got, c.want)
		}
	}
	if got := McNemar(4000, 6000); got > 1e-80 || math.IsNaN(got) {
		t.Errorf("McNemar(4000, 6000) = %v", got)
	}
}

func TestPairCountsTheFourCells(t *testing.T) {
	p := Pair([]bool{true, true, true, false, false, false}, []bool{true, false, false, true, false, false})
	if p.N != 6 || p.Both != 1 || p.OnlyA != 2 || p.OnlyB != 1 || p.Neither != 2 || math.Abs(p.Diff+1.0/6) > 1e-12 || p.P != 1 {
		t.Errorf("%+v", p)
	}
	if p.CI95[0] >= p.Diff || p.CI95[1] <= p.Diff {
		t.Errorf("the interval %v does not hold the difference %v", p.CI95, p.Diff)
	}
	// By hand: b = 10, c = 25, n = 200: 15/202 ± 1.96/202·√(36 − 225/202).
	low, high := pairedInterval(10, 25, 200)
	if math.Abs(low-0.016947) > 1e-5 || math.Abs(high-0.131568) > 1e-5 {
		t.Errorf("interval %v to %v", low, high)
	}
}
