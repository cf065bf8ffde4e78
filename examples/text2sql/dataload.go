package main

import (
	"context"
	"flag"
	"fmt"
	"strings"

	"github.com/hone-ml/hone/examples/text2sql/internal/pgexec"
	"github.com/hone-ml/hone/examples/text2sql/internal/progress"
)

var dataLoadCommand = command{
	name: "data load", args: "-db-dir DIR -dsn DSN", summary: "loads databases into a PostgreSQL server",
	help: "Every DIR/<db_id>.sql becomes the schema <db_id> of the database that the DSN names. What is there already\n" +
		"and has not changed stays; a schema that this command did not make is never touched. It also makes the role\n" +
		pgexec.Reader + ", which may only SELECT there: eval, score, ask and train run a model's SQL as that role.",
	run: runDataLoad,
}

func runDataLoad(ctx context.Context, p *program, args []string) error {
	var c common
	fs := flag.NewFlagSet("data load", flag.ContinueOnError)
	c.register(fs)
	dir := fs.String("db-dir", "", "`DIR` of the databases' scripts, <db_id>.sql")
	dsn := fs.String("dsn", "", "PostgreSQL database, `postgres://user@host/name`, to load into")
	grant := fs.String("grant", "", "`SCHEMAS` of your own, separated by commas, that models may read too")
	if rest, err := p.parse(fs, args); err != nil || len(rest) > 0 {
		return orUnexpected(err, rest)
	}
	if err := required("data load", fs, "dsn"); err != nil {
		return err
	}
	if *dir == "" && *grant == "" {
		return usagef("data load: -db-dir is missing: the folder that holds <db_id>.sql")
	}
	if err := c.check(); err != nil {
		return err
	}
	if *grant != "" {
		if err := pgexec.Grant(ctx, *dsn, strings.Split(*grant, ",")...); err != nil {
			return err
		}
	}
	loaded := &pgexec.Loaded{}
	if *dir != "" {
		line := p.newLine()
		defer line.Done()
		var err error
		if loaded, err = pgexec.Load(ctx, *dsn, *dir, func(done, of int) {
			line.Count(progress.Count{Label: "loading", Done: done, Total: of})
		}); err != nil {
			return err
		}
		line.Done()
	}
	if c.json {
		return p.printJSON(loaded)
	}
	if *dir == "" {
		_, err := fmt.Fprintf(p.stdout, "the role %s may read %s\n", pgexec.Reader, *grant)
		return err
	}
	_, err := fmt.Fprintf(p.stdout, "%s, %d of them unchanged; %s and %s loaded; the role %s may read them\n",
		plural(loaded.Schemas, "schema"), loaded.Unchanged, plural(loaded.Tables, "table"), plural(int(loaded.Rows), "row"), pgexec.Reader)
	return err
}
