package main

import "testing"

func TestDSNsLoseTheirPasswordsInEveryForm(t *testing.T) {
	for dsn, want := range map[string]string{
		"postgres://me:secret@host/db":                 "postgres://me@host/db",
		"postgresql://me:s%40cret@host:5432/db":        "postgresql://me@host:5432/db",
		"postgres://me@host/db?password=secret&port=1": "postgres://me@host/db?&port=1",
		"host=h user=me password=secret dbname=db":     "host=h user=me  dbname=db",
		`host=h password = 's\'ecret word' dbname=db`:  "host=h  dbname=db",
		"databases": "databases",
	} {
		if got := withoutPassword(dsn); got != want {
			t.Errorf("%s: got %s, want %s", dsn, got, want)
		}
	}
}
