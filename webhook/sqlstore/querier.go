package sqlstore

import (
	"context"
	"database/sql"

	"github.com/mixpeek/webhooks-go/webhook"
)

// A Querier runs statements, usually in a transaction. Packages for drivers other than database/sql
// implement it, and make a transaction from it with [TxOf]. One goroutine uses it at a time.
// Arguments, and destinations of Scan, have basic types that database/sql supports; lists are
// encoded as text.
type Querier interface {
	// Exec runs a statement and returns how many rows it changed.
	Exec(ctx context.Context, query string, args ...any) (rowsAffected int64, err error)
	// Query runs a query and returns its rows, which the store closes before its next call.
	Query(ctx context.Context, query string, args ...any) (Rows, error)
}

// Tx returns a transaction of database/sql in the form that [Store.EnqueueTx] takes.
func Tx(dialect Dialect, tx *sql.Tx) webhook.Tx {
	if tx == nil {
		return callerTx{dialect, nil}
	}
	return callerTx{dialect, sqlTx{tx}}
}

// TxOf is [Tx] for a transaction of another driver. The statements have the parameters of the
// database, such as $1 in PostgreSQL.
func TxOf(dialect Dialect, q Querier) webhook.Tx { return callerTx{dialect, q} }

// callerTx is a transaction of the caller.
type callerTx struct {
	dialect Dialect
	querier Querier // nil if the caller had none
}

// TxKind implements [webhook.Tx].
func (t callerTx) TxKind() string {
	if t.querier == nil {
		return t.dialect.name() + " (of a nil transaction)"
	}
	return t.dialect.name()
}

// callers returns the Querier of the caller's transaction.
func (s *Store) callers(tx webhook.Tx) (Querier, error) {
	if t, ok := tx.(callerTx); ok && t.dialect == s.x.dialect && t.querier != nil {
		return t.querier, nil
	}
	return nil, webhook.WrongTx(tx, s.x.dialect.name())
}

// Rows is the part of [*sql.Rows] that the store uses. Its methods do what those of *sql.Rows do.
type Rows interface {
	Next() bool
	Scan(dest ...any) error
	Err() error
	Close() error
}

type scanner interface {
	Scan(dest ...any) error
}

// sqlTx is a Querier of database/sql.
type sqlTx struct {
	on interface { // *sql.Tx or *sql.DB
		ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
		QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	}
}

func (t sqlTx) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	result, err := t.on.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

func (t sqlTx) Query(ctx context.Context, query string, args ...any) (Rows, error) {
	return t.on.QueryContext(ctx, query, args...) //nolint:rowserrcheck // the caller checks
}

// collect runs a query and hands every row to scan.
func collect(
	ctx context.Context, q Querier, scan func(scanner) error, query string, args ...any,
) (err error) {
	rows, err := q.Query(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := rows.Close(); err == nil {
			err = closeErr
		}
	}()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// collectIDs runs a query for rows of one integer.
func collectIDs(
	ctx context.Context, q Querier, query string, args ...any,
) (ids []int64, err error) {
	err = collect(ctx, q, func(row scanner) error {
		var id int64
		err := row.Scan(&id)
		ids = append(ids, id)
		return err
	}, query, args...)
	return ids, err
}

// one runs a query for a single row, and reports whether there was one.
func one(ctx context.Context, q Querier, query string, args, into []any) (found bool, err error) {
	err = collect(ctx, q, func(row scanner) error {
		found = true
		return row.Scan(into...)
	}, query, args...)
	return found, err
}

// guardedTx calls a [Config.Guard] before each statement.
type guardedTx struct {
	Querier
	guard func() error
}

func (t guardedTx) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	if err := t.guard(); err != nil {
		return 0, err
	}
	return t.Querier.Exec(ctx, query, args...)
}

func (t guardedTx) Query(ctx context.Context, query string, args ...any) (Rows, error) {
	if err := t.guard(); err != nil {
		return nil, err
	}
	return t.Querier.Query(ctx, query, args...)
}
