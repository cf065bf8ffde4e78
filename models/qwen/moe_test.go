package qwen

import (
	"reflect"
	"testing"
)

func TestRowsAreGroupedByExpertInTheirOrder(t *testing.T) {
	// rows 0 to 3 chose experts (2, 0), (0, 3), (3, 2), (2, 0); nobody chose 1
	got := groupByExpert([]int32{2, 0, 0, 3, 3, 2, 2, 0}, 4, 2)
	want := groups{
		rows:   []int32{0, 1, 3, 0, 2, 3, 1, 2},
		places: []int32{3, 0, 1, 6, 7, 4, 5, 2},
		ends:   []int{0, 3, 3, 6, 8},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("grouped as %+v, want %+v", got, want)
	}
}

func TestEveryStepthLayerHasExpertsButThoseNamed(t *testing.T) {
	e := &Experts{DecoderSparseStep: 2, MLPOnlyLayers: []int{3}}
	for layer, want := range []bool{false, true, false, false, false, true} {
		if e.sparse(layer) != want {
			t.Errorf("layer %d has experts: %t", layer, !want)
		}
	}
	if (*Experts)(nil).sparse(1) {
		t.Error("a dense model has experts")
	}
}
