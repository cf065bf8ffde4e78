package train

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestFailedSaveLeavesTheCheckpointBeforeIntact(t *testing.T) {
	m := tinyModel(t, "float32")
	opt := adamW(m)
	c := tinyRunConfig(t.TempDir())
	cause := errors.New("no space left on device")
	saves := 0
	o := Options{Model: m, Optimizer: opt, Data: tinyData(31), Config: c, SaveExtra: func(dir string) error {
		if saves++; saves == 2 {
			return cause
		}
		return nil
	}}
	r, err := Run(t.Context(), o)
	if !errors.Is(err, cause) {
		t.Fatalf("error %v does not wrap its cause", err)
	}
	wantError(t, err, "step-000008 could not be saved", "step-000004, is intact", "make room and resume")
	if r.Stopped != StopFailed || filepath.Base(r.Checkpoint) != "step-000004" {
		t.Errorf("%+v", r)
	}
	wantCheckpoints(t, c.OutDir, 4)

	want := tinyModel(t, "float32")
	wantOpt := adamW(want)
	whole := tinyRunConfig("")
	mustRun(t, Options{Model: want, Optimizer: wantOpt, Data: tinyData(31), Config: whole})
	o.Config.Resume = true
	mustRun(t, o)
	wantSameTensors(t, tensorsOf(m, opt), tensorsOf(want, wantOpt))
}

func TestLeftoversOfKilledRunsAreRemovedAndNeverResumedFrom(t *testing.T) {
	m := tinyModel(t, "float32")
	dir, _, _ := uninterrupted(t, m, adamW(m), nil)
	made := filepath.Join(dir, "checkpoints")
	for _, name := range []string{"step-000016.tmp", "step-000016", "notes"} { // the second lacks trainer.json
		if err := os.Mkdir(filepath.Join(made, name), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(made, name, "model.safetensors"), []byte("half"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	c := tinyRunConfig(dir)
	c.EvalEvery, c.KeepBest, c.Resume = 3, true, true
	r := mustRun(t, Options{Model: m, Optimizer: adamW(m), Data: tinyData(31), Config: c, Evaluate: scored})
	if r.ResumedFrom != 12 {
		t.Errorf("resumed from step %d", r.ResumedFrom)
	}
	if _, err := os.Stat(filepath.Join(made, "step-000016.tmp")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the temporary directory is still there (%v)", err)
	}
	if _, err := os.Stat(filepath.Join(made, "notes")); err != nil {
		t.Error("somebody else's directory was removed")
	}
}
