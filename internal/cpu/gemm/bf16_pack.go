package gemm

import "unsafe"

// panels are lanes, rows of a or columns of b, packed in panels of panelLanes by slices of depth elements of
// k: all panels of a slice follow each other. What is missing of the last panel and the last step is zero.
type panels struct {
	base     unsafe.Pointer
	lanes, k int
	count    int // panels
	depth    int // a multiple of tileK

	row, tile, step int  // bytes from one to the next: lanes of a tile of a, tiles of a panel, steps
	inPlace         bool // nothing is packed: panels are rows of a where they are
}

// panelsInPlace are the rows of the lanes×k matrix src where they are: lanes in whole panels, k in whole steps.
func panelsInPlace(src Operand, lanes, k, depth int) panels {
	row := src.RowStride * 2
	return panels{base: src.Ptr, lanes: lanes, k: k, count: lanes / panelLanes, depth: depth,
		row: row, tile: tileLanes * row, step: tileK * 2, inPlace: true}
}

// panel is the distance in bytes from one panel of slice s to the next.
func (p *panels) panel(s int) int {
	if p.inPlace {
		return panelLanes * p.row
	}
	return p.steps(s) * stepBytes
}

// newPanels are panels with undefined contents in memory of buf.
func newPanels(buf *buffer, lanes, k, depth int) panels {
	p := panels{lanes: lanes, k: k, count: ceilDiv(lanes, panelLanes), depth: depth,
		row: tileK * 2, tile: stepBytes / 2, step: stepBytes}
	p.base = buf.grow(p.count * ceilDiv(k, tileK) * stepBytes)
	return p
}

func (p *panels) slices() int { return ceilDiv(p.k, p.depth) }

// steps is the number of steps in slice s.
func (p *panels) steps(s int) int { return ceilDiv(min(p.depth, p.k-s*p.depth), tileK) }

// at is the address of slice s of panel i.
func (p *panels) at(s, i int) unsafe.Pointer {
	if p.inPlace {
		return unsafe.Add(p.base, i*p.panel(s)+s*p.depth*2)
	}
	return unsafe.Add(p.base, (s*p.depth/tileK*p.count+i*p.steps(s))*stepBytes)
}

// packPanels is the number of panels of a slice that a task packs, some 10 µs of work: where lanes lie beside
// each other, it reads 512 bytes in one piece.
const packPanels = 8

// tasks is the number of tasks of packing all panels.
func (p *panels) tasks() int { return p.slices() * ceilDiv(p.count, packPanels) }

// packTask packs a task's part of the lanes×k matrix src.
func (p *panels) packTask(w *Workspace, src Operand, task int, f form) {
	s, lo := task%p.slices(), task/p.slices()*packPanels
	p.pack(w, src, s, lo, min(lo+packPanels, p.count), f)
}

// packAll packs the lanes×k matrix src.
func (p *panels) packAll(w *Workspace, src Operand, f form) {
	for task := range p.tasks() {
		p.packTask(w, src, task, f)
	}
}

// A form is the order of elements in a tile: its rows are lanes, for a, or pairs of every lane, for b.
type form int

const (
	asTiles form = iota
	asPairs
)

// pack packs slice s of panels lo to hi of the lanes×k matrix src. It uses w.stage.
func (p *panels) pack(w *Workspace, src Operand, s, lo, hi int, f form) {
	k := min(p.depth, p.k-s*p.depth)
	src = src.from(0, s*p.depth)
	switch {
	case src.ColStride == 1:
		p.packRows(w, src, s, k, lo, hi, f)
	case src.RowStride == 1:
		p.packColumns(w, src, s, k, lo, hi, f)
	default:
		for i := lo; i < hi; i++ {
			lane := i * panelLanes
			p.packStaged(w, src.from(lane, 0), min(panelLanes, p.lanes-lane), k, p.at(s, i), f)
		}
	}
}

// packRows packs the slice src, whose lanes lie in one piece.
func (p *panels) packRows(w *Workspace, src Operand, s, k, lo, hi int, f form) {
	whole := k / tileK
	for i := lo; i < hi; i++ {
		lane, dst := i*panelLanes, p.at(s, i)
		part := src.from(lane, 0)
		if p.lanes-lane < panelLanes {
			p.packStaged(w, part, p.lanes-lane, k, dst, f)
			continue
		}
		if whole > 0 {
			packRows[f]((*uint16)(dst), (*uint16)(part.Ptr), part.RowStride*2, whole)
		}
		if rest := k - whole*tileK; rest > 0 {
			p.packStaged(w, part.from(0, whole*tileK), panelLanes, rest, unsafe.Add(dst, whole*stepBytes), f)
		}
	}
}

// packColumns packs the slice src, whose lanes lie beside each other, step by step.
func (p *panels) packColumns(w *Workspace, src Operand, s, k, lo, hi int, f form) {
	panel := p.steps(s) * stepBytes
	whole := min(hi, p.lanes/panelLanes) // panels up to this one have all their lanes
	for step := range p.steps(s) {
		at := step * tileK
		rest := min(tileK, k-at)
		part := src.from(0, at)
		wholeStep := whole
		if rest < tileK {
			wholeStep = lo
		}
		if lo < wholeStep {
			packColumns[f]((*uint16)(unsafe.Add(p.at(s, lo), step*stepBytes)), panel,
				(*uint16)(part.at(lo*panelLanes, 0)), part.ColStride*2, wholeStep-lo)
		}
		for i := max(lo, wholeStep); i < hi; i++ {
			lane := i * panelLanes
			p.packStaged(w, part.from(lane, 0), min(panelLanes, p.lanes-lane), rest, unsafe.Add(p.at(s, i), step*stepBytes), f)
		}
	}
}

// packStaged packs one panel that is not whole, or any strides, by way of a copy with zeros for what is
// missing.
func (p *panels) packStaged(w *Workspace, src Operand, lanes, k int, dst unsafe.Pointer, f form) {
	steps := ceilDiv(k, tileK)
	padded := steps * tileK
	stage := unsafe.Slice((*uint16)(w.stage.grow(panelLanes*padded*2)), panelLanes*padded)
	clear(stage)
	if src.RowStride == 1 && lanes > 1 {
		for at := range k {
			copy(stage[at*panelLanes:][:lanes], unsafe.Slice((*uint16)(src.at(0, at)), lanes))
		}
		packColumnsOfStage(dst, stage, steps, f)
		return
	}
	for l := range lanes {
		row := stage[l*padded:][:k]
		if src.ColStride == 1 {
			copy(row, unsafe.Slice((*uint16)(src.at(l, 0)), k))
			continue
		}
		for at := range row {
			row[at] = *(*uint16)(src.at(l, at))
		}
	}
	packRows[f]((*uint16)(dst), &stage[0], padded*2, steps)
}

// packColumnsOfStage packs a panel whose rows of lanes follow each other.
func packColumnsOfStage(dst unsafe.Pointer, stage []uint16, steps int, f form) {
	for step := range steps {
		packColumns[f]((*uint16)(unsafe.Add(dst, step*stepBytes)), 0, &stage[step*tileK*panelLanes], panelLanes*2, 1)
	}
}
