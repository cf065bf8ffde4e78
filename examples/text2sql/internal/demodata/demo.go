package demodata

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/hone-ml/hone/examples/text2sql/internal/data"
	"github.com/hone-ml/hone/examples/text2sql/internal/sqlexec"
)

// An Example is one question with its SQL.
type Example struct {
	ID       string
	DBID     string // the schema's name; "invented" when it was made up
	Schema   string // as Schema.Prompt writes it, each line ended by a newline
	Question string // "Show the name of singers whose age is above 30."
	SQL      string // "SELECT name FROM singer WHERE age > 30"
	Family   string // the kind of question
}

// A Turn is a question and its SQL.
type Turn struct{ Question, SQL, Family string }

// A Conversation is a schema and questions about it, for training: several
// questions share the tokens of one schema.
type Conversation struct {
	DBID   string
	Schema string
	Turns  []Turn
}

// A Demo is the data of one demo. It does not change after New, so it may be
// used by several goroutines.
type Demo struct {
	Seen, Unseen []*Schema // the databases

	// The questions to be answered after training. In each, no two questions
	// and no two queries on a database are the same, and every query's result
	// has rows and is more than a single NULL or 0.
	HeldOut  []Example // about Seen
	OnUnseen []Example // about Unseen

	seed  uint64
	asked map[string]bool // the SQL of HeldOut and OnUnseen, which training avoids
}

// Options of a demo. A field that is zero takes its default.
type Options struct {
	Seed     uint64 // decides about all but the databases
	HeldOut  int    // how many questions there are: 250
	OnUnseen int    // likewise: 250
}

// New makes the data of a demo. The only errors are those of running the gold
// queries, such as the context's.
func New(ctx context.Context, o Options) (*Demo, error) {
	d := &Demo{Seen: SeenSchemas(), Unseen: UnseenSchemas(), seed: o.Seed, asked: map[string]bool{}}
	ex, err := d.Executor()
	if err != nil {
		return nil, err
	}
	defer ex.Close()
	if o.HeldOut == 0 {
		o.HeldOut = 250
	}
	if o.OnUnseen == 0 {
		o.OnUnseen = 250
	}
	if d.HeldOut, err = d.split(ctx, ex, "heldout", d.Seen, o.HeldOut, isHeld); err != nil {
		return nil, err
	}
	d.OnUnseen, err = d.split(ctx, ex, "unseen", d.Unseen, o.OnUnseen, func(*Schema, string) bool { return true })
	return d, err
}

// Executor returns an executor over all databases of the demo, in memory, by
// the names of the schemas. The caller closes it.
func (d *Demo) Executor() (*sqlexec.SQLite, error) {
	ex, err := sqlexec.OpenSQLite("", sqlexec.Limits{})
	if err != nil {
		return nil, err
	}
	for _, schemas := range [][]*Schema{d.Seen, d.Unseen} {
		for _, s := range schemas {
			if err := ex.AddScript(s.Name, s.Script()); err != nil {
				ex.Close()
				return nil, err
			}
		}
	}
	return ex, nil
}

// split makes n questions, the schemas in turn.
func (d *Demo) split(ctx context.Context, ex sqlexec.Executor, name string, schemas []*Schema, n int, admit func(*Schema, string) bool) ([]Example, error) {
	rng := rand.New(rand.NewPCG(d.seed, hash(name)))
	texts := map[string]bool{}
	out := make([]Example, 0, n)
	for len(out) < n {
		s := schemas[len(out)%len(schemas)]
		q := (&asker{rng: rng, literals: literals{rng, true}, schema: s}).next()
		key := s.Name + "\n" + q.text
		if !admit(s, q.sql) || texts[key] || texts[s.Name+"\n"+q.sql] {
			continue
		}
		ok, err := tells(ctx, ex, s.Name, q.sql)
		if err != nil {
			return nil, fmt.Errorf("gold query %s on %s: %w", q.sql, s.Name, err)
		}
		if !ok {
			continue
		}
		texts[key], texts[s.Name+"\n"+q.sql], d.asked[q.sql] = true, true, true
		out = append(out, Example{fmt.Sprintf("%s-%04d", name, len(out)), s.Name, s.Prompt(), q.text, q.sql, q.family})
	}
	return out, nil
}

// tells reports whether a query's result says something: it has rows, and is
// not just NULL or 0, which wrong queries give too easily.
func tells(ctx context.Context, ex sqlexec.Executor, dbID, sql string) (bool, error) {
	res, err := ex.Query(ctx, dbID, sql)
	if err != nil || len(res.Rows) == 0 {
		return false, err
	}
	if len(res.Rows) > 1 || len(res.Columns) > 1 {
		return true, nil
	}
	cell := res.Rows[0][0]
	return cell != nil && cell != int64(0) && cell != 0.0, nil
}

// isHeld reports whether a query on a seen schema is kept out of training: one
// of ten, by what is left of it without its literals, so that no query of
// training differs from it only in these.
func isHeld(s *Schema, sql string) bool { return hash(s.Name+" "+masked(sql))%10 == 0 }

// masked writes ? for each literal of a query.
func masked(sql string) string {
	var b strings.Builder
	for i := 0; i < len(sql); {
		c := sql[i]
		switch {
		case c == '\'':
			i += 2 + strings.IndexByte(sql[i+1:], '\'')
			b.WriteByte('?')
		case c >= '0' && c <= '9' && sql[i-1] == ' ':
			for i < len(sql) && sql[i] >= '0' && sql[i] <= '9' {
				i++
			}
			b.WriteByte('?')
		default:
			b.WriteByte(c)
			i++
		}
	}
	return b.String()
}

// inventedShare is how much of training is about schemas made up on the spot.
const inventedShare = 0.82

// Conversation returns the i-th conversation of the training stream, with so
// many turns. It depends on the demo's seed, i and turns alone, so that the
// stream can be made in any order, by several goroutines, and again.
func (d *Demo) Conversation(i, turns int) Conversation {
	rng := rand.New(rand.NewPCG(d.seed, hash(fmt.Sprintf("train %d", i))))
	c := Conversation{DBID: "invented"}
	var s *Schema
	if invented := rng.Float64() < inventedShare; invented {
		s = newInventor(rng).schema()
		c.Schema = s.prompt(rng)
	} else {
		s = pick(rng, d.Seen)
		c.DBID = s.Name
		if rng.IntN(5) < 2 {
			c.Schema = s.prompt(rng)
		} else {
			c.Schema = s.Prompt()
		}
	}
	a := &asker{rng: rng, literals: literals{rng, false}, schema: s}
	for len(c.Turns) < turns {
		q := a.next()
		if d.asked[q.sql] || c.DBID != "invented" && isHeld(s, q.sql) {
			continue
		}
		c.Turns = append(c.Turns, Turn{q.text, q.sql, q.family})
	}
	return c
}

// Examples returns the first n examples of the training stream with one turn
// in each conversation.
func (d *Demo) Examples(n int) []Example {
	out := make([]Example, n)
	for i := range out {
		c := d.Conversation(i, 1)
		t := c.Turns[0]
		out[i] = Example{fmt.Sprintf("train-%06d", i), c.DBID, c.Schema, t.Question, t.SQL, t.Family}
	}
	return out
}

// Rows returns questions about the demo's databases as the rows of a data set,
// whose schema is CREATE TABLE text.
func (d *Demo) Rows(examples []Example) ([]data.Row, error) {
	ddl := map[string]string{}
	for _, schemas := range [][]*Schema{d.Seen, d.Unseen} {
		for _, s := range schemas {
			ddl[s.Name] = s.DDL()
		}
	}
	rows := make([]data.Row, len(examples))
	for i, e := range examples {
		if ddl[e.DBID] == "" {
			return nil, fmt.Errorf("example %s is about %q, which is no database of the demo", e.ID, e.DBID)
		}
		rows[i] = data.Row{ID: e.ID, DBID: e.DBID, Schema: ddl[e.DBID], Question: e.Question, SQL: e.SQL, Dialect: "sqlite"}
	}
	return rows, nil
}
