package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
)

// sqliteWriter runs one transaction at a time, on a connection that it keeps
// together with its prepared statements. A *sql.Tx would begin without the
// write lock, and prepare anew each time.
type sqliteWriter struct {
	db *sql.DB
	// free holds the connection, nil until it is first needed. Taking it is
	// the lock.
	free chan *preparedConn
}

func newSQLiteWriter(db *sql.DB) *sqliteWriter {
	w := &sqliteWriter{db: db, free: make(chan *preparedConn, 1)}
	w.free <- nil
	return w
}

func (w *sqliteWriter) do(ctx context.Context, fn func(context.Context, Querier) error) (err error) {
	var c *preparedConn
	select {
	case c = <-w.free:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { w.free <- c }()
	if c == nil {
		conn, err := w.db.Conn(ctx)
		if err != nil {
			return err
		}
		c = &preparedConn{conn: conn, statements: make(map[string]*sql.Stmt)}
	}
	committed := false
	defer func() {
		if committed {
			return
		}
		// Some errors end the transaction by themselves, so this one may fail.
		_, _ = c.Exec(context.WithoutCancel(ctx), "ROLLBACK")
		if errors.Is(err, driver.ErrBadConn) {
			_ = c.close()
			c = nil
		}
	}()
	if _, err := c.Exec(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	// From here on it takes a moment, and stopping half-way would have to wait
	// for the rollback. Without a way to be cancelled, the driver needs no
	// goroutine for each statement.
	inside := context.WithoutCancel(ctx)
	if err := fn(inside, c); err != nil {
		return err
	}
	if _, err := c.Exec(inside, "COMMIT"); err != nil {
		return err
	}
	committed = true
	return nil
}

func (w *sqliteWriter) close() error {
	c := <-w.free
	defer func() { w.free <- nil }()
	if c == nil {
		return nil
	}
	return c.close()
}

// preparedConn prepares every statement once.
type preparedConn struct {
	conn       *sql.Conn
	statements map[string]*sql.Stmt
}

func (c *preparedConn) prepare(ctx context.Context, query string) (*sql.Stmt, error) {
	if s := c.statements[query]; s != nil {
		return s, nil
	}
	s, err := c.conn.PrepareContext(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("preparing %q: %w", query, err)
	}
	c.statements[query] = s
	return s, nil
}

func (c *preparedConn) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	s, err := c.prepare(ctx, query) //nolint:sqlclosecheck // kept until the connection is closed
	if err != nil {
		return 0, err
	}
	result, err := s.ExecContext(ctx, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

func (c *preparedConn) Query(ctx context.Context, query string, args ...any) (Rows, error) {
	s, err := c.prepare(ctx, query) //nolint:sqlclosecheck // kept until the connection is closed
	if err != nil {
		return nil, err
	}
	return s.QueryContext(ctx, args...) //nolint:rowserrcheck // the caller checks
}

func (c *preparedConn) close() error {
	var err error
	for _, s := range c.statements {
		err = errors.Join(err, s.Close())
	}
	return errors.Join(err, c.conn.Close())
}
