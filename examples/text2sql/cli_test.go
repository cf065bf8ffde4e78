package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"path/filepath"
	"strings"
	"testing"
)

func TestHelpExplainsEveryCommandAndExitsWithZero(t *testing.T) {
	general := ok(t, "-h")
	for _, c := range commands() {
		if !strings.Contains(general, "text2sql "+c.name) {
			t.Errorf("the help does not mention %s", c.name)
		}
		help := ok(t, append(strings.Fields(c.name), "-h")...)
		for _, want := range []string{"Usage: text2sql " + c.name, c.summary, "-device", "-dtype", "-seed", "-memory", "-json", "-trace", "-detect-nan"} {
			if !strings.Contains(help, want) {
				t.Errorf("%s -h lacks %q", c.name, want)
			}
		}
		if again := ok(t, append([]string{"help"}, strings.Fields(c.name)...)...); again != help {
			t.Errorf("help %s and %s -h differ", c.name, c.name)
		}
	}
	if help := ok(t, "data", "-h"); !strings.Contains(help, "text2sql data check") || !strings.Contains(help, "text2sql data load") {
		t.Errorf("data -h shows neither of its commands: %s", help)
	}
}

func TestFlagsOfTrainHaveTheDefaultsOfTheContract(t *testing.T) {
	var f trainFlags
	fs := flag.NewFlagSet("train", flag.ContinueOnError)
	f.register(fs)
	for name, want := range map[string]string{
		"device": "auto", "seed": "42", "memory": "", "json": "false", "trace": "", "detect-nan": "false", "dtype": "",
		"epochs": "3", "max-steps": "0", "max-time": "0s", "batch": "8", "accum": "2", "max-length": "1024",
		"lr": "2e-05", "schedule": "cosine", "warmup": "0.03", "weight-decay": "0.01", "clip": "1",
		"packing": "true", "moments": "f32", "gradients": "f32", "prompt-loss": "0", "eval-every": "0", "save-every": "0", "keep": "2", "patience": "0", "resume": "false",
		"lora": "false", "rank": "16", "alpha": "32", "dropout": "0", "targets": "all-linear", "base-dtype": "bf16", "db-dir": "", "dsn": "", "model": "", "data": "", "valid": "", "out": "",
	} {
		if got := fs.Lookup(name); got == nil || got.DefValue != want {
			t.Errorf("-%s: %+v, want the default %q", name, got, want)
		}
	}
	if fs.Lookup("recompute") == nil {
		t.Error("-recompute is missing")
	}
}

func TestWrongUsageExitsWithTwo(t *testing.T) {
	train := func(more ...string) []string {
		return append([]string{"train", "-model", "m", "-data", "d", "-out", "o"}, more...)
	}
	for _, test := range []struct {
		part string
		args []string
	}{
		{"no command", []string{"fly"}},
		{"unexpected argument", []string{"info", "x"}},
		{"-nope", []string{"info", "-nope"}},
		{"-model is missing", []string{"train"}},
		{"-data is missing", []string{"train", "-model", "m"}},
		{"-out is missing", []string{"train", "-model", "m", "-data", "d"}},
		{"-pred is missing", []string{"score", "-data", "d"}},
		{"-db-dir is missing", []string{"score", "-pred", "p", "-data", "d"}},
		{"-db-dir is missing", []string{"eval", "-model", "m", "-data", "d"}},
		{"question is missing", []string{"ask", "-model", "m", "-db", "d"}},
		{"qwen3-0.6b", []string{"init", "-config", "qwen9", "-out", "o"}},
		{"-device", []string{"info", "-device", "gpu"}},
		{"-device", []string{"info", "-device", "cuda:x"}},
		{"-device", []string{"info", "-device", "cuda:"}},
		{"-dtype", []string{"info", "-dtype", "f8"}},
		{"-memory", []string{"info", "-memory", "much"}},
		{"-memory", []string{"info", "-memory", "-3GB"}},
		{"check or split or load", []string{"data"}},
		{"-dsn is missing", []string{"data", "load", "-db-dir", "d"}},
		{"-db-dir is missing", []string{"data", "load", "-dsn", "postgres://x"}},
		{"exclude each other", []string{"score", "-pred", "p", "-data", "d", "-db-dir", "d", "-dsn", "postgres://x"}},
		{"exclude each other", train("-valid", "v", "-db-dir", "d", "-dsn", "postgres://x")},
		{"-db-id is for PostgreSQL", []string{"ask", "-model", "m", "-db", "x.sqlite", "-db-id", "shop", "Who?"}},
		{"neither check nor split nor load", []string{"data", "mine"}},
		{"-schedule", train("-schedule", "step")},
		{`-chat-template: there is no chat template "jinja"`, train("-chat-template", "jinja")},
		{"-chat-template", []string{"eval", "-model", "m", "-data", "d", "-db-dir", "d", "-chat-template", "x"}},
		{"-chat-template", []string{"ask", "-model", "m", "-db", "d", "-chat-template", "x", "Who?"}},
		{"-recompute", train("-recompute", "all")},
		{"-moments", train("-moments", "f64")},
		{"-base-dtype", train("-base-dtype", "q2")},
		{"-lora", train("-rank", "8")},
		{"-batch is 0", train("-batch", "0")},
		{"-accum is -1", train("-accum", "-1")},
		{"-warmup is 2", train("-warmup", "2")},
		{"-lr is NaN", train("-lr", "nan")},
		{"never end", train("-epochs", "0")},
		{"-valid needs -db-dir", train("-valid", "v")},
		{"-eval-every needs -valid", train("-eval-every", "5")},
		{"-patience needs -eval-every", train("-patience", "5")},
		{"-max-steps", []string{"demo", "-max-steps", "0"}},
	} {
		fails(t, 2, []string{test.part}, test.args...)
	}
}

func TestInfoTellsTheMachine(t *testing.T) {
	if out := ok(t, "info"); !strings.Contains(out, "kernel path") {
		t.Errorf("info without a kernel path: %s", out)
	}
	object := jsonObject(t, ok(t, "info", "-json"))
	wantKeys(t, "info", object, "version", "go", "os", "threads", "devices", "cuda")
}

func TestInitMakesAModelDirectory(t *testing.T) {
	w, out := theWorld(t), t.TempDir()
	object := jsonObject(t, ok(t, "init", "-config", w.config, "-tokenizer", w.tokenizer, "-dtype", "bf16", "-out", out, "-json"))
	if object["dtype"] != "bfloat16" || object["parameters"].(float64) < 1000 {
		t.Errorf("init printed %v", object)
	}
	for _, name := range []string{"config.json", "model.safetensors", "generation_config.json", "tokenizer.json", "tokenizer_config.json"} {
		read(t, out+"/"+name)
	}
	fails(t, 1, []string{out, "already"}, "init", "-config", w.config, "-out", out)
	small := write(t, t.TempDir()+"/config.json", testConfig(300, nil))
	fails(t, 1, []string{"tokens", "vocab_size is 300"}, "init", "-config", small, "-tokenizer", w.tokenizer, "-out", t.TempDir())
	wrong := write(t, t.TempDir()+"/config.json", testConfig(300, map[string]any{"hidden_size": "wide"}))
	fails(t, 1, []string{wrong, "hidden_size"}, "init", "-config", wrong, "-out", t.TempDir())
	llama := filepath.Join("..", "..", "models", "llama", "testdata", "llama3", "config.json")
	if object := jsonObject(t, ok(t, "init", "-config", llama, "-out", filepath.Join(t.TempDir(), "llama"), "-json")); object["parameters"].(float64) != 13_344 {
		t.Errorf("a Llama is made as %v", object)
	}
	fails(t, 1, []string{"32762123264 parameters", "1.9 MiB"}, "init", "-config", "qwen3-32b", "-memory", "2MB", "-out", t.TempDir())
}

func TestAPanicIsAnErrorOfOneLine(t *testing.T) {
	var stderr bytes.Buffer
	p := &program{stdout: panicking{}, stderr: &stderr}
	if code := p.main(t.Context(), []string{"info"}); code != 1 || !strings.Contains(stderr.String(), "internal error: boom") {
		t.Errorf("exit code %d: %s", code, &stderr)
	}
}

type panicking struct{}

func (panicking) Write([]byte) (int, error) { panic("boom") }

func TestInterruptedCommandsExitWithOneAndSaySo(t *testing.T) {
	w := theWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, args := range [][]string{
		{"score", "-pred", w.valid, "-data", w.valid, "-db-dir", w.databases},
		{"train", "-model", w.model, "-data", w.train, "-valid", w.valid, "-db-dir", w.databases, "-out", t.TempDir() + "/run", "-device", "cpu"},
	} {
		if o := cliContext(ctx, args...); o.code != 1 || o.stderr != "text2sql: interrupted\n" {
			t.Errorf("%s: exit code %d: %s", args[0], o.code, o.stderr)
		}
	}
}

func TestShellCommandQuotesWhatAShellWouldChange(t *testing.T) {
	got := shellCommand("ask", []string{"-db", "a.sqlite", "who's $HOME?", ""})
	if want := `text2sql ask -db a.sqlite 'who'\''s $HOME?' ''`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestSizesAreReadWithTheirUnits(t *testing.T) {
	for text, want := range map[string]int{"1500": 1500, "2k": 2048, "2KiB": 2048, "2kB": 2000, "1.5GiB": 3 << 29, "20G": 20 << 30, "800MB": 800e6, "7b": 7} {
		if got, err := parseSize(text); err != nil || got != want {
			t.Errorf("parseSize(%q) = %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "GB", "0", "-1", "1x", "nan", "inf", "1e30", "3bk"} {
		if got, err := parseSize(text); err == nil {
			t.Errorf("parseSize(%q) = %d, want an error", text, got)
		}
	}
}

func TestErrorsAreOneLine(t *testing.T) {
	if got := oneLine(json.Unmarshal([]byte("{"), new(int))); strings.ContainsAny(got, "\r\n") || got == "" {
		t.Errorf("%q", got)
	}
	if got := oneLine(flagError("a:\n\tb\r\nc\n")); got != "a: b; c" {
		t.Errorf("%q", got)
	}
}

type flagError string

func (e flagError) Error() string { return string(e) }
