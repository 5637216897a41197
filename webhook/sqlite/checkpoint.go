package sqlite

import (
	"context"
	"database/sql"
	"time"
)

// A checkpoint copies the pages that are only in the log into the database file, and syncs it.
// SQLite does it in the commit that makes the log longer than a limit. That commit, and each writer
// behind it, takes several times as long as others. So a goroutine does checkpoints here while
// commits go on, and a commit does one only if the goroutine falls behind.
const (
	// checkpointPages is how many pages are only in the log when they are copied.
	checkpointPages = 500
	// checkpointPause is how long it leaves the log alone after it has looked at it.
	checkpointPause = 10 * time.Millisecond
	// commitCheckpointPages is the limit of commits, four times SQLite's: 16 MB.
	commitCheckpointPages = 4000
	// logLimit is to how many bytes the log is cut once all of it has been copied. It grows beyond
	// while somebody reads what it was before, and would stay as long as that.
	logLimit = 64 << 20
)

// checkpointer does checkpoints of a database, on a connection that nothing else uses.
type checkpointer struct {
	conn *sql.Conn
	// check returns an error while the files that are open are not those of the database any more.
	// A checkpoint would write pages of the old log over those of a newer one.
	check func() error
	// log holds an element when there was a commit since the log was looked at.
	log   chan struct{}
	stop  context.CancelFunc // ends a checkpoint that runs, too
	ended chan struct{}
}

// startCheckpointer returns one that runs until it is closed.
func startCheckpointer(conn *sql.Conn, check func() error) *checkpointer {
	ctx, stop := context.WithCancel(context.Background())
	c := &checkpointer{conn: conn, check: check, log: make(chan struct{}, 1), stop: stop,
		ended: make(chan struct{})}
	go c.run(ctx)
	return c
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
	for {
		select {
		case <-c.log:
		case <-ctx.Done():
			return
		}
		// An error is left to the commits, which do what this has not done.
		if log, copied, err := c.do(ctx, "NOOP"); err == nil && log-copied >= checkpointPages &&
			c.check() == nil {
			_, _, _ = c.do(ctx, "PASSIVE") // PASSIVE does not wait for readers and writers
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
	var busy int
	err = c.conn.QueryRowContext(ctx, "PRAGMA wal_checkpoint("+kind+")").
		Scan(&busy, &log, &copied)
	return log, copied, err
}
