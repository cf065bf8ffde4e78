package nn

import (
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/hone-ml/hone/tensor"
)

// A Summary lists what a module is made of. String prints it as a table.
type Summary struct {
	Rows []SummaryRow

	Parameters int // elements of all parameters, tied ones counted once
	Trainable  int // of these, those that want gradients
	Buffers    int // elements of all buffers
	Bytes      int // of parameters and buffers together
}

// SummaryRow is one tensor of a module.
type SummaryRow struct {
	Name  string
	Layer string // the type that declares it: "nn.Linear"
	Shape []int
	DType tensor.DType
	Bytes int
	Role  string // "trainable", "frozen", "buffer", or "tied"
	Tied  string // of a tied parameter, the name under which it came first; it counts nothing
}

// Summarize lists the parameters and buffers of a module.
func Summarize(module any) Summary {
	var s Summary
	first := map[*tensor.Tensor]string{}
	for e := range entriesOf("Summarize", module) {
		t := e.tensor
		row := SummaryRow{Name: e.name, Shape: t.Shape(), DType: t.DType(), Bytes: t.DType().Bytes(t.Len()), Role: "frozen"}
		if e.owner != nil {
			row.Layer = e.owner.String()
		}
		if name, ok := first[t]; ok {
			row.Role, row.Tied, row.Bytes = "tied", name, 0
			s.Rows = append(s.Rows, row)
			continue
		}
		first[t] = e.name
		switch {
		case e.kind == "buffer":
			row.Role = "buffer"
			s.Buffers += t.Len()
		case t.Trainable():
			row.Role = "trainable"
			s.Trainable += t.Len()
			s.Parameters += t.Len()
		default:
			s.Parameters += t.Len()
		}
		s.Bytes += row.Bytes
		s.Rows = append(s.Rows, row)
	}
	return s
}

// String is a table of a line for each tensor and one of totals.
func (s Summary) String() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "name\tlayer\tshape\tdtype\telements\tmemory\trole")
	for _, r := range s.Rows {
		elements := 1
		for _, d := range r.Shape {
			elements *= d
		}
		size, role := byteCount(r.Bytes), r.Role
		if r.Tied != "" {
			size, role = "", "tied to "+r.Tied
		}
		fmt.Fprintf(w, "%s\t%s\t%v\t%v\t%s\t%s\t%s\n", r.Name, r.Layer, r.Shape, r.DType, grouped(elements), size, role)
	}
	w.Flush()
	fmt.Fprintf(&b, "%s parameters: %s trainable, %s frozen", grouped(s.Parameters), grouped(s.Trainable), grouped(s.Parameters-s.Trainable))
	if s.Buffers > 0 {
		fmt.Fprintf(&b, "; %s elements in buffers", grouped(s.Buffers))
	}
	fmt.Fprintf(&b, "; %s\n", byteCount(s.Bytes))
	return b.String()
}

// grouped is n with a comma between thousands.
func grouped(n int) string {
	d := strconv.Itoa(n)
	for i := len(d) - 3; i > 0; i -= 3 {
		d = d[:i] + "," + d[i:]
	}
	return d
}

// byteCount is n in the largest unit of which there is at least one.
func byteCount(n int) string {
	const kib = 1 << 10
	if n < kib {
		return fmt.Sprintf("%d B", n)
	}
	v, unit := float64(n)/kib, "KiB"
	for _, next := range []string{"MiB", "GiB", "TiB"} {
		if v < kib {
			break
		}
		v, unit = v/kib, next
	}
	return fmt.Sprintf("%.1f %s", v, unit)
}
