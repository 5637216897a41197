// Package drivertest runs the suites of the receiver's stores against real
// databases: SQLite by modernc.org/sqlite and PostgreSQL by pgx. It holds tests
// only.
//
// It is a module of its own because the root module is what importers pay for:
// package sqldedupe works with any driver and must not make them download these.
//
// PostgreSQL is looked for at WEBHOOKS_TEST_POSTGRES_DSN, or else at
// postgres://postgres@127.0.0.1:5432/test. Where there is none, its tests are
// skipped, unless CI=true: then they fail. Each run works in a schema of its own
// and drops that.
package drivertest
