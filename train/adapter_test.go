package train

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/hone-ml/hone/nn/lora"
	"github.com/hone-ml/hone/tensor"
)

func TestARunOfAnAdapterSavesItAloneAndResumesToTheBit(t *testing.T) {
	begin := func(dir string) Options {
		m := tinyModel(t, "bfloat16")
		a, err := lora.Attach(m, lora.Config{Rank: 3, Alpha: 6, Dropout: 0.2, Targets: []string{lora.AllLinear}}, tensor.NewRand(4))
		if err != nil {
			t.Fatal(err)
		}
		m.SetRecompute(tensor.RecomputeBlock)
		return Options{Model: m, Optimizer: adamW(m), Data: tinyData(31), Config: tinyRunConfig(dir), SaveModel: a.Save, LoadModel: a.Restore}
	}
	whole := begin(t.TempDir())
	frozen := whole.Model.Head().Bytes()
	mustRun(t, whole)
	if string(whole.Model.Head().Bytes()) != string(frozen) {
		t.Error("the frozen embedding has changed")
	}

	dir := t.TempDir()
	first := begin(dir)
	mustRun(t, first)
	if err := os.RemoveAll(filepath.Join(dir, "checkpoints", "step-000012")); err != nil {
		t.Fatal(err)
	}
	again := begin(dir)
	again.Config.Resume = true
	if r := mustRun(t, again); r.ResumedFrom != 8 {
		t.Fatalf("resumed from step %d", r.ResumedFrom)
	}
	wantSameTensors(t, tensorsOf(again.Model, again.Optimizer), tensorsOf(whole.Model, whole.Optimizer))
	if _, err := os.Stat(filepath.Join(dir, "checkpoints", "step-000012", "model.safetensors")); err == nil {
		t.Error("a checkpoint holds the whole model")
	}

	again.LoadModel = nil
	_, err := Run(t.Context(), again)
	wantError(t, err, "both SaveModel and LoadModel")
}
