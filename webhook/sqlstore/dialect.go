package sqlstore

import (
	"context"
	"database/sql"
	"strings"
)

// Dialect is what differs between databases: use [SQLite].
// It cannot be implemented outside of this package.
type Dialect interface {
	// name begins the names of the schema files.
	name() string
	// expand replaces what stands in braces in a statement.
	expand(statement string) string
	// values returns the rows of a batch as SQL, for n rows.
	values(columns []column, n int) string
	// execBatch runs the statement over all rows, and counts the rows changed.
	execBatch(ctx context.Context, q querier, b *batch, rows, rest []any) (int64, error)
	// queryBatch is execBatch for a statement that returns rows.
	queryBatch(ctx context.Context, q querier, b *batch, rows, rest []any, scan func(*sql.Rows) error) error
	// newWriter returns what runs the store's transactions.
	newWriter(db *sql.DB) writer
	// lockSchema lets nobody else migrate until the transaction ends.
	lockSchema(ctx context.Context, q querier, prefix string) error
	// reserveSQL takes a number of ids, and returns the first of them with the
	// version of the subscriptions.
	reserveSQL() string
	// claimSQL selects what is due in a range of endpoints.
	claimSQL() string
}

// querier is what statements run on: a transaction of the store's or of the
// caller's, or a pool.
type querier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// writer runs transactions.
type writer interface {
	// do runs fn in a transaction, which it commits unless fn fails. The
	// context that fn gets is the one to use inside.
	do(ctx context.Context, fn func(ctx context.Context, q querier) error) error
	close() error
}

// expander turns the statements of this package into those of a store.
type expander struct {
	dialect Dialect
	prefix  string
}

func (x expander) sql(statement string) string {
	return strings.ReplaceAll(x.dialect.expand(statement), "{p}", x.prefix)
}

// collect runs a query and hands every row to scan.
func collect(ctx context.Context, q querier, scan func(*sql.Rows) error, query string, args ...any) (err error) {
	rows, err := q.QueryContext(ctx, query, args...)
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
func one(ctx context.Context, q querier, query string, args, into []any) (found bool, err error) {
	err = collect(ctx, q, func(rows *sql.Rows) error {
		found = true
		return rows.Scan(into...)
	}, query, args...)
	return found, err
}
