// Package drivertest runs the suites of the receiver's stores against real
// databases: SQLite by modernc.org/sqlite and PostgreSQL by pgx. It holds tests
// only.
//
// It is a module of its own so that importers of package sqldedupe, which works with any
// driver, need not download these.
//
// PostgreSQL is looked for at WEBHOOKS_TEST_POSTGRES_DSN, or else at
// postgres://postgres@127.0.0.1:5432/test. Where there is none, its tests are
// skipped, or fail with CI=true. Each run creates and drops its own schema.
//
// # What is where
//
//   - database_test.go: the databases
//   - dedupe_test.go, counters_test.go: the suites of Dedupe and Counters
//   - exactlyonce_test.go: DoneTx with processes that die
//   - example_pgxtx_test.go, example_sqltx_test.go: Examples of DoneTx
package drivertest
