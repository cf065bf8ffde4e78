package sqlexec

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
	"unsafe"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// conn is one connection, for one goroutine at a time. It speaks to SQLite's C
// interface rather than through database/sql, because the driver stops
// watching the context once the first row has come (SELECT 1 UNION ALL SELECT
// count(*) FROM a, b, c then runs for as long as it likes), runs all
// statements of a text, and makes time.Time of text in columns declared DATE.
type conn struct {
	tls    *libc.TLS
	db     uintptr         // *sqlite3
	tables map[string]bool // what may be read, by lower-case name

	// Of the query under way, for the callbacks.
	ctx      context.Context
	deadline time.Time
	stopped  error  // why the progress handler ended the query
	refused  string // what the authorizer refused first
}

// conns finds the connection of a handle for the callbacks, which C knows only
// as numbers.
var conns sync.Map // uintptr → *conn

// initLibrary sets what is common to all connections of the process. Memory is
// counted only if asked for before SQLite's first use; where something else in
// the process was earlier, the limit on memory has no effect.
var initLibrary = sync.OnceFunc(func() {
	sqlite3.PatchIssue199() // what modernc.org/sqlite does first too
	tls := libc.NewTLS()
	defer tls.Close()
	if va := libc.Xmalloc(tls, 8); va != 0 {
		sqlite3.Xsqlite3_config(tls, sqlite3.SQLITE_CONFIG_MEMSTATUS, libc.VaList(va, int32(1)))
		libc.Xfree(tls, va)
	}
	sqlite3.Xsqlite3_initialize(tls)
	sqlite3.Xsqlite3_hard_heap_limit64(tls, maxHeap)
})

// openConn opens the database that a file: URI names, or ":memory:".
func openConn(uri string) (*conn, error) {
	initLibrary()
	c := &conn{tls: libc.NewTLS()}
	name, err := libc.CString(uri)
	if err != nil {
		return nil, err
	}
	defer libc.Xfree(c.tls, name)
	out := c.tls.Alloc(8)
	defer c.tls.Free(8)
	flags := int32(sqlite3.SQLITE_OPEN_READWRITE | sqlite3.SQLITE_OPEN_URI | sqlite3.SQLITE_OPEN_NOMUTEX)
	if uri == ":memory:" {
		flags |= sqlite3.SQLITE_OPEN_CREATE
	}
	rc := sqlite3.Xsqlite3_open_v2(c.tls, name, out, flags, 0)
	c.db = word(out)
	if rc != sqlite3.SQLITE_OK {
		err := c.failure(rc)
		c.close()
		return nil, err
	}
	conns.Store(c.db, c)
	return c, nil
}

func (c *conn) close() {
	conns.Delete(c.db)
	sqlite3.Xsqlite3_close_v2(c.tls, c.db)
	c.tls.Close()
}

// lockDown gives the connection its policy. It reads the names of the tables
// first, so it also finds out whether the file is a database.
func (c *conn) lockDown(limits Limits) error {
	if err := c.exec("PRAGMA trusted_schema = OFF; PRAGMA query_only = ON; PRAGMA temp_store = MEMORY"); err != nil {
		return err
	}
	if err := c.configure(sqlite3.SQLITE_DBCONFIG_DEFENSIVE, 1); err != nil {
		return err
	}
	// A virtual table has no root page. Without the modules there are none, nor
	// the ones that need no CREATE, such as dbstat.
	if rc := sqlite3.Xsqlite3_drop_modules(c.tls, c.db, 0); rc != sqlite3.SQLITE_OK {
		return c.failure(rc)
	}
	res, err := c.query(context.Background(),
		"SELECT name FROM sqlite_schema WHERE type = 'view' OR type = 'table' AND rootpage > 0", limits)
	if err != nil {
		return err
	}
	c.tables = map[string]bool{}
	for _, name := range alwaysReadable {
		c.tables[name] = true
	}
	for _, row := range res.Rows {
		if name, ok := row[0].(string); ok {
			c.tables[strings.ToLower(name)] = true
		}
	}
	for id, limit := range compileLimits {
		sqlite3.Xsqlite3_limit(c.tls, c.db, id, limit)
	}
	sqlite3.Xsqlite3_limit(c.tls, c.db, sqlite3.SQLITE_LIMIT_LENGTH, int32(min(limits.Value, 1<<30)))
	if rc := sqlite3.Xsqlite3_set_authorizer(c.tls, c.db, callback(authorize), c.db); rc != sqlite3.SQLITE_OK {
		return c.failure(rc)
	}
	sqlite3.Xsqlite3_progress_handler(c.tls, c.db, stepsBetweenChecks, callback(progress), c.db)
	return nil
}

// query compiles and runs one statement.
func (c *conn) query(ctx context.Context, sql string, limits Limits) (*Result, error) {
	c.ctx, c.deadline, c.stopped, c.refused = ctx, time.Now().Add(limits.Time), nil, ""
	stmt, err := c.prepare(sql)
	if err != nil {
		return nil, err
	}
	defer sqlite3.Xsqlite3_finalize(c.tls, stmt)
	res := &Result{Columns: make([]string, sqlite3.Xsqlite3_column_count(c.tls, stmt))}
	for i := range res.Columns {
		res.Columns[i] = libc.GoString(sqlite3.Xsqlite3_column_name(c.tls, stmt, int32(i)))
	}
	held := 0
	for {
		switch rc := sqlite3.Xsqlite3_step(c.tls, stmt); rc {
		case sqlite3.SQLITE_DONE:
			return res, nil
		case sqlite3.SQLITE_ROW:
		default:
			return nil, c.failure(rc)
		}
		if len(res.Rows) == limits.Rows {
			return nil, fmt.Errorf("%w: more than %d rows", ErrTooLarge, limits.Rows)
		}
		row, size, err := c.row(stmt, len(res.Columns))
		if err != nil {
			return nil, err
		}
		if held += size; held > limits.Bytes {
			return nil, fmt.Errorf("%w: the rows hold more than %d bytes", ErrTooLarge, limits.Bytes)
		}
		res.Rows = append(res.Rows, row)
	}
}

// prepare compiles the only statement of a text. The text may end in
// semicolons, blanks and comments, and in nothing else.
func (c *conn) prepare(sql string) (uintptr, error) {
	if len(sql) > maxSQL {
		return 0, fmt.Errorf("%w: the statement has %d bytes, %d are allowed", ErrTooLarge, len(sql), maxSQL)
	}
	if strings.IndexByte(sql, 0) >= 0 {
		return 0, fmt.Errorf("%w: it holds a zero byte", ErrForbidden)
	}
	text, err := libc.CString(sql)
	if err != nil {
		return 0, err
	}
	defer libc.Xfree(c.tls, text)

	stmt, tail, err := c.compile(text)
	for err == nil && stmt == 0 && tail != text && at(tail) != 0 { // blanks, comments, lone semicolons
		text, tail = tail, 0
		stmt, tail, err = c.compile(text)
	}
	switch {
	case err != nil:
		return 0, err
	case stmt == 0:
		return 0, fmt.Errorf("%w: there is no statement", ErrForbidden)
	}
	err = c.checkAlone(stmt, tail)
	if err != nil {
		sqlite3.Xsqlite3_finalize(c.tls, stmt)
		return 0, err
	}
	return stmt, nil
}

// checkAlone says what is wrong with a compiled statement and the text after it.
func (c *conn) checkAlone(stmt, tail uintptr) error {
	switch {
	case sqlite3.Xsqlite3_stmt_isexplain(c.tls, stmt) != 0:
		return fmt.Errorf("%w: EXPLAIN answers no question", ErrForbidden)
	case sqlite3.Xsqlite3_stmt_readonly(c.tls, stmt) == 0:
		return fmt.Errorf("%w: it writes", ErrForbidden)
	case sqlite3.Xsqlite3_column_count(c.tls, stmt) == 0:
		return fmt.Errorf("%w: it returns no columns", ErrForbidden)
	case sqlite3.Xsqlite3_bind_parameter_count(c.tls, stmt) > 0:
		return fmt.Errorf("%w: it has parameters without values", ErrForbidden)
	}
	for at(tail) != 0 {
		next, rest, err := c.compile(tail)
		if next != 0 {
			sqlite3.Xsqlite3_finalize(c.tls, next)
		}
		if err != nil || next != 0 {
			return fmt.Errorf("%w: more than one statement", ErrForbidden)
		}
		tail = rest
	}
	return nil
}

// compile compiles the first statement of a C string, and returns it (0 if
// there is only a comment or nothing) and the text that follows.
func (c *conn) compile(text uintptr) (stmt, tail uintptr, err error) {
	out := c.tls.Alloc(16)
	defer c.tls.Free(16)
	rc := sqlite3.Xsqlite3_prepare_v2(c.tls, c.db, text, -1, out, out+8)
	if rc != sqlite3.SQLITE_OK {
		return 0, 0, c.failure(rc)
	}
	return word(out), word(out + 8), nil
}

// row copies the current row, and returns about how many bytes it takes.
func (c *conn) row(stmt uintptr, n int) (row []any, size int, err error) {
	row, size = make([]any, n), 24+16*n
	for i := range row {
		col := int32(i)
		switch sqlite3.Xsqlite3_column_type(c.tls, stmt, col) {
		case sqlite3.SQLITE_INTEGER:
			row[i] = int64(sqlite3.Xsqlite3_column_int64(c.tls, stmt, col))
		case sqlite3.SQLITE_FLOAT:
			row[i] = sqlite3.Xsqlite3_column_double(c.tls, stmt, col)
		case sqlite3.SQLITE_TEXT:
			p := sqlite3.Xsqlite3_column_text(c.tls, stmt, col)
			if p == 0 {
				return nil, 0, c.failure(sqlite3.SQLITE_NOMEM)
			}
			row[i] = string(cBytes(p, sqlite3.Xsqlite3_column_bytes(c.tls, stmt, col)))
		case sqlite3.SQLITE_BLOB:
			p := sqlite3.Xsqlite3_column_blob(c.tls, stmt, col) // 0 when empty
			row[i] = append([]byte{}, cBytes(p, sqlite3.Xsqlite3_column_bytes(c.tls, stmt, col))...)
		}
		switch v := row[i].(type) {
		case string:
			size += len(v)
		case []byte:
			size += len(v)
		}
	}
	return row, size, nil
}

// exec runs a trusted script.
func (c *conn) exec(script string) error {
	text, err := libc.CString(script)
	if err != nil {
		return err
	}
	defer libc.Xfree(c.tls, text)
	if rc := sqlite3.Xsqlite3_exec(c.tls, c.db, text, 0, 0, 0); rc != sqlite3.SQLITE_OK {
		return c.failure(rc)
	}
	return nil
}

// configure sets one of SQLite's boolean options of a connection.
func (c *conn) configure(option, value int32) error {
	va := libc.Xmalloc(c.tls, 16)
	if va == 0 {
		return c.failure(sqlite3.SQLITE_NOMEM)
	}
	defer libc.Xfree(c.tls, va)
	if rc := sqlite3.Xsqlite3_db_config(c.tls, c.db, option, libc.VaList(va, value, uintptr(0))); rc != sqlite3.SQLITE_OK {
		return c.failure(rc)
	}
	return nil
}

// failure makes an error of a result code and of what the callbacks saw.
func (c *conn) failure(rc int32) error {
	message := libc.GoString(sqlite3.Xsqlite3_errmsg(c.tls, c.db))
	switch {
	case rc&0xff == sqlite3.SQLITE_INTERRUPT && c.stopped != nil:
		return c.stopped
	case c.refused != "": // SQLITE_AUTH, or SQLITE_ERROR for a function
		return fmt.Errorf("%w: %s", ErrForbidden, c.refused)
	case rc&0xff == sqlite3.SQLITE_READONLY:
		return fmt.Errorf("%w: %s", ErrForbidden, message)
	case rc&0xff == sqlite3.SQLITE_NOMEM || rc&0xff == sqlite3.SQLITE_TOOBIG:
		return fmt.Errorf("%w: %s", ErrTooLarge, message)
	}
	return errors.New(message)
}

// authorize is SQLite's callback for each thing that a statement would do.
func authorize(_ *libc.TLS, db uintptr, action int32, arg1, arg2, _, _ uintptr) int32 {
	found, ok := conns.Load(db)
	if !ok {
		return sqlite3.SQLITE_DENY
	}
	c, first, second := found.(*conn), goString(arg1), goString(arg2)
	if admits(action, first, second, c.tables) {
		return sqlite3.SQLITE_OK
	}
	if c.refused == "" {
		c.refused = describe(action, first, second)
	}
	return sqlite3.SQLITE_DENY
}

// describe names a refused action for the error's text.
func describe(action int32, arg1, arg2 string) string {
	switch action {
	case sqlite3.SQLITE_READ:
		return fmt.Sprintf("reading %q", arg1)
	case sqlite3.SQLITE_FUNCTION:
		return fmt.Sprintf("calling %s()", arg2)
	case sqlite3.SQLITE_PRAGMA:
		return "PRAGMA " + arg1
	case sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH:
		return "ATTACH and DETACH"
	case sqlite3.SQLITE_TRANSACTION, sqlite3.SQLITE_SAVEPOINT:
		return "controlling transactions"
	}
	return "only queries may run"
}

// progress is SQLite's callback every so many instructions: it ends the query
// when its time is over or its context is done.
func progress(_ *libc.TLS, db uintptr) int32 {
	found, ok := conns.Load(db)
	if !ok {
		return 1
	}
	c := found.(*conn)
	switch err := c.ctx.Err(); {
	case errors.Is(err, context.DeadlineExceeded):
		c.stopped = fmt.Errorf("%w: %w", ErrTimeout, err)
	case err != nil:
		c.stopped = err
	case time.Now().After(c.deadline):
		c.stopped = ErrTimeout
	default:
		return 0
	}
	return 1
}

// callback makes a C function pointer of a top-level Go function, the way
// modernc.org/libc expects it: the address of its code pointer.
func callback[F any](f F) uintptr {
	return *(*uintptr)(unsafe.Pointer(&struct{ f F }{f}))
}

func goString(p uintptr) string {
	if p == 0 {
		return ""
	}
	return libc.GoString(p)
}
