package report

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"time"
)

// demoRun is a run of the demo's size and shape, made up from a fixed seed.
func demoRun() *Run {
	rng := rand.New(rand.NewPCG(1, 2))
	r := &Run{
		About: About{
			Title:   "Questions into SQL, learnt from nothing",
			Method:  "trained from scratch",
			Model:   Model{Name: "Qwen3", Layers: 4, Width: 128, Heads: 4, KVHeads: 2, Vocab: 1024, DType: "f32"},
			Data:    Data{Description: "made by the program: 24 kinds of questions over 14 schemas and made-up ones", Train: 30000, Databases: 14},
			Device:  "cpu, avx2, 2 threads",
			Command: "go run ./examples/text2sql demo -seed 42 -out RUN",
			Seed:    42,
			Version: "hone v0.1.0",
			Started: time.Date(2025, 11, 3, 14, 5, 0, 0, time.UTC),
			Options: []Option{{"Batch", "12 sequences"}, {"Learning rate", "0.03 (Muon), 0.005 (AdamW)"}, {"Warm-up", "60 steps"}, {"Schedule", "linear"}, {"Weight decay", "0.05"}},
			Notes:   []string{"Training ended at its limit of 150 seconds, after 2,200 of 2,500 steps."},
		},
		Usage: Usage{Parameters: 921_728, Tokens: 2_530_000, TokensPerSecond: 18_240, PeakRSSBytes: 431 << 20, Seconds: 171, TrainSeconds: 138.7, SkippedSteps: 3, Spikes: 2, EvalSeconds: 27},
		Splits: []Split{
			{Key: "seen", Name: "held-out questions on seen schemas", Note: "No query of these stands in the training data, and most of their values do not either.",
				Before: NewScore(0, 240), After: NewScore(227, 240), Baseline: NewScore(99, 240)},
			{Key: Unseen, Name: "questions on unseen schemas", Note: "No table of these seven databases is known to training.",
				Before: NewScore(0, 240), After: NewScore(183, 240), Baseline: NewScore(4, 240)},
		},
	}
	for i := range r.Splits {
		for _, s := range []*Score{r.Splits[i].Before, r.Splits[i].After, r.Splits[i].Baseline} {
			s.SetAccuracy, s.ValidSQL, s.Seconds = s.ExecutionAccuracy, min(1, s.ExecutionAccuracy+0.03), 12.5
		}
	}
	for i := 1; i <= 2200; i++ {
		x := float64(i)
		loss := 0.09 + 6.8*math.Exp(-x/90) + 1.1/(1+math.Exp((x-700)/60))
		r.Steps = append(r.Steps, Step{Step: i, Tokens: int64(i) * 1150, Loss: loss * math.Exp(rng.NormFloat64()*0.13),
			LR: 0.03 * min(x/60, (2200-x)/2140), Seconds: x * 0.063, TokensPerSecond: 18_240})
		if i%550 == 0 {
			r.Evals = append(r.Evals, Eval{Step: i, ExecutionAccuracy: 0.96 - math.Exp(-x/500), Loss: loss * 1.1})
		}
	}
	families := []string{"filter", "two conditions", "count", "aggregate", "group by", "group by, having", "top k", "distinct", "join", "in subquery", "not in", "date range"}
	schema := "table: shop id name city opened\ntable: sale id shop_id hourly_fee day\nsale.shop_id -> shop.id"
	for i := range 480 {
		e := Example{ID: fmt.Sprintf("q-%04d", i), Split: "seen", DB: []string{"bakery", "clinic", "harbour"}[i%3], Family: families[rng.IntN(len(families))],
			Schema: schema, Question: "What is the average hourly fee of the sales of each shop in \"Lisbon\", the highest first?",
			Gold:    "SELECT s.name, AVG(t.hourly_fee) FROM shop s JOIN sale t ON t.shop_id = s.id WHERE s.city = 'Lisbon' GROUP BY s.name ORDER BY 2 DESC",
			Verdict: Correct, Difficulty: []string{"medium", "easy", "extra hard", "hard", "medium"}[i%5]}
		e.Predicted = e.Gold
		if i >= 240 {
			e.Split, e.DB = Unseen, []string{"observatory", "brewery", "archive"}[i%3]
		}
		switch rng.IntN(12) {
		case 0, 1:
			e.Verdict, e.Predicted = Wrong, "SELECT s.name, SUM(t.hourly_fee) FROM shop s JOIN sale t ON t.shop_id = s.id WHERE s.city = 'Lisboa' GROUP BY s.name"
			e.GoldRows = &Rows{Columns: []string{"name", "AVG(t.hourly_fee)"}, Total: 3, First: [][]*string{{new("Rossio"), new("12.5")}, {new("Chiado & Sons"), new("11.25")}, {nil, new("9.0")}}}
			e.PredictedRows = &Rows{Columns: []string{"name", "SUM(t.hourly_fee)", "an_unusually_long_name_of_a_column_that_nobody_would_choose", "d"}, Total: 240}
			for j := range 5 {
				e.PredictedRows.First = append(e.PredictedRows.First, []*string{new(fmt.Sprint("shop number ", j)), new("0.1234567890123456"), new("a text of many words" + strings.Repeat(", and another", 30)), nil})
			}
		case 2:
			e.Verdict, e.Predicted, e.Error = "error", "SELECT s.name, AVG(t.hour_fee) FROM shop s", "no such column: t.hour_fee"
		case 3:
			e.Verdict, e.Predicted, e.Error = "too_large", "SELECT * FROM shop, sale, shop AS s2", "more than 10,000 rows"
		case 4:
			e.Predicted, e.Before = "SELECT AVG(t.hourly_fee), s.name FROM sale t JOIN shop s ON t.shop_id = s.id WHERE s.city = 'Lisbon' GROUP BY s.name ORDER BY 1 DESC", "sh sh oper table 4 4 4 ,,"
		}
		r.Examples = append(r.Examples, e)
	}
	return r
}
