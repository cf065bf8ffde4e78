package tensor_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/hone-ml/hone/tensor"
)

// einsumRef evaluates a valid equation by one loop over all letters. The axes of "..." get the letters A, B, …
// counted from the last.
func einsumRef(equation string) func(x []nd) nd {
	return func(x []nd) nd {
		left, right, explicit := strings.Cut(strings.ReplaceAll(equation, " ", ""), "->")
		hidden := func(k int) string {
			s := ""
			for ; k > 0; k-- {
				s += string(rune('A' + k - 1))
			}
			return s
		}
		terms, dots, letters := strings.Split(left, ","), 0, ""
		for i, t := range terms {
			if k := len(x[i].shape) - len(strings.ReplaceAll(t, "...", "")); strings.Contains(t, "...") {
				terms[i] = strings.Replace(t, "...", hidden(k), 1)
				dots = max(dots, k)
			}
			letters += terms[i]
		}
		if explicit {
			right = strings.Replace(right, "...", hidden(dots), 1)
		} else {
			right = hidden(dots)
			for l := 'a'; l <= 'z'; l++ {
				if strings.Count(letters, string(l)) == 1 {
					right += string(l)
				}
			}
		}
		all, lengths := right, map[byte]int{}
		for _, l := range letters {
			if !strings.ContainsRune(all, l) {
				all += string(l)
			}
		}
		for i, t := range terms {
			for a := range t {
				if n := x[i].shape[a]; n != 1 || lengths[t[a]] == 0 {
					lengths[t[a]] = n
				}
			}
		}
		shape := make([]int, len(all))
		for i := range all {
			shape[i] = lengths[all[i]]
		}
		y := zeros(shape[:len(right)]...)
		indices(shape, func(at []int) {
			product := 1.0
			for i, t := range terms {
				where := make([]int, len(t))
				for a := range t {
					where[a] = at[strings.IndexByte(all, t[a])]
				}
				product *= *x[i].at(where...)
			}
			*y.at(at[:len(right)]...) += product
		})
		return y
	}
}

func TestEinsumSaysWhatIsWrongWithAnEquation(t *testing.T) {
	s := tensor.NewTestDevice(0).NewScope()
	defer s.Close()
	f := func(shape ...int) T { return tensor.Ones(s, tensor.F32, shape...) }
	i32 := tensor.Zeros(s, tensor.I32, 2, 2)
	for _, c := range []struct {
		equation string
		in       []T
		says     string
	}{
		{"ij,jk->ik", []T{f(2, 3)}, "describes 2 operands, there are 1"},
		{"ij->ik", []T{f(2, 3)}, "no operand has the axis 'k' of the result"},
		{"ij->ii", []T{f(2, 3)}, "the result has the axis 'i' twice"},
		{"i->i", []T{f(2, 3)}, `"i" names 1 axes of an operand that has 2`},
		{"ijk->i", []T{f(2, 3)}, `"ijk" names 3 axes of an operand that has 2`},
		{"i...jk->i...", []T{f(2, 3)}, "names 3 axes of an operand that has 2"},
		{"ij,jk->ik", []T{f(2, 3), f(2, 3)}, "the axis 'j' has length 3, and 2 in operand 1"},
		{"ii->i", []T{f(2, 3)}, "the axis 'i' has length 2, and 3 in operand 0"},
		{"i$->i", []T{f(2, 3)}, "'$' is not a letter"},
		{"i.j->i", []T{f(2, 3)}, "'.' is not a letter"},
		{"i->j->i", []T{f(2)}, "'-' is not a letter"},
		{"......->", []T{f(2)}, "names 3 axes of an operand that has 1"},
		{"......->", []T{f(2, 2, 2)}, "'.' is not a letter"},
		{"é->", []T{f(2)}, "é"},
		{"...i->i", []T{f(2, 3)}, `the result lacks the "..." of the operands`},
		{"...i,...i->...", []T{f(2, 3), f(4, 3)}, `the axes of "..." do not broadcast: 2 and 4 differ`},
		{"ij,jk->ik", []T{i32, i32}, "summed in a float dtype only"},
		{"ij,jk->ik", []T{i32, f(2, 2)}, "the operands need one dtype"},
		{"abcd,efgh->abcdefgh", []T{f(1, 1, 1, 1), f(1, 1, 1, 1)}, "the result would have 8 axes, at most 6"},
		{"abcd,efgh,abcd->efgh", []T{f(1, 1, 1, 1), f(1, 1, 1, 1), f(1, 1, 1, 1)}, "an intermediate result would have more than 6 axes"},
	} {
		mustSay(t, c.equation, func() { tensor.Einsum(c.equation, c.in...) }, "tensor: Einsum", "\""+c.equation+"\"", c.says)
	}
	mustSay(t, "no operand", func() { tensor.Einsum("") }, "tensor: Einsum")
}

func TestEinsumMultipliesIntegersThatItNeedNotSum(t *testing.T) {
	s := tensor.CPU().NewScope()
	defer s.Close()
	x, y := tensor.FromSlice(s, []int32{1, 2}), tensor.FromSlice(s, []int32{3, 4, 5})
	if got := tensor.ToSlice[int32](tensor.Einsum("i,j->ji", x, y)); !slices.Equal(got, []int32{3, 6, 4, 8, 5, 10}) {
		t.Error(got)
	}
}

// FuzzEinsum tries equations on operands of ranks that ranks says, two digits in octal. What is refused is refused by an *Error,
// and what is accepted equals plain loops.
func FuzzEinsum(f *testing.F) {
	for _, e := range []string{"ij,jk->ik", "ii->i", "...i,i->...", "ij", " a , b -> ab", "b...,...c->cb...", "->", ",->", "iji,jj", "abc,cd"} {
		f.Add(e, uint8(0o22), uint8(7))
		f.Add(e, uint8(0o31), uint8(0))
	}
	f.Fuzz(func(t *testing.T, equation string, ranks, ones uint8) {
		if len(equation) > 40 {
			return
		}
		s := tensor.CPU().NewScope()
		defer s.Close()
		r := tensor.NewRand(1)
		var in []T
		var host []nd
		for i, rank := range []int{int(ranks >> 3 & 7), int(ranks & 7)} {
			if i == 1 && !strings.Contains(equation, ",") {
				break
			}
			shape := make([]int, min(rank, 5))
			for a := range shape {
				shape[a] = 2 - int(ones>>((a+3*i)%8)&1)
			}
			in = append(in, tensor.Randn(s, tensor.F64, r, 1, shape...))
			host = append(host, nd{shape, in[i].Float64s()})
		}
		var got T
		if err := tensor.Try(func() { got = tensor.Einsum(equation, in...) }); err != nil {
			return
		}
		if strings.ContainsAny(equation, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") { // the reference uses these itself
			return
		}
		want := einsumRef(equation)(host)
		if !slices.Equal(got.Shape(), want.shape) {
			t.Fatalf("%q: shape %v, want %v", equation, got.Shape(), want.shape)
		}
		near(t, equation, got.Float64s(), want.data, 1e-12)
	})
}
