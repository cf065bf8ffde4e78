package main

import (
	"testing"
	"time"

	"github.com/hone-ml/hone/train"
)

func TestExaminationsTakeTheirPartOfTheTime(t *testing.T) {
	w := theWorld(t)
	s := session{maxTime: time.Minute, evalSeconds: 20}
	c := train.Config{MaxTime: time.Minute}
	if err := s.share(&c); err != nil || c.MaxTime != 20*time.Second {
		t.Errorf("%s are left for training, %v; want 20s", c.MaxTime, err)
	}
	s.maxTime, c.MaxTime = 0, 0
	if err := s.share(&c); err != nil || c.MaxTime != 0 {
		t.Errorf("a run without a limit got one: %s, %v", c.MaxTime, err)
	}
	fails(t, 1, []string{"the examination before training took", "-max-time 1ms", "-eval-limit"},
		trainArgs(w, t.TempDir(), "-valid", w.valid, "-db-dir", w.databases, "-max-time", "1ms", "-schedule", "constant", "-warmup", "0", "-epochs", "9")...)
}
