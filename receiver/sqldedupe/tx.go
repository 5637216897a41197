package sqldedupe

import (
	"context"
	"database/sql"
)

// A Tx is a transaction of the caller for [Dedupe.DoneTx]. Make one with [SQLTx] or
// [PgxTx].
type Tx struct {
	queryRow func(ctx context.Context, query string, args ...any) scanner
}

// scanner is a row of a query, of any driver.
type scanner interface{ Scan(dest ...any) error }

// SQLTx returns a Tx for a transaction of [database/sql].
func SQLTx(tx *sql.Tx) Tx {
	if tx == nil {
		return Tx{}
	}
	return Tx{func(ctx context.Context, query string, args ...any) scanner {
		return tx.QueryRowContext(ctx, query, args...)
	}}
}

// PgxTx returns a Tx for a pgx.Tx. Row stands for pgx.Row, and the compiler infers it, so
// that this package need not import pgx. A connection or a pool does not compile, because
// it has no Commit.
func PgxTx[Row scanner](tx interface {
	QueryRow(ctx context.Context, query string, args ...any) Row
	Commit(ctx context.Context) error
	Rollback(ctx context.Context) error
}) Tx {
	return Tx{func(ctx context.Context, query string, args ...any) scanner {
		return tx.QueryRow(ctx, query, args...)
	}}
}
