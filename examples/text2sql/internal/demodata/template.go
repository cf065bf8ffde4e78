package demodata

import "strings"

// A slot is what a template leaves open. Each is filled with SQL and with the
// words that stand for it in a question, in the order of this list.
type slot int

const (
	slotT          slot = iota // a table
	slotTs                     // its plural
	slotA                      // a column to show
	slotB                      // another one
	slotN                      // a number of the table
	slotG                      // an aggregate
	slotH                      // another one
	slotE                      // min or max
	slotC                      // a category of the table
	slotD                      // a column of the table, whatever
	slotO                      // a number or date to sort by
	slotBy                     // how to sort, as a phrase for all rows
	slotDir                    // how to sort, as a superlative
	slotW                      // a condition on the table
	slotV                      // another one
	slotAndOr                  // what is between them
	slotThan                   // above or below the average
	slotCmp                    // a comparison of an aggregate with a number
	slotMore                   // a comparison of a count with a number
	slotK                      // a small number
	slotMost                   // most or fewest
	slotP                      // the parent of a reference
	slotPs                     // its plural
	slotQ                      // the child
	slotQs                     // its plural
	slotFK                     // the referring column
	slotX                      // a column of the parent to show
	slotY                      // a column of the child to show
	slotM                      // a number of the child
	slotPW                     // a condition on the parent, its column qualified
	slotQW                     // a condition on the child
	slotShow                   // "Show", at the start of a sentence
	slotShowInside             // "show", within one
	slots
)

var slotNames = map[string]slot{
	"t": slotT, "ts": slotTs, "a": slotA, "b": slotB, "n": slotN, "g": slotG, "h": slotH, "e": slotE, "c": slotC, "d": slotD,
	"o": slotO, "by": slotBy, "dir": slotDir, "w": slotW, "v": slotV, "andor": slotAndOr, "than": slotThan, "cmp": slotCmp,
	"more": slotMore, "k": slotK, "most": slotMost, "p": slotP, "ps": slotPs, "q": slotQ, "qs": slotQs, "fk": slotFK,
	"x": slotX, "y": slotY, "m": slotM, "pw": slotPW, "qw": slotQW, "Show": slotShow, "show": slotShowInside,
}

// A template is text with slots between: text[0] slot[0] text[1] … text[n].
type template struct {
	text  []string
	slots []slot
}

// parse reads a template whose slots stand in braces.
func parse(text string) template {
	var t template
	for {
		before, rest, open := strings.Cut(text, "{")
		t.text = append(t.text, before)
		if !open {
			return t
		}
		name, after, closed := strings.Cut(rest, "}")
		s, known := slotNames[name]
		if !closed || !known {
			panic("demodata: template with the slot {" + name + "}")
		}
		t.slots, text = append(t.slots, s), after
	}
}

// render puts the values into the slots.
func (t template) render(values *[slots]string) string {
	var b strings.Builder
	for i, s := range t.slots {
		b.WriteString(t.text[i])
		b.WriteString(values[s])
	}
	b.WriteString(t.text[len(t.slots)])
	return b.String()
}
