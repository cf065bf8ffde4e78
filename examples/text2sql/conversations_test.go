package main

import (
	"bytes"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/hone-ml/hone/examples/text2sql/internal/data"
	"github.com/hone-ml/hone/examples/text2sql/internal/report"
	"github.com/hone-ml/hone/tokenizer"
)

// chatLines are conversations of one and of several turns, which share their words with the test tokenizer.
const chatLines = `{"id":"c1","messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"How many?"},{"role":"assistant","content":"Eight."},{"role":"user","content":"Sure?"},{"role":"assistant","content":"Yes."}]}
{"id":"c2","messages":[{"role":"user","content":"Which city?"},{"role":"assistant","content":"Oslo"}]}
`

func TestAQuestionAndItsConversationAreTheSameTokens(t *testing.T) {
	tok, err := tokenizer.Load(sharedData(t, "qwen3-tokenizer"))
	if err != nil {
		t.Fatal(err)
	}
	f, err := formatOf(tok, tokenizer.TemplateAuto)
	if err != nil {
		t.Fatal(err)
	}
	sql := trainRows[1]
	want, err := sample(f, sql)
	if err != nil {
		t.Fatal(err)
	}
	row := data.Row{ID: sql.ID, Messages: append(promptMessages(sql), tokenizer.Message{Role: "assistant", Content: sql.SQL})}
	if got, err := sample(f, row); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %v, want %v", got, err, want)
	}
	prompt, err := f.prompt(row)
	if err != nil || !slices.Equal(prompt, want.Tokens[:want.Completion[0].Start]) {
		t.Errorf("the prompt is not what was trained on: %v, %v", prompt, err)
	}
	// With thoughts, the model is asked for them, and they carry loss.
	row.Messages[1].Content = "<think>\nWhere is it?\n</think>\n\n" + sql.SQL
	s, err := sample(f, row)
	if err != nil {
		t.Fatal(err)
	}
	prompt, err = f.prompt(row)
	if err != nil || !slices.Equal(prompt, s.Tokens[:s.Completion[0].Start]) {
		t.Errorf("with thoughts the prompt is %q, trained was %q (%v)", tok.Decode(prompt), tok.Decode(s.Tokens), err)
	}
	if got := tok.Decode(s.Tokens[s.Completion[0].Start:]); got != row.Messages[1].Content+"<|im_end|>" {
		t.Errorf("the loss is on %q", got)
	}
}

func TestEveryAnswerOfAConversationCarriesLossAndNothingElse(t *testing.T) {
	w := theWorld(t)
	file := write(t, filepath.Join(t.TempDir(), "chat.jsonl"), []byte(chatLines))
	shown := prompts(t, w, file)
	_, shown, _ = strings.Cut(shown, "\nc1: ")
	first, second, _ := strings.Cut(shown, "\nc2: ")
	_, first, _ = strings.Cut(first, "\n")
	_, second, _ = strings.Cut(second, "\n")
	for got, want := range map[string]string{
		first: "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHow many?<|im_end|>\n<|im_start|>assistant\n⟦Eight.<|im_end|>⟧\n" +
			"<|im_start|>user\nSure?<|im_end|>\n<|im_start|>assistant\n⟦Yes.<|im_end|>⟧",
		second: "<|im_start|>user\nWhich city?<|im_end|>\n<|im_start|>assistant\n⟦Oslo<|im_end|>⟧",
	} {
		if got = strings.TrimSpace(strings.ReplaceAll(got, "│", "")); got != want {
			t.Errorf("shown is\n%s\nwant\n%s", got, want)
		}
	}
	o := jsonObject(t, ok(t, "data", "check", "-data", file, "-tokenizer", w.tokenizer, "-json"))
	if o["n"] != 2.0 || o["conversations"] != true || o["executed"] != 0.0 || o["databases"] != 0.0 {
		t.Errorf("%v", o)
	}
}

func TestDataCheckFindsWhatConversationsGiveAway(t *testing.T) {
	dir := t.TempDir()
	file := write(t, filepath.Join(dir, "a.csv"), []byte("prompt,completion\nWhich city?,Oslo\nWhich city?,Rome\nWho?,oslo.\n"))
	other := write(t, filepath.Join(dir, "b.jsonl"), []byte(`{"prompt":"which CITY","completion":"Oslo"}`))
	o := jsonObject(t, ok(t, "data", "check", "-data", file, "-against", other, "-json"))
	overlap := o["overlap"].(map[string]any)
	if overlap["same_question"] != 2.0 || overlap["same_sql"] != 2.0 || overlap["same_schema"] != 0.0 || o["repeated"] != 1.0 {
		t.Errorf("%v", o)
	}
	mixed := write(t, filepath.Join(dir, "c.jsonl"), append([]byte(chatLines), `{"prompt":"p","completion":"c"}`...))
	if o := cli(t, "data", "check", "-data", mixed); o.code != 1 || !strings.Contains(o.stdout, mixed+":3: the row is prompt and completion, that of line 1 is chat") {
		t.Errorf("exit code %d: %s", o.code, o.stdout)
	}
}

func TestConversationsAreLearntAndMeasuredWithoutDatabases(t *testing.T) {
	w, dir := theWorld(t), t.TempDir()
	file := write(t, filepath.Join(dir, "chat.jsonl"), []byte(chatLines))
	run := filepath.Join(dir, "run")
	o := cli(t, "train", "-model", w.model, "-data", file, "-valid", file, "-out", run, "-epochs", "40", "-batch", "1", "-accum", "1", "-max-length", "128",
		"-lr", "5e-3", "-weight-decay", "0", "-max-tokens", "12", "-eval-every", "20")
	if o.code != 0 || !strings.Contains(o.stdout, "after training    exact match 100.0 %") {
		t.Fatalf("exit code %d: %s\n%s", o.code, o.stderr, o.stdout)
	}
	results := jsonObject(t, string(read(t, filepath.Join(run, report.ResultsFile))))
	before, after := results["before"].(map[string]any), results["after"].(map[string]any)
	if got := slices.Sorted(maps.Keys(after)); !slices.Equal(got, []string{"ci95", "exact_match", "loss", "measure", "n", "seconds"}) {
		t.Errorf("the score has %v", got)
	}
	if before["loss"].(float64) < 4 || after["loss"].(float64) > 0.5 || before["exact_match"] != 0.0 || after["exact_match"] != 1.0 {
		t.Errorf("before %v, after %v", before, after)
	}
	page := string(read(t, filepath.Join(run, report.HTMLFile)))
	for _, want := range []string{"Exact match while training", "exact match rose from 0", "Loss of an answer"} {
		if !strings.Contains(page, want) {
			t.Errorf("the report lacks %q", want)
		}
	}
	for _, unwanted := range []string{"xecution accuracy", "Valid SQL", "difficulty"} {
		if strings.Contains(page, unwanted) {
			t.Errorf("the report speaks of %q", unwanted)
		}
	}
	again, err := report.Load(run)
	if err != nil || !again.Splits[0].After.IsText() || again.Splits[0].After.Accuracy() != 1 || len(again.Evals) == 0 || again.Evals[len(again.Evals)-1].ExecutionAccuracy != 1 {
		t.Errorf("the report read again: %+v, %v", again, err)
	}

	judged := filepath.Join(dir, "judged.jsonl")
	s := jsonObject(t, ok(t, "eval", "-model", run, "-data", file, "-max-tokens", "12", "-out", judged, "-answers", filepath.Join(dir, "answers.jsonl"), "-json"))
	if s["exact_match"] != 1.0 || s["measure"] != "exact match" || s["loss"] != after["loss"] {
		t.Errorf("eval: %v, after training %v", s, after)
	}
	if lines := read(t, judged); bytes.Count(lines, []byte(`"verdict":"correct"`)) != 2 || !bytes.Contains(lines, []byte("user: Sure?")) {
		t.Errorf("judged: %s", lines)
	}
	if out := ok(t, "score", "-pred", filepath.Join(dir, "answers.jsonl"), "-data", file); !strings.HasPrefix(out, "exact match  100.0 %") {
		t.Errorf("score printed %s", out)
	}
	pred := write(t, filepath.Join(dir, "pred.jsonl"), []byte(`{"id":"c2","sql":"<think>hm</think> Oslo\n"}`))
	if s := jsonObject(t, ok(t, "score", "-pred", pred, "-data", file, "-json")); s["exact_match"] != 0.5 {
		t.Errorf("with an answer missing: %v", s)
	}
	fails(t, 2, []string{"-samples", "conversations"}, "eval", "-model", run, "-data", file, "-samples", "2")
	fails(t, 2, []string{"-db-dir is missing"}, "eval", "-model", run, "-data", w.valid)
	calls := write(t, filepath.Join(dir, "calls.jsonl"), []byte(`{"messages":[{"role":"user","content":"q"},{"role":"assistant","tool_calls":[{"name":"f","arguments":{}}]}]}`))
	fails(t, 1, []string{`row "1"`, "calling tools"}, "score", "-pred", write(t, filepath.Join(dir, "one.jsonl"), []byte(`{"id":"1","sql":"x"}`)), "-data", calls)
}
