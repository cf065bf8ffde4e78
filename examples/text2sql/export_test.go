package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/hone-ml/hone/nn/lora"
	"github.com/hone-ml/hone/tensor/gguf"
)

func TestExportWritesGGUFFilesAndFolders(t *testing.T) {
	w, dir := theWorld(t), t.TempDir()
	file := filepath.Join(dir, "model.gguf")
	ok(t, "export", "-model", w.model, "-out", file)
	folder := filepath.Join(dir, "folder")
	ok(t, "export", "-model", file, "-out", folder)
	if weightsOf(t, folder) != weightsOf(t, w.model) {
		t.Error("from a folder to a file and back the weights are others")
	}
	run := trainedFrom(t, folder) // with its tokenizer
	if weightsOf(t, run) != weightsOf(t, trainedFrom(t, w.model)) {
		t.Error("one step from the folder leads elsewhere")
	}
	small := filepath.Join(dir, "small.gguf")
	ok(t, "export", "-model", w.model, "-out", small, "-type", "q8", "-json")
	f, err := gguf.Open(small)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if info, _ := f.Info("token_embd.weight"); info.Type != gguf.Q8_0 {
		t.Errorf("the embedding is %s", info.Type)
	}
	if _, ok, _ := gguf.Get[string](f.Metadata(), "tokenizer.chat_template"); !ok {
		t.Error("the file has no chat template")
	}
}

func TestExportRefusesWhatCannotBe(t *testing.T) {
	w, dir := theWorld(t), t.TempDir()
	fails(t, 2, []string{"-out is missing"}, "export", "-model", w.model)
	fails(t, 2, []string{`-type is "q5"`, "q8"}, "export", "-model", w.model, "-out", filepath.Join(dir, "x.gguf"), "-type", "q5")
	fails(t, 2, []string{"-type is for .gguf files"}, "export", "-model", w.model, "-out", filepath.Join(dir, "x"), "-type", "q8")
	fails(t, 1, []string{"is the folder of -model"}, "export", "-model", w.model, "-out", w.model)
	held := spoiled(t, w)
	fails(t, 1, []string{"holds a model already"}, "export", "-model", w.model, "-out", held)
	for _, name := range []string{"model.safetensors.index.json", lora.ConfigFile} { // of several files, or an adapter
		other := t.TempDir()
		write(t, filepath.Join(other, name), []byte("{}"))
		fails(t, 1, []string{"holds a model already"}, "export", "-model", w.model, "-out", other)
		if name != lora.ConfigFile {
			fails(t, 1, []string{"holds a run or a model already"}, trainArgs(w, other, "-max-steps", "1")...)
		}
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 0 {
		t.Errorf("%d files were made", len(entries))
	}
}
