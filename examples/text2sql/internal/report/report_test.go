package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/hone-ml/hone/examples/text2sql/internal/score"
)

// html returns the page of a run, after checking that it is well-formed: the page is written so that it is XML too.
func html(t *testing.T, r *Run) string {
	t.Helper()
	var b bytes.Buffer
	if err := WriteHTML(&b, r); err != nil {
		t.Fatal(err)
	}
	d := xml.NewDecoder(bytes.NewReader(b.Bytes()))
	d.Entity = xml.HTMLEntity
	for {
		_, err := d.Token()
		if errors.Is(err, io.EOF) {
			return b.String()
		}
		if err != nil {
			t.Fatalf("the page is not well-formed: %v", err)
		}
	}
}

func TestPageTellsTheRun(t *testing.T) {
	page := html(t, demoRun())
	for _, want := range []string{
		"Questions into SQL, learnt from nothing",
		"Held-out questions on seen schemas", "Questions on unseen schemas",
		"94.6\u202f%", "91.0–96.8\u202f%", "41.2\u202f%", "0.92\u202fM parameters", "2\u202fmin 19\u202fs",
		"On questions on unseen schemas, execution accuracy rose from 0.0\u202f% to 76.2\u202f%; the SQL of the most similar training question gets 1.7\u202f%.",
		"group by, having", "too large: ", "no such column: t.hour_fee", "<mark>SUM</mark>", "<mark>AVG</mark>",
		"go run ./examples/text2sql demo -seed 42 -out RUN", "Seed 42", "Weight decay", "431\u202fMiB",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
}

func TestPageNeedsNothingElse(t *testing.T) {
	page := html(t, demoRun())
	for _, forbidden := range []string{"http:", "https:", "<script", "@import", "url(", "<link", " src="} {
		if strings.Contains(page, forbidden) {
			t.Errorf("the page contains %q", forbidden)
		}
	}
}

func TestHostileTextStaysText(t *testing.T) {
	const attack = "</pre></style><script>alert(1)</script><img src=x onerror=alert(2)>\"'{{.}} \x00\x1b[2J\xff\u202e"
	a := attack
	r := &Run{
		About: About{Title: a, Summary: a, Method: a, Model: Model{Name: a, DType: a}, Data: Data{Description: a}, Device: a,
			Command: a, Version: a, Options: []Option{{a, a}}, Notes: []string{a}},
		Splits: []Split{{Key: a, Name: a, Note: a, After: NewScore(1, 2)}},
	}
	for _, verdict := range []string{Correct, Wrong, a} {
		for _, kind := range []string{a, a + "2"} {
			r.Examples = append(r.Examples, Example{ID: a, Split: a, DB: kind, Family: kind, Schema: a, Question: a, Gold: "SELECT 1",
				Predicted: a, Before: a, Verdict: verdict, Error: a})
		}
	}
	page := html(t, r)
	for _, forbidden := range []string{"<script", "<img", "\x00", "\x1b", "\xff", "\u202e"} {
		if strings.Contains(page, forbidden) {
			t.Errorf("the page contains %q", forbidden)
		}
	}
	if !strings.Contains(page, "&lt;script&gt;alert(1)&lt;/script&gt;") {
		t.Error("the text of the attack is not shown")
	}
	r.About.Summary = "" // the sentence made from the parts
	r.Usage.Parameters = 1
	if page := html(t, r); strings.Contains(page, "<script") {
		t.Error("the summary is not escaped")
	}
	if err := WritePNG(io.Discard, r); err != nil {
		t.Error(err)
	}
}

func TestEndlessPredictionIsCut(t *testing.T) {
	r := &Run{Examples: []Example{{Gold: "SELECT 1", Predicted: strings.Repeat("é (", 1_000_000), Verdict: "error"}}}
	page := html(t, r)
	if len(page) > 60_000 || !strings.Contains(page, "more bytes)") {
		t.Errorf("a prediction of 4 MB makes a page of %d bytes", len(page))
	}
}

func TestEveryRunHasAReport(t *testing.T) {
	nan := math.NaN()
	one := demoRun()
	one.Steps, one.Evals = one.Steps[:1], one.Evals[:1]
	gaps := demoRun()
	for i := 500; i < 600; i++ {
		gaps.Steps[i].Loss = math.NaN()
	}
	gaps.Steps[7].Loss = math.Inf(1)
	for name, r := range map[string]*Run{
		"nothing":           {},
		"one step":          one,
		"gaps":              gaps,
		"every loss is NaN": {Steps: []Step{{Step: 1, Loss: nan, LR: nan}, {Step: 2, Loss: nan, LR: nan}}},
		"a loss of zero":    {Steps: []Step{{Step: 1}, {Step: 2}}},
		"a negative loss":   {Steps: []Step{{Step: 1, Loss: -1, LR: 1e-5}, {Step: 2, Loss: -1, LR: 1e-5}}},
		"huge and tiny":     {Steps: []Step{{Step: 1, Loss: 1e300}, {Step: 2, Loss: 1e-300}, {Step: 3, Loss: 5}}},
		"no questions":      {Splits: []Split{{Before: NewScore(0, 0), After: NewScore(0, 0)}}},
		"a score of NaN":    {Splits: []Split{{After: &Score{ExecutionAccuracy: nan, CI95: [2]float64{nan, nan}}}}, Usage: Usage{TokensPerSecond: nan, Seconds: math.Inf(1)}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := Save(dir, r); err != nil {
				t.Fatal(err)
			}
			page := html(t, r)
			for _, bad := range []string{"NaN,", "NaN ", "Inf ", "MNaN", "LNaN", "M+Inf", "L-Inf", "ZgotmplZ"} {
				if strings.Contains(page, bad) {
					t.Errorf("the page contains %q", bad)
				}
			}
			f, err := os.Open(filepath.Join(dir, PNGFile))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			c, err := png.DecodeConfig(f)
			if err != nil || c.Width != 1200 || c.Height != 700 {
				t.Errorf("loss.png is %d by %d pixels, error %v; want 1200 by 700", c.Width, c.Height, err)
			}
		})
	}
}

func TestMissingLossesAreSaid(t *testing.T) {
	r := demoRun()
	r.Steps[99].Loss, r.Steps[1500].Loss = math.NaN(), math.Inf(1)
	if page := html(t, r); !strings.Contains(page, "At 2 steps, the first of them 100, the loss was not a finite number.") {
		t.Error("the page hides two losses that are not finite")
	}
}

func TestRunDirectoryGivesTheSamePageAgain(t *testing.T) {
	dir, r := t.TempDir(), demoRun()
	if err := Save(dir, r); err != nil {
		t.Fatal(err)
	}
	writeLines(t, filepath.Join(dir, MetricsFile), r.Steps)
	writeLines(t, filepath.Join(dir, EvaluationsFile), r.Evals)
	again, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(again.Steps, r.Steps) || !reflect.DeepEqual(again.Examples, r.Examples) {
		t.Error("steps or examples changed on the way through the files")
	}
	if html(t, again) != html(t, r) {
		t.Error("the page of the run directory is another")
	}
}

// writeLines writes values as training does, one a line.
func writeLines[T any](t *testing.T, path string, values []T) {
	t.Helper()
	var b bytes.Buffer
	for _, v := range values {
		line, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(append(line, '\n'))
	}
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestScoresOnDatabasesThatTrainingDoesNotKnowAreThoseOfUnseenOnes(t *testing.T) {
	r := &Run{Splits: []Split{{Key: "valid", Name: "validation questions", NoneSeen: true, After: NewScore(3, 4)}}}
	dir := t.TempDir()
	if err := Save(dir, r); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := WriteResults(&b, r); err != nil {
		t.Fatal(err)
	}
	var keys struct {
		After       Score `json:"after"`
		AfterUnseen Score `json:"after_unseen"`
	}
	if err := json.Unmarshal(b.Bytes(), &keys); err != nil || keys.After != *r.Splits[0].After || keys.AfterUnseen != keys.After {
		t.Errorf("after %+v, unseen %+v, error %v; want both %+v", keys.After, keys.AfterUnseen, err, *r.Splits[0].After)
	}
	again, err := Load(dir)
	if err != nil || len(again.Splits) != 1 || *again.Splits[0].After != keys.After {
		t.Errorf("read back as %+v, error %v; want the one split", again, err)
	}
}

func TestResultsHaveTheKeysOfTheContract(t *testing.T) {
	var b bytes.Buffer
	if err := WriteResults(&b, demoRun()); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"before", "after", "after_unseen", "parameters", "tokens", "tokens_per_second", "peak_rss_bytes",
		"peak_device_bytes", "seconds", "n", "execution_accuracy", "ci95", "set_accuracy", "exact_match", "valid_sql", "errors", "timeouts", "empty_golds"} {
		if !strings.Contains(b.String(), `"`+key+`":`) {
			t.Errorf("results.json has no %q", key)
		}
	}
}

func TestStepLineHasTheKeysOfTheContract(t *testing.T) {
	line, err := Step{Step: 3, Epoch: 0.5, Tokens: 9, Loss: math.NaN(), LR: 1e-3, GradNorm: math.Inf(1), TokensPerSecond: 2, Seconds: 1}.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	want := `{"step":3,"epoch":0.5,"tokens":9,"loss":null,"lr":0.001,"grad_norm":null,"tokens_per_second":2,"seconds":1}`
	if string(line) != want {
		t.Errorf("got  %s\nwant %s", line, want)
	}
}

func TestMetricsOfAResumedRunAreItsLastOnes(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	steps, err := ReadMetrics(write(MetricsFile, `{"step":1,"loss":3}
{"step":2,"loss":2}
{"step":3,"loss":1.5}

{"step":2,"loss":2.5,"more":"ignored"}
{"step":3,"loss":nul`))
	if err != nil {
		t.Fatal(err)
	}
	if len(steps) != 2 || steps[0].Loss != 3 || steps[1].Loss != 2.5 || !math.IsNaN(steps[1].LR) {
		t.Errorf("steps %+v, want step 1 with 3 and step 2 with 2.5", steps)
	}
	evals, err := ReadEvaluations(write(EvaluationsFile, `{"step":2,"score":0.25,"seconds":1,"values":{"valid_sql":0.5}}
{"step":4,"score":0.5}
{"step":4,"score":0.75,"values":{"loss":1.5}}
`))
	if err != nil {
		t.Fatal(err)
	}
	if len(evals) != 2 || evals[0].ExecutionAccuracy != 0.25 || !math.IsNaN(evals[0].Loss) || evals[1] != (Eval{4, 0.75, 1.5}) {
		t.Errorf("evaluations %+v, want 0.25 at step 2 and 0.75 with loss 1.5 at step 4", evals)
	}
}

func TestBrokenFilesAreNamedWithTheirLine(t *testing.T) {
	for _, test := range []struct{ file, content, want string }{
		{MetricsFile, "{\"step\":1}\n{\"step\":\"two\"}\n", MetricsFile + ":2: "},
		{MetricsFile, "{\"loss\":1}\n", `no "step"`},
		{EvaluationsFile, "{\"score\":1}\n", `no "step"`},
		{PredictionsFile, "{}\n\nnot json\n", PredictionsFile + ":3: "},
		{ResultsFile, `{"before":7}`, ResultsFile + ": "},
		{"other.txt", "", "not a run directory"},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, test.file), []byte(test.content), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s with %q: error %v, want one with %q", test.file, test.content, err, test.want)
		}
	}
}

func TestSaveLeavesNoTemporaryFiles(t *testing.T) {
	dir := t.TempDir()
	if err := Save(dir, &Run{}); err != nil {
		t.Fatal(err)
	}
	blocked := t.TempDir()
	if err := os.Mkdir(filepath.Join(blocked, HTMLFile), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := Save(blocked, &Run{}); err == nil || !strings.Contains(err.Error(), filepath.Join(blocked, HTMLFile)) {
		t.Errorf("error %v, want one that names the file", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if want := []string{PNGFile, PredictionsFile, HTMLFile, ResultsFile}; !slices.Equal(names, want) {
		t.Errorf("the directory holds %q, want %q", names, want)
	}
}

// The intervals are those of R's prop.test(x, n, correct = FALSE).
func TestWilsonAgreesWithR(t *testing.T) {
	for _, test := range []struct {
		correct, n int
		lo, hi     float64
	}{
		{0, 10, 0, 0.2775328},
		{10, 10, 0.7224672, 1},
		{5, 10, 0.2365931, 0.7634069},
		{0, 0, 0, 1},
	} {
		lo, hi := score.Wilson(test.correct, test.n)
		if math.Abs(lo-test.lo) > 1e-6 || math.Abs(hi-test.hi) > 1e-6 {
			t.Errorf("%d of %d: [%.7f, %.7f], want [%.7f, %.7f]", test.correct, test.n, lo, hi, test.lo, test.hi)
		}
	}
}

func TestDiffMarksOnlyWhatDiffers(t *testing.T) {
	show := func(spans []span) string {
		var b strings.Builder
		for _, s := range spans {
			if s.Mark {
				b.WriteString("[" + s.Text + "]")
			} else {
				b.WriteString(s.Text)
			}
		}
		return b.String()
	}
	for _, test := range []struct{ gold, predicted, a, b string }{
		{"SELECT a FROM t", "select  a\nfrom t", "SELECT a FROM t", "select  a\nfrom t"},
		{"SELECT a FROM t WHERE x = 'A b'", "SELECT a FROM t WHERE x = 'a b'", "SELECT a FROM t WHERE x = ['A b']", "SELECT a FROM t WHERE x = ['a b']"},
		{"SELECT a, b FROM t", "SELECT a FROM t", "SELECT a[, b] FROM t", "SELECT a FROM t"},
		{"SELECT 1", "", "[SELECT 1]", ""},
		{"", "'open \xff", "", "['open \xff]"},
		{"x \xff", "\xff", "[x] \xff", "\xff"},
	} {
		a, b := diffSQL(test.gold, test.predicted)
		if show(a) != test.a || show(b) != test.b {
			t.Errorf("%q and %q:\n got %q, %q\nwant %q, %q", test.gold, test.predicted, show(a), show(b), test.a, test.b)
		}
	}
}

func TestPickSpreadsOverSplitsAndFamilies(t *testing.T) {
	var from []Example
	for i := range 40 {
		e := Example{Split: "seen", Family: "filter"}
		if i >= 30 {
			e.Split, e.Family = Unseen, []string{"join", "count"}[i%2]
		}
		from = append(from, e)
	}
	got := make(map[string]int)
	for _, e := range pick(from, 4) {
		got[e.Split+" "+e.Family]++
	}
	if want := map[string]int{"seen filter": 2, "unseen join": 1, "unseen count": 1}; !reflect.DeepEqual(got, want) {
		t.Errorf("picked %v, want %v", got, want)
	}
}

func TestWeakestKindsComeFirst(t *testing.T) {
	var examples []Example
	for family, right := range map[string]int{"a": 3, "b": 1, "c": 2} {
		for i := range 4 {
			e := Example{Family: family, Verdict: Wrong}
			if i < right {
				e.Verdict = Correct
			}
			examples = append(examples, e)
		}
	}
	table := familyTable(&Run{Examples: examples})
	var names []string
	for _, row := range table.Rows {
		names = append(names, row.Name+" "+row.Cells[0].Value)
	}
	if want := []string{"b 25.0\u202f%", "c 50.0\u202f%", "a 75.0\u202f%"}; !slices.Equal(names, want) {
		t.Errorf("rows %q, want %q", names, want)
	}
}

func TestSmoothingKeepsLevelStartAndGaps(t *testing.T) {
	points := make([]point, 1000)
	for i := range points {
		points[i] = point{float64(i), 2}
	}
	points[0].Y, points[500].Y = 10, math.NaN()
	got := smooth(points)
	if got[0].Y != 10 || !math.IsNaN(got[500].Y) || math.Abs(got[700].Y-2) > 1e-12 {
		t.Errorf("start %g, gap %g, level %g; want 10, NaN, 2", got[0].Y, got[500].Y, got[700].Y)
	}
}

func TestThinningKeepsSpikes(t *testing.T) {
	points := make([]point, 100_000)
	for i := range points {
		points[i] = point{float64(i), 1}
	}
	points[54_321].Y, points[77_777].Y = 50, -50
	got := thin(points)
	lo, hi, _ := bounds(got)
	if len(got) > maxPoints || lo != -50 || hi != 50 {
		t.Errorf("%d points from %g to %g, want at most %d from -50 to 50", len(got), lo, hi, maxPoints)
	}
	if !slices.IsSortedFunc(got, func(a, b point) int { return int(a.X - b.X) }) {
		t.Error("the points are out of order")
	}
}

func TestTicksAreRoundAndFew(t *testing.T) {
	for _, test := range []struct {
		axis axis
		want string
	}{
		{axis{lo: 0, hi: 2200}, "0 500 1,000 1,500 2,000"},
		{axis{lo: 0, hi: 1, whole: true}, "0 1"},
		{axis{lo: 0, hi: 1}, "0 0.2 0.4 0.6 0.8 1"},
		{axis{lo: 0, hi: 3e-5}, "0 1e-5 2e-5 3e-5"},
		{axis{lo: 0.05, hi: 11, log: true}, "0.1 0.3 1 3 10"},
		{axis{lo: 1.5, hi: 25, log: true}, "2 5 10 20"},
	} {
		var labels []string
		for _, v := range test.axis.ticks(5) {
			labels = append(labels, label(v))
		}
		if got := strings.Join(labels, " "); got != test.want {
			t.Errorf("%+v: %s, want %s", test.axis, got, test.want)
		}
	}
}

func TestNumbersReadWell(t *testing.T) {
	for got, want := range map[string]string{
		magnitude(921_728):     "0.92 M",
		magnitude(596_049_920): "596 M",
		magnitude(2_530_000):   "2.53 M",
		magnitude(18_240):      "18.2 k",
		magnitude(812):         "812",
		magnitude(8.19e9):      "8.19 B",
		thousands(-1234567):    "-1,234,567",
		byteSize(431 << 20):    "431 MiB",
		byteSize(20 << 30):     "20.0 GiB",
		seconds(9.44):          "9.4 s",
		seconds(138.7):         "2 min 19 s",
		seconds(11100):         "3 h 05 min",
		lossText(0.00002):      "2e-5",
		lossText(0.0899):       "0.0899",
		lossText(6.9314):       "6.931",
	} {
		if got := strings.ReplaceAll(got, thinSpace, " "); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
