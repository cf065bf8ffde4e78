package sqlexec

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
)

// SQLite executes queries on SQLite databases: files DIR/<dbID>.sqlite, single
// files added by name, and databases made in memory from a script. Files are
// opened read-only and immutable, so nothing beside them is created; they must
// not change while the executor is open.
//
// Every connection is locked down: see policy.go for what a statement may do.
// A SQLite may be used by several goroutines; each database keeps a small pool
// of connections, made as needed.
type SQLite struct {
	dir    string
	limits Limits

	queries sync.RWMutex // held for reading by queries, for writing by Close
	mu      sync.Mutex   // guards what follows
	dbs     map[string]*database
	closed  bool
}

var _ Executor = (*SQLite)(nil)

var errClosed = errors.New("the executor is closed")

// OpenSQLite returns an executor over the files of a folder, see [File]. A
// database is opened when it is first asked for. With dir "" there are only the databases
// that [SQLite.AddFile] and [SQLite.AddScript] provide.
func OpenSQLite(dir string, limits Limits) (*SQLite, error) {
	if dir != "" {
		info, err := os.Stat(dir)
		if err != nil {
			return nil, fmt.Errorf("folder of databases: %w", err)
		}
		if !info.IsDir() {
			return nil, fmt.Errorf("folder of databases: %s is not a folder", dir)
		}
	}
	return &SQLite{dir: dir, limits: limits.WithDefaults(), dbs: map[string]*database{}}, nil
}

// Dialect returns "sqlite".
func (s *SQLite) Dialect() string { return "sqlite" }

// AddFile makes the database file at path known as dbID.
func (s *SQLite) AddFile(dbID, path string) error {
	if err := checkID(dbID); err != nil {
		return err
	}
	db, err := fileDatabase(path)
	if err != nil {
		return err
	}
	return s.add(dbID, db)
}

// AddScript makes a database in memory by running a trusted script of CREATE
// TABLE and INSERT statements, known from then on as dbID and as read-only as
// a file.
func (s *SQLite) AddScript(dbID, script string) error { return s.addScript(dbID, script, "") }

// AddScriptReversed is AddScript of a database whose queries, where they ask
// for no order, return their rows in another one than usual: two databases of
// one script tell whether a query's result is determined
// (https://sqlite.org/pragma.html#pragma_reverse_unordered_selects).
func (s *SQLite) AddScriptReversed(dbID, script string) error {
	return s.addScript(dbID, script, "PRAGMA reverse_unordered_selects = ON")
}

// addScript makes a database in memory, on each connection of which setup is
// run.
func (s *SQLite) addScript(dbID, script, setup string) error {
	if err := checkID(dbID); err != nil {
		return err
	}
	image, err := buildImage(script)
	if err != nil {
		return fmt.Errorf("database %q: %w", dbID, err)
	}
	open := func() (*conn, error) {
		c, err := image.open()
		if err != nil {
			return nil, err
		}
		if err := c.exec(setup); err != nil {
			c.close()
			return nil, err
		}
		return c, nil
	}
	db := &database{name: dbID, open: open, release: image.free}
	if err := s.add(dbID, db); err != nil {
		image.free()
		return err
	}
	return nil
}

func (s *SQLite) add(dbID string, db *database) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return errClosed
	case s.dbs[dbID] != nil:
		return fmt.Errorf("database %q is there already", dbID)
	}
	s.dbs[dbID] = db
	return nil
}

// Query implements [Executor].
func (s *SQLite) Query(ctx context.Context, dbID, sql string) (*Result, error) {
	s.queries.RLock()
	defer s.queries.RUnlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	db, err := s.database(dbID)
	if err != nil {
		return nil, err
	}
	c, err := db.get(s.limits)
	if err != nil {
		return nil, err
	}
	defer db.put(c)
	return c.query(ctx, sql, s.limits)
}

// Schema returns the CREATE statements of a database's tables and views, one
// after the other, each ended by a semicolon and a newline, in the order of
// their making.
func (s *SQLite) Schema(ctx context.Context, dbID string) (string, error) {
	res, err := s.Query(ctx, dbID, `SELECT sql FROM sqlite_schema
		WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\_%' ESCAPE '\' ORDER BY rowid`)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, row := range res.Rows {
		text, ok := row[0].(string)
		if !ok {
			continue
		}
		b.WriteString(text)
		b.WriteString(";\n")
	}
	return b.String(), nil
}

// Close waits for the queries under way and frees all connections and the
// databases in memory. Queries after it fail. A second Close does nothing.
func (s *SQLite) Close() error {
	s.queries.Lock()
	defer s.queries.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, db := range s.dbs {
		db.close()
	}
	s.dbs = nil
	return nil
}

// database finds an opened database or opens its file.
func (s *SQLite) database(dbID string) (*database, error) {
	if err := checkID(dbID); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errClosed
	}
	if db := s.dbs[dbID]; db != nil {
		return db, nil
	}
	if s.dir == "" {
		return nil, fmt.Errorf("%w: %q", ErrNoDatabase, dbID)
	}
	db, err := fileDatabase(File(s.dir, dbID))
	if err != nil {
		return nil, fmt.Errorf("database %q: %w", dbID, err)
	}
	s.dbs[dbID] = db
	return db, nil
}

// File is the file of a database in a folder: dir/<dbID>.sqlite or, where that is
// not there, dir/<dbID>/<dbID>.sqlite, as Spider and BIRD have them.
func File(dir, dbID string) string {
	flat := filepath.Join(dir, dbID+".sqlite")
	if _, err := os.Stat(flat); errors.Is(err, fs.ErrNotExist) {
		if nested := filepath.Join(dir, dbID, dbID+".sqlite"); exists(nested) {
			return nested
		}
	}
	return flat
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// checkID keeps a name that comes with the data from leaving the folder.
func checkID(dbID string) error {
	switch {
	case dbID == "":
		return fmt.Errorf("%w: the name is empty", ErrNoDatabase)
	case strings.ContainsAny(dbID, "/\\:\x00") || strings.Contains(dbID, ".."):
		return fmt.Errorf("%w: the name %q holds a path", ErrNoDatabase, dbID)
	}
	return nil
}

// fileDatabase describes the database in a file, without opening it yet.
func fileDatabase(path string) (*database, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%w: there is no file %s", ErrNoDatabase, path)
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%w: %s is not a file", ErrNoDatabase, path)
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	slashed := filepath.ToSlash(abs)
	if !strings.HasPrefix(slashed, "/") { // a drive letter
		slashed = "/" + slashed
	}
	uri := url.URL{Scheme: "file", Path: slashed, RawQuery: "mode=ro&immutable=1"}
	open := func() (*conn, error) { return openConn(uri.String()) }
	return &database{name: path, open: open, release: func() {}}, nil
}

// A database opens connections and keeps the idle ones.
type database struct {
	name    string // of the file, for errors
	open    func() (*conn, error)
	release func() // frees what the connections share, after the last of them

	mu   sync.Mutex
	idle []*conn
}

// get returns an idle connection, or a new one that is locked down.
func (d *database) get(limits Limits) (*conn, error) {
	d.mu.Lock()
	if n := len(d.idle); n > 0 {
		c := d.idle[n-1]
		d.idle = d.idle[:n-1]
		d.mu.Unlock()
		return c, nil
	}
	d.mu.Unlock()
	c, err := d.open()
	if err != nil {
		return nil, fmt.Errorf("opening database %s: %w", d.name, err)
	}
	if err := c.lockDown(limits); err != nil {
		c.close()
		return nil, fmt.Errorf("opening database %s: %w", d.name, err)
	}
	return c, nil
}

// put keeps the connection for the next query, as many as can run at once.
func (d *database) put(c *conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.idle) >= runtime.GOMAXPROCS(0) {
		c.close()
		return
	}
	d.idle = append(d.idle, c)
}

func (d *database) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.idle {
		c.close()
	}
	d.idle = nil
	d.release()
}
