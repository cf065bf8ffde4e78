// Package pgtest gives tests a PostgreSQL database of their own.
package pgtest

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// Variable names the environment variable that holds the DSN of a server on
// which tests may do what they like, as a superuser.
const Variable = "HONE_POSTGRES"

var made atomic.Int64

// Database makes an empty database for the test and returns its DSN. Without a
// server it skips the test.
func Database(t testing.TB) string {
	t.Helper()
	dsn := os.Getenv(Variable)
	if dsn == "" {
		t.Skipf("needs a PostgreSQL server, whose DSN is in %s: scripts/postgres.sh run go test …", Variable)
	}
	name := fmt.Sprintf("hone_%d_%d", os.Getpid(), made.Add(1))
	Exec(t, dsn, "CREATE DATABASE "+name+" TEMPLATE template0")
	t.Cleanup(func() { Exec(t, dsn, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)") })
	config, err := pgconn.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("host='%s' port=%d user='%s' password='%s' dbname='%s'", config.Host, config.Port, config.User, config.Password, name)
}

// Exec runs a script as the DSN's role and returns the rows of its last
// statement as text, NULL as "".
func Exec(t testing.TB, dsn, script string) [][]string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	c, err := pgconn.Connect(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(ctx)
	results, err := c.Exec(ctx, script).ReadAll()
	if err != nil {
		t.Fatalf("%s: %v", script, err)
	}
	var rows [][]string
	for _, r := range results[len(results)-1].Rows {
		row := make([]string, len(r))
		for i, v := range r {
			row[i] = string(v)
		}
		rows = append(rows, row)
	}
	return rows
}
