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
// behind it, takes several times as long as others, and SQLite returns no error if the checkpoint
// fails. So a goroutine does checkpoints here while commits go on. Commits wait for it only when the
// log is long, so that it can be started again.
const (
	// checkpointPages is how many pages are only in the log when they are copied.
	checkpointPages = 500
	// checkpointPause is how long it leaves the log alone after it has looked at it, and checkpointIdle
	// how long at most. Only the Store tells of its commits, and not the caller's transactions.
	checkpointPause = 10 * time.Millisecond
	checkpointIdle  = time.Second
	// restartPages is how long the log becomes before it is started again, four times SQLite's limit:
	// 16 MB. While a query reads what is in the log, the restart is tried again each time the log has
	// grown by as much.
	restartPages = 4000
	// restartPatience is how long it then waits for queries, and for a write that has come in between.
	restartPatience = 20 * time.Millisecond
	// flushes is how often the database file is synced before the restart, each time with what was
	// written during the one before, and copyPatience how long at most no transaction may begin while
	// the rest is copied for that.
	flushes      = 2
	copyPatience = 3 * time.Millisecond
	// logLimit is to how many bytes the log is cut when it is started again.
	logLimit = 64 << 20
)

// checkpointer does checkpoints of a database, on a connection that nothing else uses.
type checkpointer struct {
	conn *sql.Conn
	// check is [Store.check]. While it returns an error, a checkpoint would write pages of an old log over
	// those of a newer one, or count pages as copied that are on no disk.
	check func() error
	// mark leaves a mark for the processes that open the file, or have it open: see unsyncedMark.
	mark func() error
	// log holds an element when there was a commit since the log was looked at.
	log chan struct{}
	// patience is how long a transaction waits for another one.
	patience time.Duration
	// gate holds an element while a transaction of the Store begins, or while none may.
	gate  chan struct{}
	stop  context.CancelFunc // ends no checkpoint that runs
	ended chan struct{}
	// broken is why no more may be written: see giveUp.
	broken atomic.Pointer[error]
}

// startCheckpointer returns one that runs until it is closed.
func startCheckpointer(
	ctx context.Context, conn *sql.Conn, patience time.Duration, check, mark func() error,
) (*checkpointer, error) {
	if _, err := conn.ExecContext(ctx, "PRAGMA query_only(0); PRAGMA "+
		busyTimeout(restartPatience)); err != nil {
		return nil, mapError(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	c := &checkpointer{conn: conn, check: check, mark: mark, patience: patience,
		log: make(chan struct{}, 1), gate: make(chan struct{}, 1), stop: stop, ended: make(chan struct{})}
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
	restartAt, last := restartPages, 0
	for c.failed() == nil {
		select {
		case <-c.log:
		case <-time.After(checkpointIdle):
		case <-ctx.Done():
			return
		}
		// Only NOOP says how long the log is while another process does a checkpoint. What fails is tried
		// again, unless it ends all.
		if log, copied, err := c.do("NOOP"); err == nil && log >= 0 && c.check() == nil {
			if log < last {
				restartAt = restartPages // it has been started again
			}
			last = log
			if log-copied >= checkpointPages {
				_, _, err = c.do("PASSIVE") // PASSIVE does not wait for readers and writers
			}
			if err == nil && log >= restartAt {
				for range flushes {
					c.flush(ctx)
				}
				begun := time.Now() // the wait for a turn counts, too
				_ = c.begin(ctx, func() error { return c.restart(ctx, begun) })
				restartAt = log + restartPages
			}
		}
		select {
		case <-time.After(checkpointPause):
		case <-ctx.Done():
			return
		}
	}
}

// flush has the database file synced before the restart, which can take long, and would otherwise do
// that while nothing may begin. SQLite syncs the file in a checkpoint that has copied all there is in
// the log when it ends. So this copies most of the log, then the rest while no transaction of the Store
// may begin, and lets them begin again while the file is synced. If one of another process or of the
// caller comes in between, or the rest is long, the restart has more to sync.
func (c *checkpointer) flush(ctx context.Context) {
	if _, _, err := c.do("PASSIVE"); err != nil {
		return
	}
	ended := make(chan struct{})
	if err := c.begin(ctx, func() error {
		if err := c.awaitWriter(ctx, restartPatience); err != nil {
			return err
		}
		go func() {
			defer close(ended)
			_, _, _ = c.do("PASSIVE")
		}()
		select {
		case <-ended:
		case <-time.After(copyPatience):
		}
		return nil
	}); err == nil {
		<-ended
	}
}

// restart lets the next transaction start the log again. None of the Store may begin meanwhile. One
// that is under way is waited for half as long as a transaction would wait, so that those behind this
// have time left.
func (c *checkpointer) restart(ctx context.Context, begun time.Time) error {
	err := c.awaitWriter(ctx, c.patience/2-time.Since(begun))
	if err == nil { // what that transaction has written is copied without the write lock
		_, _, err = c.do("PASSIVE")
	}
	if err == nil {
		_, _, err = c.do("RESTART")
	}
	return err
}

// awaitWriter returns when no transaction writes. One that is under way may take long, as one of the
// caller does that is open. It is waited for here, because all others wait for it, too, and not in a
// checkpoint, which has the write lock while it waits for queries.
func (c *checkpointer) awaitWriter(ctx context.Context, patience time.Duration) error {
	// Not with ctx: the driver may return its error though the transaction has begun.
	exec := func(query string) error {
		_, err := c.conn.ExecContext(context.Background(), query)
		return err
	}
	// SQLite itself would look less often: see waitForLock.
	if err := exec("PRAGMA " + busyTimeout(0)); err != nil {
		return err
	}
	err := waitForLock(ctx, patience, func() error { return exec("BEGIN IMMEDIATE") })
	if err == nil {
		err = exec("ROLLBACK")
	}
	if restored := exec("PRAGMA " + busyTimeout(restartPatience)); err == nil {
		err = restored
	}
	if err == nil {
		err = c.check() // again, because the wait may have been long
	}
	return err
}

// do does a checkpoint of a kind, and returns how many pages the log has, and how many of them are
// in the database file too. Both are -1 beside a checkpoint of another process, but for NOOP, which
// SQLite has since 3.51, and which copies none.
//
// It is not cancelled: the driver would return the error of the context in place of that of a sync
// that failed.
func (c *checkpointer) do(kind string) (log, copied int, err error) {
	if err := c.failed(); err != nil {
		return 0, 0, err
	}
	var busy int
	err = c.conn.QueryRowContext(context.Background(), "PRAGMA wal_checkpoint("+kind+")").
		Scan(&busy, &log, &copied)
	if unsynced(err) {
		c.giveUp(err)
	}
	return log, copied, err
}

// unsynced reports whether an error says that the disk could not sync a file.
func unsynced(err error) bool {
	var driverError *sqlite.Error
	return errors.As(err, &driverError) && driverError.Code() == sqlite3.SQLITE_IOERR_FSYNC
}

// giveUp lets the Store write no more after the sync of a checkpoint has failed. A checkpoint beside
// commits copies a part of the log and leaves the sync to the next one, which copies the rest. If that
// sync fails, the operating system may take the pages of both parts for written, and nothing would
// write the first again: SQLite would start the log again, which alone has them. (PostgreSQL ends the
// process for the same reason.) All is in the log. SQLite copies all of it when a process opens the
// file that no other has open, so this marks the file. It also keeps the log from being started again
// by a process that does not look for the mark: it reads what is in it.
func (c *checkpointer) giveUp(err error) {
	err = fmt.Errorf("%w: syncing what a checkpoint has copied, after which nothing may be written until "+
		"each process that has the file open has ended: %w", ErrIO, err)
	c.broken.Store(&err)
	kept, marked := false, false
	for range 10 { // the disk may answer the query with an error, too, which ends the transaction
		kept = kept || c.keepLog() == nil
		marked = marked || c.mark() == nil
		if kept && marked {
			return
		}
		time.Sleep(checkpointPause)
	}
}

// keepLog begins to read what is in the log.
func (c *checkpointer) keepLog() error {
	ctx := context.Background()
	_, _ = c.conn.ExecContext(ctx, "ROLLBACK") // of an earlier try
	if _, err := c.conn.ExecContext(ctx, "BEGIN"); err != nil {
		return err
	}
	var tables int
	return c.conn.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&tables)
}
