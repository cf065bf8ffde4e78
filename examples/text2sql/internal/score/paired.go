package score

import "math"

// A Paired compares two sets of answers to the same questions.
type Paired struct {
	N       int        `json:"n"`
	Both    int        `json:"both"`            // right in both
	OnlyA   int        `json:"only_a"`          // right in the first alone
	OnlyB   int        `json:"only_b"`          // right in the second alone
	Neither int        `json:"neither"`         // right in neither
	Diff    float64    `json:"difference"`      // accuracy of the second less that of the first
	CI95    [2]float64 `json:"difference_ci95"` // Agresti and Min's interval of it
	P       float64    `json:"p_value"`         // McNemar's exact test, two-sided
}

// Pair compares the verdicts of two sets of answers, question by question.
func Pair(a, b []bool) Paired {
	p := Paired{N: len(a)}
	for i := range a {
		switch {
		case a[i] && b[i]:
			p.Both++
		case a[i]:
			p.OnlyA++
		case b[i]:
			p.OnlyB++
		default:
			p.Neither++
		}
	}
	if p.N > 0 {
		p.Diff = float64(p.OnlyB-p.OnlyA) / float64(p.N)
	}
	p.CI95[0], p.CI95[1] = pairedInterval(p.OnlyA, p.OnlyB, p.N)
	p.P = McNemar(p.OnlyA, p.OnlyB)
	return p
}

// McNemar is the probability, if neither of two sets of answers were better,
// that the questions which only one of them has right are shared out at least
// as unevenly as b to c: the exact two-sided test (McNemar 1947, with the
// binomial distribution in place of its approximation).
func McNemar(b, c int) float64 {
	n := b + c
	sum := 0.0
	for k := range min(b, c) + 1 {
		sum += math.Exp(logChoose(n, k) - float64(n)*math.Ln2)
	}
	return min(1, 2*sum)
}

func logChoose(n, k int) float64 {
	lg := func(x int) float64 { v, _ := math.Lgamma(float64(x) + 1); return v }
	return lg(n) - lg(k) - lg(n-k)
}

// pairedInterval is the 95 % interval of the difference of two paired
// proportions: Wald's after half a question more in each of the four cells
// (Agresti and Min 2005).
func pairedInterval(b, c, n int) (low, high float64) {
	const z = 1.959963984540054
	more, total := float64(c-b), float64(n)+2
	half := z / total * math.Sqrt(float64(b+c)+1-more*more/total)
	return max(-1, more/total-half), min(1, more/total+half)
}
