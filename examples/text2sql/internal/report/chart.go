package report

import (
	"math"
	"strconv"
	"strings"
)

// A chart is a drawing that fills whatever width the page has: the curves live in an SVG that is stretched, with
// strokes that are not; ticks and labels are text of the page, placed by percentages, and so legible on every screen.
type chart struct {
	Title   string
	Caption string
	Aria    string // what a reader who does not see it should know
	Height  int    // pixels
	X, Y    []tick
	Curves  []curve
	Ends    []tick // labels at the right end of a curve
}

// A tick is a label at a place along its axis.
type tick struct {
	At    string // per cent from the left or the top
	Line  string // the same in the SVG's coordinates
	Label string
}

type curve struct {
	Class string // of the style sheet
	Path  string
}

// The curves' coordinates; the SVG stretches them to the size of the chart.
const chartWidth, chartHeight = 1000, 500

// lossChart draws the loss of every step, and smoothed.
func lossChart(r *Run) *chart {
	raw := pointsOf(r.Steps, func(s Step) float64 { return s.Loss })
	evals := make([]point, len(r.Evals))
	for i, e := range r.Evals {
		evals[i] = point{float64(e.Step), e.Loss}
	}
	_, _, ok := bounds(raw, evals)
	if !ok {
		return nil
	}
	x, y := stepAxis(r.Steps, r.Evals), valueAxis(raw, evals)
	c := newChart("Loss", 300, x, y)
	soft := smooth(raw)
	if soft == nil {
		c.addCurve("line", raw, x, y)
		c.addDots("step", raw, x, y)
	} else {
		c.addCurve("raw", thin(raw), x, y)
		c.addCurve("line", thin(soft), x, y)
	}
	c.addDots("dot", evals, x, y)
	c.Caption = "Thin: every step. Strong: averaged over neighbouring steps."
	if soft == nil {
		c.Caption = "Every step."
	}
	if _, _, ok := bounds(evals); ok {
		c.Caption += " Dots: on the validation questions."
	}
	if y.log {
		c.Caption += " The axis is logarithmic."
	}
	if note := gapNote(raw); note != "" {
		c.Caption += " " + note
	}
	first, last := ends(raw, soft)
	c.Ends = append(c.Ends, tick{At: topPercent(y.frac(last.Y)), Label: lossText(last.Y)})
	c.Aria = "Training loss by step, from " + lossText(first.Y) + " to " + lossText(last.Y) + "."
	return c
}

// ends returns the first value of the curve, and its last as smoothed as it is drawn.
func ends(raw, soft []point) (first, last point) {
	first, last = point{Y: math.NaN()}, point{Y: math.NaN()}
	for _, p := range raw {
		if !math.IsNaN(p.Y) {
			if math.IsNaN(first.Y) {
				first = p
			}
			last = p
		}
	}
	for _, p := range soft {
		if !math.IsNaN(p.Y) {
			last = p
		}
	}
	return first, last
}

// gapNote says where the loss was not a number, which no curve shows.
func gapNote(points []point) string {
	n, first := 0, 0.0
	for _, p := range points {
		if math.IsNaN(p.Y) {
			if n == 0 {
				first = p.X
			}
			n++
		}
	}
	switch n {
	case 0:
		return ""
	case 1:
		return "At step " + thousands(int64(first)) + " the loss was not a finite number."
	}
	return "At " + thousands(int64(n)) + " steps, the first of them " + thousands(int64(first)) + ", the loss was not a finite number."
}

// accuracyChart draws the accuracy during training.
func accuracyChart(r *Run) *chart {
	points := make([]point, len(r.Evals))
	for i, e := range r.Evals {
		points[i] = point{float64(e.Step), e.ExecutionAccuracy}
	}
	if _, _, ok := bounds(points); !ok {
		return nil
	}
	x, y := stepAxis(r.Steps, r.Evals), axis{lo: 0, hi: 1}
	name := "Execution accuracy"
	if len(r.Splits) > 0 && r.Splits[0].After != nil && r.Splits[0].After.IsText() {
		name = "Exact match"
	}
	c := newChart(name+" while training", 180, x, y)
	for i := range c.Y {
		c.Y[i].Label = percentTick(c.Y[i].Label)
	}
	c.addCurve("line", points, x, y)
	c.addDots("dot", points, x, y)
	_, last := ends(points, nil)
	c.Ends = append(c.Ends, tick{At: topPercent(y.frac(last.Y)), Label: percent(last.Y)})
	c.Aria = name + " by step; at the end " + percent(last.Y) + "."
	return c
}

func percentTick(fraction string) string {
	v, err := strconv.ParseFloat(fraction, 64)
	if err != nil {
		return fraction
	}
	return strconv.FormatFloat(math.Round(100*v), 'f', -1, 64) + thinSpace + "%"
}

// rateChart draws the learning rate.
func rateChart(r *Run) *chart {
	points := pointsOf(r.Steps, func(s Step) float64 { return s.LR })
	_, hi, ok := bounds(points)
	if !ok || hi <= 0 {
		return nil
	}
	x, y := stepAxis(r.Steps, r.Evals), axis{lo: 0, hi: hi * 1.08}
	c := newChart("Learning rate", 90, x, y)
	c.Y = yTicks(y, []float64{0, hi})
	c.addCurve("line quiet", thin(points), x, y)
	c.Aria = "Learning rate by step, at most " + label(hi) + "."
	return c
}

func newChart(title string, height int, x, y axis) *chart {
	c := &chart{Title: title, Height: height, Y: yTicks(y, y.ticks(5))}
	for _, v := range x.ticks(5) {
		c.X = append(c.X, tick{At: number(100 * x.frac(v)), Line: number(chartWidth * x.frac(v)), Label: label(v)})
	}
	return c
}

func yTicks(y axis, values []float64) []tick {
	var out []tick
	for _, v := range values {
		out = append(out, tick{At: topPercent(y.frac(v)), Line: number(chartHeight * (1 - y.frac(v))), Label: label(v)})
	}
	return out
}

// addCurve adds a line through the points, broken where a value is missing. A point with no neighbours is a dot.
func (c *chart) addCurve(class string, points []point, x, y axis) {
	var b strings.Builder
	run := 0 // points since the last gap
	for i, p := range points {
		if math.IsNaN(p.Y) {
			run = 0
			continue
		}
		if run++; run == 1 {
			b.WriteByte('M')
		} else {
			b.WriteByte('L')
		}
		writeXY(&b, p, x, y)
		if alone := i+1 == len(points) || math.IsNaN(points[i+1].Y); alone && run == 1 {
			b.WriteString("h0")
		}
	}
	if b.Len() > 0 {
		c.Curves = append(c.Curves, curve{class, b.String()})
	}
}

// addDots adds a dot for every point: a line of no length whose round ends are as wide as its stroke, which keeps
// dots round in a stretched drawing.
func (c *chart) addDots(class string, points []point, x, y axis) {
	var b strings.Builder
	for _, p := range points {
		if !math.IsNaN(p.Y) {
			b.WriteByte('M')
			writeXY(&b, p, x, y)
			b.WriteString("h0")
		}
	}
	if b.Len() > 0 {
		c.Curves = append(c.Curves, curve{class, b.String()})
	}
}

func writeXY(b *strings.Builder, p point, x, y axis) {
	b.WriteString(number(chartWidth * x.frac(p.X)))
	b.WriteByte(' ')
	b.WriteString(number(chartHeight * (1 - y.frac(p.Y))))
}

func topPercent(frac float64) string { return number(100 * (1 - min(max(frac, 0), 1))) }

// number writes a coordinate with at most two decimals.
func number(v float64) string {
	return strconv.FormatFloat(math.Round(v*100)/100, 'f', -1, 64)
}
