// Package pgexec runs a model's SQL on a PostgreSQL server, safely, and loads
// databases there.
//
// A database of a data set is a schema of the database that the DSN names. Four
// things keep a statement from doing harm, each by itself short of enough: the
// role [Reader], which may only SELECT; a READ ONLY transaction that is always
// rolled back; the server's statement_timeout with a deadline on this side
// behind it; and a look at the statement's tokens, which refuses what is no
// query and calls of volatile functions, such as those that would change the
// role back (see policy.go).
package pgexec
