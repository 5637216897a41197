package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// A checkpoint copies the pages that are only in the log into the database file, and syncs it.
// SQLite does it in the commit that makes the log longer than a limit. That commit, and each writer
// behind it, takes several times as long as others, and nobody hears that it failed. So a goroutine
// does checkpoints here while commits go on. Commits wait for it
// only once the log is long, so that it can be started again.
const (
	// checkpointPages is how many pages are only in the log when they are copied.
	checkpointPages = 500
	// checkpointPause is how long it leaves the log alone after it has looked at it.
	checkpointPause = 10 * time.Millisecond
	// restartPages is how long the log becomes before it is started again, four times SQLite's limit:
	// 16 MB. While somebody reads what is in the log, that is tried again each time it has grown by
	// as much.
	restartPages = 4000
	// restartPatience is how long it then waits for a write that is under way, and for queries.
	restartPatience = 20 * time.Millisecond
	// logLimit is to how many bytes the log is cut when it is started again.
	logLimit = 64 << 20
)

// checkpointer does checkpoints of a database, on a connection that nothing else uses.
type checkpointer struct {
	conn *sql.Conn
	// check returns an error while the files that are open are not those of the database any more.
	// A checkpoint would write pages of the old log over those of a newer one.
	check func() error
	// log holds an element when there was a commit since the log was looked at.
	log chan struct{}
	// gate holds an element while a transaction begins, or while none may.
	gate  chan struct{}
	stop  context.CancelFunc // ends a checkpoint that runs, too
	ended chan struct{}
	// broken is why no more may be written: see giveUp.
	broken atomic.Pointer[error]
}

// startCheckpointer returns one that runs until it is closed.
func startCheckpointer(ctx context.Context, conn *sql.Conn, check func() error) (*checkpointer, error) {
	wait := fmt.Sprintf("PRAGMA busy_timeout(%d)", restartPatience.Milliseconds())
	if _, err := conn.ExecContext(ctx, wait); err != nil {
		return nil, mapError(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	c := &checkpointer{conn: conn, check: check, log: make(chan struct{}, 1),
		gate: make(chan struct{}, 1), stop: stop, ended: make(chan struct{})}
	go c.run(ctx)
	return c, nil
}

// committed says that the log may have grown. It does not wait. It does nothing if c is nil.
func (c *checkpointer) committed() {
	if c == nil {
		return
	}
	select {
	case c.log <- struct{}{}:
	default:
	}
}

// begin calls fn, which begins a transaction, at a time at which it may.
func (c *checkpointer) begin(ctx context.Context, fn func() error) error {
	if c == nil {
		return fn()
	}
	select {
	case c.gate <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-c.gate }()
	return fn()
}

// failed returns why no more may be written. It is nil if c is.
func (c *checkpointer) failed() error {
	if c == nil {
		return nil
	}
	if err := c.broken.Load(); err != nil {
		return *err
	}
	return nil
}

// close returns when the connection is no longer used. It does nothing if c is nil.
func (c *checkpointer) close() {
	if c == nil {
		return
	}
	c.stop()
	<-c.ended
}

func (c *checkpointer) run(ctx context.Context) {
	defer close(c.ended)
	restart, last := restartPages, 0
	for {
		select {
		case <-c.log:
		case <-ctx.Done():
			return
		}
		// Other errors than those that end it for good are tried again after the next commit.
		log, copied, err := c.do(ctx, "NOOP")
		if err == nil && log-copied >= checkpointPages && c.check() == nil {
			log, _, err = c.do(ctx, "PASSIVE") // PASSIVE does not wait for readers and writers
		}
		if log < last {
			restart = restartPages // it has been started again
		}
		if err == nil && log >= restart && c.check() == nil {
			_ = c.begin(ctx, func() error { // so that no transaction begins
				_, _, err := c.do(ctx, "RESTART")
				return err
			})
			restart = log + restartPages
		}
		last = log
		if c.failed() != nil {
			return
		}
		select {
		case <-time.After(checkpointPause):
		case <-ctx.Done():
			return
		}
	}
}

// do does a checkpoint of a kind, and returns how many pages the log has, and how many of them are
// in the database file too. NOOP, which SQLite has since 3.51, copies none.
func (c *checkpointer) do(ctx context.Context, kind string) (log, copied int, err error) {
	if err := c.failed(); err != nil {
		return 0, 0, err
	}
	var busy int
	err = c.conn.QueryRowContext(ctx, "PRAGMA wal_checkpoint("+kind+")").
		Scan(&busy, &log, &copied)
	if unsynced(err) {
		c.giveUp(ctx, err)
	}
	return log, copied, err
}

// unsynced reports whether an error says that the disk could not sync a file.
func unsynced(err error) bool {
	var driverError *sqlite.Error
	return errors.As(err, &driverError) && (driverError.Code() == sqlite3.SQLITE_IOERR_FSYNC ||
		driverError.Code() == sqlite3.SQLITE_IOERR_DIR_FSYNC)
}

// giveUp lets the store write no more after the sync of a checkpoint has failed. A checkpoint beside
// commits copies a part of the log and leaves the sync to the next one, which copies the rest. If that
// sync fails, the operating system may take the pages of both parts for written, and nothing would
// write the first again: SQLite would start the log again, which alone has them. (PostgreSQL ends the
// process for the same reason.) All is in the log, and SQLite copies all of it once no process has the
// file open any more.
//
// Until then it keeps the log from being started again, by other processes too: it reads what is in it.
func (c *checkpointer) giveUp(ctx context.Context, err error) {
	err = fmt.Errorf("%w, and nothing may be written until each process that has the file open has "+
		"ended: %w", ErrIO, err)
	c.broken.Store(&err)
	var tables int
	if _, err := c.conn.ExecContext(ctx, "BEGIN"); err == nil {
		_ = c.conn.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&tables)
	}
}
