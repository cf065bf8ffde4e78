package tokenizer

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestAnswersAreTheTokensThatTransformersMasks compares with scripts/goldens/chat_answers.py. It holds
// conversations of several turns, with thoughts, and with tool calls.
func TestAnswersAreTheTokensThatTransformersMasks(t *testing.T) {
	tok := loadTestdata(t, "small")
	type row struct {
		Messages []Message
		Text     string
		IDs      []int32
		Answers  [][2]int
	}
	rows := readLines[row](t, filepath.Join("testdata", "chat_answers.jsonl"))
	several := 0
	for i, c := range rows {
		o := ChatOptions{Template: TemplateQwen3}
		text, err := tok.RenderChat(c.Messages, o)
		if err != nil || text != c.Text {
			t.Errorf("case %d: RenderChat, %v\n got %q\nwant %q", i, err, text, c.Text)
		}
		ids, answers, err := tok.EncodeChatAnswers(c.Messages, o)
		if err != nil || !slices.Equal(ids, c.IDs) {
			t.Errorf("case %d: %v\n got %v\nwant %v", i, err, ids, c.IDs)
		}
		var got [][2]int
		for _, a := range answers {
			got = append(got, [2]int{a.Start, a.End})
		}
		if !slices.Equal(got, c.Answers) {
			t.Errorf("case %d: answers %v, want %v", i, got, c.Answers)
		}
		if len(got) > 1 {
			several++
		}
	}
	if len(rows) < 40 || several < 15 {
		t.Errorf("%d conversations, %d with several answers", len(rows), several)
	}
}

func TestAnAnswerBeginsWithATokenOfItsOwn(t *testing.T) {
	tok := loadTestdata(t, "small")
	for _, template := range []ChatTemplate{TemplateQwen3, TemplateChatML} {
		for _, content := range []string{"SELECT 1", " SELECT", "\n\nSELECT", " \n x", "", "'s", "\u0301", "<|im_end|>"} {
			messages := []Message{{Role: RoleUser, Content: "q"}, {Role: RoleAssistant, Content: content}, {Role: RoleUser, Content: "r"}, {Role: RoleAssistant, Content: "done"}}
			o := ChatOptions{Template: template}
			ids, answers, err := tok.EncodeChatAnswers(messages, o)
			if err != nil || len(answers) != 2 {
				t.Fatalf("%q: %v, %v", content, answers, err)
			}
			whole, err := tok.RenderChat(messages, o)
			if got := tok.Decode(ids); err != nil || got != nfc(whole) {
				t.Errorf("%q: the ids are %q, want %q", content, got, whole)
			}
			if got := tok.Decode(ids[answers[0].Start:answers[0].End]); got != nfc(content)+imEnd {
				t.Errorf("%q: the answer is %q", content, got)
			}
			// what a model is asked is what it was trained on, to the token
			o.AddGenerationPrompt, o.Thinking = true, ThinkingOff
			prompt, err := tok.EncodeChat(messages[:3], o)
			if err != nil || !slices.Equal(prompt, ids[:answers[1].Start]) && !strings.HasPrefix(content, "\n") && !strings.HasPrefix(content, " \n") {
				t.Errorf("%q: the prompt is %v, the training text begins %v (%v)", content, prompt, ids[:answers[1].Start], err)
			}
		}
	}
}
