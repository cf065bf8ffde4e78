package tokenizer

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestSavingALoadedFileGivesItsBytes(t *testing.T) {
	for _, dir := range []string{"small", "trained", "plural"} {
		checkSaved(t, filepath.Join("testdata", dir), "tokenizer.json")
	}
}

func TestSavingQwen3GivesItsBytes(t *testing.T) {
	dir := filepath.Dir(sharedFile(t, "data", "qwen3-tokenizer", "tokenizer.json"))
	checkSaved(t, dir, "tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
}

func checkSaved(t *testing.T, dir string, files ...string) {
	t.Helper()
	tok, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "new", "folder")
	for range 2 { // into a new folder, then over what is there
		if err := tok.Save(out); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range files {
		if readText(t, filepath.Join(out, file)) != readText(t, filepath.Join(dir, file)) {
			t.Errorf("%s: saved %s differs from the loaded one", dir, file)
		}
	}
	entries, err := os.ReadDir(out)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			t.Errorf("Save leaves %s behind", e.Name())
		}
	}
}

func trainDemo(tb testing.TB) *Tokenizer {
	tb.Helper()
	tok, err := Train(slices.Values(corpus(tb)), TrainOptions{
		VocabSize:    450,
		Pattern:      PatternQwen2Plural,
		AddedTokens:  ControlTokens("<|endoftext|>", "<|im_start|>", "<|im_end|>"),
		EOS:          "<|im_end|>",
		Pad:          "<|endoftext|>",
		ChatTemplate: TemplateChatML,
	})
	if err != nil {
		tb.Fatal(err)
	}
	return tok
}

func TestATrainedTokenizerSurvivesSaveAndLoad(t *testing.T) {
	tok := trainDemo(t)
	dir := t.TempDir()
	if err := tok.Save(dir); err != nil {
		t.Fatal(err)
	}
	again, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range append(corpus(t), "<|im_start|>user\nsingers?<|im_end|>") {
		if got, want := again.Encode(text), tok.Encode(text); !slices.Equal(got, want) {
			t.Errorf("%q encodes to %v, before saving to %v", text, got, want)
		}
	}
	for _, tk := range []*Tokenizer{tok, again} {
		eos, _ := tk.EOS()
		pad, _ := tk.Pad()
		if eos != 2 || pad != 0 {
			t.Errorf("EOS %d, Pad %d, want 2 and 0", eos, pad)
		}
		if template, err := tk.ChatTemplate(); err != nil || template != TemplateChatML {
			t.Errorf("ChatTemplate = %v, %v, want ChatML", template, err)
		}
	}
	var cfg struct {
		Class string `json:"tokenizer_class"`
		EOS   string `json:"eos_token"`
		Added map[string]struct{ Content string }
	}
	if err := json.Unmarshal([]byte(readText(t, filepath.Join(dir, "tokenizer_config.json"))), &cfg); err != nil {
		t.Fatal(err)
	}
	if cfg.Class != "PreTrainedTokenizerFast" || cfg.EOS != "<|im_end|>" {
		t.Errorf("tokenizer_config.json says %+v", cfg)
	}
}

func TestSavedFilesEncodeTheSameInTheReference(t *testing.T) {
	if err := exec.Command("python3", "-c", "import tokenizers").Run(); err != nil {
		t.Skip("needs python3 with the tokenizers package")
	}
	texts := corpus(t)
	for _, r := range readLines[encodeCase](t, "testdata/encode.jsonl") {
		texts = append(texts, r.Text)
	}
	input, err := json.Marshal(texts)
	if err != nil {
		t.Fatal(err)
	}
	for name, tok := range map[string]*Tokenizer{"trained with plurals": trainDemo(t), "loaded": loadTestdata(t, "small")} {
		dir := t.TempDir()
		if err := tok.Save(dir); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("python3", "testdata/check_saved.py", filepath.Join(dir, "tokenizer.json"))
		cmd.Stdin = bytes.NewReader(input)
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		var ids [][]int32
		if err := json.Unmarshal(out, &ids); err != nil || len(ids) != len(texts) {
			t.Fatalf("%d results, %v", len(ids), err)
		}
		for i, text := range texts {
			if got := tok.Encode(text); !slices.Equal(got, ids[i]) {
				t.Errorf("%s: Encode(%q) = %v, the reference says %v", name, text, got, ids[i])
			}
		}
	}
}

func TestSaveReportsWhereItFails(t *testing.T) {
	tok := loadTestdata(t, "small")
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := tok.Save(file); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("Save over a file: %v", err)
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "tokenizer.json"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := tok.Save(dir); err == nil || !strings.Contains(err.Error(), "tokenizer.json") {
		t.Errorf("Save over a folder: %v", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("a failed Save leaves %v behind (%v)", entries, err)
	}
}

func TestATemplateOfAnotherTokenizerDoesNotStay(t *testing.T) {
	dir := t.TempDir()
	stale := filepath.Join(dir, "chat_template.jinja")
	if err := os.WriteFile(stale, []byte("{{ another }}"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := loadTestdata(t, "small").Save(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(stale); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it is still there (%v)", err)
	}
}

func TestAFullDiskKeepsTheOldFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	full := errors.New("no space left on device")
	err := replaceFile(path, func(w io.Writer) error {
		w.Write([]byte("half"))
		return full
	})
	if !errors.Is(err, full) || readText(t, path) != "old" {
		t.Errorf("replaceFile: %v, and the file holds %q", err, readText(t, path))
	}
}
