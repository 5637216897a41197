package sqldedupe

import (
	"context"
	"database/sql"
)

// A Tx is a transaction of the caller, as [Dedupe.DoneTx] takes it. Make one with
// [SQLTx] or [PgxTx].
type Tx struct {
	queryRow func(ctx context.Context, query string, args ...any) scanner
}

// scanner is a row of a query, of whichever driver.
type scanner interface{ Scan(dest ...any) error }

// SQLTx returns a transaction of [database/sql] as a Tx.
func SQLTx(tx *sql.Tx) Tx {
	if tx == nil {
		return Tx{}
	}
	return Tx{func(ctx context.Context, query string, args ...any) scanner {
		return tx.QueryRowContext(ctx, query, args...)
	}}
}

// PgxTx returns a transaction of pgx, a pgx.Tx, as a Tx. The row of its driver is a
// type parameter, which the compiler infers, so that this package imports no driver.
// A connection or a pool is not accepted: both would write outside of the transaction.
func PgxTx[Row scanner](tx interface {
	QueryRow(ctx context.Context, query string, args ...any) Row
	Commit(ctx context.Context) error
	Rollback(ctx context.Context) error
}) Tx {
	return Tx{func(ctx context.Context, query string, args ...any) scanner {
		return tx.QueryRow(ctx, query, args...)
	}}
}
