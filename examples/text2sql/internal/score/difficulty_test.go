package score

import "testing"

func TestDifficultyIsSpiders(t *testing.T) {
	for _, test := range []struct {
		want Difficulty
		sql  string
	}{
		{Easy, "SELECT COUNT(*) FROM cars_data WHERE cylinders > 4"},
		{Easy, "SELECT name FROM t"},
		{Easy, "select name from t -- where a = 1 or b = 2\n"},
		{Easy, "SELECT name FROM t WHERE day BETWEEN 1 AND 2"},
		{Easy, "SELECT name FROM t WHERE note = 'a or b, like (select'"},
		{Easy, "SELECT max(min, 3) FROM t"},
		{Medium, "SELECT T2.name, COUNT(*) FROM concert AS T1 JOIN stadium AS T2 ON T1.stadium_id = T2.stadium_id GROUP BY T1.stadium_id"},
		{Medium, "SELECT a, b FROM t"},
		{Medium, "SELECT a FROM t WHERE b = 1 AND c = 2"},
		{Medium, "SELECT a FROM t ORDER BY b LIMIT 1"},
		{Medium, "SELECT a FROM t, u WHERE t.id = u.id"},
		{Hard, "SELECT a FROM t WHERE b IN (SELECT b FROM u WHERE c = 1 OR d = 2)"},
		{Hard, "SELECT a FROM t UNION SELECT a FROM u WHERE b = 1 AND c = 2 ORDER BY a LIMIT 3"},
		{Hard, "SELECT a FROM t JOIN u ON t.id = u.id JOIN v ON v.id = u.id WHERE v.b = 'x'"},
		{Extra, "SELECT AVG(life_expectancy) FROM country WHERE name NOT IN (SELECT T1.name FROM country AS T1 JOIN country_language AS T2 ON T1.code = T2.country_code WHERE T2.language = 'English') AND a = 1"},
		{Extra, "SELECT a FROM t JOIN u ON t.id = u.id WHERE b = 1 OR c = 2 ORDER BY d LIMIT 3"},
		{Extra, "SELECT a, b FROM t WHERE c = (SELECT max(c) FROM t)"},
	} {
		if got := DifficultyOf(test.sql); got != test.want {
			t.Errorf("%s is %s, want %s: %+v", test.sql, got, test.want, countComponents(test.sql))
		}
	}
}
