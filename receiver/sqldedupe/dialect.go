package sqldedupe

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/mixpeek/webhooks-go/event"
)

// A Dialect is the SQL of a database.
type Dialect int

// The dialects.
const (
	// SQLite is SQLite 3.35 or later.
	SQLite Dialect = iota + 1
	// PostgreSQL is PostgreSQL 12 or later, at its default isolation level.
	PostgreSQL
)

// now is the time of the database in Unix milliseconds, so that the clocks of processes may
// differ. It advances within a transaction.
func (d Dialect) now() string {
	if d == SQLite {
		return "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"
	}
	return "(EXTRACT(EPOCH FROM clock_timestamp()) * 1000)::bigint"
}

// greatest is the name of the function that returns the larger of two numbers.
func (d Dialect) greatest() string {
	if d == SQLite {
		return "max"
	}
	return "greatest"
}

// render replaces {table}, {index}, {now} and {greatest}, and writes parameters such as $1
// as the database wants them.
func (d Dialect) render(query, table string) string {
	if d == SQLite {
		query = strings.ReplaceAll(query, "$", "?")
	}
	return strings.NewReplacer(
		"{table}", table,
		"{index}", strings.ReplaceAll(table, ".", "_"),
		"{now}", d.now(),
		"{greatest}", d.greatest(),
	).Replace(query)
}

// createTimeout bounds how long createTable retries on SQLite.
const createTimeout = 5 * time.Second

// createTable runs a script that may run repeatedly, in many processes at the same time.
//
// On SQLite it retries after an error. If another process switches the new file to
// write-ahead logging, or is about to write after it has read, SQLite returns SQLITE_BUSY
// without waiting for the busy timeout. Drivers have different errors for that, so
// createTable retries after every error.
func (d Dialect) createTable(ctx context.Context, db *sql.DB, script string) error {
	deadline := time.Now().Add(createTimeout)
	for pause := time.Millisecond; ; pause *= 2 {
		err := d.runScript(ctx, db, script)
		if err == nil {
			return nil
		}
		if d != SQLite || time.Now().Add(pause).After(deadline) {
			return fmt.Errorf("sqldedupe: create table: %w", err)
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("sqldedupe: create table: %w", err)
		case <-timer.C:
		}
	}
}

// runScript runs the statements of a script in one transaction.
func (d Dialect) runScript(ctx context.Context, db *sql.DB, script string) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after the commit
	if d == PostgreSQL {
		// Two concurrent CREATE … IF NOT EXISTS can fail in PostgreSQL without a lock.
		const lock = "SELECT pg_advisory_xact_lock(hashtext('webhooks-go receiver schema'))"
		if _, err := tx.ExecContext(ctx, lock); err != nil {
			return err
		}
	}
	for statement := range strings.SplitSeq(script, ";\n") {
		if strings.TrimSpace(statement) == "" {
			continue
		}
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// tableName matches names that need no quotes, with or without a schema.
var tableName = regexp.MustCompile(`^[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?$`)

// check returns the name of the table, or an error if the arguments of a constructor are
// wrong.
func check(db *sql.DB, d Dialect, table, fallback string) (string, error) {
	if db == nil {
		return "", errors.New("sqldedupe: the database is nil")
	}
	if table == "" {
		table = fallback
	}
	var p event.Problems
	if d != SQLite && d != PostgreSQL {
		p.Add("dialect", "must be SQLite or PostgreSQL")
	}
	if !tableName.MatchString(table) {
		p.Add("Table",
			"must be lower-case letters, digits and _, optionally after a schema and a dot")
	} else if d == SQLite && strings.Contains(table, ".") {
		p.Add("Table", "must have no schema in SQLite")
	}
	return table, p.Err()
}
