package train

import (
	"context"
	"errors"
	"testing"
)

// slowData is data that cancels when its sample is read for the n-th time.
type slowData struct {
	Samples
	reads, at int
	cancel    context.CancelFunc
}

func (d *slowData) Sample(i int) (Sample, error) {
	if d.reads++; d.reads == d.at {
		d.cancel()
	}
	return d.Samples[i], nil
}

func TestInterruptionOfAnyPartOfARunIsItsLastStep(t *testing.T) {
	for name, test := range map[string]struct {
		step  int // after which nothing more may come
		saves int // how often a checkpoint is written
		plant func(o *Options, cancel context.CancelFunc)
	}{
		"looking at the data": {0, 0, func(o *Options, cancel context.CancelFunc) {
			o.Config.Epochs = 2
			o.Data = &slowData{Samples: tinyData(31), at: 20, cancel: cancel}
		}},
		"the warm-up of the schedule": {1, 1, func(o *Options, cancel context.CancelFunc) {
			o.OnStep = func(m Metrics) {
				if m.Step == 1 {
					cancel()
				}
			}
		}},
		"making a window": {5, 2, func(o *Options, cancel context.CancelFunc) {
			d := &slowData{Samples: tinyData(31), at: -1, cancel: cancel}
			o.Data, o.OnStep = d, func(m Metrics) {
				if m.Step == 5 {
					d.at = d.reads + 1
				}
			}
		}},
		"evaluating": {6, 2, func(o *Options, cancel context.CancelFunc) {
			o.Config.EvalEvery = 3
			o.Evaluate = func(ctx context.Context, step int) (Evaluation, error) {
				if step == 6 {
					cancel()
				}
				return Evaluation{}, ctx.Err()
			}
		}},
		"saving": {8, 2, func(o *Options, cancel context.CancelFunc) {
			extra := o.SaveExtra
			o.SaveExtra = func(dir string) error {
				err := extra(dir)
				if mustSteps(t, o.Config) == 4 {
					cancel()
				}
				return err
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			m := tinyModel(t, "float32")
			saves := 0
			o := Options{Model: m, Optimizer: adamW(m), Data: tinyData(31), Config: tinyRunConfig(t.TempDir()), SaveExtra: func(string) error { saves++; return nil }}
			test.plant(&o, cancel)
			r, err := Run(ctx, o)
			if !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			step := 0
			if r != nil {
				step = r.Step
			}
			if step != test.step || saves != test.saves || mustSteps(t, o.Config) != test.step {
				t.Errorf("%d steps, %d saves, the newest of step %d; want %d steps, %d saves", step, saves, mustSteps(t, o.Config), test.step, test.saves)
			}
		})
	}
}
