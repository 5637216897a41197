package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"io/fs"
	"os"
	"sync/atomic"
)

// writeBack makes durable what an earlier process has left in the log. The transaction in which
// a sync failed has failed, too, but its pages may be complete in the log. Then the next process that
// opens the file reads it as committed, and appends to it. No later sync writes those pages: Linux
// takes them for written, although the sync failed. So if the power failed, the log would end before
// them, and lose all that was accepted since. This writes them once more, so that the sync at its end
// has something to sync.
//
// What is durable already keeps what it holds, since the same is written there again.
//
// It holds the write lock, with which nothing else changes the log. If another process has that lock
// for as long as the busy timeout, that one has opened the file before, and has done the same.
func writeBack(ctx context.Context, db *sql.DB, path string) error {
	switch info, err := os.Stat(path + "-wal"); {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Size() == 0:
		return nil
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // back to the handle
	if _, err := conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		if err = mapError(err); errors.Is(err, ErrLocked) {
			return nil
		}
		return err
	}
	err = rewrite(ctx, path+"-wal")
	_, ending := conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
	return errors.Join(err, ending)
}

// rewrite writes to a file what it holds, and syncs it.
func rewrite(ctx context.Context, path string) (err error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	part := make([]byte, 1<<20)
	for at := int64(0); ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := f.ReadAt(part, at)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if n == 0 {
			break
		}
		if _, err := f.WriteAt(part[:n], at); err != nil {
			return err
		}
		if wrote := rewrote.Load(); wrote != nil {
			(*wrote)(path, part[:n], at)
		}
		at += int64(n)
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if wrote := rewrote.Load(); wrote != nil {
		(*wrote)(path, nil, 0)
	}
	return nil
}

// rewrote is told of each write of rewrite, and without data of the sync, by tests that record what
// happens to a disk.
var rewrote atomic.Pointer[func(path string, data []byte, at int64)]
