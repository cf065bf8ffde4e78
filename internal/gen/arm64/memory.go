package arm64

// A Piece is a part of a row of elements that one register holds.
type Piece struct {
	Offset int // in bytes
	Bytes  int // 16, 8, 4 or 2
}

// Pieces divides a row of so many bytes, a multiple of 2, into the fewest registers.
func Pieces(bytes int) (ps []Piece) {
	for offset := 0; offset < bytes; {
		size := 16
		for size > bytes-offset {
			size /= 2
		}
		ps = append(ps, Piece{offset, size})
		offset += size
	}
	return ps
}

// LoadPieces loads a row, a register a piece, whole vectors in pairs. What a piece does not fill is zero.
func (f *Func) LoadPieces(ps []Piece, base R, to Group) {
	for i := 0; i < len(ps); i++ {
		p := ps[i]
		switch {
		case p.Bytes >= 8 && i+1 < len(ps) && ps[i+1].Bytes == p.Bytes:
			f.I("%s %d(%v), (%s, %s)", map[int]string{16: "FLDPQ", 8: "FLDPD"}[p.Bytes], p.Offset, base, to[i].F(), to[i+1].F())
			i++
		case p.Bytes == 2:
			f.Scope(func() {
				r := f.R()
				f.I("MOVHU %d(%v), %v", p.Offset, base, r)
				f.I("FMOVS %v, %s", r, to[i].F())
			})
		default:
			f.I("%s %d(%v), %s", moves[p.Bytes], p.Offset, base, to[i].F())
		}
	}
}

// StorePieces stores a row, the reverse of LoadPieces.
func (f *Func) StorePieces(ps []Piece, from Group, base R) {
	for i := 0; i < len(ps); i++ {
		p := ps[i]
		switch {
		case p.Bytes >= 8 && i+1 < len(ps) && ps[i+1].Bytes == p.Bytes:
			f.I("%s (%s, %s), %d(%v)", map[int]string{16: "FSTPQ", 8: "FSTPD"}[p.Bytes], from[i].F(), from[i+1].F(), p.Offset, base)
			i++
		case p.Bytes == 2:
			f.Scope(func() {
				r := f.R()
				f.I("FMOVS %s, %v", from[i].F(), r)
				f.I("MOVH %v, %d(%v)", r, p.Offset, base)
			})
		default:
			f.I("%s %s, %d(%v)", moves[p.Bytes], from[i].F(), p.Offset, base)
		}
	}
}

var moves = map[int]string{16: "FMOVQ", 8: "FMOVD", 4: "FMOVS"}
