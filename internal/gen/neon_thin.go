package main

import (
	"fmt"

	"github.com/hone-ml/hone/internal/gen/arm64"
)

// neonThinKernels writes the products of up to four vectors with a matrix that is read once, row by row.
func neonThinKernels(f *arm64.File) {
	for _, kind := range []struct {
		name string
		size int
	}{{"F32", 4}, {"BF16", 2}} {
		for vectors := 1; vectors <= 4; vectors++ {
			neonThin(f, kind.name, kind.size, vectors)
		}
	}
}

func neonThin(f *arm64.File, kind string, size, vectors int) {
	const unroll = 4
	a := f.Func(fmt.Sprintf("thin%sx%dNEON", kind, vectors),
		"func(out *float32, os int, x *float32, xs int, w *byte, ws, rows, k int)",
		fmt.Sprintf("sets %d rows of out, os bytes apart, to the products of as many rows of x, xs bytes\n"+
			"apart, with rows > 0 rows, ws bytes apart, of a %s matrix of k columns.", vectors, kind))
	out, stride := a.Load("out"), a.Load("os")
	x, w, ws, rows := neonLines(a, "x", "xs", vectors), a.Load("w"), a.Load("ws"), a.Load("rows")
	sums := make([]arm64.Group, vectors)
	for i := range sums {
		sums[i] = a.Vs(unroll)
	}

	a.Label("row")
	l := &arm64.Loop{Unroll: unroll, Length: a.Load("k")}
	stream := func(name string, start arm64.R, size int) {
		p := a.R()
		a.I("MOVD %v, %v", start, p)
		l.Stream(name, p, size)
	}
	stream("w", w, size)
	for i, p := range x {
		stream(fmt.Sprint("x", i), p, 4)
		a.Zero(sums[i])
	}
	l.Step = func(s *arm64.Step) {
		line := s.Read("w")
		for i := range vectors {
			s.Scope(func() { s.FMLA(sums[i][:s.Vectors], line, s.Read(fmt.Sprint("x", i))) })
		}
	}
	a.Emit(l)
	a.Scope(func() {
		p := a.R()
		a.I("MOVD %v, %v", out, p)
		for i, s := range sums {
			neonTotal(a, s, a.FADD)
			a.Fold(s[0])
			a.I("FMOVS %s, (%v)", s[0].F(), p)
			if i < vectors-1 {
				a.I("ADD %v, %v", stride, p)
			}
		}
	})
	a.I("ADD %v, %v", ws, w)
	a.I("ADD $4, %v", out)
	a.I("SUBS $1, %v", rows)
	a.I("BNE row")
	a.End()
}
