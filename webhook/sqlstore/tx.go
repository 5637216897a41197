package sqlstore

import (
	"context"
	"database/sql"
)

// Tx is what statements run on: mostly a transaction. Packages that bring
// drivers besides database/sql implement it for them; see [Store.EnqueueTx].
type Tx interface {
	Exec(ctx context.Context, query string, args ...any) (rowsAffected int64, err error)
	Query(ctx context.Context, query string, args ...any) (Rows, error)
}

// Rows is the part of *sql.Rows that is needed of an answer.
type Rows interface {
	Next() bool
	Scan(dest ...any) error
	Err() error
	Close() error
}

type scanner interface {
	Scan(dest ...any) error
}

// sqlTx is a Tx of database/sql.
type sqlTx struct {
	dialect Dialect
	on      interface { // *sql.Tx or *sql.DB
		ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
		QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	}
}

func (t sqlTx) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	result, err := t.on.ExecContext(ctx, t.dialect.rebind(query), args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

func (t sqlTx) Query(ctx context.Context, query string, args ...any) (Rows, error) {
	return t.on.QueryContext(ctx, t.dialect.rebind(query), args...) //nolint:rowserrcheck // the caller checks
}

// reboundTx is a Tx of another package.
type reboundTx struct {
	dialect Dialect
	Tx
}

func (t reboundTx) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	return t.Tx.Exec(ctx, t.dialect.rebind(query), args...)
}

func (t reboundTx) Query(ctx context.Context, query string, args ...any) (Rows, error) {
	return t.Tx.Query(ctx, t.dialect.rebind(query), args...)
}

// collect runs a query and hands every row to scan.
func collect(ctx context.Context, q Tx, scan func(scanner) error, query string, args ...any) (err error) {
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

// one runs a query for a single row, and reports whether there was one.
func one(ctx context.Context, q Tx, query string, args, into []any) (found bool, err error) {
	err = collect(ctx, q, func(row scanner) error {
		found = true
		return row.Scan(into...)
	}, query, args...)
	return found, err
}

// guardedTx calls a [Config.Guard] before each statement.
type guardedTx struct {
	Tx
	guard func() error
}

func (t guardedTx) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	if err := t.guard(); err != nil {
		return 0, err
	}
	return t.Tx.Exec(ctx, query, args...)
}

func (t guardedTx) Query(ctx context.Context, query string, args ...any) (Rows, error) {
	if err := t.guard(); err != nil {
		return nil, err
	}
	return t.Tx.Query(ctx, query, args...)
}
