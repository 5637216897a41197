// Package sqldedupe keeps what receivers share in a SQL database: which events
// were handled ([Dedupe]), and the generation numbers of caches ([Counters]).
// Replicas on one database see the same, and a restart forgets nothing.
//
// It works over [database/sql] with SQLite and PostgreSQL, and imports no
// driver: open the database with the one you use already.
//
//	store, err := sqldedupe.NewDedupe(db, sqldedupe.PostgreSQL, sqldedupe.Config{})
//	…
//	err = store.CreateTable(ctx) // or put store.Schema() in your migrations
//	rcv, err := receiver.New(receiver.Config{Dedupe: store, …})
//
// SQLite should be opened in WAL mode with a busy timeout, so that concurrent
// claims wait for each other instead of failing.
//
// # Exactly once
//
// A handler whose effect is in the same database can settle the claim in the
// transaction of the effect, see [Dedupe.DoneTx]. Then both have happened or
// neither, whenever the process dies.
//
// # Housekeeping
//
// Rows stay until [Dedupe.Prune] removes those that need not be remembered any
// more. Call it now and then, from one replica or all.
package sqldedupe
