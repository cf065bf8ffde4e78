package arm64

import "fmt"

// lanes is the number of float32 in a vector.
const lanes = 4

// A Loop describes a function over vectors of one length.
type Loop struct {
	Length R    // the number of elements; the loop destroys it
	Unroll int  // vectors a turn
	Whole  bool // the length is a multiple of the elements of a turn

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

func (l *Loop) stream(name string) stream {
	for _, s := range l.streams {
		if s.name == name {
			return s
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

// ReadRaw takes registers and loads the stream's elements as they are: those of 2 bytes four to the lower
// half of a register.
func (s *Step) ReadRaw(name string) Group {
	g, from := s.Vs(s.Vectors), s.loop.stream(name)
	s.LoadPieces(s.pieces(from.size), from.address, g)
	return g
}

// WriteRaw stores elements, the reverse of ReadRaw.
func (s *Step) WriteRaw(name string, g Group) {
	to := s.loop.stream(name)
	s.StorePieces(s.pieces(to.size), g, to.address)
}

// Read takes registers and loads the stream's elements as float32: those of 2 bytes are bfloat16.
func (s *Step) Read(name string) Group {
	g := s.ReadRaw(name)
	if s.loop.stream(name).size == 2 {
		s.SHLL(g, g)
	}
	return g
}

// Write stores float32, in a stream of 2 bytes as bfloat16. It rounds with BFCVTN, in place, and so needs
// the extension BF16 then.
func (s *Step) Write(name string, g Group) {
	if s.loop.stream(name).size == 2 {
		s.BFCVTN(g, g)
	}
	s.WriteRaw(name, g)
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
	if l.Unroll == 1 || l.Whole {
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
	if l.Whole {
		return
	}
	f.I("TBZ $1, %v, after2", l.Length)
	step(1, 2)
	advance(2)
	f.Label("after2")
	f.I("TBZ $0, %v, after1", l.Length)
	step(1, 1)
	f.Label("after1")
}
