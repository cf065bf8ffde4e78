package models_test

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/hone-ml/hone/models"
	"github.com/hone-ml/hone/tensor"
)

func TestPositionsBeginAnewForEachPackedSequenceAndGoOnBehindTheCache(t *testing.T) {
	s := tensor.CPU().NewScope()
	defer s.Close()
	want := func(what string, b models.Batch, c *models.Cache, positions ...int32) {
		t.Helper()
		if got := tensor.ToSlice[int32](models.PositionsOf(b, c)); !slices.Equal(got, positions) {
			t.Errorf("%s: %v, want %v", what, got, positions)
		}
	}
	two := tensor.FromSlice(s, make([]int32, 6), 2, 3)
	want("rows", models.Batch{IDs: two}, nil, 0, 1, 2, 0, 1, 2)
	want("packed", models.Batch{IDs: two.Reshape(1, 6), SeqStarts: []int32{0, 2, 6}}, nil, 0, 1, 0, 1, 2, 3)
	given := tensor.FromSlice(s, []int32{9, 8, 7, 6, 5, 4}, 2, 3)
	want("given", models.Batch{IDs: two, Positions: given}, nil, 9, 8, 7, 6, 5, 4)

	m := newTiny(t, true, "float32")
	c := m.NewCache(2, 8)
	defer c.Free()
	m.Hidden(models.Batch{IDs: two}, c)
	c.Select([]int{1})
	m.Hidden(models.Batch{IDs: tensor.FromSlice(s, []int32{5}, 1, 1)}, c)
	c.Select([]int{1, 0})
	want("behind the cache", models.Batch{IDs: tensor.FromSlice(s, make([]int32, 4), 2, 2)}, c, 4, 5, 3, 4)
}

func TestParametersSavedToOneFileAreLoadedIntoAModelInUse(t *testing.T) {
	m := newTiny(t, false, "bfloat16")
	path := filepath.Join(t.TempDir(), "weights.safetensors")
	if err := models.SaveParameters(path, m); err != nil {
		t.Fatal(err)
	}
	want := bytesOf(m)
	for _, p := range m.Parameters() {
		p.Fill(0)
	}
	if err := models.LoadParameters(path, m); err != nil {
		t.Fatal(err)
	}
	for name, bytes := range bytesOf(m) {
		if bytes != want[name] {
			t.Errorf("%s came back changed", name)
		}
	}
}

func TestTypesAreSortedAndKnowQwen(t *testing.T) {
	types := models.Types()
	if !slices.IsSorted(types) || !slices.Contains(types, "qwen3") {
		t.Errorf("the registered types are %v", types)
	}
}

func TestAModelTellsItsLimitAndKeepsHowItIsSampled(t *testing.T) {
	m := newTiny(t, true, "float32")
	if n := m.MaxPositions(); n != 64 {
		t.Errorf("made for %d positions, want 64", n)
	}
	m.SetGenerationConfig(models.GenerationConfig{EOSTokenID: models.TokenIDs{7, 9}})
	loaded, err := models.Load(saved(t, m), models.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got := loaded.(models.GenerationConfigured).GenerationConfig().EOSTokenID; !slices.Equal(got, models.TokenIDs{7, 9}) {
		t.Errorf("stop tokens %v came back, want 7 and 9", got)
	}
}
