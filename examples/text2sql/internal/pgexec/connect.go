package pgexec

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/hone-ml/hone/examples/text2sql/internal/sqlexec"
)

// Reader is the role that a model's SQL runs as. [Load] makes it: it may
// SELECT from the schemas that were loaded, and nothing else.
const Reader = "text2sql_reader"

// session is what every connection sets: what the text of values depends on,
// no writes, and ends for sessions that were left.
const session = `SET client_encoding = 'UTF8'; SET standard_conforming_strings = on; SET DateStyle = 'ISO, YMD';
	SET IntervalStyle = 'postgres'; SET TimeZone = 'UTC'; SET bytea_output = 'hex'; SET extra_float_digits = 1;
	SET lc_monetary = 'C'; SET xmloption = 'content'; SET default_transaction_read_only = on; SET jit = off;
	SET lock_timeout = '2s'; SET idle_in_transaction_session_timeout = '60s'`

// tempFileLimit bounds what sorting and materialising may put on the server's disk.
const tempFileLimit = "1GB"

// connect makes a connection, as the reader where that can be. It waits a
// little for a server that starts.
func (p *Postgres) connect(ctx context.Context) (*pgconn.PgConn, error) {
	for start := time.Now(); ; {
		c, err := pgconn.ConnectConfig(ctx, p.config)
		if err == nil {
			if err = becomeReader(ctx, c, p.config.User); err == nil {
				return c, nil
			}
			closeNow(c)
			return nil, err
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if final(err) {
			return nil, fmt.Errorf("PostgreSQL: %w", err)
		}
		if time.Since(start) > patience {
			return nil, fmt.Errorf("%w: PostgreSQL: %w", sqlexec.ErrUnavailable, err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// final reports whether another try would end as this one did: the server
// answered, and not that it starts, stops or is full.
func final(err error) bool {
	var pe *pgconn.PgError
	if !errors.As(err, &pe) {
		return false
	}
	switch pe.Code {
	case "57P01", "57P02", "57P03", "53300":
		return false
	}
	return true
}

// becomeReader sets the session up and gives up its rights.
func becomeReader(ctx context.Context, c *pgconn.PgConn, user string) error {
	if _, err := c.Exec(ctx, session).ReadAll(); err != nil {
		return fmt.Errorf("PostgreSQL: setting the session up: %w", err)
	}
	rows, err := query(ctx, c, `SELECT rolsuper,
			rolcreaterole OR rolreplication OR rolbypassrls OR EXISTS (SELECT 1 FROM pg_roles r WHERE r.rolname IN
				('pg_read_server_files', 'pg_write_server_files', 'pg_execute_server_program', 'pg_write_all_data', 'pg_signal_backend')
				AND pg_has_role(session_user, r.oid, 'MEMBER')),
			COALESCE((SELECT pg_has_role(session_user, r.oid, 'MEMBER') FROM pg_roles r WHERE r.rolname = $1), false)
		FROM pg_roles WHERE rolname = session_user`, Reader)
	if err != nil {
		return fmt.Errorf("PostgreSQL: reading the role's rights: %w", err)
	}
	super, mighty, member := rows[0][0] == "t", rows[0][1] == "t", rows[0][2] == "t"
	become := ""
	switch {
	case user == Reader:
	case super && member:
		become = "SET temp_file_limit = '" + tempFileLimit + "'; SET SESSION AUTHORIZATION " + Reader
	case member:
		become = "SET ROLE " + Reader
	case super || mighty:
		return fmt.Errorf("PostgreSQL: the role %q may change the server, and there is no role %s to run a model's SQL as instead: make it once with \"text2sql data load\", or give the DSN of a role that may only SELECT", user, Reader)
	}
	if become == "" {
		return nil
	}
	if _, err := c.Exec(ctx, become).ReadAll(); err != nil {
		return fmt.Errorf("PostgreSQL: becoming %s: %w", Reader, err)
	}
	return nil
}

// brokenOr tells a broken connection from other errors on this side.
func brokenOr(c *pgconn.PgConn, err error) error {
	var large *pgproto3.ExceededMaxBodyLenErr
	switch {
	case errors.As(err, &large):
		return fmt.Errorf("%w: a row of %d bytes", sqlexec.ErrTooLarge, large.ActualBodyLen)
	case c.IsClosed():
		return fmt.Errorf("%w: %w", errLost, err)
	}
	return err
}
