package report

import (
	"fmt"
	"html/template"
	"strconv"
	"strings"
)

// A page is the report as the template shows it: every number already a string, every text already fit to be seen.
type page struct {
	CSS        template.CSS
	Title      string
	Stamp      string // when, which version
	Summary    []string
	Splits     []splitView
	Texts      bool // the answers are texts, which are compared and not executed
	Empties    int  // questions whose gold returns nothing
	Charts     []*chart
	Families   *table
	Difficulty *table
	Databases  []table
	Groups     []group
	Facts      []Option
	Options    []Option
	Notes      []string
	Command    string
	Seed       uint64
}

// A splitView is the headline of one split: a large number and its bars.
type splitView struct {
	Name, Note    string
	Big, Interval string
	N             string
	Gain          string
	Bars          []bar
	Columns       []string // of the table of all scores
	Rows          []scoreRow
}

// A bar is an accuracy with its interval, in per cent of the width.
type bar struct {
	Class, Label    string
	Value, Interval string
	At              string // where the bar ends
	Whisker         string // the path of its error bar
}

type scoreRow struct {
	Name   string
	Values []string
}

const defaultTitle = "Text to SQL"

const (
	shortText  = 300   // bytes shown of a name
	longText   = 2000  // of a question or an error
	sqlText    = 4000  // of a query
	schemaText = 20000 // of a schema
)

func newPage(r *Run) *page {
	p := &page{
		Title:      shown(r.About.Title, shortText),
		Stamp:      stamp(r.About),
		Facts:      facts(r),
		Command:    shown(r.About.Command, sqlText),
		Seed:       r.About.Seed,
		Summary:    summary(r),
		Families:   familyTable(r),
		Difficulty: difficultyTable(r),
		Groups:     groups(r),
	}
	if p.Title == "" {
		p.Title = defaultTitle
	}
	for _, s := range r.Splits {
		if v, ok := newSplitView(s); ok {
			p.Splits = append(p.Splits, v)
		}
		if s.After != nil {
			p.Empties += s.After.EmptyGolds
			p.Texts = p.Texts || s.After.IsText()
		}
	}
	for _, c := range []*chart{lossChart(r), accuracyChart(r), rateChart(r)} {
		if c != nil {
			p.Charts = append(p.Charts, c)
		}
	}
	p.Databases = databaseTables(r)
	for _, o := range r.About.Options {
		p.Options = append(p.Options, Option{shown(o.Name, shortText), shown(o.Value, longText)})
	}
	for _, n := range r.About.Notes {
		p.Notes = append(p.Notes, shown(n, longText))
	}
	return p
}

func stamp(a About) string {
	var parts []string
	if !a.Started.IsZero() {
		parts = append(parts, a.Started.Format("2 January 2006, 15:04"))
	}
	if a.Version != "" {
		parts = append(parts, shown(a.Version, shortText))
	}
	return strings.Join(parts, " · ")
}

// summary says in a few sentences what was done and what came of it, unless the caller has said it better.
func summary(r *Run) []string {
	if r.About.Summary != "" {
		return []string{shown(r.About.Summary, longText)}
	}
	var out []string
	if s := deed(r); s != "" {
		out = append(out, s)
	}
	for _, s := range r.Splits {
		if s.After != nil {
			out = append(out, outcome(s))
		}
	}
	return out
}

// deed says what was trained, and for how long.
func deed(r *Run) string {
	m := r.About.Model
	if m.Name == "" && r.Usage.Parameters == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("A model")
	if m.Name != "" {
		b.Reset()
		b.WriteString(shown(m.Name, shortText))
	}
	if r.Usage.Parameters > 0 {
		fmt.Fprintf(&b, ", %s parameters", magnitude(float64(r.Usage.Parameters)))
	}
	if r.About.Method != "" {
		fmt.Fprintf(&b, ", %s", shown(r.About.Method, shortText))
	}
	if r.Usage.Tokens > 0 {
		fmt.Fprintf(&b, " on %s tokens", magnitude(float64(r.Usage.Tokens)))
	}
	if t := r.trainTime(); t > 0 {
		fmt.Fprintf(&b, " in %s", seconds(t))
	}
	return b.String() + "."
}

// outcome compares the score after training with the one before and with the baseline.
func outcome(s Split) string {
	var b strings.Builder
	fmt.Fprintf(&b, "On %s, %s ", shown(s.displayName(), shortText), s.After.AccuracyName())
	after := s.After.Accuracy()
	switch before := s.Before; {
	case before == nil:
		fmt.Fprintf(&b, "is %s", percent(after))
	case before.Accuracy() < after:
		fmt.Fprintf(&b, "rose from %s to %s", percent(before.Accuracy()), percent(after))
	case before.Accuracy() > after:
		fmt.Fprintf(&b, "fell from %s to %s", percent(before.Accuracy()), percent(after))
	default:
		fmt.Fprintf(&b, "stayed at %s", percent(after))
	}
	if s.Baseline != nil {
		fmt.Fprintf(&b, "; the SQL of the most similar training question gets %s", percent(s.Baseline.Accuracy()))
	}
	return b.String() + "."
}

func (s Split) displayName() string {
	if s.Name == "" {
		return "the questions"
	}
	return s.Name
}

// trainTime is the time spent training, as the run says or else as its last step does.
func (r *Run) trainTime() float64 {
	if r.Usage.TrainSeconds > 0 {
		return r.Usage.TrainSeconds
	}
	if n := len(r.Steps); n > 0 && r.Steps[n-1].Seconds > 0 {
		return r.Steps[n-1].Seconds
	}
	return 0
}

func newSplitView(s Split) (splitView, bool) {
	v := splitView{Name: capital(shown(s.displayName(), shortText)), Note: shown(s.Note, longText)}
	scores := []struct {
		class, label, column string
		score                *Score
	}{
		{"before", "Before training", "Before", s.Before},
		{"baseline", "Nearest training question", "Nearest", s.Baseline},
		{"after", "After training", "After", s.After},
	}
	var main *Score
	var measured []*Score
	for _, c := range scores {
		if c.score == nil {
			continue
		}
		if main == nil || c.class != "baseline" {
			main = c.score
		}
		measured = append(measured, c.score)
		v.Columns = append(v.Columns, c.column)
		v.Bars = append(v.Bars, newBar(c.class, c.label, c.score))
	}
	if main == nil {
		return v, false
	}
	v.Big, v.Interval = percent(main.Accuracy()), interval(main.CI95)
	v.N = thousands(int64(main.N))
	v.Gain = gain(s)
	v.Rows = scoreRows(measured)
	return v, true
}

func newBar(class, label string, s *Score) bar {
	lo, hi := width(s.CI95[0]), width(s.CI95[1])
	return bar{
		Class: class, Label: label, Value: percent(s.Accuracy()), Interval: interval(s.CI95),
		At:      width(s.Accuracy()),
		Whisker: fmt.Sprintf("M%s 5H%sM%s 2V8M%s 2V8", lo, hi, lo, hi),
	}
}

// width writes a fraction as per cent of a bar's width.
func width(fraction float64) string { return number(100 * min(max(orZero(fraction), 0), 1)) }

// gain says how far the trained model is ahead, in points.
func gain(s Split) string {
	if s.After == nil {
		return ""
	}
	var parts []string
	add := func(other *Score, than string) {
		if other != nil {
			points := 100 * (s.After.Accuracy() - other.Accuracy())
			parts = append(parts, strings.Replace(fmt.Sprintf("%+.1f points %s", points, than), "-", "−", 1))
		}
	}
	add(s.Before, "on before")
	add(s.Baseline, "on the nearest question")
	return strings.Join(parts, ", ")
}

// scoreRows lists everything measured, one column a score.
func scoreRows(scores []*Score) []scoreRow {
	type row struct {
		name  string
		value func(*Score) string
	}
	rows := []row{
		{"Questions", func(s *Score) string { return thousands(int64(s.N)) }},
		{"Execution accuracy", func(s *Score) string { return percent(s.ExecutionAccuracy) }},
		{"as sets of rows (BIRD’s rule)", func(s *Score) string { return percent(s.SetAccuracy) }},
		{"Exact match of the text", func(s *Score) string { return percent(s.ExactMatch) }},
		{"Valid SQL", func(s *Score) string { return percent(s.ValidSQL) }},
		{"Errors", func(s *Score) string { return thousands(int64(s.Errors)) }},
		{"Timeouts", func(s *Score) string { return thousands(int64(s.Timeouts)) }},
		{"Golds without rows", func(s *Score) string { return thousands(int64(s.EmptyGolds)) }},
		{"Time", func(s *Score) string { return seconds(s.Seconds) }},
	}
	if len(scores) > 0 && scores[0].SkippedGolds > 0 {
		rows = append(rows, row{"Left out, since their golds fail", func(s *Score) string { return thousands(int64(s.SkippedGolds)) }})
	}
	if len(scores) > 0 && scores[0].IsText() {
		rows = []row{rows[0], rows[3], {"Loss of an answer’s token", func(s *Score) string { return loss(s.Loss) }}, rows[len(rows)-1]}
	}
	var out []scoreRow
	for _, row := range rows {
		r := scoreRow{Name: row.name}
		for _, s := range scores {
			r.Values = append(r.Values, row.value(s))
		}
		out = append(out, r)
	}
	return out
}

// loss writes a loss in nats, if there is one.
func loss(v *float64) string {
	if v == nil {
		return ""
	}
	return strconv.FormatFloat(*v, 'f', 3, 64)
}

// facts lists what was trained on what, at which cost.
func facts(r *Run) []Option {
	var out []Option
	add := func(name, value string) {
		if value != "" {
			out = append(out, Option{name, shown(value, longText)})
		}
	}
	count := func(name string, n int64) {
		if n > 0 {
			add(name, thousands(n))
		}
	}
	a, u := r.About, r.Usage
	add("Model", a.Model.Name)
	add("Method", a.Method)
	count("Parameters", u.Parameters)
	add("Shape", shape(a.Model))
	count("Vocabulary", int64(a.Model.Vocab))
	add("Number type", a.Model.DType)
	add("Data", a.Data.Description)
	count("Training questions", int64(a.Data.Train))
	count("Training databases", int64(a.Data.Databases))
	if n := len(r.Steps); n > 0 {
		count("Steps", int64(r.Steps[n-1].Step))
	}
	if u.SkippedSteps > 0 {
		add("Skipped steps", fmt.Sprintf("%d, of them %d for gradients far too large", u.SkippedSteps, u.Spikes))
	}
	count("Tokens", u.Tokens)
	if u.TokensPerSecond > 0 {
		add("Throughput", magnitude(u.TokensPerSecond)+thinSpace+"tokens/s")
	}
	duration := func(name string, s float64) {
		if s > 0 {
			add(name, seconds(s))
		}
	}
	duration("Training time", r.trainTime())
	duration("Evaluation time", u.EvalSeconds)
	duration("Whole run", u.Seconds)
	size := func(name string, n int64) {
		if n > 0 {
			add(name, byteSize(n))
		}
	}
	size("Peak memory", u.PeakRSSBytes)
	size("Peak device memory", u.PeakDeviceBytes)
	size("In tensors", u.MeasuredBytes)
	size("Predicted", u.PredictedBytes)
	add("Device", a.Device)
	return out
}

func shape(m Model) string {
	if m.Layers == 0 {
		return ""
	}
	s := fmt.Sprintf("%d layers × %d wide", m.Layers, m.Width)
	if m.Heads > 0 {
		s += fmt.Sprintf(", %d heads", m.Heads)
	}
	if m.KVHeads > 0 && m.KVHeads != m.Heads {
		s += fmt.Sprintf(" (%d of keys and values)", m.KVHeads)
	}
	return s
}

// capital begins a sentence.
func capital(s string) string {
	if s == "" {
		return s
	}
	r := []rune(s)
	return strings.ToUpper(string(r[:1])) + string(r[1:])
}
