// Package demodata makes the data of the demo: questions, their SQL, and the
// databases that they are about. Everything follows from a seed.
//
// A small model that learns from nothing must be shown two things. That SQL is
// mostly copied, names from the schema and literals from the question: so most
// training examples are about schemas made up on the spot, with names that are
// never the same twice. And what questions mean: the grammar's families ask
// for the same SQL in several ways. See families.go for them.
//
// What is asked afterwards was never seen in training: the held-out questions
// are about known schemas, but no query that differs only in its literals was
// trained on, and most of the literals are new too; the unseen questions are
// about schemas whose table names occur nowhere in training.
//
// Text is written so that copying is easy to learn: a schema is one line a
// table (" singer: id name country"), every identifier follows a space, also
// in SQL ("singer. name", which is valid), and strings stand in quotes in the
// question as they do in SQL.
package demodata
