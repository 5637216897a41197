package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"time"

	"modernc.org/sqlite"
)

// DB returns a handle for the caller's own transactions: see [Tx]. For a Store of New it is the
// caller's handle. For a Store of Open it is a handle of the Store, whose transactions take the
// write lock when they begin, unless they are read-only, and whose commits are durable. They take turns
// with the Store's own. A single statement outside of a transaction does not: while the Store writes
// without a pause, it may wait for all of Config.BusyTimeout. Do not close the handle, because
// [Store.Close] does, and do no checkpoint with it: the Store would not hear that its sync failed.
//
// While such a transaction is open, the Store's writes wait. So keep it short, and publish in it
// with EmitTx: a call of Emit in between waits for the transaction, and fails with ErrLocked after
// Config.BusyTimeout.
func (s *Store) DB() *sql.DB { return s.callers }

// openCallers returns a handle whose transactions begin as the Store's do.
func (s *Store) openCallers(dsn string) (*sql.DB, error) {
	connector, err := sqlite.NewConnector(dsn)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(callersConnector{connector, s}), nil
}

// callersConnector makes the connections of DB.
type callersConnector struct {
	driver.Connector
	store *Store
}

func (c callersConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	ofDriver, ok := conn.(driverConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("sqlite: the driver's connection is a %T", conn), conn.Close())
	}
	return callersConn{ofDriver, c.store}, nil
}

// driverConn is what database/sql uses of the driver's connections, and what callers may, with Raw.
type driverConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
	NewBackup(uri string) (*sqlite.Backup, error)
	Serialize() ([]byte, error)
}

// callersConn is a connection of DB. With SQLite's own waiting, its transactions would wait for seconds
// while the Store writes without a pause: see waitForLock.
type callersConn struct {
	driverConn
	store *Store
}

func (c callersConn) BeginTx(ctx context.Context, opts driver.TxOptions) (tx driver.Tx, err error) {
	if opts.ReadOnly { // it takes no lock
		return c.driverConn.BeginTx(ctx, opts)
	}
	if err := c.store.guard(); err != nil {
		return nil, err
	}
	// For single statements SQLite waits.
	if err := c.patience(ctx, 0); err != nil {
		return nil, err
	}
	err = c.store.begin(ctx, func() error {
		// It does not wait, and the driver would return another error than that of the context.
		tx, err = c.driverConn.BeginTx(context.WithoutCancel(ctx), opts)
		return err
	})
	if restored := c.patience(context.WithoutCancel(ctx), c.store.patience); restored != nil {
		if err == nil {
			err = tx.Rollback()
		}
		return nil, errors.Join(restored, err)
	}
	return tx, err
}

// patience sets how long SQLite waits for a lock.
func (c callersConn) patience(ctx context.Context, d time.Duration) error {
	_, err := c.ExecContext(ctx, "PRAGMA "+busyTimeout(d), nil)
	return err
}
