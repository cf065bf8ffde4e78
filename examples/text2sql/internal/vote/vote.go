// Package vote chooses among several queries that a model wrote for one question, by what they return:
// self-consistency (Wang et al., "Self-Consistency Improves Chain of Thought Reasoning in Language Models",
// 2023) over results rather than over texts, as Li et al. ("Competition-Level Code Generation with AlphaCode",
// 2022) and Ni et al. ("LEVER: Learning to Verify Language-to-Code Generation with Execution", 2023) choose
// programs.
package vote

import (
	"context"
	"errors"

	"github.com/hone-ml/hone/examples/text2sql/internal/score"
	"github.com/hone-ml/hone/examples/text2sql/internal/sqlexec"
)

// A Choice is the outcome of a vote.
type Choice struct {
	Winner int // index of the candidate
	Votes  int // candidates that return what the winner returns, itself included; 0 if none of all ran
}

// On executes the candidates, which are whole outputs of a model, on a database. Those that return the same
// rows, in the same order where one of them asks for an order, vote for the first among them; the larger
// group wins, of equally large ones the earlier. What holds no single query or fails has no vote; if nothing
// runs the first wins with none. The error is ctx's, or says that the database cannot be reached.
func On(ctx context.Context, ex sqlexec.Executor, dbID string, candidates []string) (Choice, error) {
	type group struct {
		first  int
		votes  int
		query  string
		result *sqlexec.Result
	}
	var groups []*group
	known := map[string]*group{} // by query; nil for one that does not run
	for i, candidate := range candidates {
		query, err := score.ExtractSQL(candidate)
		if err != nil {
			continue
		}
		if g, ok := known[query]; ok {
			if g != nil {
				g.votes++
			}
			continue
		}
		known[query] = nil
		result, err := ex.Query(ctx, dbID, query)
		if e := ctx.Err(); e != nil {
			return Choice{}, e
		}
		if errors.Is(err, sqlexec.ErrUnavailable) {
			return Choice{}, err
		}
		if err != nil {
			continue
		}
		for _, g := range groups {
			if score.Equal(g.result, result, score.Ordered(g.query) || score.Ordered(query)) {
				g.votes++
				known[query] = g
				break
			}
		}
		if known[query] == nil {
			g := &group{i, 1, query, result}
			groups, known[query] = append(groups, g), g
		}
	}
	var best Choice
	for _, g := range groups {
		if g.votes > best.Votes {
			best = Choice{g.first, g.votes}
		}
	}
	return best, nil
}
