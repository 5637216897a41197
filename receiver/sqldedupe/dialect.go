package sqldedupe

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/mixpeek/webhooks-go/event"
)

// A Dialect says in which kind of database a table is: use [SQLite] or [PostgreSQL]. It cannot be
// implemented outside of this package.
type Dialect interface{ dialect }

// dialect is all that differs between databases. Each database has one file with its
// dialect, such as sqlite.go. To add MySQL, write mysql.go with a constructor next to
// [SQLite] and with these methods.
//
// The conventions are those of package webhook/sqlstore, which has a dialect of its own:
// the two share no code, because a receiver would import a store for a few lines. The
// statements in the other files are written once, with a question mark for each parameter,
// and with these words in braces, which expand replaces:
//
//	{now}       the time of the database in Unix milliseconds, so that the clocks of
//	            processes may differ; it advances within a transaction
//	{greatest}  the function that returns the larger of two numbers
//
// The [expander] replaces {table} and {index}. Besides these words the statements use
// INSERT with ON CONFLICT and excluded, and RETURNING. MySQL lacks both: its expand would
// return another statement for such a statement.
type dialect interface {
	// expand replaces the words in braces that are listed above.
	expand(statement string) string
	// bind replaces question marks by the parameters of the database.
	bind(statement string) string
	// lockSchema keeps other processes from creating tables until the transaction ends.
	lockSchema(ctx context.Context, tx *sql.Tx) error
	// hasSchemas reports whether the name of a table may have a schema.
	hasSchemas() bool
	// createTimeout bounds how long createTable retries after an error.
	createTimeout() time.Duration
}

// expander turns the statements of this package into those for one table.
type expander struct {
	dialect Dialect
	table   string
}

// words replaces all words in braces.
func (x expander) words(statement string) string {
	return strings.NewReplacer(
		"{table}", x.table,
		"{index}", strings.ReplaceAll(x.table, ".", "_"),
	).Replace(x.dialect.expand(statement))
}

// sql returns the statement as the database takes it.
func (x expander) sql(statement string) string { return x.dialect.bind(x.words(statement)) }

//go:embed schema/*.sql
var schemaFiles embed.FS

// schema returns the statements of a schema file.
func (x expander) schema(name string) string {
	file, _ := schemaFiles.ReadFile("schema/" + name) // embedded, so it can be read
	return x.words(string(file))
}

// createTable runs a script that may run repeatedly, in many processes at the same time.
func (x expander) createTable(ctx context.Context, db *sql.DB, script string) error {
	deadline := time.Now().Add(x.dialect.createTimeout())
	for pause := time.Millisecond; ; pause *= 2 {
		err := x.runScript(ctx, db, script)
		if err == nil {
			return nil
		}
		if time.Now().Add(pause).After(deadline) {
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
func (x expander) runScript(ctx context.Context, db *sql.DB, script string) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after the commit
	if err := x.dialect.lockSchema(ctx, tx); err != nil {
		return err
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

// newExpander returns an error if the arguments of a constructor are wrong.
func newExpander(db *sql.DB, d Dialect, table, fallback string) (expander, error) {
	if db == nil {
		return expander{}, errors.New("sqldedupe: the database is nil")
	}
	if table == "" {
		table = fallback
	}
	var p event.Problems
	if d == nil {
		p.Add("dialect", "must be SQLite() or PostgreSQL()")
	}
	if !tableName.MatchString(table) {
		p.Add("Table", "must be lower-case letters, digits and _, optionally after a schema and a dot")
	} else if d != nil && !d.hasSchemas() && strings.Contains(table, ".") {
		p.Add("Table", "must have no schema in SQLite")
	}
	if err := p.Err(); err != nil {
		return expander{}, fmt.Errorf("sqldedupe: %w", err)
	}
	return expander{d, table}, nil
}
