package sqldedupe

import (
	"context"
	"database/sql"
	"strconv"
	"strings"
	"time"
)

// PostgreSQL returns the dialect of PostgreSQL 12 or newer, at its default isolation level.
func PostgreSQL() Dialect { return postgresDialect{} }

type postgresDialect struct{}

var postgresWords = strings.NewReplacer(
	"{now}", "(EXTRACT(EPOCH FROM clock_timestamp()) * 1000)::bigint",
	"{greatest}", "greatest",
)

func (postgresDialect) expand(statement string) string { return postgresWords.Replace(statement) }

func (postgresDialect) bind(statement string) string {
	out := make([]byte, 0, len(statement)+32)
	n := 0
	for i := range len(statement) {
		if statement[i] == '?' {
			n++
			out = strconv.AppendInt(append(out, '$'), int64(n), 10)
		} else {
			out = append(out, statement[i])
		}
	}
	return string(out)
}

// lockSchema waits for other processes, because two concurrent CREATE … IF NOT EXISTS can
// fail otherwise.
func (postgresDialect) lockSchema(ctx context.Context, tx *sql.Tx) error {
	const lock = "SELECT pg_advisory_xact_lock(hashtext('webhooks-go receiver schema'))"
	_, err := tx.ExecContext(ctx, lock)
	return err
}

func (postgresDialect) hasSchemas() bool { return true }

// createTimeout is 0, because lockSchema makes retries unnecessary.
func (postgresDialect) createTimeout() time.Duration { return 0 }
