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

// A Dialect is the SQL that a database speaks.
type Dialect int

// The dialects.
const (
	// SQLite is SQLite 3.35 or later.
	SQLite Dialect = iota + 1
	// PostgreSQL is PostgreSQL 12 or later, at its default isolation level.
	PostgreSQL
)

// now is the database's clock in Unix milliseconds, so that processes which
// share it need not agree on the time. It moves on within a transaction.
func (d Dialect) now() string {
	if d == SQLite {
		return "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"
	}
	return "(EXTRACT(EPOCH FROM clock_timestamp()) * 1000)::bigint"
}

// greatest is the function that returns the larger of two numbers.
func (d Dialect) greatest() string {
	if d == SQLite {
		return "max"
	}
	return "greatest"
}

// render fills in what differs: {table}, {index}, {now} and {greatest}, and the
// way in which $1 is written.
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

// createPatience is how long createTable tries again on SQLite.
const createPatience = 5 * time.Second

// createTable runs a script that may be run again and again, by many processes
// at the same time.
//
// On SQLite it tries again if it fails. Another process may be switching the new
// file to write-ahead logging, or be about to write after it has read: SQLite
// then says that it is busy without waiting for its busy timeout. Drivers do not
// agree on how to tell that error from others, so any is tried again.
func (d Dialect) createTable(ctx context.Context, db *sql.DB, script string) error {
	deadline := time.Now().Add(createPatience)
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
	defer func() { _ = tx.Rollback() }() // of no effect after the commit
	if d == PostgreSQL {
		// IF NOT EXISTS of two at a time fails in PostgreSQL; hence the lock.
		if _, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock(hashtext('webhooks-go receiver schema'))"); err != nil {
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

// tableName is a name that needs no quotes, in a schema or not.
var tableName = regexp.MustCompile(`^[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?$`)

// check returns the table's name, or what is wrong with the arguments of a
// constructor.
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
		p.Add("Table", "must be a name of lower-case letters, digits and _, after a schema and a dot if need be")
	} else if d == SQLite && strings.Contains(table, ".") {
		p.Add("Table", "must have no schema in SQLite")
	}
	return table, p.Err()
}
