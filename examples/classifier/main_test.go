package main

import (
	"image/color"
	"math"
	"testing"
)

func TestTheSpiralsAreToldApartAndDrawn(t *testing.T) {
	n := newNetwork(1)
	accuracy, err := train(n, 300)
	if err != nil {
		t.Fatal(err)
	}
	if accuracy < 0.97 {
		t.Errorf("%.1f %% of the points are right", 100*accuracy)
	}
	img := draw(n, 200)
	hues := map[color.Color]bool{}
	for i := range 3 { // a ring of radius 0.6 crosses every arm
		angle := 4*0.6 + 2*math.Pi/classes*float64(i)
		x, y := 0.6*math.Cos(angle), 0.6*math.Sin(angle)
		hues[img.At(int((x+1.1)/2.2*200)+4, int((1.1-y)/2.2*200)+4)] = true
	}
	if len(hues) != classes {
		t.Errorf("the arms lie in %d colours", len(hues))
	}
}
