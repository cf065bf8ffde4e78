package report

import (
	"bytes"
	"encoding/xml"
	"errors"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheLossesOfTwoRunsShareAPicture(t *testing.T) {
	falling := func(n int, from float64) []Step {
		steps := make([]Step, n)
		for i := range steps {
			steps[i] = Step{Step: i + 1, Loss: from / math.Sqrt(float64(i+1))}
		}
		return steps
	}
	long, short := LossCurve{"one run", falling(60, 2)}, LossCurve{"a <short> one", falling(5, 3)}
	dir := t.TempDir()
	svg, picture := filepath.Join(dir, "losses.svg"), filepath.Join(dir, "losses.png")
	for _, path := range []string{svg, picture} {
		if err := SaveLosses(path, [2]LossCurve{long, short}); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(svg)
	if err != nil {
		t.Fatal(err)
	}
	for d := xml.NewDecoder(bytes.NewReader(text)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("no XML: %v", err)
		}
	}
	for _, want := range []string{"one run, in the end 0.26", "a &lt;short&gt; one, in the end 1.34", "Step", "<path", ",sans-serif"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the SVG lacks %q", want)
		}
	}
	f, err := os.Open(picture)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	img, err := png.Decode(f)
	if err != nil || img.Bounds().Dx() != 1200 || img.Bounds().Dy() != 700 {
		t.Errorf("the PNG is %v (%v)", img.Bounds(), err)
	}
	err = SaveLosses(svg, [2]LossCurve{long, {"empty", nil}})
	if err == nil || !strings.Contains(err.Error(), "empty recorded no loss") {
		t.Errorf("error %v", err)
	}
	if again, _ := os.ReadFile(svg); !bytes.Equal(again, text) {
		t.Error("the failure cost the picture that was there")
	}
}
