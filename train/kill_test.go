package train

import (
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hone-ml/hone/tensor"
)

const killedRunVariable = "HONE_TRAIN_KILLED_RUN"

// killedOptions are those of a run that evaluates, keeps its best, guards against spikes and draws random numbers.
func killedOptions(t testing.TB, dir string) Options {
	m := withDropout(t, "bfloat16")
	c := tinyRunConfig(dir)
	c.MaxSteps, c.SaveEvery, c.EvalEvery, c.KeepBest, c.Spike, c.Resume = 120, 1, 7, true, 1, true
	return Options{Model: m, Optimizer: muonAndAdamW(m), Data: tinyData(31), Config: c, Evaluate: func(ctx context.Context, step int) (Evaluation, error) {
		return scored(ctx, step%50)
	}}
}

// TestKilledRunHelper is not a test of its own: it is the process that the next test kills.
func TestKilledRunHelper(t *testing.T) {
	dir := os.Getenv(killedRunVariable)
	if dir == "" {
		t.Skip("runs only as the child of TestKilledAndResumedEqualsUninterruptedToTheBit")
	}
	o := killedOptions(t, dir)
	o.OnStep = func(Metrics) { time.Sleep(3 * time.Millisecond) }
	mustRun(t, o)
}

// The number of kills is 20, or HONE_KILLS: scripts/full-check.sh asks for 200. Each run that was killed is
// resumed to its end twice: by the process that is killed next, and by a copy of its directory right away.
func TestKilledAndResumedEqualsUninterruptedToTheBit(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	kills := 20
	if s := os.Getenv("HONE_KILLS"); s != "" {
		var err error
		if kills, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	whole := killedOptions(t, t.TempDir())
	whole.Config.SaveEvery = 0
	mustRun(t, whole)
	want, lines := tensorsOf(whole.Model, whole.Optimizer), metricsWithoutTimes(t, whole.Config.OutDir)

	rng := rand.New(rand.NewPCG(1, 2))
	dir, inSave, runs := t.TempDir(), 0, 1
	for n := 0; n < kills; {
		aim := inSave < (n+1)*2/5 // two of five kills wait for a save, so that at least one in four hits one
		if mustSteps(t, whole.at(dir)) > 80 {
			dir, runs = t.TempDir(), runs+1
		}
		done, hit := kill(t, dir, rng, aim)
		if done {
			dir, runs = t.TempDir(), runs+1 // it reached its end before it could be killed
			continue
		}
		n++
		if hit {
			inSave++
		}
		copied := filepath.Join(t.TempDir(), "run")
		if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		fresh := killedOptions(t, copied)
		fresh.Model.(*wrapped).Init(tensor.NewRand(3)) // knows nothing but what the checkpoint tells
		if mustSteps(t, fresh.Config) == 0 {
			initialise(fresh.Model.(*wrapped).Model)
		}
		fresh.Config.SaveEvery = 50
		from := mustSteps(t, fresh.Config)
		if r := mustRun(t, fresh); r.ResumedFrom != from {
			t.Errorf("kill %d: resumed from step %d, not %d", n, r.ResumedFrom, from)
		}
		wantSameTensors(t, tensorsOf(fresh.Model, fresh.Optimizer), want)
		if got := metricsWithoutTimes(t, copied); !slices.Equal(got, lines) {
			t.Fatalf("kill %d at step %d: metrics\n%s\nwant\n%s", n, from, strings.Join(got, "\n"), strings.Join(lines, "\n"))
		}
		if left := unfinished(t, copied); len(left) > 0 {
			t.Errorf("kill %d: %v are left", n, left)
		}
	}
	t.Logf("%d kills of %d runs, %d of them inside a save: all resumed to the same bits", kills, runs, inSave)
	if inSave*4 < kills {
		t.Errorf("only %d of %d kills hit a save", inSave, kills)
	}
}

// at is the configuration of the run in another directory.
func (o Options) at(dir string) Config {
	o.Config.OutDir = dir
	return o.Config
}

// kill starts the run in dir, or resumes it, and kills it at a random moment, aimed at a save if that is asked
// for. done says that it was too late; inSave that a checkpoint was half written, or half removed.
func kill(t *testing.T, dir string, rng *rand.Rand, aim bool) (done, inSave bool) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilledRunHelper$")
	cmd.Env = append(os.Environ(), killedRunVariable+"="+dir)
	if err := cmd.Start(); err != nil {
		t.Skip("needs to start processes: ", err)
	}
	c := killedOptions(t, dir).Config
	begin, wait := mustSteps(t, c), rng.IntN(25)
	for deadline := time.Now().Add(time.Minute); mustSteps(t, c) < begin+1+wait%7; time.Sleep(200 * time.Microsecond) {
		if time.Now().After(deadline) {
			t.Fatal("the child makes no checkpoints")
		}
	}
	time.Sleep(time.Duration(rng.IntN(12_000)) * time.Microsecond)
	if aim {
		for deadline := time.Now().Add(time.Second); len(unfinished(t, dir)) == 0 && time.Now().Before(deadline); {
			continue // a save takes a few milliseconds
		}
		time.Sleep(time.Duration(rng.IntN(1500)) * time.Microsecond)
	}
	if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatal(err)
	}
	done = cmd.Wait() == nil
	return done, len(unfinished(t, dir)) > 0
}

// unfinished is what is half written or half removed among the checkpoints of a run.
func unfinished(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, "checkpoints"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".tmp") {
			names = append(names, e.Name())
		}
	}
	return names
}
