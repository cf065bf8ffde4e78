package arm64

import "fmt"

// lanes is the number of float32 in a vector.
const lanes = 4

// A Loop describes a function over vectors of one length.
type Loop struct {
	Length R   // the number of elements; the loop destroys it
	Unroll int // vectors a turn

	// Step works on some vectors of each stream.
	Step func(s *Step)

	streams []stream
}

// A stream is an address that the loop advances by size bytes an element.
type stream struct {
	name    string
	address R
	size    int
}

// address is where the stream of the name stands.
func (l *Loop) address(name string) R {
	for _, s := range l.streams {
		if s.name == name {
			return s.address
		}
	}
	panic("arm64: no stream " + name)
}

// A Step is one turn of a loop: on Vectors whole vectors, or on part of one.
type Step struct {
	*Func
	loop    *Loop
	Vectors int
	Count   int // elements in use: a multiple of 4, or 2 or 1
}

// Part says that the step works on less than a vector. The lanes that are not in use are zero when they
// are read.
func (s *Step) Part() bool { return s.Count < lanes }

// pieces are the registers' places in a stream of elements of the given size: a register for every four.
func (s *Step) pieces(size int) (ps []Piece) {
	for v := range s.Vectors {
		ps = append(ps, Piece{v * lanes * size, min(s.Count, lanes) * size})
	}
	return ps
}

// Read takes registers and loads the stream's elements of 4 bytes.
func (s *Step) Read(stream string) Group {
	g := s.Vs(s.Vectors)
	s.LoadPieces(s.pieces(4), s.loop.address(stream), g)
	return g
}

// Write stores to a stream of elements of 4 bytes.
func (s *Step) Write(stream string, g Group) {
	s.StorePieces(s.pieces(4), g, s.loop.address(stream))
}

// ReadHalves loads elements of 2 bytes, four to the lower half of a register.
func (s *Step) ReadHalves(stream string) Group {
	g := s.Vs(s.Vectors)
	s.LoadPieces(s.pieces(2), s.loop.address(stream), g)
	return g
}

// WriteHalves stores elements of 2 bytes, the reverse of ReadHalves.
func (s *Step) WriteHalves(stream string, g Group) {
	s.StorePieces(s.pieces(2), g, s.loop.address(stream))
}

// KeepPart makes the lanes that are not in use zero.
func (s *Step) KeepPart(g Group) {
	if s.Part() {
		for _, v := range g {
			s.I("%s %s, %s", moves[4*s.Count], v.F(), v.F())
		}
	}
}

// RepeatPart fills the lanes that are not in use with elements that are.
func (s *Step) RepeatPart(g Group) {
	if s.Part() {
		for _, v := range g {
			s.I(map[int]string{1: "VDUP %v.S[0], %v.S4", 2: "VDUP %v.D[0], %v.D2"}[s.Count], v, v)
		}
	}
}

// Over is the loop over the named slices, which are parameters, the one that gives the length first. A
// slice of 2-byte elements is written with a colon: "src:2".
func (f *Func) Over(slices ...string) *Loop {
	l := &Loop{}
	for i, s := range slices {
		name, size := s, 4
		if n := len(s) - 2; n > 0 && s[n:] == ":2" {
			name, size = s[:n], 2
		}
		if i == 0 {
			l.Length = f.LoadLen(name)
		}
		l.Stream(name, f.LoadBase(name), size)
	}
	return l
}

// Stream adds an address that advances by size bytes an element.
func (l *Loop) Stream(name string, address R, size int) {
	l.streams = append(l.streams, stream{name, address, size})
}

// Emit writes the loop: turns of several vectors, then single ones, then two elements and one.
func (f *Func) Emit(l *Loop) {
	step := func(vectors, count int) {
		f.Scope(func() { l.Step(&Step{Func: f, loop: l, Vectors: vectors, Count: count}) })
	}
	advance := func(count int) {
		for _, s := range l.streams {
			f.I("ADD $%d, %v", count*s.size, s.address)
		}
	}
	turns := []int{l.Unroll, 1}
	if l.Unroll == 1 {
		turns = turns[:1]
	}
	for _, vectors := range turns {
		count := vectors * lanes
		f.I("SUBS $%d, %v", count, l.Length)
		f.I("BLT after%d", count)
		f.Label(fmt.Sprintf("by%d", count))
		step(vectors, count)
		advance(count)
		f.I("SUBS $%d, %v", count, l.Length)
		f.I("BGE by%d", count)
		f.Label(fmt.Sprintf("after%d", count))
		f.I("ADD $%d, %v", count, l.Length)
	}
	f.I("TBZ $1, %v, after2", l.Length)
	step(1, 2)
	advance(2)
	f.Label("after2")
	f.I("TBZ $0, %v, after1", l.Length)
	step(1, 1)
	f.Label("after1")
}
