package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// trainSet is the flags of train.
func trainSet() *flag.FlagSet {
	fs := flag.NewFlagSet("train", flag.ContinueOnError)
	new(trainFlags).register(fs)
	return fs
}

// values are all flags as text.
func values(fs *flag.FlagSet) map[string]string {
	all := map[string]string{}
	fs.VisitAll(func(f *flag.Flag) { all[f.Name] = f.Value.String() })
	return all
}

func TestRecipeBringsBackEveryFlag(t *testing.T) {
	changed := trainSet()
	changed.VisitAll(func(f *flag.Flag) {
		if slices.Contains(notInRecipes, f.Name) {
			return
		}
		odd := map[string][]string{"max-time": {"1h3m"}, "dtype": {"f32"}, "seed": {"18446744073709551615"}, "lr": {"1.2345678901234567e-05"}, "memory": {"a \"b\"\n\\"}}[f.Name]
		for _, candidate := range append(odd, "17", "false", "true", "text") {
			if changed.Set(f.Name, candidate) == nil && f.Value.String() != f.DefValue {
				return
			}
		}
		t.Fatalf("-%s could not be changed", f.Name)
	})
	dir := t.TempDir()
	if err := writeRecipe(dir, changed); err != nil {
		t.Fatal(err)
	}
	fresh := trainSet()
	if err := readRecipe(filepath.Join(dir, recipeFile), fresh); err != nil {
		t.Fatal(err)
	}
	if got, want := values(fresh), values(changed); !maps.Equal(got, want) {
		t.Errorf("read back %v\nwant %v", got, want)
	}
	if len(values(fresh)) < 40 {
		t.Errorf("only %d flags", len(values(fresh)))
	}
}

func TestFlagsOfTheCommandLineWinOverTheRecipe(t *testing.T) {
	file := write(t, filepath.Join(t.TempDir(), "r.json"), []byte(`{"lr": 0.5, "batch": 3, "packing": false}`))
	fs := trainSet()
	if err := fs.Parse([]string{"-lr", "0.25"}); err != nil {
		t.Fatal(err)
	}
	if err := readRecipe(file, fs); err != nil {
		t.Fatal(err)
	}
	if v := values(fs); v["lr"] != "0.25" || v["batch"] != "3" || v["packing"] != "false" {
		t.Errorf("lr %s, batch %s, packing %s", v["lr"], v["batch"], v["packing"])
	}
}

func TestMistakesInARecipeAreNamedByFileAndLine(t *testing.T) {
	for text, want := range map[string]string{
		"{\n\"lr\": 1,\n\"batches\": 3}": `r.json:3: no flag of a recipe is named "batches"; the nearest is "batch"`,
		`{"max_steps": 3}`:               `the nearest is "max-steps"`,
		`{"resume": true}`:               `no flag of a recipe is named "resume"`,
		"{\"lr\": 1,\n\"lr\": 2}":        `r.json:2: "lr" is there twice`,
		`{"lr": "fast"}`:                 `"lr" is fast: `,
		`{"lr": {"max": 1}}`:             `"lr" is neither a text, a number nor true or false`,
		`{"lr": null}`:                   `"lr" is neither`,
		`[1]`:                            "one JSON object of flags",
		`{"lr": 1`:                       "unexpected",
		``:                               "unexpected EOF",
		`{"lr": 1} {}`:                   "there is more behind the object",
		`{"lr": 1, }`:                    "r.json:1: ",
	} {
		file := write(t, filepath.Join(t.TempDir(), "r.json"), []byte(text))
		err := readRecipe(file, trainSet())
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	if err := readRecipe("nowhere.json", trainSet()); err == nil || !strings.Contains(err.Error(), "nowhere.json") {
		t.Errorf("%v", err)
	}
}

func TestARunIsMadeAgainByItsRecipeToTheBit(t *testing.T) {
	w, dir := theWorld(t), t.TempDir()
	first, second := filepath.Join(dir, "first"), filepath.Join(dir, "second")
	ok(t, trainArgs(w, first, "-max-steps", "3", "-lr", "0.003")...)
	recipe := jsonObject(t, string(read(t, filepath.Join(first, recipeFile))))
	if recipe["lr"] != 0.003 || recipe["packing"] != false || recipe["epochs"] != 0.0 {
		t.Errorf("recipe %v", recipe)
	}
	ok(t, "train", "-recipe", filepath.Join(first, recipeFile), "-out", second)
	if !bytes.Equal(read(t, filepath.Join(first, "model.safetensors")), read(t, filepath.Join(second, "model.safetensors"))) {
		t.Error("the recipe makes another model")
	}
	again := jsonObject(t, string(read(t, filepath.Join(second, recipeFile))))
	delete(recipe, "out")
	delete(again, "out")
	if a, _ := json.Marshal(recipe); !bytes.Equal(a, func() []byte { b, _ := json.Marshal(again); return b }()) {
		t.Errorf("%v\nwant %v", again, recipe)
	}
	fails(t, 1, []string{`named "lora-rank"; the nearest is "`}, "train", "-recipe", write(t, filepath.Join(dir, "bad.json"), []byte(`{"lora-rank": 8}`)))
}

func TestNoFileOfARunHoldsThePasswordOfADatabase(t *testing.T) {
	for dsn, want := range map[string]string{
		"postgres://me:secret@host:5432/db":  "postgres://me@host:5432/db",
		"postgresql://me:se:cret@host/db":    "postgresql://me@host/db",
		"postgres://me@host:5432/db":         "postgres://me@host:5432/db",
		"postgres://host:5432/db?sslmode=no": "postgres://host:5432/db?sslmode=no",
	} {
		if got := withoutPassword(dsn); got != want {
			t.Errorf("%s became %s, want %s", dsn, got, want)
		}
		if got := shellCommand("train", []string{"-dsn", dsn}); strings.Contains(got, "cret") {
			t.Errorf("the command of the report is %s", got)
		}
	}
}
