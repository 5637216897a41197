package postgres

import (
	"context"
	"database/sql/driver"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

// connector makes the connections of a [database/sql.DB] whose every statement runs in a
// transaction with the settings of the store. They are sent with BEGIN and end with the
// transaction, so the connection is unchanged for its next user.
type connector struct{ driver.Connector }

// Connect implements [driver.Connector].
func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	made, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	of := made.(*stdlib.Conn)
	session, err := sessionOf(ctx, of.Conn())
	if err != nil {
		_ = of.Close() // back to the pool
		return nil, err
	}
	return conn{of, session}, nil
}

type conn struct {
	*stdlib.Conn
	session session
}

// BeginTx implements [driver.ConnBeginTx]. The store's transactions are all READ
// COMMITTED, and it asks for nothing else.
func (c conn) BeginTx(ctx context.Context, _ driver.TxOptions) (driver.Tx, error) {
	tx, err := c.Conn.Conn().BeginTx(ctx, pgx.TxOptions{
		BeginQuery: "BEGIN ISOLATION LEVEL READ COMMITTED" + c.session.settings,
	})
	if err == nil {
		return transaction{ctx, tx}, nil
	}
	if pgconn.SafeToRetry(err) {
		return nil, driver.ErrBadConn
	}
	return nil, err
}

// transaction ends with the context that it began with, as the driver's own do.
type transaction struct {
	ctx context.Context //nolint:containedctx // driver.Tx has none
	tx  pgx.Tx
}

// Commit implements [driver.Tx].
func (t transaction) Commit() error { return t.tx.Commit(t.ctx) }

// Rollback implements [driver.Tx].
func (t transaction) Rollback() error { return t.tx.Rollback(t.ctx) }

// ExecContext implements [driver.ExecerContext].
func (c conn) ExecContext(
	ctx context.Context, query string, args []driver.NamedValue,
) (driver.Result, error) {
	return c.Conn.ExecContext(ctx, query, c.withMode(args))
}

// QueryContext implements [driver.QueryerContext]. A query that is in no
// transaction gets one of its own.
func (c conn) QueryContext(
	ctx context.Context, query string, args []driver.NamedValue,
) (driver.Rows, error) {
	if c.Conn.Conn().PgConn().TxStatus() != 'I' {
		return c.Conn.QueryContext(ctx, query, c.withMode(args))
	}
	tx, err := c.BeginTx(ctx, driver.TxOptions{})
	if err != nil {
		return nil, err
	}
	found, err := c.Conn.QueryContext(ctx, query, c.withMode(args))
	if err != nil {
		_ = tx.Rollback() // or the connection is closed
		return nil, err
	}
	return rows{found.(*stdlib.Rows), tx}, nil
}

// withMode says how the driver is to run a statement with these arguments.
func (c conn) withMode(args []driver.NamedValue) []driver.NamedValue {
	if c.session.mode == 0 {
		return args
	}
	return append([]driver.NamedValue{{Value: c.session.mode}}, args...)
}

// rows ends the transaction of its query.
type rows struct {
	*stdlib.Rows
	tx driver.Tx
}

// Close implements [driver.Rows].
func (r rows) Close() error {
	if err := r.Rows.Close(); err != nil {
		_ = r.tx.Rollback() // or the connection is closed
		return err
	}
	return r.tx.Commit()
}
