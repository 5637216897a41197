package sqldedupe

import (
	"context"
	"database/sql"
	"strings"
	"time"
)

// SQLite returns the dialect of SQLite 3.35 or newer.
func SQLite() Dialect { return sqliteDialect{} }

type sqliteDialect struct{}

var sqliteWords = strings.NewReplacer(
	"{now}", "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)",
	"{greatest}", "max",
)

func (sqliteDialect) expand(statement string) string { return sqliteWords.Replace(statement) }

func (sqliteDialect) bind(statement string) string { return statement }

// lockSchema does nothing: there is one writer at a time.
func (sqliteDialect) lockSchema(context.Context, *sql.Tx) error { return nil }

func (sqliteDialect) hasSchemas() bool { return false }

// createTimeout is positive because SQLite returns SQLITE_BUSY without waiting for the busy
// timeout if another process switches the new file to write-ahead logging, or is about to
// write after it has read. Drivers have different errors for that, so createTable retries
// after every error.
func (sqliteDialect) createTimeout() time.Duration { return 5 * time.Second }
