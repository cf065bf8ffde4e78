package pgexec

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/hone-ml/hone/examples/text2sql/internal/sqlexec"
)

// Postgres executes queries on the schemas of a PostgreSQL database: dbID is
// the schema, and the only one in the search path. It may be used by several
// goroutines; it keeps a small pool of connections, made as needed.
type Postgres struct {
	config *pgconn.Config
	limits sqlexec.Limits

	volatile map[string]bool // names of functions with side effects, of this server

	queries sync.RWMutex // held for reading by queries, for writing by Close
	mu      sync.Mutex   // guards what follows
	idle    []*pgconn.PgConn
	schemas map[string]bool // that are there
	closed  bool
}

var _ sqlexec.Executor = (*Postgres)(nil)

const (
	// grace is how much longer than the server this side waits for a query to end.
	grace = 500 * time.Millisecond
	// patience is how long a server that does not answer is waited for: one
	// that starts again after a crash takes a moment.
	patience = 3 * time.Second
	// overhead is what a message may hold besides a row's values.
	overhead = 1 << 20
)

// Open connects to the server that a DSN names, postgres://user@host/database
// or key=value words, and returns an executor over its schemas. Where the
// session's role may become [Reader], it does; where it may not and is a
// superuser, or may read and write the server's files, Open refuses, since a
// model's SQL must not run as such.
func Open(ctx context.Context, dsn string, limits sqlexec.Limits) (*Postgres, error) {
	config, err := parse(dsn)
	if err != nil {
		return nil, err
	}
	p := &Postgres{config: config, limits: limits.WithDefaults(), schemas: map[string]bool{}}
	config.MaxProtocolMessageBodyLen = p.limits.Bytes + overhead
	c, err := p.connect(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := query(ctx, c, "SELECT DISTINCT proname FROM pg_proc WHERE provolatile = 'v'")
	if err != nil {
		c.Close(ctx)
		return nil, fmt.Errorf("reading the catalogue of functions: %w", err)
	}
	p.volatile = map[string]bool{}
	for _, row := range rows {
		p.volatile[row[0]] = true
	}
	p.put(c)
	return p, nil
}

// parse reads a DSN. Its errors do not show the password.
func parse(dsn string) (*pgconn.Config, error) {
	config, err := pgconn.ParseConfig(dsn)
	if err != nil {
		return nil, fmt.Errorf("-dsn: %w", err)
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = 10 * time.Second
	}
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "text2sql"
	}
	return config, nil
}

// Dialect returns "postgres".
func (p *Postgres) Dialect() string { return "postgres" }

// Close waits for the queries under way and closes all connections. Queries
// after it fail. A second Close does nothing.
func (p *Postgres) Close() error {
	p.queries.Lock()
	defer p.queries.Unlock()
	p.dropIdle()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	return nil
}

// Query implements [sqlexec.Executor]. When the connection is lost, Query tries
// once more; a server that cannot be reached again is
// [sqlexec.ErrUnavailable].
func (p *Postgres) Query(ctx context.Context, dbID, sql string) (*sqlexec.Result, error) {
	if err := check(sql, p.volatile); err != nil {
		return nil, err
	}
	return p.trusted(ctx, dbID, withoutSemicolons(sql))
}

// trusted runs a statement, a model's after check or one of this package.
func (p *Postgres) trusted(ctx context.Context, dbID, sql string) (*sqlexec.Result, error) {
	p.queries.RLock()
	defer p.queries.RUnlock()
	for again := false; ; again = true {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		c, err := p.get(ctx)
		if err != nil {
			return nil, err
		}
		if err = p.hasSchema(ctx, c, dbID); err == nil {
			var res *sqlexec.Result
			if res, err = p.run(ctx, c, dbID, sql); err == nil {
				p.put(c)
				return res, nil
			}
		}
		if !lost(c, err) {
			p.put(c)
			return nil, err
		}
		p.dropIdle() // they went with it
		if again {
			return nil, fmt.Errorf("the server ended the connection twice while this query ran: %w", err)
		}
	}
}

// errLost marks that a connection broke while a query ran.
var errLost = errors.New("connection lost")

// lost reports whether the error is that of a connection which the server, or
// what lies between, ended.
func lost(c *pgconn.PgConn, err error) bool {
	if errors.Is(err, errLost) {
		return true
	}
	var pe *pgconn.PgError
	return errors.As(err, &pe) && c.IsClosed() && (pe.Code == "57P01" || pe.Code == "57P02" || pe.Code == "57P03")
}

// hasSchema finds out, once, whether a schema is there.
func (p *Postgres) hasSchema(ctx context.Context, c *pgconn.PgConn, dbID string) error {
	switch {
	case dbID == "":
		return fmt.Errorf("%w: the name is empty", sqlexec.ErrNoDatabase)
	case strings.IndexByte(dbID, 0) >= 0:
		return fmt.Errorf("%w: the name %q holds a zero byte", sqlexec.ErrNoDatabase, dbID)
	}
	p.mu.Lock()
	known := p.schemas[dbID]
	p.mu.Unlock()
	if known {
		return nil
	}
	rows, err := query(ctx, c, "SELECT 1 FROM pg_namespace WHERE nspname = $1", dbID)
	switch {
	case err != nil:
		return p.failure(ctx, c, err)
	case len(rows) == 0:
		return fmt.Errorf("%w: the PostgreSQL database %q has no schema %q; text2sql data load makes it of %s.sql", sqlexec.ErrNoDatabase, p.config.Database, dbID, dbID)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.schemas[dbID] = true
	return nil
}

// run executes one statement in a transaction of its own.
func (p *Postgres) run(ctx context.Context, c *pgconn.PgConn, dbID, sql string) (*sqlexec.Result, error) {
	limited, cancel := context.WithTimeout(ctx, p.limits.Time+grace)
	defer cancel()
	begin := fmt.Sprintf("BEGIN TRANSACTION READ ONLY; SET LOCAL statement_timeout = %d; SET LOCAL search_path = %s",
		max(1, p.limits.Time.Milliseconds()), quoteIdent(dbID))
	if _, err := c.Exec(limited, begin).ReadAll(); err != nil {
		return nil, p.failure(ctx, c, err)
	}
	defer func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		defer cancel()
		if !c.IsClosed() {
			c.Exec(end, "ROLLBACK").Close() // a connection on which it fails is closed
		}
	}()
	// The extended protocol takes one statement only.
	reader := c.ExecParams(limited, sql, nil, nil, nil, nil)
	res, err := p.read(reader)
	if err != nil {
		cancel() // what is still to come is not read
		reader.Close()
		return nil, err
	}
	if _, err := reader.Close(); err != nil {
		return nil, p.failure(ctx, c, err)
	}
	if res.Columns == nil {
		return nil, fmt.Errorf("%w: it returns no columns", sqlexec.ErrForbidden)
	}
	return res, nil
}

// read collects a result; errors of the server are left to the reader's Close.
func (p *Postgres) read(reader *pgconn.ResultReader) (*sqlexec.Result, error) {
	res := &sqlexec.Result{}
	held := 0
	for reader.NextRow() {
		if len(res.Rows) == p.limits.Rows {
			return nil, fmt.Errorf("%w: more than %d rows", sqlexec.ErrTooLarge, p.limits.Rows)
		}
		values, fields := reader.Values(), reader.FieldDescriptions()
		row := make([]any, len(values))
		held += 24 + 16*len(values)
		for i, text := range values {
			if text == nil {
				continue
			}
			if len(text) > p.limits.Value {
				return nil, fmt.Errorf("%w: a value holds more than %d bytes", sqlexec.ErrTooLarge, p.limits.Value)
			}
			held += len(text)
			var err error
			if row[i], err = cell(fields[i].DataTypeOID, text); err != nil {
				return nil, fmt.Errorf("column %s: %w", fields[i].Name, err)
			}
		}
		if held > p.limits.Bytes {
			return nil, fmt.Errorf("%w: the rows hold more than %d bytes", sqlexec.ErrTooLarge, p.limits.Bytes)
		}
		res.Rows = append(res.Rows, row)
	}
	for _, f := range reader.FieldDescriptions() {
		res.Columns = append(res.Columns, f.Name)
	}
	return res, nil
}

// get returns an idle connection or a new one.
func (p *Postgres) get(ctx context.Context) (*pgconn.PgConn, error) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil, errors.New("the executor is closed")
	}
	if n := len(p.idle); n > 0 {
		c := p.idle[n-1]
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		return c, nil
	}
	p.mu.Unlock()
	return p.connect(ctx)
}

// put keeps a connection for the next query, as many as can run at once.
func (p *Postgres) put(c *pgconn.PgConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case c.IsClosed():
	case p.closed || len(p.idle) >= runtime.GOMAXPROCS(0) || c.TxStatus() != 'I':
		closeNow(c)
	default:
		p.idle = append(p.idle, c)
	}
}

// dropIdle closes the idle connections.
func (p *Postgres) dropIdle() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.idle {
		closeNow(c)
	}
	p.idle = nil
}

func closeNow(c *pgconn.PgConn) {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	c.Close(ctx)
}

// quoteIdent writes a name as an identifier.
func quoteIdent(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }

// query runs a trusted statement with text arguments; NULL is "".
func query(ctx context.Context, c *pgconn.PgConn, sql string, args ...string) ([][]string, error) {
	values := make([][]byte, len(args))
	for i, a := range args {
		values[i] = []byte(a)
	}
	res := c.ExecParams(ctx, sql, values, nil, nil, nil).Read()
	rows := make([][]string, len(res.Rows))
	for i, r := range res.Rows {
		rows[i] = make([]string, len(r))
		for j, v := range r {
			rows[i][j] = string(v)
		}
	}
	return rows, res.Err
}

// failure makes an error of this contract of the server's or the connection's.
func (p *Postgres) failure(ctx context.Context, c *pgconn.PgConn, err error) error {
	var pe *pgconn.PgError
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Errorf("%w: %w", sqlexec.ErrTimeout, ctx.Err())
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, context.DeadlineExceeded): // the server did not end it
		return fmt.Errorf("%w: the server went on beyond its statement_timeout", sqlexec.ErrTimeout)
	case !errors.As(err, &pe):
		return brokenOr(c, err)
	}
	message := pe.Message
	if pe.Hint != "" {
		message += " (" + pe.Hint + ")"
	}
	switch pe.Code {
	case "57014": // query_canceled
		return sqlexec.ErrTimeout
	case "25006", // read_only_sql_transaction
		"2F002", "2F003", "2F004":
		return fmt.Errorf("%w: %s", sqlexec.ErrForbidden, message)
	case "42501": // insufficient_privilege
		return fmt.Errorf("%w: %s", sqlexec.ErrForbidden, message)
	case "53200", "53400", "53100", "54000", "54001", "54011": // memory, temp_file_limit, disk, limits, depth, columns
		return fmt.Errorf("%w: %s", sqlexec.ErrTooLarge, message)
	}
	if pe.Code == "42601" && strings.Contains(pe.Message, "multiple commands") {
		return fmt.Errorf("%w: more than one statement", sqlexec.ErrForbidden)
	}
	if pe.Severity == "FATAL" || pe.Severity == "PANIC" {
		return err
	}
	return errors.New(message)
}
