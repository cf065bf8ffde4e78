package sqlexec

import (
	"strings"

	sqlite3 "modernc.org/sqlite/lib"
)

// What a model's statement may do. SQLite asks the authorizer about each thing
// that a statement would do, while it compiles it, and the answer is yes for:
//
//   - SELECT, and recursion in a WITH (the time and memory limits end it);
//   - reading columns of the database's own tables and views, of its schema
//     table, and of the two table-valued JSON functions. Everything else that
//     can stand in a FROM clause is refused by its name: pragma_* functions,
//     virtual tables, and what a later version adds;
//   - naming a table without reading a column of it, as SELECT count(*) FROM t
//     does: SQLite asks so for the name of a WITH too, and cannot be asked
//     which it is. Counting reaches nothing else, since the modules of virtual
//     tables are dropped and a pragma_* function needs PRAGMA;
//   - calling a function of the list below.
//
// Everything else is refused: writes, DDL, PRAGMA, ATTACH (its limit is zero
// besides), transactions, and functions that load code, allocate at will or
// look outside the database. See https://sqlite.org/security.html and
// https://sqlite.org/c3ref/set_authorizer.html.

// admits reports whether a statement on a database with the given tables (by
// lower-case name) may do what the authorizer was asked about. arg1 and arg2
// are the authorizer's third and fourth arguments.
func admits(action int32, arg1, arg2 string, tables map[string]bool) bool {
	switch action {
	case sqlite3.SQLITE_SELECT, sqlite3.SQLITE_RECURSIVE:
		return true
	case sqlite3.SQLITE_READ:
		return arg2 == "" || tables[strings.ToLower(arg1)]
	case sqlite3.SQLITE_FUNCTION:
		return functions[strings.ToLower(arg2)]
	}
	return false
}

// alwaysReadable are the tables that every database may be asked for.
var alwaysReadable = []string{"sqlite_schema", "sqlite_master", "json_each", "json_tree"}

// functions lists what may be called: SQLite's scalar, aggregate, window,
// date, mathematical and JSON functions that compute a value from their
// arguments. Missing on purpose are load_extension, randomblob, zeroblob,
// fts and rtree functions, sqlite_* and the counters of a connection.
var functions = func() map[string]bool {
	set := map[string]bool{}
	for name := range strings.FieldsSeq(`
		abs char coalesce concat concat_ws format glob hex if ifnull iif instr length like likelihood
		likely lower ltrim max min nullif octet_length printf quote random replace round rtrim sign
		soundex substr substring trim typeof unhex unicode unlikely upper
		avg count group_concat median percentile percentile_cont percentile_disc string_agg sum total
		cume_dist dense_rank first_value lag last_value lead nth_value ntile percent_rank rank row_number
		current_date current_time current_timestamp date datetime julianday strftime time timediff unixepoch
		acos acosh asin asinh atan atan2 atanh ceil ceiling cos cosh degrees exp floor ln log log10 log2
		mod pi pow power radians sin sinh sqrt tan tanh trunc
		json json_array json_array_length json_extract json_group_array json_group_object json_object
		json_quote json_type json_valid -> ->>`) {
		set[name] = true
	}
	return set
}()

// compileLimits are SQLite's own limits on a statement, see
// https://sqlite.org/limits.html. They are far above what a question needs, and
// keep compiling fast: it cannot be interrupted. The pattern of a LIKE is kept
// short since matching takes the product of both lengths.
var compileLimits = map[int32]int32{
	sqlite3.SQLITE_LIMIT_SQL_LENGTH:          maxSQL,
	sqlite3.SQLITE_LIMIT_COLUMN:              500,
	sqlite3.SQLITE_LIMIT_EXPR_DEPTH:          200,
	sqlite3.SQLITE_LIMIT_PARSER_DEPTH:        200,
	sqlite3.SQLITE_LIMIT_COMPOUND_SELECT:     50,
	sqlite3.SQLITE_LIMIT_VDBE_OP:             100_000,
	sqlite3.SQLITE_LIMIT_FUNCTION_ARG:        100,
	sqlite3.SQLITE_LIMIT_ATTACHED:            0,
	sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 500,
	sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER:     0,
	sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH:       1,
	sqlite3.SQLITE_LIMIT_WORKER_THREADS:      0,
}

const (
	// maxSQL is the longest statement in bytes.
	maxSQL = 64 << 10
	// maxHeap bounds the memory of all of SQLite in this process: sorting and
	// grouping happen in memory, so that a query cannot fill a disk either.
	maxHeap = 1 << 30
	// stepsBetweenChecks is how many instructions of SQLite's virtual machine
	// run between two looks at the clock: well under a millisecond.
	stepsBetweenChecks = 1000
)
