// Package sqldedupe remembers in a SQL database which events were handled ([Dedupe]), for
// receivers in several processes and across restarts, and lets a handler have its effect
// exactly once ([Dedupe.DoneTx]). It also has the generation numbers of caches
// ([Counters]).
//
//	dedupe, err := sqldedupe.NewDedupe(db, sqldedupe.PostgreSQL(), sqldedupe.Config{})
//	…
//	err = dedupe.CreateTable(ctx) // or put dedupe.Schema() into your migrations
//	…
//	rcv, err := receiver.New(receiver.Config{Dedupe: dedupe, …})
//
// It works over [database/sql] with SQLite and PostgreSQL, and imports no driver: open the
// database with the driver that you use already. A program with a pool of pgx makes the
// handle with stdlib.OpenDBFromPool. Open SQLite in WAL mode and with a busy timeout, so
// that concurrent claims wait for each other instead of failing.
//
// # Exactly once
//
// A handler whose effect is in the same database records the event in the transaction of
// the effect. Both happen or neither, whenever the process dies:
//
//	d := receiver.DeliveryFrom(ctx)
//	err := dedupe.DoneTx(ctx, sqldedupe.SQLTx(tx), d.Claim, d.Keep) // or PgxTx
//
// That works whatever claims the event: this Dedupe, another [receiver.Deduper] such as
// the one of redisstore, or an inbox.
//
// # Housekeeping
//
// Rows stay until [Dedupe.Prune] removes those whose time has passed. Call it every few
// minutes, in one process or in all, and [Counters.Prune] once a day.
//
// # What is where
//
//   - dedupe.go: Dedupe, which claims events and settles claims
//   - tx.go: the transactions that DoneTx takes
//   - counters.go: Counters for package invalidate
//   - dialect.go: what a database must provide, creating tables
//   - sqlite.go, postgres.go: the databases
//   - schema: the tables
package sqldedupe
