package tokenizer

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestParseIsTheInverseOfJSON(t *testing.T) {
	want, err := Train(slices.Values([]string{"select name from singer", "select count ( * ) from concert"}), TrainOptions{VocabSize: 300, AddedTokens: ControlTokens("<|im_start|>", "<|im_end|>"), EOS: "<|im_end|>"})
	if err != nil {
		t.Fatal(err)
	}
	model, config := want.JSON()
	got, err := Parse(model, config)
	if err != nil {
		t.Fatal(err)
	}
	text := "<|im_start|>select from"
	if ids := got.Encode(text); !slices.Equal(ids, want.Encode(text)) {
		t.Errorf("ids %v, want %v", ids, want.Encode(text))
	}
	wantEOS, _ := want.EOS()
	if eos, ok := got.EOS(); !ok || eos != wantEOS {
		t.Errorf("the end token is %d, %v; want %d", eos, ok, wantEOS)
	}
	dir := t.TempDir()
	if err := got.Save(dir); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]byte{tokenizerFile: model, configFile: config} {
		if data, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(data) != string(want) {
			t.Errorf("%s as saved is not what JSON gave: %v", name, err)
		}
	}
}

func TestParseNamesTheFileAtFault(t *testing.T) {
	if _, err := Parse([]byte("{}"), nil); err == nil || !strings.Contains(err.Error(), tokenizerFile) {
		t.Errorf("error %v", err)
	}
	want, err := Train(slices.Values([]string{"a b"}), TrainOptions{VocabSize: 260})
	if err != nil {
		t.Fatal(err)
	}
	model, _ := want.JSON()
	if _, err := Parse(model, []byte(`{"eos_token": "no such token"}`)); err == nil || !strings.Contains(err.Error(), configFile) {
		t.Errorf("error %v", err)
	}
	got, err := Parse(model, []byte(`{"chat_template": "{{ x }}"}`))
	if err != nil || got.ChatTemplateText() != "{{ x }}" {
		t.Errorf("template %q, %v", got.ChatTemplateText(), err)
	}
}
