package main

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hone-ml/hone/examples/text2sql/internal/data"
)

func TestDataSplitWritesPartsThatShareNoDatabaseAndNoQuestion(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "parts")
	all := filepath.Join(sharedData(t, "text2sql-postgres"), "train.jsonl")
	o := jsonObject(t, ok(t, "data", "split", "-data", all, "-out-dir", dir, "-valid", "0.1", "-test", "0.1", "-seed", "7", "-json"))
	total := 0.0
	for _, part := range o["parts"].([]any) {
		total += part.(map[string]any)["n"].(float64)
	}
	whole, err := data.Read(all)
	if err != nil || int(total) != len(whole) {
		t.Errorf("%g rows of %d, %v", total, len(whole), err)
	}
	for _, name := range []string{"valid.jsonl", "test.jsonl"} {
		c := jsonObject(t, ok(t, "data", "check", "-data", filepath.Join(dir, name), "-against", filepath.Join(dir, "train.jsonl"), "-json"))
		overlap := c["overlap"].(map[string]any)
		if overlap["same_question"] != 0.0 || overlap["same_schema"] != 0.0 || c["n"].(float64) < 350 || c["n"].(float64) > 650 {
			t.Errorf("%s: %v", name, c)
		}
	}
	fails(t, 1, []string{filepath.Join(dir, "train.jsonl"), "there already"}, "data", "split", "-data", all, "-out-dir", dir)
}

func TestDataSplitKeepsEveryFieldAndNamesRowsByTheirOldLines(t *testing.T) {
	dir := t.TempDir()
	file := write(t, filepath.Join(dir, "all.csv"), []byte("prompt,completion,topic\na <b>?,1,x\nc?,2,y\nd?,3,x\ne?,4,z\n"))
	out := ok(t, "data", "split", "-data", file, "-out-dir", dir, "-by", "topic", "-valid", "0.25")
	if !strings.Contains(out, "train.jsonl: 3 rows of 2 topics") || !strings.Contains(out, "valid.jsonl: 1 row of 1 topic") {
		t.Errorf("printed %s", out)
	}
	lines := map[string]string{"a <b>?": "2", "c?": "3", "d?": "4", "e?": "5"}
	for _, name := range []string{"train.jsonl", "valid.jsonl"} {
		for line := range bytes.Lines(read(t, filepath.Join(dir, name))) {
			var o map[string]string
			if err := json.Unmarshal(line, &o); err != nil {
				t.Fatal(err)
			}
			if lines[o["prompt"]] != o["id"] || o["topic"] == "" || o["completion"] == "" || bytes.Contains(line, []byte(`\u003c`)) {
				t.Errorf("%s", line)
			}
			delete(lines, o["prompt"])
		}
	}
	if len(lines) > 0 {
		t.Errorf("lost: %v", lines)
	}
	bad := write(t, filepath.Join(dir, "bad.csv"), []byte("prompt,completion\na,1\nb\nc,2\nd\n"))
	o := cli(t, "data", "split", "-data", bad, "-out-dir", dir+"/x", "-by", "")
	if o.code != 1 || !strings.Contains(o.stderr, bad+":3: ") || !strings.Contains(o.stderr, bad+":5: ") {
		t.Errorf("exit code %d: %s", o.code, o.stderr)
	}
	fails(t, 1, []string{file, "line 2", `"db_id" is missing`, "-by"}, "data", "split", "-data", file, "-out-dir", dir+"/x")
	fails(t, 2, []string{"-valid 0.9", "-test 0.2"}, "data", "split", "-data", file, "-out-dir", dir+"/x", "-valid", "0.9", "-test", "0.2")
}
