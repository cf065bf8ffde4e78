package report

import (
	"bytes"
	"fmt"
	"image/color"
	"io"
	"math"
	"path/filepath"

	"github.com/hone-ml/hone/internal/atomicfile"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"
)

// A LossCurve is the losses of a run and what the picture calls it.
type LossCurve struct {
	Name  string
	Steps []Step
}

// lossColours are the strong and the thin line of each curve.
var lossColours = [][2]color.RGBA{
	{lineColour, rawColour},
	{{0xb8, 0x5c, 0x12, 0xff}, {0xe9, 0xc4, 0xa0, 0xff}},
}

// SaveLosses draws the losses of two runs over their steps into one picture, those of every step thin, and smoothed,
// strong: SVG if the file's name ends in .svg, otherwise PNG of 1200 by 700 pixels.
func SaveLosses(path string, curves [2]LossCurve) error {
	return atomicfile.WriteFile(path, func(w io.Writer) error { return writeLosses(w, curves, filepath.Ext(path) == ".svg") })
}

func writeLosses(w io.Writer, curves [2]LossCurve, svg bool) error {
	var canvas interface {
		vg.CanvasSizer
		io.WriterTo
	}
	if svg {
		canvas = vgsvg.New(pngWidth, pngHeight)
	} else {
		canvas = vgimg.PngCanvas{Canvas: vgimg.NewWith(vgimg.UseWH(pngWidth, pngHeight), vgimg.UseDPI(pngDPI), vgimg.UseBackgroundColor(color.White))}
	}
	p, err := lossesPanel(curves)
	if err != nil {
		return err
	}
	area := draw.New(canvas)
	area.SetColor(color.White)
	area.Fill(area.Rectangle.Path())
	area = draw.Crop(area, 0.4*vg.Inch, -0.4*vg.Inch, 0.3*vg.Inch, -0.7*vg.Inch)
	p.drawAt(area, p.DataCanvas(area).Min.X)
	if !svg {
		_, err = canvas.WriteTo(w)
		return err
	}
	var b bytes.Buffer
	if _, err := canvas.WriteTo(&b); err != nil {
		return err
	}
	const family = "font-family:Liberation Sans" // which browsers need not have
	_, err = w.Write(bytes.ReplaceAll(b.Bytes(), []byte(family), []byte(family+",Arial,Helvetica,sans-serif")))
	return err
}

func lossesPanel(curves [2]LossCurve) (*panel, error) {
	var raw, soft [2][]point
	var longest []Step
	for i, c := range curves {
		raw[i] = pointsOf(c.Steps, func(s Step) float64 { return s.Loss })
		if _, last := ends(raw[i], nil); math.IsNaN(last.Y) {
			return nil, fmt.Errorf("%s recorded no loss", c.Name)
		}
		if len(c.Steps) > len(longest) {
			longest = c.Steps
		}
		if soft[i] = smooth(raw[i]); soft[i] == nil {
			soft[i], raw[i] = raw[i], nil
		}
	}
	y := valueAxis(soft[0], soft[1], raw[0], raw[1])
	p := newPanel("Loss", stepAxis(longest, nil), y, y.ticks(6))
	if y.log {
		p.caption = "Loss, on a logarithmic axis"
	}
	p.X.Label.Text = "Step"
	for i := range curves {
		if err := p.addLines(thin(raw[i]), lossColours[i][1], 0.6); err != nil {
			return nil, err
		}
	}
	p.Legend.Top = true
	p.Legend.TextStyle = textStyle(13, inkColour)
	p.Legend.Padding = 4
	for i, c := range curves {
		if err := p.addLines(thin(soft[i]), lossColours[i][0], 2); err != nil {
			return nil, err
		}
		_, last := ends(raw[i], soft[i])
		p.Legend.Add(fmt.Sprintf("%s, in the end %s", shown(c.Name, 60), lossText(last.Y)), swatch(lossColours[i][0]))
	}
	return p, nil
}

// swatch is a line of the legend.
type swatch color.RGBA

// Thumbnail draws it.
func (s swatch) Thumbnail(c *draw.Canvas) {
	y := c.Center().Y
	c.StrokeLine2(draw.LineStyle{Color: color.RGBA(s), Width: 2}, c.Min.X, y, c.Max.X, y)
}
