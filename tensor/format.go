package tensor

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

const (
	printWhole  = 1000 // elements of a tensor that is shown whole
	printEdge   = 3    // elements shown at each end of an axis otherwise
	printWidth  = 80   // columns of text after which a row goes on in the next line
	printDigits = 4    // behind the point
	shortVector = 6    // elements that need not be aligned with others
)

// String shows dtype, shape, the device unless it is the CPU, and the elements: in columns, with equally many digits
// behind the point, at most four, and an exponent where magnitudes ask for it; a short vector on one line, each
// number in its shortest form. Of more than a thousand elements it shows, and reads, those at both ends of each axis
// only.
func (t *Tensor) String() string {
	head := fmt.Sprintf("%s%v", t.view.DType, t.view.Dims())
	if name := t.dev.Name(); name != "cpu" {
		head += " on " + name
	}
	if t.mem.dead {
		return head + " (closed)"
	}
	x := t.detached()
	if x.view.DType.IsQuantized() && !x.view.Contiguous() { // blocks of a transpose are not rows
		s := t.dev.NewScope()
		defer s.Close()
		x = FromSlice(s, x.Float64s(), x.view.Dims()...)
	}
	p := printer{shape: x.view.Dims(), whole: x.Len() <= printWhole}
	p.collect(x)
	p.align()
	p.write(0)
	body := p.out.String()
	if len(p.shape) > 1 || len(head)+1+len(body) > printWidth {
		return head + "\n" + body
	}
	return head + " " + body
}

// A printer first collects what it will show, so that one form suits all, and then writes it.
type printer struct {
	shape []int
	whole bool
	cells []string // in row-major order
	out   strings.Builder
}

// shown calls fn for the indices along an axis that are shown, and gap where some are left out.
func (p *printer) shown(axis int, fn func(i int), gap func()) {
	n, edge := p.shape[axis], printEdge
	if axis < len(p.shape)-3 {
		edge = 1 // or else tensors of high rank would have thousands of edges
	}
	for i := 0; i < n; i++ {
		if !p.whole && i == edge && n > 2*edge {
			gap()
			i = n - edge
		}
		fn(i)
	}
}

// collect reads the elements that are shown, and makes text of them.
func (p *printer) collect(t *Tensor) {
	var numbers []float64
	var visit func(x *Tensor, axis int)
	visit = func(x *Tensor, axis int) {
		switch left := len(p.shape) - axis; {
		case !p.whole && left > 1:
			p.shown(axis, func(i int) { visit(x.alias(x.view.At(i)), axis+1) }, func() {})
		case !p.whole && left == 1 && x.view.DType.IsQuantized(): // blocks cannot be cut
			row := x.Float64s()
			p.shown(axis, func(i int) { numbers = append(numbers, row[i]) }, func() {})
		case !p.whole && left == 1 && p.shape[axis] > 2*printEdge:
			n := p.shape[axis]
			visit(x.alias(x.view.Slice(0, 0, printEdge)), axis+1)
			visit(x.alias(x.view.Slice(0, n-printEdge, n)), axis+1)
		case x.view.DType == I64: // which F64 cannot hold
			for _, v := range ToSlice[int64](x) {
				p.cells = append(p.cells, strconv.FormatInt(v, 10))
			}
		default:
			numbers = append(numbers, x.Float64s()...)
		}
	}
	visit(t, 0)
	for _, v := range numbers {
		switch t.view.DType {
		case I32, U8:
			p.cells = append(p.cells, strconv.FormatInt(int64(v), 10))
		case Bool:
			p.cells = append(p.cells, strconv.FormatBool(v != 0))
		default:
			p.cells = p.formatted(numbers)
			return
		}
	}
}

// formatted is numbers as text: with equally many digits behind the point, or, in a short vector, each in the
// shortest form.
func (p *printer) formatted(numbers []float64) []string {
	format, digits := byte('g'), printDigits
	if len(p.shape) > 1 || len(numbers) > shortVector {
		format, digits = commonForm(numbers)
	}
	cells := make([]string, len(numbers))
	for i, v := range numbers {
		cells[i] = strings.TrimPrefix(strconv.FormatFloat(v, format, digits, 64), "+") // of +Inf
	}
	return cells
}

// commonForm is the form, as strconv.FormatFloat has it, in which numbers are shown: with an exponent if some are
// very large or small, and no more digits behind the point than one of them needs.
func commonForm(numbers []float64) (format byte, digits int) {
	smallest, largest := math.Inf(1), 0.0
	for _, v := range numbers {
		if v != 0 && !math.IsInf(v, 0) && v == v {
			smallest, largest = min(smallest, math.Abs(v)), max(largest, math.Abs(v))
		}
	}
	format = 'f'
	if largest >= 1e8 || largest > 0 && smallest < 1e-3 {
		format = 'e'
	}
	for _, v := range numbers {
		mantissa, _, _ := strings.Cut(strconv.FormatFloat(v, format, printDigits, 64), "e")
		if _, fraction, ok := strings.Cut(mantissa, "."); ok {
			digits = max(digits, len(strings.TrimRight(fraction, "0")))
		}
	}
	return format, digits
}

// align makes the cells equally wide, but for a short vector.
func (p *printer) align() {
	if len(p.shape) < 2 && len(p.cells) <= shortVector {
		return
	}
	width := 0
	for _, c := range p.cells {
		width = max(width, len(c))
	}
	for i, c := range p.cells {
		p.cells[i] = strings.Repeat(" ", width-len(c)) + c
	}
}

// write writes what follows along an axis, in brackets.
func (p *printer) write(axis int) {
	if axis == len(p.shape) {
		p.out.WriteString(p.next())
		return
	}
	indent, inner := strings.Repeat(" ", axis+1), len(p.shape)-axis-1
	p.out.WriteByte('[')
	first, column := true, len(indent)
	separate := func(width int) {
		switch {
		case first:
		case inner > 0: // rows below one another, an empty line between matrices
			p.out.WriteString(strings.Repeat("\n", inner) + indent)
		case column+1+width > printWidth:
			p.out.WriteString("\n" + indent)
			column = len(indent)
		default:
			p.out.WriteByte(' ')
			column++
		}
		first = false
		column += width
	}
	p.shown(axis, func(int) {
		if inner == 0 {
			separate(len(p.cells[0]))
		} else {
			separate(0)
		}
		p.write(axis + 1)
	}, func() {
		separate(1)
		p.out.WriteString("…")
	})
	p.out.WriteByte(']')
}

// next takes a cell.
func (p *printer) next() string {
	c := p.cells[0]
	p.cells = p.cells[1:]
	return c
}
