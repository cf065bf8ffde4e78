package report

import (
	"image/color"
	"io"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
)

// The picture: 12 by 7 inches of 100 dots.
const (
	pngWidth  = 12 * vg.Inch
	pngHeight = 7 * vg.Inch
	pngDPI    = 100
)

var (
	inkColour   = color.RGBA{0x1b, 0x21, 0x26, 0xff}
	quietColour = color.RGBA{0x62, 0x6d, 0x76, 0xff}
	gridColour  = color.RGBA{0xe4, 0xe8, 0xea, 0xff}
	lineColour  = color.RGBA{0x0d, 0x6f, 0x8c, 0xff}
	rawColour   = color.RGBA{0x9c, 0xc7, 0xd4, 0xff}
	rateColour  = color.RGBA{0x6f, 0x7f, 0x8a, 0xff}
)

// A panel is a plot with its caption, which stands above it and begins at its axis.
type panel struct {
	*plot.Plot
	caption string
	note    string  // stands right of the last step,
	noteAt  float64 // at this value
}

// WritePNG draws the loss of every step, thin, and smoothed, strong, above the learning rate; 1200 by 700 pixels.
func WritePNG(w io.Writer, r *Run) error {
	canvas := vgimg.NewWith(vgimg.UseWH(pngWidth, pngHeight), vgimg.UseDPI(pngDPI), vgimg.UseBackgroundColor(color.White))
	all := draw.Crop(draw.New(canvas), 0.4*vg.Inch, -0.85*vg.Inch, 0.3*vg.Inch, -0.35*vg.Inch)
	loss, err := lossPanel(r)
	if err != nil {
		return err
	}
	rate, err := ratePanel(r)
	if err != nil {
		return err
	}
	const headroom = 0.8 * vg.Inch // for the title and a caption
	title := shown(r.About.Title, 80)
	if title == "" {
		title = defaultTitle
	}
	upper := draw.Crop(all, 0, 0, 0, -headroom)
	left := loss.DataCanvas(upper).Min.X
	if rate == nil {
		loss.X.Label.Text = "Step"
		loss.drawAt(upper, left)
	} else {
		const rateHeight = 1.5 * vg.Inch
		upper = draw.Crop(upper, 0, 0, rateHeight+0.55*vg.Inch, 0)
		lower := draw.Crop(all, 0, 0, 0, rateHeight-(all.Max.Y-all.Min.Y))
		left = max(loss.DataCanvas(upper).Min.X, rate.DataCanvas(lower).Min.X)
		loss.drawAt(upper, left)
		rate.drawAt(lower, left)
	}
	style := textStyle(19, inkColour)
	style.YAlign = draw.YTop
	all.FillText(style, vg.Point{X: left, Y: all.Max.Y}, title)
	_, err = vgimg.PngCanvas{Canvas: canvas}.WriteTo(w)
	return err
}

// drawAt draws the panel with its axis of values at left, so that panels above each other agree on the steps.
func (p *panel) drawAt(c draw.Canvas, left vg.Length) {
	c = draw.Crop(c, left-p.DataCanvas(c).Min.X, 0, 0, 0)
	p.Draw(c)
	data := p.DataCanvas(c)
	style := textStyle(12, quietColour)
	style.YAlign = draw.YBottom
	c.FillText(style, vg.Point{X: left, Y: data.Max.Y + 8}, p.caption)
	if p.note != "" {
		style = textStyle(13, lineColour)
		style.YAlign = draw.YCenter
		c.FillText(style, vg.Point{X: data.Max.X + 8, Y: data.Y(p.Y.Norm(p.noteAt))}, p.note)
	}
}

func lossPanel(r *Run) (*panel, error) {
	raw := pointsOf(r.Steps, func(s Step) float64 { return s.Loss })
	x, y := stepAxis(r.Steps, r.Evals), valueAxis(raw)
	soft := smooth(raw)
	_, last := ends(raw, soft)
	if math.IsNaN(last.Y) {
		return newPanel("No loss was recorded", x, y, nil), nil
	}
	p := newPanel("Loss", x, y, y.ticks(6))
	if y.log {
		p.caption = "Loss, on a logarithmic axis"
	}
	p.note, p.noteAt = lossText(last.Y), last.Y
	if soft == nil {
		soft = raw
	} else if err := p.addLines(thin(raw), rawColour, 0.6); err != nil {
		return nil, err
	}
	return p, p.addLines(thin(soft), lineColour, 2)
}

// ratePanel returns nil if no learning rate was recorded.
func ratePanel(r *Run) (*panel, error) {
	points := pointsOf(r.Steps, func(s Step) float64 { return s.LR })
	_, hi, ok := bounds(points)
	if !ok || hi <= 0 {
		return nil, nil
	}
	p := newPanel("Learning rate", stepAxis(r.Steps, r.Evals), axis{lo: 0, hi: hi * 1.08}, []float64{0, hi})
	p.X.Label.Text = "Step"
	return p, p.addLines(thin(points), rateColour, 1.5)
}

// newPanel returns a panel without curves: a baseline, quiet labels and horizontal rules.
func newPanel(caption string, x, y axis, ticks []float64) *panel {
	p := plot.New()
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = x.lo, x.hi, y.lo, y.hi
	if y.log {
		p.Y.Scale = plot.LogScale{}
	}
	p.X.Tick.Marker, p.Y.Tick.Marker = marks(x.ticks(8)), marks(ticks)
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		quieten(&a.Tick.Label)
		quieten(&a.Label.TextStyle)
		a.Label.Padding, a.Padding = 6, 0
		a.Tick.LineStyle.Width, a.Tick.Length = 0, 6
		a.LineStyle.Color = quietColour
	}
	p.Y.LineStyle.Width = 0
	p.X.LineStyle.Width = 0.75
	grid := plotter.NewGrid()
	grid.Vertical.Width = 0
	grid.Horizontal.Color, grid.Horizontal.Width = gridColour, 0.75
	p.Add(grid)
	return &panel{Plot: p, caption: caption}
}

// quieten gives the text of an axis its look, and leaves it where the axis put it.
func quieten(s *text.Style) {
	s.Color, s.Font = quietColour, textStyle(12, quietColour).Font
}

func marks(values []float64) plot.ConstantTicks {
	var out plot.ConstantTicks
	for _, v := range values {
		out = append(out, plot.Tick{Value: v, Label: label(v)})
	}
	return out
}

// addLines adds a line through the points, a piece for each stretch between gaps; a point alone is a dot.
func (p *panel) addLines(points []point, c color.Color, width vg.Length) error {
	// Adding a plotter widens the plot's range to its data; the axes were chosen already.
	x0, x1, y0, y1 := p.X.Min, p.X.Max, p.Y.Min, p.Y.Max
	defer func() { p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = x0, x1, y0, y1 }()

	var piece plotter.XYs
	for i, q := range points {
		if math.IsNaN(q.Y) {
			continue
		}
		piece = append(piece, plotter.XY{X: q.X, Y: q.Y})
		if i+1 < len(points) && !math.IsNaN(points[i+1].Y) {
			continue
		}
		if len(piece) == 1 {
			dot, err := plotter.NewScatter(piece)
			if err != nil {
				return err
			}
			dot.GlyphStyle = draw.GlyphStyle{Color: c, Radius: 1 + width, Shape: draw.CircleGlyph{}}
			p.Add(dot)
		} else {
			line, err := plotter.NewLine(piece)
			if err != nil {
				return err
			}
			line.Color, line.Width = c, width
			p.Add(line)
		}
		piece = nil
	}
	return nil
}

func textStyle(size vg.Length, c color.Color) text.Style {
	return text.Style{Color: c, Font: font.Font{Typeface: "Liberation", Variant: "Sans", Size: size}, Handler: plot.DefaultTextHandler}
}
