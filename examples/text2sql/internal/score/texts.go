package score

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hone-ml/hone/examples/text2sql/internal/data"
)

// Texts scores answers to conversations: one is right when it is the row's
// answer to the letter, but for blanks at its ends and for thoughts before it,
// up to </think>. There is nothing to execute. It fails as [Evaluate] does, and
// for a row whose answer calls tools.
func Texts(rows []data.Row, preds []data.Prediction) (*Summary, []Item, error) {
	start := time.Now()
	outputs, err := match(rows, preds)
	if err != nil {
		return nil, nil, err
	}
	items := make([]Item, len(rows))
	for i, row := range rows {
		if !row.IsChat() {
			return nil, nil, fmt.Errorf("row %q is not a conversation", row.ID)
		}
		if len(row.Messages[len(row.Messages)-1].ToolCalls) > 0 {
			return nil, nil, fmt.Errorf("row %q is answered by calling tools, which cannot be compared as a text", row.ID)
		}
		it := Item{ID: row.ID, Question: row.Asked(), Gold: withoutThoughts(row.Answer()), Verdict: Wrong, Text: true}
		if outputs[i] == nil {
			it.Verdict, it.Error = Missing, "there is no prediction"
		} else if it.Predicted = withoutThoughts(*outputs[i]); it.Predicted == it.Gold {
			it.Verdict, it.ExactMatch = Correct, true
		}
		items[i] = it
	}
	s := Summarize(items)
	s.Seconds = time.Since(start).Seconds()
	return s, items, nil
}

// withoutThoughts is what comes after </think>, without blanks at its ends.
func withoutThoughts(text string) string {
	const end = "</think>"
	if i := strings.LastIndex(text, end); i >= 0 {
		text = text[i+len(end):]
	}
	return strings.TrimSpace(text)
}

// match finds each row's output; nil where there is none.
func match(rows []data.Row, preds []data.Prediction) ([]*string, error) {
	if len(rows) == 0 {
		return nil, errors.New("there are no rows to score")
	}
	index := make(map[string]int, len(rows))
	for i, row := range rows {
		if _, doubled := index[row.ID]; doubled {
			return nil, fmt.Errorf("two rows have the id %q", row.ID)
		}
		index[row.ID] = i
	}
	outputs := make([]*string, len(rows))
	for _, p := range preds {
		i, known := index[p.ID]
		switch {
		case !known:
			return nil, fmt.Errorf("there is a prediction for the id %q, which no row has", p.ID)
		case outputs[i] != nil:
			return nil, fmt.Errorf("there are two predictions for the id %q", p.ID)
		}
		outputs[i] = &p.SQL
	}
	return outputs, nil
}
