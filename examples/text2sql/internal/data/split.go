package data

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
)

// Split deals rows out to len(shares) + 1 sets, of which set i > 0 gets about
// the fraction shares[i-1] of the rows and set 0 the rest, and returns each
// row's set. Rows with the same value of the field by stay together, and so do
// rows that ask the same question, with all that belongs to either: what is in
// one set tells nothing of that kind about another. With by "" only questions
// count.
//
// The result depends on the rows and the seed alone. It is an error, naming the
// line, if a row has no such field, and if what belongs together is too much of
// the whole for a set to come within half of its share.
func Split(lines []Line, by string, shares []float64, seed uint64) ([]int, error) {
	g := newGroups(len(lines))
	fields, questions := map[string]int{}, map[string]int{}
	join := func(seen map[string]int, key string, i int) {
		if first, ok := seen[key]; ok {
			g.join(first, i)
		} else {
			seen[key] = i
		}
	}
	for i, l := range lines {
		if by != "" {
			if !l.fields.has(by) || string(l.fields[by]) == `""` {
				return nil, fmt.Errorf("line %d: field %q is missing", l.Number, by)
			}
			join(fields, string(l.fields[by]), i)
		}
		join(questions, foldQuestion(l.Asked()), i)
	}
	members := g.members()
	order := rand.New(rand.NewPCG(seed, 0)).Perm(len(members))
	sets := make([]int, len(lines))
	for set, share := range shares {
		target, got := share*float64(len(lines)), 0
		order = slices.DeleteFunc(order, func(k int) bool {
			size := len(members[k])
			if nearer := float64(2*got+size) < 2*target; !nearer { // |got + size − target| < |got − target|
				return false
			}
			got += size
			for _, i := range members[k] {
				sets[i] = set + 1
			}
			return true
		})
		if float64(got) < target/2 || float64(got) > target*1.5 || len(order) == 0 {
			largest := slices.MaxFunc(members, func(a, b []int) int { return cmp.Compare(len(a), len(b)) })
			return nil, fmt.Errorf("%g %% of the rows cannot be taken apart without splitting what belongs together: there are %d groups of %q and questions, the largest of %d of %d rows, that of line %d",
				100*share, len(members), by, len(largest), len(lines), lines[largest[0]].Number)
		}
	}
	return sets, nil
}

// groups are disjoint sets of numbers (Tarjan 1975, with path halving).
type groups struct{ parent []int }

func newGroups(n int) *groups {
	g := &groups{make([]int, n)}
	for i := range g.parent {
		g.parent[i] = i
	}
	return g
}

func (g *groups) find(i int) int {
	for g.parent[i] != i {
		g.parent[i] = g.parent[g.parent[i]]
		i = g.parent[i]
	}
	return i
}

// join puts two numbers' groups together, under the smaller representative.
func (g *groups) join(a, b int) {
	a, b = g.find(a), g.find(b)
	g.parent[max(a, b)] = min(a, b)
}

// members lists the groups in the order of their first members.
func (g *groups) members() (out [][]int) {
	at := map[int]int{}
	for i := range g.parent {
		root := g.find(i)
		k, ok := at[root]
		if !ok {
			k = len(out)
			at[root] = k
			out = append(out, nil)
		}
		out[k] = append(out[k], i)
	}
	return out
}

// Fields are all fields of the line, those that a [Row] has no place for among
// them; the id, which may be the line's number, is always there.
func (l Line) Fields() map[string]any {
	all := map[string]any{}
	for name, raw := range l.fields {
		all[name] = raw
	}
	all["id"] = l.ID
	return all
}
