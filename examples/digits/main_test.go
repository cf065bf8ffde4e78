package main

import "testing"

func TestDigitsNeverSeenAreRead(t *testing.T) {
	n := newNetwork()
	if before, _, _, _ := examine(n, 500); before > 0.3 {
		t.Fatalf("before training %.1f %% are read right: the test shows nothing", 100*before)
	}
	if err := train(n, 150); err != nil {
		t.Fatal(err)
	}
	accuracy, mistake, is, taken := examine(n, 500)
	if accuracy < 0.9 {
		t.Errorf("%.1f %% are read right", 100*accuracy)
	}
	if accuracy < 1 && (mistake == nil || is == taken) {
		t.Errorf("a mistake is shown as a %d taken for a %d", is, taken)
	}
}
