package score

import "strings"

// A Difficulty is how hard a query is by Spider's measure (Yu et al., "Spider: A Large-Scale Human-Labeled
// Dataset for Complex and Cross-Domain Semantic Parsing and Text-to-SQL Task", 2018; eval_hardness of its
// evaluation.py): by what the query is made of, not by how people fare with the question.
type Difficulty string

// The difficulties, ascending.
const (
	Easy   Difficulty = "easy"
	Medium Difficulty = "medium"
	Hard   Difficulty = "hard"
	Extra  Difficulty = "extra hard"
)

// Difficulties are all, ascending.
var Difficulties = []Difficulty{Easy, Medium, Hard, Extra}

// DifficultyOf counts the components of a query: WHERE, GROUP BY, ORDER BY, LIMIT, each JOIN, OR and LIKE;
// nested queries and set operators; and whether there are several aggregates, columns of SELECT, conditions
// of WHERE and columns of GROUP BY. As Spider's does, it looks at the query left of a set operator and not into
// nested ones. It works on tokens, so that it takes the SQL of any dialect, also such as Spider cannot parse.
func DifficultyOf(sql string) Difficulty {
	c := countComponents(sql)
	first, nested, others := c.first, c.nested, truth(c.aggregates > 1)+truth(c.columns > 1)+truth(c.conditions > 1)+truth(c.groups > 1)
	switch {
	case first <= 1 && others == 0 && nested == 0:
		return Easy
	case nested == 0 && (first <= 1 && others <= 2 || first <= 2 && others < 2):
		return Medium
	case nested == 0 && (first <= 2 && others > 2 || first == 3 && others <= 2), nested <= 1 && first <= 1 && others == 0:
		return Hard
	}
	return Extra
}

// components are what DifficultyOf counts.
type components struct {
	first, nested                           int
	aggregates, columns, conditions, groups int
}

func countComponents(sql string) (c components) {
	clause := ""
	depth := 0   // of parentheses that hold no query
	inside := 0  // of parentheses of a nested query
	between := 0 // BETWEEN whose AND is still to come
	previous := ""
	opened, aggregate := false, false // the token before is "(", or the name of an aggregate
	for t, ok := next(sql, 0); ok; t, ok = next(sql, t.end) {
		if t.kind == comment {
			continue
		}
		text := sql[t.start:t.end]
		if t.kind != quoted {
			text = strings.ToLower(text)
		}
		switch {
		case inside > 0:
			switch text {
			case "(":
				inside++
			case ")":
				inside--
			}
			continue
		case opened && text == "select" || opened && text == "with":
			c.nested++
			depth--
			inside, opened = 1, false
			continue
		}
		if aggregate && text == "(" && clause != "from" {
			c.aggregates++
		}
		opened = text == "("
		aggregate = t.kind == word && isAggregate(text)
		switch text {
		case "(":
			depth++
		case ")":
			depth--
		case ",":
			if depth == 0 {
				switch clause {
				case "select":
					c.columns++
				case "group":
					c.groups++
				case "from":
					c.first++ // a join without the word
				}
			}
		case "union", "except", "intersect":
			if t.kind == word && depth == 0 {
				c.nested++
				return c
			}
		}
		if t.kind == word {
			switch text {
			case "select":
				clause, c.columns = text, c.columns+1
			case "from":
				if depth == 0 { // not that of EXTRACT(year FROM day)
					clause = text
				}
			case "where":
				clause, c.first, c.conditions = text, c.first+1, 1
			case "by":
				switch previous {
				case "group":
					clause, c.first, c.groups = previous, c.first+1, 1
				case "order":
					if depth == 0 { // not that of a window
						clause, c.first = previous, c.first+1
					}
				}
			case "having":
				clause = text
			case "limit", "fetch":
				if depth == 0 {
					clause, c.first = text, c.first+1
				}
			case "join", "like", "ilike", "or":
				c.first++
				c.conditions += truth(text == "or" && clause == "where")
			case "between":
				between++
			case "and":
				if between > 0 {
					between--
				} else {
					c.conditions += truth(clause == "where")
				}
			}
			previous = text
		}
	}
	return c
}

func isAggregate(word string) bool {
	switch word {
	case "count", "sum", "avg", "min", "max":
		return true
	}
	return false
}
